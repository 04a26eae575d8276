"""Shell of a room: floor, ceiling, walls with doors and windows, and the view through them."""

from __future__ import annotations

import dataclasses
import math

from metric_depth_synthetic.scene import Material, Scene, Sky
from metric_depth_synthetic.scenes.indoor import storage
from metric_depth_synthetic.scenes.indoor.kit import Kit
from metric_depth_synthetic.scenes.indoor.plan import Opening, Plan, Rect, Wall
from metric_depth_synthetic.scenes.indoor.solids import Item, Piece


def floor_and_ceiling(
    kit: Kit, root: Piece, rects: list[Rect], height: float, floor: Material, ceiling: Material
) -> None:
    """Lays floor and ceiling over rectangles (x0, y0, x1, y1)."""
    below, above = root.item("floor"), root.item("ceiling")
    for x0, y0, x1, y1 in rects:
        below.quad(floor, (x0, y0, 0), (x1 - x0, 0, 0), (0, y1 - y0, 0), (x0, y0))
        above.quad(ceiling, (x0, y0, height), (0, y1 - y0, 0), (x1 - x0, 0, 0), (y0, x0))


def wall(
    kit: Kit,
    root: Piece,
    one: Wall,
    height: float,
    material: Material,
    trim: Material,
    *,
    thick: float = 0.15,
) -> None:
    """Builds a wall around its openings, with their reveals and a baseboard."""
    x, y = one.start
    item = root.item("wall", x, y, 0, one.yaw_deg)
    edge = 0.0
    board = kit.u(0.05, 0.14)
    for hole in sorted(one.openings, key=lambda o: o.start):
        _strip(item, material, edge, hole.start, 0, height)
        _strip(item, material, hole.start, hole.end, hole.high, height)
        _strip(item, material, hole.start, hole.end, 0, hole.low)
        if hole.low > board:
            _baseboard(item, trim, edge, hole.end, board)
        else:
            _baseboard(item, trim, edge, hole.start, board)
        edge = hole.end
        _reveal(item, material, hole, thick)
        one.taken.append((hole.start - 0.1, hole.end + 0.1, hole.low, hole.high + 0.1))
    _strip(item, material, edge, one.length, 0, height)
    _baseboard(item, trim, edge, one.length, board)


def _strip(item: Item, material: Material, start: float, end: float, low: float, high: float) -> None:
    if end - start > 1e-3 and high - low > 1e-3:
        item.quad(material, (end, 0, low), (start - end, 0, 0), (0, 0, high - low), (-end, low))


def _baseboard(item: Item, trim: Material, start: float, end: float, high: float) -> None:
    if end - start > 0.02:
        item.box(trim, (start, 0, 0), (end, 0.015, high))


def _reveal(item: Item, material: Material, hole: Opening, thick: float) -> None:
    a, b, low, high = hole.start, hole.end, hole.low, hole.high
    item.quad(material, (a, 0, low), (0, -thick, 0), (0, 0, high - low))
    item.quad(material, (b, -thick, low), (0, thick, 0), (0, 0, high - low))
    item.quad(material, (a, 0, high), (b - a, 0, 0), (0, -thick, 0))
    item.quad(material, (a, -thick, low), (b - a, 0, 0), (0, thick, 0))


