"""Trees, bushes, hedges and grass: branches that carry irregular volumes with leaves."""

from __future__ import annotations

from functools import cache

import numpy as np

from metric_depth_ros.types import FloatArray
from metric_depth_synthetic.mesh import Mesh, cylinder, ellipsoid, joined, sheet, tube
from metric_depth_synthetic.palette import Palette
from metric_depth_synthetic.scene import Material
from metric_depth_synthetic.scenes.prefab import Builder, Parts, Prefab, posed

_KINDS = ("round", "oval", "tall", "column", "conifer", "bare", "young", "wide")
_HEIGHT_M = {"tall": 14.0, "column": 13.0, "young": 5.0, "wide": 9.0}
_WIDTH = {"tall": 0.5, "column": 0.2, "young": 0.45, "wide": 1.0, "bare": 0.75, "oval": 0.55}
VARIANTS = 32


class Flora:
    """Plants of one scene: a few kinds of trees and a few greens, as in a real street."""

    def __init__(self, rng: np.random.Generator, palette: Palette) -> None:
        """Draws the kinds and their materials."""
        self._rng = rng
        self._leaf = [palette.draw("foliage") for _ in range(3)]
        self._bark = palette.draw("bark")
        first = int(rng.integers(len(_KINDS)))
        self._kinds = [first, first, int(rng.integers(len(_KINDS)))]

    def tree(self, detail: int = 1) -> tuple[Parts, Prefab]:
        """A tree about 10 m high and its prefab; ``detail`` 0 is for afar, 2 for close by."""
        variant = self._kinds[int(self._rng.integers(3))] + len(_KINDS) * int(
            self._rng.integers(VARIANTS // len(_KINDS))
        )
        prefab = _tree(variant, detail)
        return prefab.dressed({"bark": self._bark, "leaf": self._green()}), prefab

    @staticmethod
    def reach(prefab: Prefab) -> float:
        """Radius of a plant below head height in metres, unscaled."""
        return _reach(prefab)

    def bush(self) -> tuple[Parts, Prefab]:
        """A bush about 1 m high and its prefab."""
        prefab = _bush(int(self._rng.integers(12)))
        return prefab.dressed({"leaf": self._green()}), prefab

    def hedge(self) -> tuple[Parts, Prefab]:
        """A clipped hedge 4 m long in x and 1 m high, and its prefab."""
        prefab = _hedge(int(self._rng.integers(6)))
        return prefab.dressed({"leaf": self._leaf[0]}), prefab

    def tuft(self) -> tuple[Parts, Prefab]:
        """Grass and weeds over about 1 m, 0.3 m high, and its prefab."""
        prefab = _tuft(int(self._rng.integers(8)))
        return prefab.dressed({"leaf": self._green()}), prefab

    def _green(self) -> Material:
        return self._leaf[int(self._rng.integers(3))]


@cache
def _reach(prefab: Prefab) -> float:
    points = np.concatenate([m.corners.reshape(-1, 3) for m in prefab.meshes.values()])
    low = points[points[:, 2] < 2.6]
    return float(np.hypot(low[:, 0], low[:, 1]).max()) if len(low) else 0.5


def _sprigs(points: FloatArray, outward: FloatArray, size: float, rng: np.random.Generator) -> Mesh:
    """One triangle at each point (N, 3), with its normal roughly along ``outward`` (N, 3)."""
    n = len(points)
    face = outward / np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-9) + rng.normal(
        0, 0.55, (n, 3)
    )
    a = np.cross(face, rng.normal(size=(n, 3)))
    a /= np.maximum(np.linalg.norm(a, axis=1, keepdims=True), 1e-9)
    b = np.cross(face, a)
    b /= np.maximum(np.linalg.norm(b, axis=1, keepdims=True), 1e-9)
    length = size * rng.uniform(0.5, 1.2, (n, 1))
    corners = np.stack([points - a * length / 2, points + a * length / 2, points + b * length * 0.9], 1)
    return _flat(corners.astype(np.float32))


def _flat(corners: FloatArray) -> Mesh:
    """Triangles with their own normals and with texture coordinates in their planes."""
    along, up = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    normals = np.cross(along, up)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    uv = np.zeros((len(corners), 3, 2), np.float32)
    uv[:, 1, 0] = np.linalg.norm(along, axis=1)
    uv[:, 2, 1] = np.linalg.norm(up, axis=1)
    uv += corners[:, :1, :2] + corners[:, :1, 2:]
    return Mesh(corners, np.repeat(normals[:, None], 3, axis=1).astype(np.float32), uv)


