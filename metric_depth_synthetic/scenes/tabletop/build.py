"""Tabletops: things on tables, benches, shelves and floors seen from close by."""

from __future__ import annotations

import numpy as np

from metric_depth_ros.types import FloatArray
from metric_depth_synthetic.palette import Palette
from metric_depth_synthetic.scene import Light, Role, Scene, Station, Vector
from metric_depth_synthetic.scenes.prefab import Prefab, posed, slabs
from metric_depth_synthetic.scenes.tabletop import arms, support
from metric_depth_synthetic.scenes.tabletop.objects import NAMES, draw_object
from metric_depth_synthetic.scenes.tabletop.pile import Pile


def build(rng: np.random.Generator, palette: Palette) -> Scene:
    """Builds a table or similar support with 3 to 25 things on it and usually a background."""
    kind = str(rng.choice(["table", "desk", "floor", "shelf", "bare"], p=[0.42, 0.2, 0.1, 0.13, 0.15]))
    scene = Scene("tabletop", near_m=0.18, far_m=3.0, kind=kind)
    height = 0.0 if kind in ("floor", "bare") else float(rng.uniform(0.4, 1.0))
    size = rng.uniform((0.6, 0.45), (1.8, 1.0)) if kind != "bare" else np.array([6.0, 6.0])
    support.build(scene, rng, palette, kind, height, size)
    pile = _filled(scene, rng, palette, kind, height, size)
    if rng.random() < 0.14:
        arms.enter(scene, rng, palette, pile)
    _lights(scene, rng, height)
    _stations(scene, rng, kind, height, pile.reach, size)
    return scene


def _filled(
    scene: Scene, rng: np.random.Generator, palette: Palette, kind: str, height: float, size: FloatArray
) -> Pile:
    """Places the things: singly, in stacks, in a heap or in a tray."""
    reach = float(min(rng.uniform(0.15, 0.42), size.min() / 2 - 0.03))
    pile = Pile(scene, rng, height, reach)
    count = int(rng.integers(5, 28) if rng.random() < 0.8 else rng.integers(1, 8))
    variety = [str(n) for n in rng.choice(NAMES, 3)] if rng.random() < 0.25 else None
    style = float(rng.random())
    if style < 0.16:
        _container(scene, rng, palette, pile)
    heaped = style < 0.24
    for _ in range(count):
        name = None if variety is None else variety[int(rng.integers(3))]
        parts, prefab, name = draw_object(rng, palette, name)
        pose = _pose(rng, prefab, messy=heaped)
        pile.drop(parts, prefab, pose, stacked=heaped or rng.random() < 0.35, messy=heaped)
    return pile


def _pose(rng: np.random.Generator, prefab: Prefab, *, messy: bool) -> FloatArray:
    """Random rotation and scale: mostly upright, some tall things toppled; any rotation in a heap."""
    size = prefab.high - prefab.low
    tall = bool(size[2] > 0.7 * min(size[0], size[1]))
    roll = pitch = 0.0
    if messy and tall and rng.random() < 0.8:
        roll, pitch = float(rng.uniform(-120, 120)), float(rng.normal(0, 30))
    elif messy:
        roll, pitch = (float(v) for v in rng.normal(0, 15, 2))
    elif tall and rng.random() < 0.25:
        roll = float(rng.choice([90.0, -90.0]))
    yaw, scale = float(rng.uniform(0, 360)), float(rng.uniform(0.85, 1.2))
    return posed(yaw_deg=yaw, roll_deg=roll, pitch_deg=pitch, scale=scale)


