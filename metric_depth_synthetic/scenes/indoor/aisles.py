"""Fittings of corridors and halls: racks, shop shelves, lockers, pipes, arches, stairs."""

from __future__ import annotations

import itertools
import math

import numpy as np

from metric_depth_synthetic.scene import Material
from metric_depth_synthetic.scenes.indoor import scatter
from metric_depth_synthetic.scenes.indoor.kit import Kit
from metric_depth_synthetic.scenes.indoor.plan import Plan, Rect
from metric_depth_synthetic.scenes.indoor.solids import Item, Piece, Top


def tunnel(kit: Kit, root: Piece, long: float, width: float, height: float) -> None:
    """A vaulted tunnel along x, closed at its ends."""
    material, floor = (
        kit.new(kit.choose(["concrete", "brick", "wall", "ground"])),
        kit.new(kit.choose(["concrete", "ground", "floor"])),
    )
    root.item("floor").quad(floor, (0, -width / 2, 0), (long, 0, 0), (0, width, 0))
    spring = height * kit.u(0.3, 0.7)
    turns = np.linspace(0, math.pi, 11)
    outline = [
        (width / 2, 0.0),
        *((width / 2 * math.cos(a), spring + (height - spring) * math.sin(a)) for a in turns),
        (-width / 2, 0.0),
    ]
    vault = root.item("wall")
    u = 0.0
    for (y0, z0), (y1, z1) in itertools.pairwise(outline):
        vault.quad(material, (0, y0, z0), (long, 0, 0), (0, y1 - y0, z1 - z0), (0, u))
        u += math.hypot(y1 - y0, z1 - z0)
    end = kit.new("concrete")
    root.item("wall").quad(end, (0, width / 2, 0), (0, -width, 0), (0, 0, height))
    root.item("wall").quad(end, (long, -width / 2, 0), (0, width, 0), (0, 0, height))
    if kit.chance(0.6):
        ribs = root.item("structure")
        rib, step, t = kit.some("metal"), kit.u(1.0, 3.0), kit.u(0.04, 0.1)
        for k in range(1, min(int(long / step), 24)):
            for (y0, z0), (y1, z1) in itertools.pairwise(outline):
                ribs.rod(rib, (k * step, y0 * 0.98, z0 * 0.99), (k * step, y1 * 0.98, z1 * 0.99), t)
    if kit.chance(0.4):
        rails = root.item("structure")
        for side in (-1, 1):
            rails.box(kit.steel(), (0, side * 0.36 - 0.03, 0), (long, side * 0.36 + 0.03, 0.09))
        for k in range(min(int(long / 0.7), 50)):
            rails.box(kit.some("wood"), (0.7 * k, -0.55, 0), (0.7 * k + 0.2, 0.55, 0.03))


def rows(kit: Kit, root: Piece, plan: Plan, long: float, width: float, kind: str) -> None:
    """Fills a wide hall with rows of racks or shop shelves along x, with aisles between."""
    aisle = kit.u(1.3, 2.2) if kind == "shop" else kit.u(2.2, 3.6)
    depth = kit.u(0.7, 1.0) if kind == "shop" else kit.u(0.9, 1.1)
    bay = kit.u(1.0, 1.4) if kind == "shop" else kit.u(1.8, 2.8)
    height = min(plan.height - 0.4, kit.u(1.4, 2.2) if kind == "shop" else kit.u(2.5, 7.0))
    count = max(1, int(width / (aisle + depth)))
    pitch = width / count
    bays = min(int((long - 2.5) / bay), max(1, int(30 / count)))
    density = kit.u(0.3, 1.0)
    frame = kit.some("paint"), kit.some("metal")
    for k in range(count):
        y = -width / 2 + (k + (0 if kit.chance(0.5) else 0.5)) * pitch
        y = min(max(y, -width / 2 + depth / 2 + 0.05), width / 2 - depth / 2 - 0.05)
        gap = kit.n(0, max(bays, 1)) if kit.chance(0.6) else -1
        for i in range(bays):
            x = 1.5 + (i + 0.5) * bay + (1.2 if 0 <= gap <= i else 0)
            if x + bay / 2 > long - 0.5 or not plan.free(x, y, bay - 0.01, depth, 0):
                continue
            if kind == "shop":
                piece = shop_shelf(kit, bay, depth, height, density)
            else:
                piece = pallet_rack(kit, bay, depth, height, density, frame)
            plan.stand(root, piece, x, y, 0)
    for _ in range(kit.n(0, 5)):
        piece = kit.choose([pallet, drum, trolley])(kit)
        plan.anywhere(kit, root, piece, gap=0.2, turned=True)


