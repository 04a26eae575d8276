"""Corridors, halls, tunnels and aisles: long views with regular doors, lamps, pipes or shelves."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from metric_depth_synthetic.palette import Palette
from metric_depth_synthetic.scene import Light, Material, Scene, Station, Vector
from metric_depth_synthetic.scenes.indoor import aisles, furniture, shell
from metric_depth_synthetic.scenes.indoor import fittings as fit
from metric_depth_synthetic.scenes.indoor import groups as group
from metric_depth_synthetic.scenes.indoor.kit import Kit
from metric_depth_synthetic.scenes.indoor.light import scaled, tint
from metric_depth_synthetic.scenes.indoor.people import person
from metric_depth_synthetic.scenes.indoor.plan import (
    Headroom,
    Opening,
    Plan,
    Point,
    Rect,
    Wall,
    obstacles,
)
from metric_depth_synthetic.scenes.indoor.solids import Item, Piece

_KINDS = {
    "building": 5.0,
    "basement": 1.6,
    "tunnel": 0.8,
    "warehouse": 1.2,
    "shop": 1.0,
    "school": 1.0,
    "hotel": 1.0,
}


def build(rng: np.random.Generator, palette: Palette) -> Scene:
    """Builds a corridor along x from x = 0, with its middle line at y = 0 and its floor at z = 0."""
    kit = Kit(rng, palette)
    kind = kit.weighted(_KINDS)
    scene = Scene("corridor", near_m=0.3, far_m=45.0, kind=kind)
    root = Piece(0, 0, 0)
    wide = kind in ("warehouse", "shop")
    long = 5 + 35 * kit.u(0, 1) ** 1.5
    width = kit.u(4.0, 14.0) if wide else 1.2 + 2.8 * kit.u(0, 1) ** 1.4
    height = (
        kit.u(4.0, 9.0) if kind == "warehouse" else kit.u(2.2, 2.8) if kit.chance(0.7) else kit.u(2.7, 4.0)
    )
    outline, rects = _shape(kit, long, width, straight=wide or kind == "tunnel")
    plan = Plan(outline, height)
    if kind == "tunnel":
        aisles.tunnel(kit, root, long, width, height)
    else:
        _enclose(kit, scene, root, plan, rects, kind)
    if wide:
        aisles.rows(kit, root, plan, long, width, kind)
    else:
        _furnish(kit, root, plan, kind, rects[0])
    _people(kit, root, plan, long, width)
    _light(kit, scene, root, rects, height, kind)
    root.into(scene)
    scene.stations = _stations(kit, scene, Headroom(plan, obstacles(root)), rects)
    return scene


def _shape(kit: Kit, long: float, width: float, *, straight: bool) -> tuple[list[Point], list[Rect]]:
    """Floor plan, straight, with a turn or a junction: counter-clockwise corners, and rectangles inside."""
    h = width / 2
    style = "straight" if straight else kit.weighted({"straight": 3, "turn": 1.4, "junction": 1.2})
    main = (0.0, -h, long, h)
    if style == "straight":
        return [(0.0, -h), (long, -h), (long, h), (0.0, h)], [main]
    side, reach = kit.u(1.2, 3.0), kit.u(2.0, 12.0)
    if style == "turn":
        corners = [
            (0.0, -h),
            (long, -h),
            (long, h + reach),
            (long - side, h + reach),
            (long - side, h),
            (0.0, h),
        ]
        rects = [main, (long - side, h, long, h + reach)]
    else:
        a = kit.u(0.25, 0.8) * (long - side)
        corners = [
            (0.0, -h),
            (long, -h),
            (long, h),
            (a + side, h),
            (a + side, h + reach),
            (a, h + reach),
            (a, h),
            (0.0, h),
        ]
        rects = [main, (a, h, a + side, h + reach)]
    if kit.chance(0.5):
        corners = [(x, -y) for x, y in reversed(corners)]
        rects = [(a, -d, c, -b) for a, b, c, d in rects]
    return corners, rects


def _enclose(kit: Kit, scene: Scene, root: Piece, plan: Plan, rects: list[Rect], kind: str) -> None:
    role = {"basement": "concrete", "warehouse": "concrete"}.get(kind, "wall")
    if kit.chance(0.12):
        role = "brick"
    material = kit.new(role)  # type: ignore[arg-type]
    floor = kit.new("concrete" if kind in ("basement", "warehouse") and kit.chance(0.7) else "floor")
    ceiling = kit.new("concrete" if kind in ("basement", "warehouse") else "ceiling")
    shell.floor_and_ceiling(kit, root, rects, plan.height, floor, ceiling)
    trim = kit.light() if kit.chance(0.6) else kit.some("wood")
    thick = kit.u(0.08, 0.4)
    glazed: list[tuple[Wall, Opening]] = []
    doors: list[tuple[Wall, Opening]] = []
    window_side = kit.choose(plan.walls) if kind != "basement" and kit.chance(0.35) else None
    pitch, size = kit.u(2.2, 5.5), kit.u(0.8, 1.1)
    high = min(plan.height - 0.1, kit.u(1.98, 2.2))
    for one in plan.walls:
        if one is window_side and one.length > 2:
            _window_rhythm(kit, one, plan.height, glazed)
        elif kind not in ("warehouse", "shop"):
            _door_rhythm(kit, one, pitch, size, high, doors, rects)
    for one in plan.walls:
        shell.wall(kit, root, one, plan.height, material, trim, thick=thick)
    paint = kit.some("wood") if kit.chance(0.5) else kit.some("paint") if kit.chance(0.5) else kit.light()
    for one, hole in doors:
        if hole.kind != "gap":
            shell.door(kit, root, one, hole, thick=thick, paint=paint)
        if hole.kind != "door":
            shell.hall(kit, root, one, hole, thick=thick)
    for one, hole in glazed:
        shell.window(kit, root, one, hole, thick=thick)
    if glazed:
        shell.outside(kit, scene, root, glazed)
    if kind in ("school", "hotel", "building") and kit.chance(0.3):
        _wainscot(kit, root, plan)


def _window_rhythm(kit: Kit, one: Wall, height: float, out: list[tuple[Wall, Opening]]) -> None:
    size, pitch = kit.u(0.7, 2.0), kit.u(0.25, 1.5)
    low, high = kit.choose([0.1, 0.6, 0.9, 1.1]), min(height - 0.2, kit.u(1.9, 2.6))
    at = pitch
    while at + size < one.length - 0.1:
        hole = Opening(at, at + size, low, high, "window")
        one.openings.append(hole)
        out.append((one, hole))
        at += size + pitch


def _door_rhythm(
    kit: Kit,
    one: Wall,
    pitch: float,
    size: float,
    high: float,
    out: list[tuple[Wall, Opening]],
    rects: list[Rect],
) -> None:
    if one.length < 4:
        if one.length > size + 0.5 and kit.chance(0.45):
            at = (one.length - size) / 2
            _cut_door(
                one,
                Opening(at, at + size, 0, high, kit.choose(["door", "gap", "open door"])),
                out,
                rects,
            )
        return
    at = kit.u(0.5, pitch)
    while at + size < one.length - 0.3:
        kind = "open door" if kit.chance(0.2) else "door" if kit.chance(0.95) else "gap"
        if kit.chance(0.85):
            _cut_door(one, Opening(at, at + size, 0, high, kind), out, rects)
        at += pitch + size


def _cut_door(one: Wall, hole: Opening, out: list[tuple[Wall, Opening]], rects: list[Rect]) -> None:
    """Closes doors whose room behind would overlap the corridor's other arm."""
    if len(rects) > 1:
        _, y = one.at((hole.start + hole.end) / 2, -1.5)
        if y * (rects[1][1] + rects[1][3]) > 0:
            hole = dataclasses.replace(hole, kind="door")
    one.openings.append(hole)
    out.append((one, hole))


