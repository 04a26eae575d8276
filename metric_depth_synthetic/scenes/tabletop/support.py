"""Support and background of a tabletop scene."""

from __future__ import annotations

import numpy as np

from metric_depth_ros.types import FloatArray
from metric_depth_synthetic.mesh import cylinder, quad
from metric_depth_synthetic.palette import Palette
from metric_depth_synthetic.scene import Material, Role, Scene, Vector
from metric_depth_synthetic.scenes.prefab import Builder, posed, slabs

_TOPS: tuple[Role, ...] = ("wood", "wood", "plastic", "wall", "fabric", "metal", "floor", "concrete", "any")


def build(
    scene: Scene, rng: np.random.Generator, palette: Palette, kind: str, height: float, size: FloatArray
) -> None:
    """Adds the support with its top at ``height``, the floor and usually walls and furniture."""
    top = palette.draw(_TOPS[int(rng.integers(len(_TOPS)))])
    if kind == "bare":
        scene.add("table", [(quad((-3, -3, 0), (6, 0, 0), (0, 6, 0)), top)])
        return
    floor = palette.draw("floor")
    scene.add("floor", [(quad((-6, -6, 0), (12, 0, 0), (0, 12, 0)), floor)])
    w, d = (float(v) for v in size)
    if kind in ("table", "desk"):
        _table(scene, rng, palette, top, w, d, height)
    if kind == "shelf":
        _shelf(scene, rng, palette, top, w, d, height)
    if rng.random() < 0.8 or kind in ("shelf", "floor", "desk"):
        _room(scene, rng, palette, d, wall_close=kind in ("desk", "shelf"))


def _table(
    scene: Scene, rng: np.random.Generator, palette: Palette, top: Material, w: float, d: float, height: float
) -> None:
    legs = palette.draw("wood" if rng.random() < 0.5 else "metal")
    thick = float(rng.uniform(0.015, 0.05))
    made = Builder()
    if rng.random() < 0.15:
        made.add("top", cylinder(max(w, d) / 2, thick, segments=40), posed((0, 0, height - thick)))
        made.add("legs", cylinder(0.05, height - thick, segments=12))
    else:
        made.slab("top", (-w / 2, -d / 2, height - thick), (w / 2, d / 2, height))
        r = float(rng.uniform(0.015, 0.04))
        for x in (-w / 2 + 0.06, w / 2 - 0.06):
            for y in (-d / 2 + 0.06, d / 2 - 0.06):
                made.slab("legs", (x - r, y - r, 0), (x + r, y + r, height - thick))
        made.slab(
            "legs",
            (-w / 2 + 0.06, -d / 2 + 0.07, height - thick - 0.07),
            (w / 2 - 0.06, d / 2 - 0.07, height - thick),
        )
    scene.add("table", made.prefab().dressed({"top": top, "legs": legs}))


def _shelf(
    scene: Scene, rng: np.random.Generator, palette: Palette, top: Material, w: float, d: float, height: float
) -> None:
    """A shelf of several boards with a back; the things stand on the board at ``height``."""
    made = Builder()
    gap = float(rng.uniform(0.35, 0.6))
    for z in np.arange(height % gap, height + 1.5 * gap, gap):
        made.slab("top", (-w / 2, -d / 2, float(z) - 0.02), (w / 2, d / 2, float(z)))
    made.slab("top", (-w / 2, -d / 2, height - 0.02), (w / 2, d / 2, height))
    made.slab("side", (-w / 2, d / 2, 0), (w / 2, d / 2 + 0.02, height + 1.6 * gap))
    for x in (-w / 2 - 0.02, w / 2):
        made.slab("side", (x, -d / 2, 0), (x + 0.02, d / 2 + 0.02, height + 1.6 * gap))
    scene.add("furniture", made.prefab().dressed({"top": top, "side": palette.draw("wood")}))