def pallet_rack(
    kit: Kit, bay: float, depth: float, height: float, density: float, frame: tuple[Material, Material]
) -> Piece:
    """One bay of a rack with pallets of goods."""
    piece = Piece(bay, depth, height)
    item = piece.item("furniture")
    post, beam = frame
    x, y = bay / 2, depth / 2
    for i in (-1, 1):
        for j in (-1, 1):
            item.box(post, (i * x - 0.04, j * y - 0.04, 0), (i * x + 0.04, j * y + 0.04, height))
        z = 0.3
        while z < height - 0.7:
            item.rod(post, (i * x, -y, z), (i * x, y, z + 0.6), 0.014, "wire")
            z += 0.7
    level = kit.choose([1.2, 1.5, 1.8])
    z = 0.0
    while z < height - 0.5:
        if z > 0:
            for j in (-1, 1):
                item.box(beam, (-x, j * y - 0.025, z - 0.12), (x, j * y + 0.025, z))
            item.box(beam, (-x, -y, z - 0.03), (x, y, z - 0.01))
        for side in (-1, 1):
            if kit.chance(0.25 + 0.7 * density):
                piece.add(pallet(kit, min(level - 0.3, height - z)), side * bay / 4, 0, z)
        z += level
    return piece


def pallet(kit: Kit, room: float = 1.4) -> Piece:
    """A wooden pallet with boxes, sacks or a wrapped block."""
    w, d = 0.85, 0.8
    high = max(0.3, min(room, kit.u(0.5, 1.3)))
    piece = Piece(w, d, high)
    item = piece.item("object")
    wood = kit.some("wood")
    for j in (-1, 0, 1):
        item.box(wood, (-w / 2, j * 0.35 - 0.05, 0), (w / 2, j * 0.35 + 0.05, 0.1))
    item.box(wood, (-w / 2, -d / 2, 0.1), (w / 2, d / 2, 0.13))
    goods = piece.item("clutter")
    body = kit.new("paper", colour=(0.4, 0.26, 0.13)) if kit.chance(0.5) else kit.some("plastic")
    style = kit.weighted({"boxes": 3, "block": 1, "sacks": 1})
    if style == "block":
        goods.put("soft" if kit.chance(0.3) else "box", body, (0, 0, 0.13), (w - 0.04, d - 0.04, high - 0.13))
    elif style == "sacks":
        for k in range(max(1, int((high - 0.13) / 0.17))):
            for side in (-1, 1):
                goods.put("sack", body, (side * 0.2, 0, 0.11 + 0.16 * k), (0.44, 0.76, 0.22), kit.u(-5, 5))
    else:
        nx, nz = kit.n(2, 3), kit.n(1, 4)
        step, rise = (w - 0.03) / nx, (high - 0.13) / nz
        for i in range(nx):
            for j in range(2):
                for k in range(nz - (kit.n(0, 1) if kit.chance(0.3) else 0)):
                    at = (-w / 2 + 0.015 + (i + 0.5) * step, (j - 0.5) * 0.38, 0.13 + k * rise)
                    goods.put("box", body, at, (step - 0.01, 0.37, rise - 0.005), kit.u(-3, 3))
    return piece