def _wainscot(kit: Kit, root: Piece, plan: Plan) -> None:
    """A handrail or a lower band of another colour along the walls."""
    z, rail = kit.u(0.85, 1.1), kit.chance(0.4)
    material = kit.some("wood") if kit.chance(0.5) else kit.new("wall")
    for one in plan.walls:
        x, y = one.start
        item = root.item("wall", x, y, 0, one.yaw_deg)
        edge = 0.0
        for hole in [*sorted(one.openings, key=lambda o: o.start), None]:
            end = hole.start - 0.06 if hole else one.length
            if end - edge > 0.1:
                if rail:
                    item.box(material, (edge, 0.04, z - 0.05), (end, 0.08, z + 0.05))
                else:
                    item.box(material, (edge, 0, 0), (end, 0.012, z))
            edge = hole.end + 0.06 if hole else edge


def _furnish(kit: Kit, root: Piece, plan: Plan, kind: str, main: Rect) -> None:
    density = kit.u(0, 1) ** 1.5
    area = float(plan.inside.sum()) * 0.0025
    walls: list[Callable[[Kit], Piece]] = [fit.wall_clock, aisles.extinguisher, fit.picture, aisles.notice]
    for _ in range(int(kit.u(0.1, 0.35) * area * (0.3 + density))):
        plan.against_wall(kit, root, kit.choose(walls)(kit))
    floor = [fit.bin_, fit.pot_plant, fit.boxes, fit.bag, furniture.chair, fit.stack_chairs]
    if kind in ("basement", "tunnel"):
        floor = [fit.boxes, fit.ladder, fit.stack_chairs, aisles.pallet, aisles.drum, fit.bin_]
        aisles.pipe_run(kit, root, plan)
    elif kit.chance(0.2):
        aisles.pipe_run(kit, root, plan)
    if kind == "school" or kit.chance(0.08):
        for _ in range(kit.n(1, 4)):
            plan.against_wall(kit, root, aisles.lockers(kit))
    for _ in range(int(kit.u(0, 0.35) * area * density)):
        piece = kit.choose(floor)(kit)
        plan.against_wall(kit, root, piece, gap=0.03)
    large: list[Callable[[Kit], Piece]] = [
        lambda kit: furniture.bench(kit, kit.u(0.9, 1.8)), lambda kit: group.drawers(kit, density),
        lambda kit: group.cupboard(kit, density), aisles.copier, aisles.trolley, fit.bicycle,
    ]  # fmt: skip
    for _ in range(kit.n(0, 2)):
        big = kit.choose(large)(kit)
        plan.against_wall(kit, root, big, gap=0.02)
    if kit.chance(0.15):
        aisles.arches(kit, root, plan, main)
    elif kit.chance(0.15):
        aisles.pilasters(kit, root, plan)
    if kit.chance(0.2):
        aisles.stairs(kit, root, plan, main)
    if kit.chance(0.3):
        aisles.exit_signs(kit, root, plan, main)


