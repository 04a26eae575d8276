"""Things on walls and on the floor: pictures, boards, radiators, lamps, bicycles, bins, ladders."""

from __future__ import annotations

import math

from metric_depth_synthetic.scenes.indoor import clutter, scatter
from metric_depth_synthetic.scenes.indoor.kit import Kit
from metric_depth_synthetic.scenes.indoor.solids import Piece, Top


def picture(kit: Kit) -> Piece:
    """A picture or poster on a wall."""
    w, h = kit.u(0.25, 1.2), kit.u(0.25, 0.95)
    low = kit.u(1.15, 1.5)
    piece = Piece(w, 0.04, low + h, base_z=low)
    item = piece.item("object")
    if kit.chance(0.65):
        rim = kit.some("wood") if kit.chance(0.6) else kit.dark()
        item.box(rim, (-w / 2, -0.02, low), (w / 2, 0.0, low + h))
        b = kit.u(0.01, 0.05)
        item.quad(
            kit.new("print", repeat_m=w), (w / 2 - b, 0.002, low + b), (2 * b - w, 0, 0), (0, 0, h - 2 * b)
        )
    else:
        item.quad(kit.new("print", repeat_m=w), (w / 2, -0.015, low), (-w, 0, 0), (0, 0, h))
    return piece


def board(kit: Kit, width: float = 0.0) -> Piece:
    """A whiteboard, blackboard or pin board."""
    w, h, low = width or kit.u(0.9, 2.6), kit.u(0.8, 1.2), kit.u(0.8, 1.0)
    piece = Piece(w, 0.08, low + h, base_z=low)
    item = piece.item("object")
    item.box(kit.steel(), (-w / 2, -0.04, low), (w / 2, -0.015, low + h))
    face = kit.choose([kit.light(), kit.light(), kit.some("fabric"), kit.dark()])
    item.quad(face, (w / 2 - 0.02, -0.014, low + 0.02), (-w + 0.04, 0, 0), (0, 0, h - 0.04))
    if kit.chance(0.6):
        notes = piece.item("clutter")
        for _ in range(kit.n(2, 10)):
            s = kit.u(0.08, 0.22)
            x, z = kit.u(-w / 2 + 0.05, w / 2 - s - 0.05), kit.u(low + 0.05, low + h - 1.4 * s - 0.03)
            notes.box(
                kit.some("print" if kit.chance(0.7) else "paper"),
                (x, -0.014, z),
                (x + s, -0.01, z + 1.35 * s),
            )
    item.box(kit.steel(), (-w * 0.3, -0.02, low - 0.01), (w * 0.3, 0.04, low + 0.005))
    return piece


def radiator(kit: Kit) -> Piece:
    """A heater under a window."""
    w, h = kit.u(0.6, 1.6), kit.u(0.4, 0.65)
    piece = Piece(w, 0.14, h + 0.1)
    item = piece.item("object")
    white = kit.light()
    if kit.chance(0.5):
        item.box(white, (-w / 2, -0.04, 0.1), (w / 2, 0.02, 0.1 + h))
        for k in range(int(w / 0.06)):
            x = -w / 2 + 0.06 * k + 0.02
            item.box(white, (x, 0.02, 0.12), (x + 0.03, 0.03, 0.08 + h))
    else:
        for k in range(int(w / 0.07)):
            item.put("soft", white, (-w / 2 + 0.07 * k + 0.03, -0.01, 0.1), (0.05, 0.13, h))
    item.rod(white, (w / 2 - 0.03, 0, 0), (w / 2 - 0.03, 0, 0.12), 0.01)
    item.rod(white, (-w / 2 + 0.03, 0, 0), (-w / 2 + 0.03, 0, 0.12), 0.01)
    return piece


def wall_shelf(kit: Kit, density: float) -> Piece:
    """One or two boards on brackets with things on them."""
    w, d, low = kit.u(0.5, 1.4), kit.u(0.18, 0.28), kit.u(1.2, 1.7)
    piece = Piece(w, d, low + 0.4, base_z=low - 0.12)
    item = piece.item("furniture")
    wood = kit.some("wood")
    item.box(wood, (-w / 2, -d / 2, low), (w / 2, d / 2, low + 0.025))
    for side in (-1, 1):
        x = side * w * 0.35
        item.path(kit.steel(), [(x, -d / 2, low - 0.12), (x, -d / 2, low), (x, d / 2 - 0.02, low)], 0.007)
    piece.tops.append(Top((-w / 2, -d / 2), (w / 2, d / 2), low + 0.025, 0.38))
    scatter.fill_shelf(kit, piece, "books", 0.3 + density * 0.6)
    return piece