def shop_shelf(kit: Kit, bay: float, depth: float, height: float, density: float) -> Piece:
    """One bay of a two-sided shop shelf with rows of goods."""
    piece = Piece(bay, depth, height)
    item = piece.item("furniture")
    metal = kit.light() if kit.chance(0.7) else kit.steel()
    x, y = bay / 2, depth / 2
    item.box(metal, (-x, -0.02, 0), (x, 0.02, height))
    item.box(metal, (-x, -y, 0), (x, y, 0.14))
    levels = max(2, int(height / 0.38))
    step = (height - 0.14) / levels
    for side in (-1, 1):
        goods = piece.item("clutter")
        for k in range(levels):
            z = 0.14 + k * step
            item.box(metal, (-x, side * 0.02, z - 0.025), (x, side * (y - 0.04 * (k > 0)), z))
            at = -x + 0.02
            while at < x - 0.1:
                w, h, label = kit.u(0.08, 0.24), step * kit.u(0.4, 0.85), kit.some("print")
                unit = kit.choose(["box", "box", "rod", "flask"])
                if unit != "box":
                    w, h = min(w, 0.12), min(h, 0.3)
                for _ in range(kit.n(1, 3)):
                    if at + w > x - 0.02:
                        break
                    if kit.chance(0.3 + 0.65 * density):
                        deep = w if unit != "box" else (y - 0.1) * kit.u(0.5, 0.9)
                        front = side * (y - 0.05 - deep / 2 - kit.u(0, 0.08))
                        goods.put(unit, label, (at + w / 2, front, z), (w - 0.008, deep, h))
                    at += w
    return piece


def lockers(kit: Kit) -> Piece:
    """A row of lockers."""
    count, w, d, h = kit.n(2, 8), kit.u(0.3, 0.42), kit.u(0.4, 0.5), kit.u(1.7, 2.0)
    piece = Piece(count * w, d, h)
    item = piece.item("furniture")
    paint = kit.some("paint")
    x0, y = -count * w / 2, d / 2 - 0.02
    item.box(paint, (x0, -d / 2, 0), (-x0, y, h))
    split = kit.choose([1, 2])
    for k in range(count):
        for j in range(split):
            low, high = 0.08 + j * (h - 0.1) / split, 0.06 + (j + 1) * (h - 0.1) / split
            item.box(paint, (x0 + k * w + 0.008, y, low), (x0 + (k + 1) * w - 0.008, y + 0.015, high))
            item.box(
                kit.dark(),
                (x0 + k * w + 0.05, y + 0.015, (low + high) / 2),
                (x0 + k * w + 0.07, y + 0.03, (low + high) / 2 + 0.1),
            )
    return piece


def extinguisher(kit: Kit) -> Piece:
    """A fire extinguisher on its hook."""
    low = kit.u(0.5, 0.9)
    piece = Piece(0.2, 0.2, low + 0.6, base_z=low)
    item = piece.item("object")
    red = kit.new("paint", colour=(0.6, 0.02, 0.02)) if kit.chance(0.85) else kit.some("paint")
    item.put("drum", red, (0, 0, low), (0.16, 0.16, 0.42))
    item.put("ball", red, (0, 0, low + 0.36), (0.16, 0.16, 0.12))
    item.rod(kit.dark(), (0, 0, low + 0.46), (0, 0, low + 0.54), 0.025)
    item.path(kit.dark(), [(0, 0.02, low + 0.52), (0.1, 0.03, low + 0.45), (0.11, 0.03, low + 0.1)], 0.012)
    return piece


def notice(kit: Kit) -> Piece:
    """A sign, a plate or a pin board."""
    w, h, low = kit.u(0.15, 0.9), kit.u(0.12, 0.7), kit.u(1.3, 1.6)
    piece = Piece(w, 0.04, low + h, base_z=low)
    piece.item("sign").box(kit.new("print", repeat_m=w), (-w / 2, -0.02, low), (w / 2, 0.0, low + h))
    return piece


def drum(kit: Kit) -> Piece:
    """A barrel."""
    piece = Piece(0.6, 0.6, 0.88)
    item = piece.item("object")
    paint = kit.some("paint")
    item.put("drum", paint, (0, 0, 0), (0.58, 0.58, 0.88))
    for z in (0.28, 0.58):
        item.put("drum", paint, (0, 0, z), (0.6, 0.6, 0.025))
    return piece


