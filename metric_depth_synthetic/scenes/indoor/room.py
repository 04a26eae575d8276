"""Rooms: furnished and cluttered offices, living rooms, kitchens, bedrooms, workshops."""

from __future__ import annotations

import numpy as np

from metric_depth_synthetic.palette import Palette
from metric_depth_synthetic.scene import Scene
from metric_depth_synthetic.scenes.indoor import features, shell
from metric_depth_synthetic.scenes.indoor.furnishing import FURNISHINGS
from metric_depth_synthetic.scenes.indoor.kit import Kit
from metric_depth_synthetic.scenes.indoor.light import light_room
from metric_depth_synthetic.scenes.indoor.plan import (
    Headroom,
    Plan,
    Point,
    Rect,
    goals,
    interests,
    obstacles,
    stations,
)
from metric_depth_synthetic.scenes.indoor.solids import Piece

_KINDS = {
    "office": 5.0, "living": 4.0, "kitchen": 2.6, "bedroom": 2.2, "dining": 1.3, "meeting": 1.2,
    "workshop": 1.6, "storage": 0.9, "bathroom": 0.6, "classroom": 0.7, "empty": 0.3,
}  # fmt: skip
# Width and depth in metres: smallest and largest.
_SIZES: dict[str, tuple[float, float]] = {
    "office": (2.6, 8.5), "living": (3.2, 8.0), "kitchen": (2.4, 5.5), "bedroom": (2.6, 5.5),
    "dining": (2.8, 6.0), "meeting": (3.5, 9.0), "workshop": (3.0, 11.0), "storage": (2.2, 7.0),
    "bathroom": (1.9, 3.6), "classroom": (5.5, 11.0), "empty": (2.5, 10.0),
}  # fmt: skip


def build(rng: np.random.Generator, palette: Palette) -> Scene:
    """Builds a furnished room with a corner near the origin and its floor at z = 0."""
    kit = Kit(rng, palette)
    kind = kit.weighted(_KINDS)
    low, high = _SIZES[kind]
    width = low + (high - low) * kit.u(0, 1) ** 1.8
    depth = min(max(width * kit.u(0.7, 1.5), low), 12.0)
    height = kit.u(2.3, 2.8) if kit.chance(0.75) else kit.u(2.6, 4.5)
    outline, rects, outer = _shape(kit, width, depth)
    plan = Plan(outline, height, outer)
    scene = Scene("room", near_m=0.3, far_m=20.0, kind=kind)
    root = Piece(0, 0, 0)
    lamps = _enclose(kit, scene, root, plan, rects, height, windowless=kind == "storage")
    density = kit.u(0.1, 1.0) ** 0.6
    features.build_in(kit, root, plan, rects)
    FURNISHINGS[kind](kit, root, plan, density)
    light_room(kit, scene, root, plan, rects, height, lamps)
    root.into(scene)
    scene.stations = stations(kit, scene, Headroom(plan, obstacles(root)), interests(root), goals(root))
    return scene


def _shape(kit: Kit, width: float, depth: float) -> tuple[list[Point], list[Rect], list[bool]]:
    """Counter-clockwise corners, rectangles inside, and per wall whether no part of the room is behind."""
    w, d = width, depth
    style = kit.weighted({"plain": 3, "corner": 1 if min(w, d) > 3 else 0, "alcove": 0.5 if w > 3 else 0})
    if style == "corner":
        a, b = w * kit.u(0.2, 0.55), d * kit.u(0.2, 0.55)
        corners = [(0.0, 0.0), (w, 0.0), (w, d - b), (w - a, d - b), (w - a, d), (0.0, d)]
        outer = [True, True, False, False, True, True]
        rects = [(0.0, 0.0, w, d - b), (0.0, d - b, w - a, d)]
    elif style == "alcove":
        a, b = sorted((w * kit.u(0.05, 0.45), w * kit.u(0.55, 0.95)))
        e = kit.u(0.4, 1.6)
        corners = [(0.0, 0.0), (w, 0.0), (w, d), (b, d), (b, d + e), (a, d + e), (a, d), (0.0, d)]
        outer = [True, True, False, False, True, False, False, True]
        rects = [(0.0, 0.0, w, d), (a, d, b, d + e)]
    else:
        corners, rects, outer = [(0.0, 0.0), (w, 0.0), (w, d), (0.0, d)], [(0.0, 0.0, w, d)], [True] * 4
    if kit.chance(0.5):
        # Mirrored in x; the order is reversed to stay counter-clockwise.
        corners = [(w - x, y) for x, y in reversed(corners)]
        outer = [*reversed(outer[:-1]), outer[-1]]
        rects = [(w - c, b, w - a, d) for a, b, c, d in rects]
    return corners, rects, outer


def _enclose(
    kit: Kit, scene: Scene, root: Piece, plan: Plan, rects: list[Rect], height: float, *, windowless: bool
) -> list[tuple[float, float, float]]:
    """Adds walls, floor, ceiling, doors, windows and views; returns places for lamps behind doors."""
    material, trim = kit.new("wall"), kit.light() if kit.chance(0.7) else kit.some("wood")
    accent = (
        kit.new(kit.choose(["wall", "wall", "brick", "wood", "concrete"])) if kit.chance(0.3) else material
    )
    shell.floor_and_ceiling(kit, root, rects, height, kit.new("floor"), kit.new("ceiling"))
    panes = 0 if windowless or kit.chance(0.12) else kit.n(1, 4)
    openings = shell.fit_openings(kit, plan, doors=kit.n(1, 3), windows=panes)
    thick = kit.u(0.1, 0.3)
    special = kit.choose(plan.walls)
    for one in plan.walls:
        shell.wall(kit, root, one, height, accent if one is special else material, trim, thick=thick)
    lamps = []
    paint = kit.some("wood") if kit.chance(0.5) else kit.light()
    for one, hole in openings:
        if hole.kind == "window":
            shell.window(kit, root, one, hole, thick=thick)
            continue
        if hole.kind != "gap":
            shell.door(kit, root, one, hole, thick=thick, paint=paint)
        if hole.kind != "door":
            lamps.extend(shell.hall(kit, root, one, hole, thick=thick))
    glazed = [(w, o) for w, o in openings if o.kind == "window"]
    if glazed:
        shell.outside(kit, scene, root, glazed)
    return lamps
