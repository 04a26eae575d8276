"""Furniture: each function returns a piece centred at (0, 0) with its front towards +y."""

from __future__ import annotations

import math

from metric_depth_synthetic.scene import Material
from metric_depth_synthetic.scenes.indoor.kit import Kit
from metric_depth_synthetic.scenes.indoor.solids import Item, Piece, Top, four_legs
from metric_depth_synthetic.scenes.indoor.storage import drawers_front


def table(kit: Kit, width: float, depth: float, height: float = 0.74) -> Piece:
    """A table on four legs, two trestles or one foot."""
    piece = Piece(width, depth, height)
    item = piece.item("table")
    top = kit.some("wood") if kit.chance(0.7) else kit.light()
    thick = kit.u(0.018, 0.05)
    style = kit.weighted({"legs": 3, "metal": 2, "foot": 0.7 if width < 1.4 else 0.1, "trestle": 0.8})
    round_top = style == "foot" and kit.chance(0.7)
    unit = "drum" if round_top else "box"
    item.put(unit, top, (0, 0, height - thick), (width, depth, thick))
    leg = kit.steel() if style == "metal" else (kit.some("wood") if kit.chance(0.3) else top)
    x, y, z = width / 2 - 0.06, depth / 2 - 0.06, height - thick
    if style == "foot":
        item.rod(leg, (0, 0, 0.02), (0, 0, z), 0.04)
        item.put("drum", leg, (0, 0, 0), (width * 0.55, depth * 0.55, 0.025))
    elif style == "trestle":
        for side in (-1, 1):
            item.box(leg, (side * x - 0.03, -y, 0), (side * x + 0.03, y, 0.05))
            item.box(leg, (side * x - 0.03, -0.08, 0.05), (side * x + 0.03, 0.08, z))
        item.box(leg, (-x, -0.02, 0.3), (x, 0.02, 0.36))
    else:
        four_legs(item, leg, x, y, z, kit.u(0.015, 0.035), round_leg=kit.chance(0.5))
        if kit.chance(0.7):
            _apron(item, leg, x, y, z)
    # On a round top things stand within the inscribed square.
    x, y = (width * 0.34, depth * 0.34) if round_top else (width / 2, depth / 2)
    piece.tops.append(Top((-x, -y), (x, y), height))
    return piece


def _apron(item: Item, material: Material, x: float, y: float, z: float) -> None:
    for side in (-1, 1):
        item.box(material, (-x, side * y - 0.012, z - 0.08), (x, side * y + 0.012, z))
        item.box(material, (side * x - 0.012, -y, z - 0.08), (side * x + 0.012, y, z))


def chair(kit: Kit) -> Piece:
    """A dining or visitor's chair; its back is at -y."""
    width, depth, seat = kit.u(0.4, 0.5), kit.u(0.4, 0.5), kit.u(0.42, 0.48)
    height = seat + kit.u(0.35, 0.55)
    piece = Piece(width, depth + 0.04, height)
    item = piece.item("furniture")
    frame = kit.some("wood") if kit.chance(0.6) else kit.steel()
    cloth = kit.choose([frame, kit.some("fabric"), kit.some("plastic")])
    x, y, r = width / 2 - 0.03, depth / 2 - 0.03, kit.u(0.011, 0.022)
    four_legs(
        item, frame, x, y, seat - 0.03, r, round_leg=kit.chance(0.6), splay=kit.choose([0.0, 0.0, 0.03])
    )
    item.put("soft" if cloth is not frame else "box", cloth, (0, 0, seat - 0.04), (width, depth, 0.05))
    lean = kit.u(0.02, 0.09)
    for side in (-1, 1):
        item.rod(frame, (side * x, -y, seat - 0.03), (side * x, -y - lean, height), r)
    if kit.chance(0.5):
        for k in range(kit.n(2, 3)):
            z = height - 0.04 - 0.12 * k
            item.box(cloth, (-x, -y - lean - 0.01, z - 0.05), (x, -y - lean + 0.015, z))
    elif kit.chance(0.5):
        for k in range(5):
            at = -x + 2 * x * (k + 0.5) / 5
            item.rod(frame, (at, -y, seat - 0.02), (at, -y - lean, height), 0.007, "wire")
        item.box(frame, (-x, -y - lean - 0.012, height - 0.07), (x, -y - lean + 0.012, height))
    else:
        item.put("soft", cloth, (0, -y - lean * 0.8, seat + 0.12), (width, 0.04, height - seat - 0.12))
    if kit.chance(0.25):
        for side in (-1, 1):
            item.path(frame, [(side * x, -y, seat + 0.2), (side * x, y, seat + 0.2), (side * x, y, seat)], r)
    return piece