def trolley(kit: Kit) -> Piece:
    """A cart on castors with a load."""
    w, d = kit.u(0.7, 1.0), kit.u(0.45, 0.6)
    piece = Piece(w, d, 1.0)
    item = piece.item("object")
    steel, dark = kit.steel(), kit.dark()
    x, y = w / 2 - 0.03, d / 2 - 0.03
    for i in (-1, 1):
        for j in (-1, 1):
            item.put("nub", dark, (i * x * 0.9, j * y * 0.8, 0), (0.1, 0.05, 0.1))
        item.path(steel, [(i * x, -y, 0.1), (i * x, -y, 0.95), (i * x, y, 0.95), (i * x, y, 0.1)], 0.013)
    for z in (0.1, 0.5) if kit.chance(0.5) else (0.1, 0.45, 0.8):
        item.box(steel, (-x, -y, z), (x, y, z + 0.02))
        scatter.scatter(kit, piece, Top((-x, -y), (x, y), z + 0.02, 0.3), "store", 0.5)
    return piece


def copier(kit: Kit) -> Piece:
    """A copier or vending machine."""
    if kit.chance(0.4):
        piece = Piece(0.9, 0.8, 1.85)
        item = piece.item("object")
        item.box(kit.some("paint"), (-0.45, -0.4, 0), (0.45, 0.38, 1.85))
        item.box(kit.new("print", repeat_m=0.5), (-0.4, 0.38, 0.5), (0.2, 0.385, 1.75))
        item.box(kit.dark(), (0.25, 0.38, 0.9), (0.4, 0.39, 1.5))
        return piece
    piece = Piece(0.65, 0.7, 1.15)
    item = piece.item("object")
    light, dark = kit.light(), kit.dark()
    item.box(light, (-0.3, -0.33, 0.05), (0.3, 0.3, 0.75))
    item.box(dark, (-0.3, -0.33, 0.75), (0.3, 0.2, 0.9))
    item.box(light, (-0.32, -0.33, 0.9), (0.32, 0.3, 1.1))
    item.box(light, (-0.6 + 0.28, -0.2, 0.6), (-0.3, 0.2, 0.63))
    for k in range(3):
        item.box(dark, (-0.1, 0.3, 0.18 + 0.2 * k), (0.1, 0.31, 0.2 + 0.2 * k))
    return piece


def pipe_run(kit: Kit, root: Piece, plan: Plan) -> None:
    """Pipes and cable trays along the walls below the ceiling, with brackets; some go down to the floor."""
    for one in plan.walls:
        if one.length < 3 or kit.chance(0.35):
            continue
        x, y = one.start
        item = root.item("structure", x, y, 0, one.yaw_deg)
        out = 0.08
        for _ in range(kit.n(1, 4)):
            r = kit.choose([0.015, 0.025, 0.04, 0.08, 0.14])
            z = plan.height - r - kit.u(0.05, 0.35)
            out += r
            metal = kit.steel() if kit.chance(0.5) else kit.some("paint")
            item.rod(metal, (0.02, out, z), (one.length - 0.02, out, z), r, "rod" if r < 0.07 else "drum")
            for k in range(1, int(one.length / 2.2)):
                item.rod(kit.steel(), (2.2 * k, out, z), (2.2 * k, out, plan.height), 0.007, "wire")
            if kit.chance(0.3) and r < 0.1:
                at = kit.u(0.3, one.length - 0.3)
                if one.free(at - 0.2, at + 0.2, 0, plan.height):
                    item.rod(metal, (at, out, 0), (at, out, z), r)
            out += r + 0.04
            if out > 0.6:
                break


def arches(kit: Kit, root: Piece, plan: Plan, rect: Rect) -> None:
    """Round or flat arches across a corridor along x, whose rectangle is ``rect``."""
    x0, y0, x1, y1 = rect
    width, middle = y1 - y0, (y0 + y1) / 2
    material = kit.new(kit.choose(["wall", "brick", "concrete", "wood"]))
    step, deep, thick = kit.u(2.5, 6.0), kit.u(0.2, 0.5), kit.u(0.08, 0.25)
    spring = plan.height * kit.u(0.6, 0.85)
    for k in range(1, min(int((x1 - x0) / step) + 1, 8)):
        x = x0 + k * step - step / 2
        feet = [middle + side * (width - thick) / 2 for side in (-1, 1)]
        if all(plan.free(x, y, deep, thick, 0) for y in feet) and plan.inside_rect(x, middle, deep, width):
            _arch(root.item("structure", x, middle), material, width / 2, thick, deep, spring, plan.height)
            for y in feet:
                plan.take(x, y, deep, thick, 0)