def _people(kit: Kit, root: Piece, plan: Plan, long: float, width: float) -> None:
    if not kit.chance(0.35):
        return
    for _ in range(kit.n(1, 4)):
        walker = person(kit, walking=kit.chance(0.7))
        x, y = kit.u(1, long - 0.5), kit.u(-1, 1) * max(width / 2 - 0.4, 0)
        turn = 90.0 * kit.sign() + kit.u(-15, 15)
        if plan.free(x, y, walker.width, walker.depth, turn):
            plan.stand(root, walker, x, y, turn)


def _light(kit: Kit, scene: Scene, root: Piece, rects: list[Rect], height: float, kind: str) -> None:
    hue = tint(kit)
    dark = kit.chance(0.15)
    level = kit.u(0.03, 0.12) if dark else kit.u(0.15, 0.55)
    mixed: Vector = (0.5 + 0.5 * hue[0], 0.5 + 0.5 * hue[1], 0.5 + 0.5 * hue[2])
    scene.ambient = scaled(mixed, level)
    places = _ceiling_lamps(kit, root, rects, height, kind)
    power = 0.6 * height**2 * (0.4 if dark else 1.0)
    if kit.chance(0.85):
        step = max(1, math.ceil(len(places) / 4))
        for x, y, z in places[kit.n(0, step - 1) :: step][:4]:
            scene.lights.append(
                Light(scaled(hue, power * kit.u(0.7, 1.4)), position=(x, y, z), size=kit.u(0.1, 0.5))
            )
    else:
        x0, _, x1, _ = rects[0]
        x = kit.choose([x0 + 0.5, x1 - 0.5])
        scene.lights.append(
            Light(scaled(hue, power * kit.u(2, 6)), position=(x, 0.0, height * 0.6), size=0.4)
        )