def door(
    kit: Kit, root: Piece, one: Wall, hole: Opening, *, thick: float = 0.15, paint: Material | None = None
) -> None:
    """Hangs a door in its opening: closed, or open into the room behind."""
    x, y = one.start
    leaf = paint or (kit.some("wood") if kit.chance(0.5) else kit.light())
    rim = leaf if kit.chance(0.5) else kit.light()
    around = root.item("door", x, y, 0, one.yaw_deg)
    for at in (hole.start, hole.end):
        around.box(rim, (at - 0.05, -0.01, 0), (at + 0.05, 0.018, hole.high + 0.05))
    around.box(rim, (hole.start - 0.05, -0.01, hole.high), (hole.end + 0.05, 0.018, hole.high + 0.05))
    width, height = hole.end - hole.start, hole.high - 0.005
    swing = kit.u(20, 110) if hole.kind == "open door" else 0.0
    hinge, side = (hole.start, 1) if kit.chance(0.5) else (hole.end, -1)
    hx, hy = one.at(hinge, -thick * (0.9 if swing else kit.choose([0.2, 0.8])))
    item = root.item("door", hx, hy, 0, one.yaw_deg - side * swing)
    s = side
    item.box(leaf, (0.002 * s, -0.02, 0.005), (s * (width - 0.002), 0.02, height))
    _panels(kit, item, leaf, s, width, height)
    handle = kit.steel()
    for face in (-1, 1):
        at = s * (width - 0.07)
        item.rod(handle, (at, 0, 1.03), (at, face * 0.06, 1.03), 0.01)
        item.rod(handle, (at, face * 0.06, 1.03), (at - s * 0.11, face * 0.06, 1.03), 0.009)


def _panels(kit: Kit, item: Item, leaf: Material, s: int, width: float, height: float) -> None:
    style = kit.weighted({"plain": 2, "two": 1, "four": 1, "glass": 0.7})
    if style == "plain":
        return
    inner = kit.new("glass") if style == "glass" else leaf
    rows = [(0.15, 0.95), (1.1, height - 0.12)]
    columns = (
        [(0.12, width - 0.12)]
        if style in ("two", "glass")
        else [(0.1, width / 2 - 0.04), (width / 2 + 0.04, width - 0.1)]
    )
    for low, high in rows:
        for a, b in columns:
            for face in (-1, 1):
                item.box(inner, (s * a, face * 0.02, low), (s * b, face * 0.028, high))


def window(kit: Kit, root: Piece, one: Wall, hole: Opening, *, thick: float = 0.15) -> None:
    """Sets a window into its opening: frame, bars, sill, and sometimes blinds or curtains."""
    x, y = one.start
    item = root.item("window", x, y, 0, one.yaw_deg)
    rim = kit.light() if kit.chance(0.7) else kit.some("wood")
    a, b, low, high = hole.start, hole.end, hole.low, hole.high
    w = kit.u(0.035, 0.07)
    back, front = -thick * 0.8, -thick * 0.8 + 0.05
    columns = max(1, round((b - a) / kit.u(0.6, 1.4)))
    for k in range(columns + 1):
        at = a + w / 2 + (b - a - w) * k / columns
        item.box(rim, (at - w / 2, back, low), (at + w / 2, front, high))
    bars = [low + w / 2, high - w / 2]
    if kit.chance(0.4):
        bars.append(low + (high - low) * kit.choose([0.33, 0.5, 0.66, 0.75]))
    for at in bars:
        item.box(rim, (a, back, at - w / 2), (b, front, at + w / 2))
    if low > 0.2:
        item.box(rim, (a - 0.04, -thick * 0.5, low - 0.03), (b + 0.04, kit.u(0.03, 0.14), low))
    _window_cover(kit, root, one, hole)


def _window_cover(kit: Kit, root: Piece, one: Wall, hole: Opening) -> None:
    x, y = one.start
    a, b, low, high = hole.start, hole.end, hole.low, hole.high
    style = kit.weighted({"none": 3, "curtain": 2.5, "slats": 1.5, "roller": 1})
    if style == "none":
        return
    item = root.item("window", x, y, 0, one.yaw_deg)
    if style == "curtain":
        cloth = kit.some("fabric")
        foot = 0.03 if kit.chance(0.6) else max(low - 0.15, 0.03)
        reach = (b - a) * kit.u(0.12, 0.45)
        for side, at in ((1, a - 0.1), (-1, b + 0.1)):
            item.put("curtain", cloth, (at + side * reach / 2, 0.09, foot), (reach, 0.07, high + 0.1 - foot))
        item.rod(kit.steel(), (a - 0.25, 0.09, high + 0.12), (b + 0.25, 0.09, high + 0.12), 0.012)
        one.taken.append((a - 0.2, a + reach, foot, high + 0.15))
        one.taken.append((b - reach, b + 0.2, foot, high + 0.15))
    elif style == "roller":
        down = high - (high - low) * kit.u(0.1, 0.8)
        item.box(kit.light() if kit.chance(0.5) else kit.some("fabric"), (a, 0.012, down), (b, 0.016, high))
        item.rod(kit.light(), (a, 0.02, high), (b, 0.02, high), 0.025)
    else:
        slat, down = kit.light(), high - (high - low) * kit.u(0.4, 1)
        tilt = math.radians(kit.u(-70, 70))
        c, s = 0.022 * math.cos(tilt), 0.022 * math.sin(tilt)
        for k in range(int((high - down) / 0.045)):
            z = high - 0.045 * (k + 1)
            item.quad(slat, (a + 0.01, -0.03 - c, z - s), (b - a - 0.02, 0, 0), (0, 2 * c, 2 * s))