def wall_clock(kit: Kit) -> Piece:
    """A clock, a switch box or an alarm."""
    low, d = kit.u(1.3, 2.0), kit.u(0.1, 0.34)
    piece = Piece(d, 0.06, low + d, base_z=low)
    item = piece.item("object")
    if kit.chance(0.5):
        item.rod(kit.dark(), (0, -0.03, low + d / 2), (0, 0.01, low + d / 2), d / 2, "drum")
        item.rod(kit.light(), (0, 0.01, low + d / 2), (0, 0.013, low + d / 2), d * 0.46, "drum")
    else:
        item.box(kit.light(), (-d / 2, -0.03, low), (d / 2, 0.06, low + d))
    return piece


def coat_hooks(kit: Kit) -> Piece:
    """A rail with coats and bags."""
    w, z = kit.u(0.5, 1.2), kit.u(1.55, 1.75)
    piece = Piece(w, 0.25, z + 0.1, base_z=0.6)
    item = piece.item("furniture")
    item.box(kit.some("wood"), (-w / 2, -0.125, z), (w / 2, -0.105, z + 0.09))
    for k in range(int(w / 0.16)):
        x = -w / 2 + 0.08 + 0.16 * k
        item.path(kit.steel(), [(x, -0.105, z + 0.03), (x, -0.05, z + 0.02), (x, -0.04, z + 0.05)], 0.006)
        if kit.chance(0.55):
            coat = piece.item("clutter", x, -0.06)
            long = kit.u(0.5, 1.0)
            coat.put(
                "coat", kit.some("fabric"), (0, 0.04, z + 0.04 - long), (0.36, 0.18, long), kit.u(-15, 15)
            )
    return piece


def floor_lamp(kit: Kit) -> Piece:
    """A lamp on a thin pole."""
    h = kit.u(1.35, 1.85)
    piece = Piece(0.4, 0.4, h)
    item = piece.item("furniture")
    metal = kit.steel() if kit.chance(0.5) else kit.dark()
    item.put("drum", metal, (0, 0, 0), (0.27, 0.27, 0.025))
    if kit.chance(0.6):
        item.rod(metal, (0, 0, 0.02), (0, 0, h - 0.15), 0.011)
        item.put("shade", kit.some("paper"), (0, 0, h - 0.26), (kit.u(0.3, 0.45),) * 2 + (0.26,))
    else:
        item.path(metal, [(-0.1, 0, 0.02), (-0.1, 0, h - 0.15), (0, 0, h), (0.12, 0, h - 0.08)], 0.011)
        item.rod(metal, (0.18, 0, h - 0.24), (0.12, 0, h - 0.08), 0.09, "shade")
    return piece


def coat_stand(kit: Kit) -> Piece:
    """A coat stand with or without coats."""
    h = kit.u(1.6, 1.85)
    piece = Piece(0.5, 0.5, h)
    item = piece.item("furniture")
    wood = kit.some("wood") if kit.chance(0.5) else kit.steel()
    item.rod(wood, (0, 0, 0.05), (0, 0, h), 0.02)
    for k in range(4):
        a = math.pi / 2 * k
        c, s = math.cos(a), math.sin(a)
        item.rod(wood, (0, 0, 0.18), (0.24 * c, 0.24 * s, 0.02), 0.015)
        item.path(
            wood, [(0, 0, h - 0.22), (0.12 * c, 0.12 * s, h - 0.12), (0.14 * c, 0.14 * s, h - 0.06)], 0.009
        )
        if kit.chance(0.4):
            long = kit.u(0.6, 1.0)
            coat = piece.item("clutter", 0.13 * c, 0.13 * s)
            coat.put("coat", kit.some("fabric"), (0, 0, h - 0.06 - long), (0.22, 0.4, long), math.degrees(a))
    return piece


def tripod(kit: Kit) -> Piece:
    """A camera or a light on three legs."""
    h, r = kit.u(0.9, 1.6), kit.u(0.35, 0.5)
    piece = Piece(2 * r, 2 * r, h + 0.2)
    item = piece.item("object", yaw_deg=kit.u(0, 120))
    dark = kit.dark()
    for k in range(3):
        a = 2.0944 * k
        item.rod(dark, (r * math.cos(a), r * math.sin(a), 0), (0, 0, h * 0.8), 0.012)
    item.rod(dark, (0, 0, h * 0.7), (0, 0, h), 0.014)
    item.put("soft", dark, (0, 0, h), (0.14, 0.1, 0.11))
    item.rod(dark, (0, 0.04, h + 0.055), (0, 0.13, h + 0.055), 0.035)
    return piece


def bin_(kit: Kit) -> Piece:
    """A waste bin."""
    d, h = kit.u(0.22, 0.38), kit.u(0.25, 0.65)
    piece = Piece(d, d, h)
    item = piece.item("object")
    body = kit.some("plastic") if kit.chance(0.6) else kit.steel()
    item.put(kit.choose(["flare", "drum", "box", "mug"]), body, (0, 0, 0), (d, d, h))
    return piece