def _arch(
    item: Item, material: Material, h: float, thick: float, deep: float, spring: float, height: float
) -> None:
    for side in (-1, 1):
        item.box(material, (-deep / 2, side * h, 0), (deep / 2, side * (h - thick), spring))
    turns = np.linspace(0, math.pi, 9)
    inner = h - thick
    rise = height - spring - 0.1
    points = [(inner * math.cos(a), spring + rise * math.sin(a)) for a in turns]
    for (y0, z0), (y1, z1) in itertools.pairwise(points):
        item.quad(material, (-deep / 2, y0, z0), (deep, 0, 0), (0, y1 - y0, z1 - z0))
        for face in (-1, 1):
            # The area between arch and ceiling, in vertical strips.
            top = max(z0, z1)
            item.box(material, (face * deep / 2, y0, top), (face * (deep / 2 - 0.01), y1, height))


def pilasters(kit: Kit, root: Piece, plan: Plan) -> None:
    """Flat columns along the walls, sometimes with beams between them."""
    step, w, d = kit.u(2.0, 5.0), kit.u(0.2, 0.5), kit.u(0.1, 0.3)
    material = kit.new(kit.choose(["wall", "concrete", "brick"]))
    for one in plan.walls:
        if one.length < 4:
            continue
        for k in range(1, int(one.length / step) + 1):
            at = k * step - step / 2
            x, y = one.at(at, d / 2)
            if one.free(at - w / 2, at + w / 2, 0, plan.height) and plan.free(x, y, w, d, one.yaw_deg):
                piece = Piece(w, d, plan.height)
                piece.item("structure").put("box", material, (0, 0, 0), (w, d, plan.height))
                plan.stand(root, piece, x, y, one.yaw_deg)


def stairs(kit: Kit, root: Piece, plan: Plan, rect: Rect) -> None:
    """A staircase that rises towards the far end of a corridor, if there is space for it."""
    _, y0, x1, y1 = rect
    width = y1 - y0
    rise, tread = kit.u(0.15, 0.19), kit.u(0.25, 0.32)
    count = min(int(plan.height * 0.6 / rise), 14)
    long = count * tread
    x, y = x1 - long / 2 - 0.05, (y0 + y1) / 2
    doors = [w.at((o.start + o.end) / 2, 0) for w in plan.walls for o in w.openings]
    if any(at_x > x1 - long - 0.6 and y0 - 0.1 < at_y < y1 + 0.1 for at_x, at_y in doors):
        return
    if width < 0.9 or not plan.free(x, y, long, width - 0.04, 0):
        return
    piece = Piece(long, width, count * rise)
    item = piece.item("stairs")
    stone, edge = kit.new(kit.choose(["concrete", "wood", "floor"])), kit.steel()
    for k in range(count):
        item.box(
            stone, (-long / 2 + k * tread, -width / 2 + 0.01, 0), (long / 2, width / 2 - 0.01, (k + 1) * rise)
        )
    for side in (-1, 1):
        at = side * (width / 2 - 0.08)
        item.rod(edge, (-long / 2, at, 0.9), (long / 2, at, count * rise + 0.9), 0.022)
        for k in range(0, count, 3):
            at_x = -long / 2 + (k + 0.5) * tread
            item.rod(edge, (at_x, at, (k + 1) * rise), (at_x, at, (k + 0.5) * rise + 0.9), 0.012)
    plan.stand(root, piece, x, y, 0)


def exit_signs(kit: Kit, root: Piece, plan: Plan, rect: Rect) -> None:
    """Signs that hang across a corridor."""
    green = kit.new("print", colour=(0.02, 0.4, 0.1), repeat_m=0.4)
    x0, y0, x1, y1 = rect
    for _ in range(kit.n(1, 3)):
        item = root.item("sign", kit.u(x0 + 1.5, x1 - 0.5), (y0 + y1) / 2, plan.height)
        item.box(green, (-0.02, -0.2, -0.35), (0.02, 0.2, -0.15))
        for side in (-1, 1):
            item.rod(kit.steel(), (0, side * 0.15, -0.15), (0, side * 0.15, 0), 0.005, "wire")
