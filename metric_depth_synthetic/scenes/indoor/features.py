"""Built-in features of rooms: sloped ceilings, beams, half walls, soffits, columns, a fireplace."""

from __future__ import annotations

import math

from metric_depth_synthetic.scenes.indoor.kit import Kit
from metric_depth_synthetic.scenes.indoor.plan import Plan, Rect
from metric_depth_synthetic.scenes.indoor.solids import Piece, Top


def build_in(kit: Kit, root: Piece, plan: Plan, rects: list[Rect]) -> None:
    """Adds random built-in features to a room; most rooms have none."""
    if len(rects) == 1 and kit.chance(0.1):
        _slope(kit, root, plan, rects[0])
    elif kit.chance(0.12):
        _beams(kit, root, plan, rects)
    if kit.chance(0.12):
        _soffit(kit, root, plan)
    if kit.chance(0.12):
        _half_wall(kit, root, plan)
    if kit.chance(0.05):
        _fireplace(kit, root, plan)


def _slope(kit: Kit, root: Piece, plan: Plan, rect: Rect) -> None:
    """A sloped attic roof: a plane from a low side up to the ceiling, on one side or on both."""
    _, y0, _, y1 = rect
    material = kit.new("ceiling" if kit.chance(0.7) else "wood")
    low, high = kit.u(1.0, 1.7), plan.height + 0.01
    deep = min((high - low) / math.tan(math.radians(kit.u(32, 55))), 0.48 * (y1 - y0))
    for side in (0, 1) if kit.chance(0.4) else (0,):
        one = plan.walls[2 * side]
        item = root.item("ceiling", *one.start, 0, one.yaw_deg)
        if any(hole.high > low for hole in one.openings):
            continue
        item.quad(material, (one.length, 0, low), (-one.length, 0, 0), (0, deep, high - low))
        one.taken.append((0, one.length, low - 0.05, high))
        for other in plan.walls:
            # High things near this wall would pass through the roof.
            if other is not one and not any(hole.high > low for hole in other.openings):
                near_start = math.dist(other.start, one.start) < 0.1 or math.dist(other.start, one.end) < 0.1
                span = (0.0, deep) if near_start else (other.length - deep, other.length)
                other.taken.append((*span, low, high))
        x, y = one.at(one.length / 2, deep / 2)
        plan.lower(x, y, one.length, deep, one.yaw_deg, low)


def _beams(kit: Kit, root: Piece, plan: Plan, rects: list[Rect]) -> None:
    material = kit.some("wood") if kit.chance(0.6) else kit.new("concrete")
    step, w, d = kit.u(0.6, 1.8), kit.u(0.08, 0.25), kit.u(0.08, 0.28)
    along = kit.chance(0.5)
    for x0, y0, x1, y1 in rects:
        item = root.item("structure")
        span = (x1 - x0) if along else (y1 - y0)
        for k in range(1, int(span / step) + 1):
            at = k * step - step / 2
            if along:
                item.box(material, (x0 + at - w / 2, y0, plan.height - d), (x0 + at + w / 2, y1, plan.height))
            else:
                item.box(material, (x0, y0 + at - w / 2, plan.height - d), (x1, y0 + at + w / 2, plan.height))


def _soffit(kit: Kit, root: Piece, plan: Plan) -> None:
    """A box-shaped duct along a wall below the ceiling."""
    one = kit.choose(plan.walls)
    low = plan.height - kit.u(0.15, 0.4)
    if any(hole.high > low - 0.05 for hole in one.openings):
        return
    item = root.item("structure", *one.start, 0, one.yaw_deg)
    item.box(kit.new("wall"), (0, 0, low), (one.length, kit.u(0.2, 0.6), plan.height))
    one.taken.append((0, one.length, low, plan.height))


def _half_wall(kit: Kit, root: Piece, plan: Plan) -> None:
    """A short wall into the room: chest-high with a top, or up to the ceiling."""
    full = kit.chance(0.4)
    w, t = kit.u(0.7, 2.2), kit.u(0.1, 0.2)
    h = plan.height if full else kit.u(0.85, 1.25)
    piece = Piece(t, w, h)
    item = piece.item("structure")
    item.box(kit.new("wall"), (-t / 2, -w / 2, 0), (t / 2, w / 2, h - (0 if full else 0.03)))
    if not full:
        cap = kit.some("wood") if kit.chance(0.6) else kit.light()
        item.box(cap, (-t / 2 - 0.03, -w / 2, h - 0.03), (t / 2 + 0.03, w / 2 + 0.03, h))
        piece.tops.append(Top((-t / 2, -w / 2), (t / 2, w / 2), h))
    plan.against_wall(kit, root, piece, gap=-0.01)


def _fireplace(kit: Kit, root: Piece, plan: Plan) -> None:
    w, d, h = kit.u(1.1, 1.6), kit.u(0.3, 0.5), kit.u(1.0, 1.3)
    piece = Piece(w, d, plan.height)
    item = piece.item("structure")
    stone, inner = kit.new(kit.choose(["brick", "concrete", "wall"])), kit.dark()
    x, y, a = w / 2, d / 2, w * 0.28
    for side in (-1, 1):
        item.box(stone, (side * x, -y, 0), (side * a, y, 0.75))
    item.box(stone, (-x, -y, 0.75), (x, y, h))
    item.box(inner, (-a, -y, 0), (a, -y + 0.05, 0.75))
    item.box(kit.some("wood"), (-x - 0.05, -y, h), (x + 0.05, y + 0.08, h + 0.06))
    item.box(stone, (-x * 0.7, -y, h), (x * 0.7, y - 0.12, plan.height))
    logs = piece.item("clutter")
    for k in range(3):
        logs.rod(
            kit.some("wood"),
            (-a * 0.7, -y + 0.15 + 0.07 * k, 0.06),
            (a * 0.7, -y + 0.12 + 0.08 * k, 0.08),
            0.05,
        )
    piece.tops.append(Top((-x, y - 0.12), (x, y + 0.06), h + 0.06, 0.4))
    plan.against_wall(kit, root, piece)
