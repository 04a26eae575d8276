"""Lamps of a room, and the light of lamps and windows."""

from __future__ import annotations

import math

from metric_depth_synthetic.scene import Light, Material, Scene, Vector
from metric_depth_synthetic.scenes.indoor.kit import Kit
from metric_depth_synthetic.scenes.indoor.plan import Plan, Rect
from metric_depth_synthetic.scenes.indoor.shell import glowing
from metric_depth_synthetic.scenes.indoor.solids import Piece


def light_room(
    kit: Kit,
    scene: Scene,
    root: Piece,
    plan: Plan,
    rects: list[Rect],
    height: float,
    behind: list[tuple[float, float, float]],
) -> None:
    """Hangs lamps and sets the scene's lights; ``behind`` are places for lamps in adjacent rooms."""
    x0, y0, x1, y1 = rects[0]
    area = (x1 - x0) * (y1 - y0)
    mood = kit.weighted({"lamps": 4, "window": 2.5 if scene.sky else 0, "side": 1, "dark": 0.6})
    hue = tint(kit)
    level = kit.u(0.15, 0.6)
    scene.ambient = scaled(_blend(hue, (1.0, 1.0, 1.0), 0.5), level)
    fixtures = _fixtures(kit, root, rects[0], height, glow=mood in ("lamps", "dark"))
    power = 0.5 * max(height, 2.2) ** 2 * math.sqrt(max(area, 4) / 16)
    if mood in ("lamps", "dark"):
        shown = [fixtures[k] for k in range(0, len(fixtures), max(1, len(fixtures) // 3))][:3]
        for x, y, z in shown:
            strength = power * kit.u(0.6, 1.5) / len(shown) * (0.35 if mood == "dark" else 1.0)
            scene.lights.append(Light(scaled(hue, strength), position=(x, y, z), size=kit.u(0.08, 0.4)))
        if mood == "dark":
            scene.ambient = scaled(scene.ambient, 0.3)
    if mood == "side":
        place = (kit.u(x0 + 0.3, x1 - 0.3), kit.u(y0 + 0.3, y1 - 0.3), kit.u(1.0, height - 0.3))
        scene.lights.append(
            Light(scaled(hue, power * kit.u(0.7, 1.5)), position=place, size=kit.u(0.05, 0.3))
        )
    if scene.sky is not None and (mood == "window" or kit.chance(0.5)):
        _daylight(kit, scene, plan, power, sun=mood == "window")
    if behind and len(scene.lights) < 4:
        x, y, z = kit.choose(behind)
        scene.lights.append(Light(scaled(tint(kit), kit.u(0.5, 3.0)), position=(x, y, z), size=0.2))


def _daylight(kit: Kit, scene: Scene, plan: Plan, power: float, *, sun: bool) -> None:
    panes = [(w, o) for w in plan.walls for o in w.openings if o.kind == "window"]
    blue = (0.85, 0.95, 1.1)
    for w, o in panes[:2]:
        x, y = w.at((o.start + o.end) / 2, 0.25)
        size = min(o.end - o.start, o.high - o.low) / 2
        strength = power * kit.u(0.5, 1.5) / min(len(panes), 2)
        scene.lights.append(Light(scaled(blue, strength), position=(x, y, (o.low + o.high) / 2), size=size))
    if sun and kit.chance(0.45):
        w, _ = kit.choose(panes)
        turn = math.radians(w.yaw_deg - 90 + kit.u(-60, 60))
        rise = math.radians(kit.u(15, 60))
        way = (math.cos(turn) * math.cos(rise), math.sin(turn) * math.cos(rise), math.sin(rise))
        scene.lights.append(Light(scaled((1.0, 0.93, 0.8), kit.u(1.5, 4.0)), direction=way, size=0.5))


def _fixtures(
    kit: Kit, root: Piece, rect: Rect, height: float, *, glow: bool
) -> list[tuple[float, float, float]]:
    """Hangs lamps in a grid; returns a position just below each."""
    x0, y0, x1, y1 = rect
    style = kit.weighted({"panel": 2, "dome": 1.5, "pendant": 1.5, "tube": 1.5, "spots": 1})
    w, d = x1 - x0, y1 - y0
    pitch = {"panel": 2.4, "tube": 2.4, "spots": 1.4}.get(style, 9.0)
    columns, rows = max(1, min(5, round(w / pitch))), max(1, min(5, round(d / pitch)))
    material = glowing(kit.light(), 2.5 if glow else 0.0)
    along = kit.chance(0.5)
    out = []
    for i in range(columns):
        for j in range(rows):
            x, y = x0 + w * (i + 0.5) / columns, y0 + d * (j + 0.5) / rows
            lamp = Piece(0.6, 0.6, height)
            drop = _lamp(kit, lamp, style, material, height, along=along)
            root.add(lamp, x, y)
            out.append((x, y, height - drop - 0.12))
    return out


def _lamp(kit: Kit, lamp: Piece, style: str, glow: Material, height: float, *, along: bool) -> float:
    """Adds one lamp; returns its distance below the ceiling."""
    item = lamp.item("object", 0, 0, height)
    if style == "panel":
        item.box(glow, (-0.3, -0.3, -0.012), (0.3, 0.3, 0))
        return 0.02
    if style == "tube":
        x, y = (0.62, 0.06) if along else (0.06, 0.62)
        item.box(kit.light(), (-x, -y, -0.06), (x, y, 0))
        item.box(glow, (-x * 0.97, -y * 0.97, -0.09), (x * 0.97, y * 0.97, -0.06))
        return 0.1
    if style == "spots":
        item.put("drum", glow, (0, 0, -0.008), (0.1, 0.1, 0.008))
        return 0.02
    if style == "dome":
        item.put("pillow", glow, (0, 0, -0.1), (0.4, 0.4, 0.13))
        return 0.11
    drop = max(0.2, min(kit.u(0.3, 1.2), height - 1.9))
    item.rod(kit.dark(), (0, 0, -drop + 0.2), (0, 0, 0), 0.006, "wire")
    shade = kit.some("metal") if kit.chance(0.5) else kit.some("paper")
    item.put(kit.choose(["shade", "ball", "drum"]), shade, (0, 0, -drop), (kit.u(0.25, 0.5),) * 2 + (0.22,))
    item.put("ball", glow, (0, 0, -drop - 0.01), (0.09, 0.09, 0.1))
    return drop + 0.05


def tint(kit: Kit) -> Vector:
    """Random colour of a lamp, linear RGB around 1: mostly warm, sometimes cool."""
    warm = kit.u(-0.2, 1.0)
    return (1.0, 1.0 - 0.18 * warm, 1.0 - 0.42 * warm) if warm > 0 else (1.0 + 0.4 * warm, 1.0, 1.08)


def scaled(colour: Vector, factor: float) -> Vector:
    """A colour times a factor."""
    return (colour[0] * factor, colour[1] * factor, colour[2] * factor)


def _blend(a: Vector, b: Vector, part: float) -> Vector:
    return (a[0] + (b[0] - a[0]) * part, a[1] + (b[1] - a[1]) * part, a[2] + (b[2] - a[2]) * part)