def office_chair(kit: Kit) -> Piece:
    """A swivel chair on five castors; its back is at -y."""
    seat, back = kit.u(0.42, 0.54), kit.u(0.45, 0.75)
    piece = Piece(0.62, 0.62, seat + back + 0.08)
    item = piece.item("furniture", yaw_deg=kit.u(-25, 25))
    dark = kit.dark()
    cloth = dark if kit.chance(0.5) else kit.some("fabric")
    foot = kit.steel() if kit.chance(0.4) else dark
    for k in range(5):
        a = 2 * math.pi * k / 5
        tip = (0.29 * math.cos(a), 0.29 * math.sin(a))
        item.rod(foot, (0, 0, 0.11), (*tip, 0.075), 0.02)
        item.put("nub", dark, (*tip, 0), (0.06, 0.04, 0.06), math.degrees(a))
    item.rod(foot, (0, 0, 0.1), (0, 0, seat - 0.05), 0.028)
    item.put("soft", cloth, (0, 0.02, seat - 0.06), (0.48, 0.48, 0.09))
    item.path(dark, [(0, -0.15, seat - 0.05), (0, -0.26, seat), (0, -0.27, seat + 0.25)], 0.025)
    item.put("soft", cloth, (0, -0.25, seat + 0.08), (kit.u(0.4, 0.48), kit.u(0.05, 0.1), back))
    if kit.chance(0.7):
        for side in (-1, 1):
            x = side * 0.27
            item.path(dark, [(side * 0.2, 0, seat - 0.03), (x, 0, seat), (x, 0, seat + 0.18)], 0.015)
            item.put("soft", dark, (x, 0.02, seat + 0.17), (0.07, 0.26, 0.035))
    return piece


def stool(kit: Kit) -> Piece:
    """A stool, bar height or low."""
    height, r = kit.choose([0.45, 0.65, 0.75]), kit.u(0.15, 0.19)
    piece = Piece(2 * r, 2 * r, height)
    item = piece.item("furniture")
    leg = kit.steel() if kit.chance(0.5) else kit.some("wood")
    item.put(kit.choose(["drum", "soft"]), kit.some("wood"), (0, 0, height - 0.04), (2 * r, 2 * r, 0.04))
    four_legs(item, leg, r * 0.6, r * 0.6, height - 0.04, 0.014, round_leg=True, splay=r * 0.2)
    for side in (-1, 1):
        item.rod(leg, (-r * 0.65, side * r * 0.65, 0.2), (r * 0.65, side * r * 0.65, 0.2), 0.009, "wire")
    return piece