def _ball_of_leaves(
    made: Builder, spot: FloatArray, radii: FloatArray, count: int, leaf: float, rng: np.random.Generator
) -> None:
    """An irregular ellipsoid with leaves around it; ``radii`` (3,) are its half axes."""
    around, over = (9, 6) if count > 100 else (7, 4) if count > 25 else (5, 3)
    turn = np.linspace(0, 2 * np.pi, around + 1) + rng.uniform(0, 6)
    rise = np.linspace(-np.pi / 2, np.pi / 2, over + 1)[:, None]
    swell = rng.uniform(0.5, 0.92, (over + 1, around + 1))
    swell[:, -1] = swell[:, 0]
    swell[0], swell[-1] = swell[0, 0], swell[-1, 0]
    flat = np.cos(rise) * swell
    grid = np.stack([flat * np.cos(turn), flat * np.sin(turn), np.sin(rise) * swell], -1)
    made.add("leaf", sheet(grid * radii + spot))
    way = rng.normal(size=(count, 3))
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    points = spot + way * radii * rng.uniform(0.55, 1.12, (count, 1))
    made.add("leaf", _sprigs(points, way / radii, leaf, rng))


@cache
def _tree(variant: int, detail: int = 1) -> Prefab:
    kind = _KINDS[variant % len(_KINDS)]
    rng = np.random.default_rng([81, variant])
    made, far = Builder(), detail == 0
    if kind == "conifer":
        _conifer(made, rng, detail)
        return made.prefab()
    height = _HEIGHT_M.get(kind, 10.0) * float(rng.uniform(0.8, 1.2))
    wide = _WIDTH.get(kind, 0.72) * height
    stem = float(rng.uniform(0.2, 0.32)) * height
    if kind == "bare":
        _branches(made, height, stem, wide, rng, 7 if far else 11, twigs=2 if far else 5)
        return made.prefab()
    tips = _branches(made, height, stem, wide * 0.62, rng, 3 if kind == "column" else 7, twigs=0)
    leaf = (0.085, 0.055, 0.035)[detail] * (height if kind != "column" else 11.0)
    count = (14, 50, 150)[detail]
    if kind == "column":
        for k in range(5):
            spot = np.array([0, 0, stem * 0.6 + (height - stem * 0.6) * (k + 0.5) / 5])
            taper = wide / 2 * (1.0, 1.15, 1.05, 0.85, 0.5)[k]
            _ball_of_leaves(made, spot, np.array([taper, taper, 0.13 * height]), count, leaf, rng)
        return made.prefab()
    top = np.array([[*tips[:, :2].mean(0), height * 0.85], [*tips[:, :2].mean(0) * 0.6, (stem + height) / 2]])
    middle = (tips + top[1]) / 2
    base = min(0.26 * wide, 0.2 * height)
    for spot in np.concatenate([tips[:: 2 if far else 1], top, middle[:: 4 if far else 2]]):
        radius = base * float(rng.uniform(0.8, 1.2)) * (1.2 if far else 1.0)
        _ball_of_leaves(made, spot, radius * np.array([1, 1, float(rng.uniform(0.7, 1.0))]), count, leaf, rng)
    return made.prefab()


def _branches(
    made: Builder,
    height: float,
    stem: float,
    wide: float,
    rng: np.random.Generator,
    count: int,
    *,
    twigs: int,
) -> FloatArray:
    """A bent trunk with branches; returns where the branches end (N, 3)."""
    trunk = 0.02 * height
    z = np.array([-0.4, 0.0, stem, height * 0.6, height * 0.85])
    share = np.clip(z / height, 0, 1)[:, None]
    line = share * rng.normal(0, 0.03 * height, 2) + rng.normal(0, 0.012 * height, (5, 2)) * (share > 0.05)
    path = np.concatenate([line, z[:, None]], 1)
    for k, scale in enumerate((1.2, 1.0, 0.7, 0.4)):
        made.add("bark", tube(path[k : k + 2], trunk * scale, segments=6))
    tips = []
    for k in range(count):
        rise = stem + (height * 0.85 - stem) * (0.05 + 0.75 * k / count)
        start = np.array([np.interp(rise, z, path[:, 0]), np.interp(rise, z, path[:, 1]), rise])
        angle = 2.4 * k + rng.normal(0, 0.3)
        reach = wide / 2 * rng.uniform(0.75, 1.1) * (1 - 0.4 * k / count)
        end = start + np.array((reach * np.cos(angle), reach * np.sin(angle), reach * rng.uniform(0.35, 0.9)))
        bent = (start + end) / 2 + rng.normal(0, 0.02 * height, 3) + (0, 0, 0.02 * height)
        made.add("bark", tube(np.stack([start, bent, end]), trunk * 0.3, segments=4))
        tips.append(end)
        for _ in range(twigs):
            a = bent + (end - bent) * rng.uniform(0.0, 1.0)
            b = a + rng.normal(0, 0.06 * height, 3) + (0, 0, 0.05 * height)
            made.add("bark", tube(np.stack([a, b]), trunk * 0.13, segments=3))
            for _ in range(2):
                made.add(
                    "bark",
                    tube(np.stack([b, b + rng.normal(0, 0.045 * height, 3)]), trunk * 0.07, segments=3),
                )
    return np.array(tips)