def bag(kit: Kit) -> Piece:
    """A rucksack, suitcase or shopping bag on the floor."""
    w, d, h = kit.u(0.28, 0.45), kit.u(0.16, 0.26), kit.u(0.3, 0.6)
    piece = Piece(w, d, h)
    item = piece.item("clutter", yaw_deg=kit.u(-30, 30))
    cloth = kit.some("fabric")
    item.put(kit.choose(["soft", "pillow", "box"]), cloth, (0, 0, 0), (w, d, h))
    item.put("pillow", cloth, (0, d / 2, 0.04), (w * 0.7, 0.1, h * 0.5))
    item.path(
        kit.dark(), [(-0.08, 0, h - 0.03), (-0.05, 0, h + 0.1), (0.05, 0, h + 0.1), (0.08, 0, h - 0.03)], 0.01
    )
    return piece


def boxes(kit: Kit) -> Piece:
    """A pile of cartons."""
    s = kit.u(0.28, 0.5)
    piece = Piece(s * 1.3, s * 1.1, 0.0)
    z = 0.0
    for _ in range(kit.n(1, 4)):
        one = clutter.carton(kit, s)
        s *= kit.u(0.8, 1.0)  # smaller ones on larger ones
        piece.add(one, kit.u(-0.03, 0.03), kit.u(-0.03, 0.03), z, kit.u(-8, 8))
        z += one.height
    piece.height = z
    return piece


def pot_plant(kit: Kit) -> Piece:
    """A large plant on the floor."""
    return clutter.plant(kit, kit.u(0.5, 1.8))


def ladder(kit: Kit) -> Piece:
    """A standing step ladder."""
    h = kit.u(1.0, 2.0)
    piece = Piece(0.5, 0.5 * h + 0.1, h)
    item = piece.item("object")
    metal = kit.steel()
    y = 0.25 * h
    for side in (-1, 1):
        item.rod(metal, (side * 0.24, y, 0), (side * 0.17, 0, h), 0.018)
        item.rod(metal, (side * 0.24, -y, 0), (side * 0.17, 0, h), 0.014)
    for k in range(1, int(h / 0.25)):
        t = k * 0.25 / h
        item.box(metal, (-0.22, y * (1 - t) - 0.03, h * t - 0.01), (0.22, y * (1 - t) + 0.04, h * t + 0.012))
    return piece


def bicycle(kit: Kit) -> Piece:
    """A bicycle along x."""
    piece = Piece(1.75, 0.5, 1.05)
    item = piece.item("vehicle", yaw_deg=180 * kit.n(0, 1))
    paint, dark, steel = kit.some("paint"), kit.dark(), kit.steel()
    for x in (-0.52, 0.52):
        item.put("wheel", dark, (x, 0, 0), (0.68, 1.0, 0.68))
        for k in range(6):
            a = math.pi * k / 6
            c, s = 0.32 * math.cos(a), 0.32 * math.sin(a)
            item.rod(steel, (x - c, 0, 0.34 - s), (x + c, 0, 0.34 + s), 0.003, "wire")
    rear, front, crank, seat, head = (
        (-0.52, 0, 0.34),
        (0.52, 0, 0.34),
        (-0.06, 0, 0.3),
        (-0.22, 0, 0.82),
        (0.33, 0, 0.85),
    )
    for start, end in (
        (rear, crank),
        (rear, seat),
        (crank, seat),
        (crank, head),
        (seat, head),
        (head, front),
    ):
        item.rod(paint, start, end, 0.017)
    item.rod(steel, seat, (-0.25, 0, 0.95), 0.013)
    item.put("soft", dark, (-0.26, 0, 0.94), (0.27, 0.15, 0.06))
    item.rod(steel, head, (0.3, 0, 1.0), 0.015)
    item.path(steel, [(0.15, -0.28, 1.02), (0.3, -0.24, 1.03), (0.3, 0.24, 1.03), (0.15, 0.28, 1.02)], 0.013)
    item.rod(steel, (-0.06, -0.09, 0.3), (-0.06, 0.09, 0.3), 0.07)
    return piece


def column(kit: Kit, height: float) -> Piece:
    """A column from floor to ceiling."""
    s = kit.u(0.2, 0.5)
    piece = Piece(s, s, height)
    item = piece.item("structure")
    item.put(
        "drum" if kit.chance(0.3) else "box",
        kit.new(kit.choose(["wall", "concrete", "brick"])),
        (0, 0, 0),
        (s, s, height),
    )
    return piece


def stack_chairs(kit: Kit) -> Piece:
    """A technical thing on the floor: a gas cylinder, a vacuum cleaner, a fan or a bucket."""
    h = kit.u(0.25, 1.0)
    d = kit.u(0.2, 0.4)
    piece = Piece(d, d, h)
    item = piece.item("object", yaw_deg=kit.u(0, 360))
    body = kit.some("plastic") if kit.chance(0.5) else kit.some("metal")
    item.put(kit.choose(["drum", "soft", "mug", "flare"]), body, (0, 0, 0), (d, d, h * 0.6))
    item.put(kit.choose(["rod", "taper", "ball"]), kit.dark(), (0, 0, h * 0.55), (d * 0.5, d * 0.5, h * 0.45))
    return piece