def _room(scene: Scene, rng: np.random.Generator, palette: Palette, d: float, *, wall_close: bool) -> None:
    """Walls at 1 to 5 m, with cupboards, chairs and boxes in front of them."""
    wall = palette.draw("wall")
    back = d / 2 + (float(rng.uniform(0.03, 0.3)) if wall_close else float(rng.uniform(1.3, 4)))
    left, right, front = (float(v) for v in rng.uniform(1.9, 4.5, 3))
    high = float(rng.uniform(2.3, 3.2))
    low_corner, high_corner = (-left, -front, 0), (right, back, high)
    sides = [
        ((-left, back, 0), (left + right, 0, 0)),
        ((right, back, 0), (0, -front - back, 0)),
        ((right, -front, 0), (-left - right, 0, 0)),
        ((-left, -front, 0), (0, front + back, 0)),
    ]
    for corner, along in sides:
        scene.add("wall", [(quad(corner, along, (0, 0, high)), wall)])
    scene.add(
        "ceiling",
        [(quad((-left, -front, high), (0, front + back, 0), (left + right, 0, 0)), palette.draw("ceiling"))],
    )
    base = palette.draw("wood")
    boards = slabs(
        np.array([(-left, back - 0.02, 0), (right - 0.02, -front, 0), (-left, -front, 0)]),
        np.array([(right, back, 0.1), (right, back, 0.1), (-left + 0.02, back, 0.1)]),
    )
    scene.add("wall", [(boards, base)])
    for _ in range(int(rng.integers(2, 8))):
        _furnish(scene, rng, palette, low_corner, high_corner)
    for _ in range(int(rng.integers(0, 4))):
        x, z = float(rng.uniform(-left + 0.5, right - 0.5)), float(rng.uniform(1.0, 1.8))
        a, b = (float(v) for v in rng.uniform(0.2, 0.6, 2))
        picture = slabs(np.array([(x - a, back - 0.03, z - b)]), np.array([(x + a, back, z + b)]))
        scene.add("clutter", [(picture, palette.draw("print"))])


def _furnish(scene: Scene, rng: np.random.Generator, palette: Palette, low: Vector, high: Vector) -> None:
    """A cupboard, box or chair by a wall."""
    side = int(rng.integers(4))
    w, d, h = float(rng.uniform(0.3, 1.4)), float(rng.uniform(0.3, 0.6)), float(rng.uniform(0.3, 2.0))
    x = (
        float(rng.uniform(low[0] + 0.8, high[0] - 0.8))
        if side < 2
        else (low[0] + d / 2 + 0.02, high[0] - d / 2 - 0.02)[side - 2]
    )
    y = (
        float(rng.uniform(low[1] + 0.8, high[1] - 0.8))
        if side >= 2
        else (low[1] + d / 2 + 0.02, high[1] - d / 2 - 0.02)[side]
    )
    if abs(x) < 1.1 and abs(y) < 0.75:
        return
    yaw = (0.0, 180.0, 270.0, 90.0)[side]
    made = Builder()
    if rng.random() < 0.3:  # a chair
        for a in (-0.19, 0.19):
            for b in (-0.19, 0.19):
                made.slab("side", (a - 0.015, b - 0.015, 0), (a + 0.015, b + 0.015, 0.44 if b > 0 else 0.9))
        made.slab("front", (-0.22, -0.22, 0.43), (0.22, 0.22, 0.47))
        made.slab("front", (-0.2, -0.22, 0.65), (0.2, -0.19, 0.9))
    else:
        made.slab("side", (-w / 2, -d / 2, 0), (w / 2, d / 2, h))
        n = int(rng.integers(1, 5))
        for k in range(n):
            made.slab(
                "front",
                (-w / 2 + 0.02, d / 2, h * k / n + 0.02),
                (w / 2 - 0.02, d / 2 + 0.018, h * (k + 1) / n - 0.02),
            )
    role: Role = "wood" if rng.random() < 0.5 else "paint"
    parts = made.prefab().dressed({"side": palette.draw("wood"), "front": palette.draw(role)})
    scene.add("furniture", parts, posed((x, y, 0), yaw_deg=yaw))