def sofa(kit: Kit, seats: int) -> Piece:
    """An armchair (one seat) or a sofa; its back is at -y."""
    cell = kit.u(0.58, 0.75)
    arm = kit.u(0.1, 0.24)
    width, depth = seats * cell + 2 * arm, kit.u(0.8, 1.0)
    seat, back = kit.u(0.38, 0.46), kit.u(0.72, 0.95)
    piece = Piece(width, depth, back)
    item = piece.item("furniture")
    cloth = kit.some("fabric")
    thick = kit.u(0.18, 0.28)
    y = depth / 2
    foot = kit.u(0.02, 0.14)
    item.put("soft", cloth, (0, 0, foot), (width, depth * 0.97, seat - foot - 0.12))
    item.put("soft", cloth, (0, -y + thick / 2, foot + 0.05), (width, thick, back - foot - 0.08))
    for side in (-1, 1):
        item.put(
            "soft",
            cloth,
            (side * (width - arm) / 2, 0.02, foot),
            (arm, depth - 0.05, kit.u(0.54, 0.64) - foot),
        )
    for k in range(seats):
        x = (k - (seats - 1) / 2) * cell
        item.put("soft", cloth, (x, thick / 2, seat - 0.15), (cell * 0.98, depth - thick, 0.17))
        item.put("soft", cloth, (x, -y + thick + 0.06, seat + 0.02), (cell * 0.97, 0.2, back - seat))
    four_legs(item, kit.dark(), width / 2 - 0.08, y - 0.08, foot + 0.03, 0.02, round_leg=True)
    if kit.chance(0.6):
        pillows = piece.item("clutter")
        for _ in range(kit.n(1, 3)):
            x, s = kit.u(-0.4, 0.4) * seats * cell, kit.u(0.35, 0.5)
            at = (x, -y + thick + 0.25, seat)
            pillows.put("pillow", kit.some("fabric"), at, (s, 0.16, s), kit.u(-20, 20))
    if kit.chance(0.2):
        throw = piece.item("clutter")
        x = kit.u(-0.3, 0.3) * width
        throw.put(
            "pillow", kit.some("fabric"), (x, thick / 2, seat), (0.6, depth - thick, 0.08), kit.u(-15, 15)
        )
    piece.tops.append(
        Top((-seats * cell / 2, -y + thick + 0.2), (seats * cell / 2, y - 0.05), seat + 0.02, 0.6)
    )
    return piece


def desk(kit: Kit, width: float, depth: float) -> Piece:
    """An empty desk; the user sits at +y, the far edge is at -y."""
    height = kit.u(0.7, 0.78)
    piece = Piece(width, depth, height)
    item = piece.item("table")
    top = kit.some("wood") if kit.chance(0.6) else kit.light()
    frame = kit.steel() if kit.chance(0.5) else top
    item.box(top, (-width / 2, -depth / 2, height - 0.03), (width / 2, depth / 2, height))
    x, y, z = width / 2, depth / 2, height - 0.03
    if kit.chance(0.4):
        for side in (-1, 1):
            item.box(frame, (side * x, -y, 0), (side * (x - 0.03), y, z))
    elif kit.chance(0.5):
        for side in (-1, 1):
            at = side * (x - 0.1)
            item.box(frame, (at - 0.03, -y + 0.05, 0), (at + 0.03, y - 0.05, 0.04))
            item.box(frame, (at - 0.03, -0.05, 0.04), (at + 0.03, 0.03, z))
    else:
        four_legs(item, frame, x - 0.05, y - 0.05, z, 0.022, round_leg=kit.chance(0.4))
    if kit.chance(0.6):
        item.box(frame, (-x + 0.05, -y + 0.03, kit.u(0.2, 0.45)), (x - 0.05, -y + 0.05, z))
    if kit.chance(0.65):
        side = kit.sign()
        low = 0.0 if kit.chance(0.5) else 0.04
        drawers_front(
            kit, piece.item("furniture", side * (x - 0.27)), 0.42, depth - 0.12, low, min(z - 0.01, 0.65)
        )
    piece.tops.append(Top((-x, -y), (x, y), height))
    return piece