def hall(
    kit: Kit, root: Piece, one: Wall, hole: Opening, *, thick: float = 0.15
) -> list[tuple[float, float, float]]:
    """A closed piece of another room behind an opening; returns places (3,) for lamps in it."""
    width, depth, height = kit.u(1.4, 5.0), kit.u(1.3, 6.0), max(hole.high + 0.15, kit.u(2.3, 2.8))
    middle = (hole.start + hole.end) / 2
    shift = kit.u(-1, 1) * max(width / 2 - (hole.end - hole.start) / 2 - 0.1, 0)
    x, y = one.at(middle, -thick)
    behind = Piece(width, depth, height)
    x0, x1 = shift - width / 2, shift + width / 2
    material, trim = kit.new("wall"), kit.light()
    floor = behind.item("floor")
    floor.quad(kit.new("floor"), (x0, -depth, 0), (width, 0, 0), (0, depth, 0))
    behind.item("ceiling").quad(kit.new("ceiling"), (x0, -depth, height), (0, depth, 0), (width, 0, 0))
    half = (hole.end - hole.start) / 2
    sides = [
        Wall((x0, 0), (x0, -depth)), Wall((x0, -depth), (x1, -depth)), Wall((x1, -depth), (x1, 0)),
        Wall((x1, 0), (x0, 0), True, [Opening(x1 - half, x1 + half, 0, hole.high, "gap")]),
    ]  # fmt: skip
    for side in sides:
        wall(kit, behind, side, height, material, trim, thick=0.01)
    if kit.chance(0.5):
        far = sides[1]
        at = kit.u(0.2, max(width - 1.1, 0.25))
        door(kit, behind, far, Opening(at, min(at + 0.85, width - 0.05), 0, 2.0, "door"), thick=0.02)
    _hall_things(kit, behind, x0, x1, depth)
    root.add(behind, x, y, 0, one.yaw_deg)
    a = math.radians(one.yaw_deg)
    lx, ly = shift * 0.5, -depth / 2
    return [(x + math.cos(a) * lx - math.sin(a) * ly, y + math.sin(a) * lx + math.cos(a) * ly, height - 0.3)]


def _hall_things(kit: Kit, behind: Piece, x0: float, x1: float, depth: float) -> None:
    width = x1 - x0
    if width > 1.6 and depth > 1.6 and kit.chance(0.7):
        style = kit.n(0, 2)
        if style == 0:
            piece = storage.wardrobe(kit, 0.9, 1.9)
        elif style == 1:
            piece = storage.shelves(kit, 0.8, 1.8, 0.3)
        else:
            piece = storage.chest(kit, 0.9, 0.4, 0.8)
        x = kit.u(x0 + piece.width / 2 + 0.05, max(x1 - piece.width / 2 - 0.05, x0 + piece.width / 2 + 0.06))
        piece.tops.clear()
        behind.add(piece, x, -depth + piece.depth / 2 + 0.06, 0, 0)