def _conifer(made: Builder, rng: np.random.Generator, detail: int) -> None:
    """Layers of hanging boughs, ragged at their rims."""
    height = float(rng.uniform(8, 15))
    wide = float(rng.uniform(0.16, 0.26)) * height
    made.add("bark", cylinder(0.018 * height, height * 0.9, top=0.02, segments=6), posed((0, 0, -0.3)))
    layers, around = ((6, 8), (10, 14), (15, 20))[detail]
    turn = np.linspace(0, 2 * np.pi, around + 1)
    for k in range(layers):
        low, step = height * (0.08 + 0.87 * k / layers), height * 1.6 / layers
        radius = wide * (1 - k / layers) + 0.12
        jag = rng.uniform(0.7, 1.15, around + 1)
        jag[-1] = jag[0]
        drop = rng.uniform(-0.12, 0.12, around + 1) * step
        drop[-1] = drop[0]
        rim = np.stack([radius * jag * np.cos(turn), radius * jag * np.sin(turn), low + drop], -1)
        half = np.stack(
            [0.45 * radius * np.cos(turn), 0.45 * radius * np.sin(turn), 0 * turn + low + 0.4 * step], -1
        )
        tip = np.stack([0 * turn, 0 * turn, 0 * turn + low + step], -1)
        made.add("leaf", sheet(np.stack([rim, half, tip])))
    count = (100, 350, 1100)[detail]
    t = rng.uniform(0.02, 1, count) ** 0.7
    angle = rng.uniform(0, 2 * np.pi, count)
    out = (wide * (1.02 - t) + 0.05) * rng.uniform(0.6, 1.1, count)
    way = np.stack([np.cos(angle), np.sin(angle), 0 * angle + 0.4], 1)
    points = np.stack([out * np.cos(angle), out * np.sin(angle), height * (0.07 + 0.9 * t)], 1)
    made.add("leaf", _sprigs(points, way, (0.06, 0.04, 0.028)[detail] * height, rng))


@cache
def _bush(variant: int) -> Prefab:
    rng = np.random.default_rng([82, variant])
    made = Builder()
    count = int(rng.integers(1, 5))
    for _ in range(count):
        radius = float(rng.uniform(0.3, 0.5))
        x, y = rng.normal(0, 0.28, 2) * (count > 1)
        squash = float(rng.uniform(0.7, 1.1))
        _ball_of_leaves(
            made, np.array([x, y, radius * squash * 0.8]), radius * np.array([1, 1, squash]), 70, 0.2, rng
        )
    return made.prefab()


@cache
def _hedge(variant: int) -> Prefab:
    rng = np.random.default_rng([83, variant])
    made = Builder()
    made.add("leaf", ellipsoid(4.1, 0.56, 1.15, power=0.2, segments=12), posed((0, 0, -0.15)))
    points = rng.uniform((-2.05, -0.3, 0.02), (2.05, 0.3, 1.0), (420, 3))
    side = rng.random(420)
    way = np.zeros((420, 3))
    for chosen, axis, value in (
        (side < 0.4, 1, -0.28),
        ((side >= 0.4) & (side < 0.8), 1, 0.28),
        (side >= 0.8, 2, 1.0),
    ):
        points[chosen, axis] = value + rng.normal(0, 0.03, int(chosen.sum()))
        way[chosen, axis] = np.sign(value)
    made.add("leaf", _sprigs(points, way, 0.14, rng))
    return made.prefab()


@cache
def _tuft(variant: int) -> Prefab:
    """Blades that rise from the ground, most of them near the middle."""
    rng = np.random.default_rng([84, variant])
    n, tall, broad = 150, float(rng.uniform(0.15, 0.5)), float(rng.uniform(0.015, 0.05))
    root = np.concatenate([rng.normal(0, 0.28, (n, 2)), np.full((n, 1), -0.02)], 1)
    angle = rng.uniform(0, 2 * np.pi, n)
    side = np.stack([np.cos(angle), np.sin(angle), 0 * angle], 1) * broad / 2
    tip = root + np.concatenate([rng.normal(0, 0.1, (n, 2)), tall * rng.uniform(0.4, 1, (n, 1))], 1)
    return Prefab({"leaf": joined([_flat(np.stack([root - side, root + side, tip], 1).astype(np.float32))])})