def _ceiling_lamps(kit: Kit, root: Piece, rects: list[Rect], height: float, kind: str) -> list[Vector]:
    style = kit.weighted({"panel": 2, "tube": 2.5, "dome": 1.5, "spots": 1})
    pitch, along = kit.u(1.8, 4.5), kit.chance(0.6)
    glow = shell.glowing(kit.light(), kit.choose([0.8, 2.0, 3.0]))
    body = kit.light()
    out: list[Vector] = []
    for x0, y0, x1, y1 in rects:
        lengthwise = x1 - x0 >= y1 - y0
        count = max(1, min(16, int(max(x1 - x0, y1 - y0) / pitch)))
        for k in range(count):
            t = (k + 0.5) / count
            x, y = (x0 + t * (x1 - x0), (y0 + y1) / 2) if lengthwise else ((x0 + x1) / 2, y0 + t * (y1 - y0))
            item = root.item("object", x, y, height, 90.0 * (along != lengthwise))
            _lamp(item, style, glow, body)
            out.append((float(x), float(y), height - 0.25))
    return out


def _lamp(item: Item, style: str, glow: Material, body: Material) -> None:
    if style == "panel":
        item.box(glow, (-0.3, -0.3, -0.012), (0.3, 0.3, 0))
    elif style == "tube":
        item.box(body, (-0.62, -0.06, -0.06), (0.62, 0.06, 0))
        item.rod(glow, (-0.6, 0, -0.08), (0.6, 0, -0.08), 0.02)
    elif style == "dome":
        item.put("pillow", glow, (0, 0, -0.09), (0.34, 0.34, 0.12))
    else:
        item.put("drum", glow, (0, 0, -0.008), (0.12, 0.12, 0.008))


def _stations(kit: Kit, scene: Scene, head: Headroom, rects: list[Rect]) -> list[Station]:
    """Camera stations of robots and people, mostly looking along the corridor, sometimes at a wall."""
    out: list[Station] = []
    heights = (kit.u(0.25, 0.5), kit.u(0.5, 1.1), kit.u(1.2, 1.6), kit.u(1.5, 1.8), head.plan.height - 0.5)
    wish = {"0": 0.24, "1": 0.22, "2": 0.26, "3": 0.24, "4": 0.04}
    free = [head.places(z, scene.near_m + 0.1) for z in heights]
    for _ in range(90):
        if len(out) >= 28:
            break
        level = int(kit.weighted(wish))
        if not len(free[level]):
            continue
        x, y = (float(v) for v in free[level][kit.n(0, len(free[level]) - 1)])
        z = heights[level]
        a, b, c, d = kit.choose(rects) if kit.chance(0.2) else rects[0]
        goal = (c - 0.3, (b + d) / 2) if kit.chance(0.5) else (a + 0.3, (b + d) / 2)
        if d - b > c - a:
            goal = ((a + c) / 2, d - 0.3)
        spread = 0.25
        if kit.chance(0.17):
            goal, spread = (kit.u(a, c), kit.choose([b, d])), 0.3
        reach = math.hypot(goal[0] - x, goal[1] - y)
        if reach < (1.0 if kit.chance(0.2) else 2.5):
            continue
        tilt = kit.u(-25, -8) if level == 4 else kit.u(-22, 10) if kit.chance(0.6) else kit.u(-6, 3)
        tz = z + reach * math.tan(math.radians(tilt))
        roll = 12.0 if kit.chance(0.12) else 3.0
        s = spread * max(reach / 4, 0.5)
        out.append(
            Station(
                (x - 0.06, y - 0.06, z - 0.06), (x + 0.06, y + 0.06, z + 0.06),
                (goal[0] - 0.2, goal[1] - s, tz - 0.2), (goal[0] + 0.2, goal[1] + s, tz + 0.2), roll_deg=roll,
            )
        )  # fmt: skip
    if not out:
        a, _, c, _ = rects[0]
        z = head.plan.height / 2
        out.append(Station((a + 0.4, -0.1, z), (a + 0.6, 0.1, z), (c, -0.5, 0.5), (c, 0.5, 1.5)))
    return out