def outside(kit: Kit, scene: Scene, root: Piece, windows: list[tuple[Wall, Opening]]) -> None:
    """Adds the view from the windows: sky, far ground, houses and trees."""
    bright = kit.u(0.8, 2.5)
    if kit.chance(0.1):
        bright = 0.03  # night
    grey = kit.u(0.75, 1.0)
    scene.sky = Sky(
        (bright, bright, bright),
        (bright * grey * 0.7, bright * grey * 0.85, bright),
        kit.u(0, 0.9),
        kit.n(0, 1 << 20),
    )
    drop = kit.choose([0.15, 0.15, 3.0, 3.2, 6.5, 12.0, 25.0])
    ground = root.item("ground")
    material = kit.new(kit.choose(["grass", "asphalt", "ground"]))
    for w in {id(w): w for w, _ in windows}.values():
        x, y = w.at(w.length / 2, -0.3)
        a = math.radians(w.yaw_deg)
        ux, uy, vx, vy = math.cos(a), math.sin(a), math.sin(a), -math.cos(a)
        corner = (x - 60 * ux + 80 * vx, y - 60 * uy + 80 * vy, -drop)
        ground.quad(material, corner, (120 * ux, 120 * uy, 0), (-80 * vx, -80 * vy, 0))
        for _ in range(kit.n(0, 3)):
            away, aside = kit.u(8, 40), kit.u(-20, 20)
            bx, by = x + away * vx + aside * ux, y + away * vy + aside * uy
            house = root.item("building", bx, by, -drop, w.yaw_deg)
            house.put("box", kit.new("facade"), (0, 0, 0), (kit.u(8, 30), kit.u(5, 9), kit.u(4, 30)))
        for _ in range(kit.n(0, 4)):
            away, aside = kit.u(4, 20), kit.u(-10, 10)
            bx, by = x + away * vx + aside * ux, y + away * vy + aside * uy
            high = kit.u(3, 12)
            tree = root.item("vegetation", bx, by, -drop)
            tree.rod(kit.some("wood"), (0, 0, 0), (0.1, 0, high * 0.6), 0.04 * high / 2)
            tree.put(
                f"tree{kit.n(0, 3)}",
                kit.some("foliage"),
                (0, 0, high * 0.3),
                (high * 0.6, high * 0.6, high * 0.7),
            )


def glowing(material: Material, strength: float) -> Material:
    """Material that emits light."""
    return dataclasses.replace(material, emission=strength)


def fit_openings(kit: Kit, plan: Plan, *, doors: int, windows: int) -> list[tuple[Wall, Opening]]:
    """Draws doors and windows into the outer walls of a plan."""
    out: list[tuple[Wall, Opening]] = []
    walls = [w for w in plan.walls if w.outer and w.length > 1.2]
    sill, head = kit.choose([0.05, 0.5, 0.8, 0.9, 1.0]), min(plan.height - 0.15, kit.u(1.9, 2.4))
    wide = kit.u(0.6, 2.2)
    sunny = kit.choose(walls)
    for _ in range(doors):
        w = kit.choose(walls)
        size, high = kit.u(0.75, 1.0), min(plan.height - 0.1, kit.u(1.95, 2.15))
        # Rooms behind two openings of one wall would overlap.
        shut = any(o.kind in ("open door", "gap") for o in w.openings)
        kind = "door" if shut else kit.weighted({"door": 1.2, "open door": 0.9, "gap": 0.35})
        at = w.spot(kit, size + 0.2, 0, high)
        if at is not None:
            _cut(out, w, Opening(at - size / 2, at + size / 2, 0, high, kind))
            x, y = w.at(at, 0.5)
            plan.keep_clear(x, y, size, 1.1, w.yaw_deg)
    for _ in range(windows):
        w = sunny if kit.chance(0.7) else kit.choose(walls)
        size = min(wide, w.length - 0.4)
        at = w.spot(kit, size + 0.25, sill, head)
        if at is not None and size > 0.4:
            _cut(out, w, Opening(at - size / 2, at + size / 2, sill, head, "window"))
    return out


def _cut(out: list[tuple[Wall, Opening]], w: Wall, hole: Opening) -> None:
    w.openings.append(hole)
    w.taken.append(
        (hole.start - 0.1, hole.end + 0.1, 0.0 if hole.low < 0.3 else hole.low - 0.03, hole.high + 0.12)
    )
    out.append((w, hole))