def _container(scene: Scene, rng: np.random.Generator, palette: Palette, pile: Pile) -> None:
    """Adds an open box, tray or bin in the middle, into which the things fall."""
    w, d = (float(v) for v in rng.uniform(0.2, 0.5, 2))
    w, d = min(w, 1.6 * pile.reach), min(d, 1.6 * pile.reach)
    h, thick = (
        float(rng.choice([rng.uniform(0.02, 0.06), rng.uniform(0.08, 0.25)])),
        float(rng.uniform(0.003, 0.012)),
    )
    low = np.array(
        [
            (-w / 2, -d / 2, 0),
            (-w / 2, -d / 2, 0),
            (w / 2 - thick, -d / 2, 0),
            (-w / 2, -d / 2, 0),
            (-w / 2, d / 2 - thick, 0),
        ]
    )
    high = np.array(
        [
            (w / 2, d / 2, thick),
            (-w / 2 + thick, d / 2, h),
            (w / 2, d / 2, h),
            (w / 2, -d / 2 + thick, h),
            (w / 2, d / 2, h),
        ]
    )
    yaw = float(rng.choice([0, rng.uniform(0, 90)]))
    role: Role = "plastic" if rng.random() < 0.6 else "paper" if rng.random() < 0.5 else "wood"
    pile.place("object", [(slabs(low, high), palette.draw(role))], posed(yaw_deg=yaw), slabs(low, high))
    pile.inside((w, d), yaw)


def _lights(scene: Scene, rng: np.random.Generator, height: float) -> None:
    for _ in range(int(rng.integers(1, 4))):
        angle, out, up = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 2.2), rng.uniform(0.9, 2.2)
        strength = float(rng.uniform(0.4, 1.6) * (out**2 + up**2) ** 0.9)
        warm = float(rng.uniform(0.65, 1.1))
        scene.lights.append(
            Light(
                (strength, strength * (0.5 + 0.5 * warm), strength * warm),
                position=(float(out * np.cos(angle)), float(out * np.sin(angle)), float(height + up)),
                size=float(rng.choice([0.04, 0.2, 0.6])),
            )
        )
    a = float(rng.uniform(0.12, 0.6))
    scene.ambient = (a, a * float(rng.uniform(0.9, 1.02)), a * float(rng.uniform(0.8, 1.08)))


def _stations(
    scene: Scene, rng: np.random.Generator, kind: str, height: float, reach: float, size: FloatArray
) -> None:
    """Adds camera stations from vertically above to horizontal, at arm's length."""
    spread = 0.45 * reach
    for share, elevation, distance in _VIEWS:
        if kind == "bare" and elevation[0] < 40:
            continue  # nothing stands behind
        for _ in range(3):
            angle = rng.uniform(0, 360)
            tilt = np.radians(rng.uniform(*elevation))
            if kind in ("shelf", "desk"):  # a wall is behind
                angle = -90 + rng.normal(0, 22 if kind == "shelf" else 40)
                tilt = np.radians(rng.uniform(4, 35)) if kind == "shelf" else tilt
            far = rng.uniform(*distance) * max(0.75, reach / 0.4)
            if tilt < np.radians(50):
                far = max(far, (size[1] / 2 if kind == "shelf" else reach) + 0.2)
            way = np.radians(angle)
            at = np.array([np.cos(way) * np.cos(tilt), np.sin(way) * np.cos(tilt), np.sin(tilt)]) * far
            at[2] = max(at[2], 0.14) + height
            roll = 4.0 if rng.random() < 0.8 else float(rng.choice([25.0, 90.0]))
            scene.stations.append(
                Station(
                    _vector(at - 0.04),
                    _vector(at + 0.04),
                    (-spread, -spread, height),
                    (spread, spread, height + 0.08),
                    roll,
                    share,
                )
            )


# Share, elevation in degrees and distance in metres of the cameras.
_VIEWS = (
    (1.0, (78.0, 90.0), (0.45, 1.1)),
    (2.0, (45.0, 78.0), (0.4, 1.1)),
    (2.5, (25.0, 48.0), (0.45, 1.3)),
    (0.7, (6.0, 25.0), (0.4, 1.2)),
)


def _vector(values: FloatArray) -> Vector:
    x, y, z = (float(v) for v in values)
    return (x, y, z)