def bed(kit: Kit) -> Piece:
    """A bed with mattress, pillows and blanket; its head is at -y."""
    double = kit.chance(0.6)
    width, depth, high = (kit.u(1.4, 1.8) if double else 0.95), kit.u(2.0, 2.15), kit.u(0.4, 0.6)
    piece = Piece(width, depth, high + 0.1)
    item = piece.item("furniture")
    frame = kit.some("wood") if kit.chance(0.6) else kit.some("fabric")
    x, y = width / 2, depth / 2
    item.box(frame, (-x, -y, 0.12), (x, y, high - 0.2))
    four_legs(item, frame, x - 0.05, y - 0.05, 0.14, 0.035, round_leg=False)
    head = kit.u(0.7, 1.2)
    piece.height = max(head, high + 0.1)
    item.box(frame, (-x, -y, 0.12), (x, -y + 0.06, head))
    item.put(
        "soft",
        kit.new("fabric", colour=(0.7, 0.7, 0.68)),
        (0, 0.04, high - 0.22),
        (width - 0.02, depth - 0.1, 0.22),
    )
    cover = piece.item("furniture")
    cloth = kit.some("fabric")
    rest = kit.u(0.5, 0.8)
    cover.put("soft", cloth, (0, rest / 2, high - 0.24), (width + 0.04, depth - rest, 0.27))
    if kit.chance(0.6):
        cover.put(
            f"lump{kit.n(0, 3)}",
            cloth,
            (kit.u(-0.3, 0.3), kit.u(0.1, 0.6), high - 0.03),
            (width * 0.7, 0.6, 0.18),
        )
    for k in range(2 if double else 1):
        at = ((k - 0.5) * width * 0.48 if double else 0.0, -y + 0.32, high - 0.02)
        cover.put("pillow", kit.some("fabric"), at, (kit.u(0.5, 0.7), 0.42, 0.15), kit.u(-8, 8))
    piece.tops.append(Top((-x * 0.8, -0.1), (x * 0.8, y - 0.1), high + 0.03, 1.5))
    return piece


def low_table(kit: Kit) -> Piece:
    """A coffee table."""
    width, depth, height = kit.u(0.6, 1.3), kit.u(0.45, 0.8), kit.u(0.32, 0.5)
    if kit.chance(0.5):
        return table(kit, width, depth, height)
    piece = Piece(width, depth, height)
    item = piece.item("table")
    wood = kit.some("wood")
    for z in (height - 0.04, 0.12):
        item.box(wood, (-width / 2, -depth / 2, z), (width / 2, depth / 2, z + 0.03))
    four_legs(item, wood, width / 2 - 0.03, depth / 2 - 0.03, height, 0.025, round_leg=False)
    piece.tops.append(Top((-width / 2, -depth / 2), (width / 2, depth / 2), height))
    piece.tops.append(
        Top((-width / 2 + 0.1, -depth / 2 + 0.05), (width / 2 - 0.1, depth / 2 - 0.05), 0.15, height - 0.2)
    )
    return piece


def bench(kit: Kit, width: float) -> Piece:
    """A bench, with or without a back at -y."""
    piece = Piece(width, 0.45, 0.46)
    item = piece.item("furniture")
    wood, leg = kit.some("wood"), kit.steel()
    for k in range(3):
        y = -0.15 + 0.15 * k
        item.box(wood, (-width / 2, y - 0.06, 0.42), (width / 2, y + 0.06, 0.45))
    four_legs(item, leg, width / 2 - 0.15, 0.18, 0.42, 0.02, round_leg=False)
    if kit.chance(0.5):
        piece.height = 0.85
        for z in (0.6, 0.75):
            item.box(wood, (-width / 2, -0.22, z), (width / 2, -0.19, z + 0.1))
        for side in (-1, 1):
            x = side * (width / 2 - 0.15)
            item.box(leg, (x - 0.02, -0.19, 0.42), (x + 0.02, -0.16, 0.85))
    return piece


def partition(kit: Kit, width: float, height: float) -> Piece:
    """A screen between desks."""
    piece = Piece(width, 0.06, height)
    item = piece.item("furniture")
    item.box(kit.some("fabric"), (-width / 2, -0.02, 0.04), (width / 2, 0.02, height - 0.02))
    frame = kit.steel()
    item.box(frame, (-width / 2, -0.025, height - 0.02), (width / 2, 0.025, height))
    for side in (-1, 1):
        item.box(frame, (side * width / 2 - 0.015, -0.025, 0), (side * width / 2 + 0.015, 0.025, height))
    return piece
