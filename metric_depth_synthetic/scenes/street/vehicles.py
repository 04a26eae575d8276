"""Vehicles: cars lofted from side profiles, vans, lorries, buses, bicycles with their riders.

A vehicle stands on z = 0 around (0, 0) and faces +x.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from metric_depth_ros.types import BoolArray, FloatArray
from metric_depth_synthetic.mesh import sheet
from metric_depth_synthetic.palette import Palette
from metric_depth_synthetic.scene import Material, Role
from metric_depth_synthetic.scenes.prefab import (
    Builder,
    Parts,
    Prefab,
    chosen_cells,
)
from metric_depth_synthetic.scenes.street.heavy import heavy, two_wheeler
from metric_depth_synthetic.scenes.street.wheels import wheel

VARIANTS = 40


@dataclass(frozen=True)
class _Shape:
    """Side profile of a car in fractions of its length, from the front, and of its height."""

    length: tuple[float, float]
    width: tuple[float, float]
    height: tuple[float, float]
    bonnet: float  # where the windscreen starts
    roof: tuple[float, float]  # where the roof starts and ends
    tail: float  # where the rear window ends
    belt: float  # height of the waist
    nose: float  # height of the bonnet's front edge
    boot: float  # height of the tail's edge
    windows: bool = True  # has rear side windows
    share: float = 1.0


_SHAPES = {
    "hatchback": _Shape(
        (3.7, 4.3), (1.68, 1.8), (1.42, 1.55), 0.27, (0.44, 0.86), 0.97, 0.63, 0.47, 0.62, share=4
    ),
    "saloon": _Shape(
        (4.4, 5.0), (1.75, 1.9), (1.4, 1.5), 0.29, (0.44, 0.72), 0.86, 0.64, 0.47, 0.66, share=4
    ),
    "estate": _Shape(
        (4.4, 4.9), (1.75, 1.88), (1.45, 1.55), 0.28, (0.43, 0.92), 0.985, 0.63, 0.47, 0.62, share=3
    ),
    "suv": _Shape((4.2, 4.9), (1.8, 2.0), (1.62, 1.85), 0.27, (0.41, 0.9), 0.98, 0.62, 0.54, 0.62, share=4),
    "mpv": _Shape((4.2, 5.0), (1.78, 1.98), (1.65, 2.0), 0.17, (0.37, 0.93), 0.99, 0.57, 0.44, 0.56, share=2),
    "city": _Shape((2.7, 3.6), (1.55, 1.66), (1.45, 1.56), 0.2, (0.4, 0.88), 0.985, 0.6, 0.48, 0.6, share=2),
    "van": _Shape(
        (4.8, 6.2), (1.9, 2.05), (1.95, 2.6), 0.13, (0.27, 0.985), 0.997, 0.53, 0.42, 0.5, False, share=2
    ),
    "pickup": _Shape(
        (5.0, 5.6), (1.85, 2.0), (1.75, 1.9), 0.27, (0.38, 0.58), 0.62, 0.6, 0.54, 0.58, share=1
    ),
}


class Fleet:
    """Vehicles of one scene: each has its own paint, other materials are shared."""

    def __init__(self, rng: np.random.Generator, palette: Palette) -> None:
        """Draws the shared materials."""
        self._rng, self._palette = rng, palette
        grey = float(rng.uniform(0.3, 0.6))
        self._shared = {
            "glass": palette.draw("glass", colour=(0.02, 0.025, 0.03)),
            "dark": palette.draw("plastic", colour=(0.015, 0.015, 0.016)),
            "bright": palette.draw("metal", colour=(grey, grey, grey)),
            "tail": palette.draw("plastic", colour=(0.35, 0.01, 0.01)),
        }

    def car(self, *, far: bool = False) -> tuple[Parts, Prefab]:
        """A car or van with its own paint, and its prefab; ``far`` has half the triangles."""
        prefab = _car(int(self._rng.integers(VARIANTS)), far)
        return prefab.dressed(self._materials("body")), prefab

    def lorry(self) -> tuple[Parts, Prefab]:
        """A lorry, box van or bus, and its prefab."""
        prefab = heavy(int(self._rng.integers(18)))
        return prefab.dressed(self._materials("body", "cargo")), prefab

    def two_wheeler(self, *, ridden: bool) -> tuple[Parts, Prefab]:
        """A bicycle or moped, ridden or on its stand, and its prefab."""
        prefab = two_wheeler(int(self._rng.integers(10)), ridden)
        materials = self._materials("body")
        if ridden:
            for slot, role in _CLOTHES.items():
                materials[slot] = self._palette.draw(role)
        return prefab.dressed(materials), prefab

    def _materials(self, *painted: str) -> dict[str, Material]:
        return self._shared | {slot: self._palette.draw("paint") for slot in painted}


_CLOTHES: dict[str, Role] = {"cloth": "fabric", "legs": "fabric", "skin": "skin"}


@cache
def _car(variant: int, far: bool = False) -> Prefab:
    rng = np.random.default_rng([71, variant])
    shares = np.array([s.share for s in _SHAPES.values()])
    shape = list(_SHAPES.values())[
        int(np.searchsorted(np.cumsum(shares) / shares.sum(), (variant + 0.5) / VARIANTS))
    ]
    length, width, height = (
        float(rng.uniform(*bounds)) for bounds in (shape.length, shape.width, shape.height)
    )
    radius = float(np.clip(0.2 * height + rng.uniform(-0.01, 0.04), 0.28, 0.4))
    axles = (length * (0.5 - rng.uniform(0.17, 0.2)), -length * (0.5 - rng.uniform(0.17, 0.21)))
    made = Builder()
    _body(made, shape, (length, width, height), radius, axles, far=far)
    for x in axles:
        for side in (1, -1):
            wheel(made, x, side * (width / 2 - 0.13), radius, 0.2, side, far=far)
    _fittings(made, shape, length, width, height)
    return made.prefab()


def _body(
    made: Builder,
    shape: _Shape,
    size: tuple[float, float, float],
    radius: float,
    axles: tuple[float, float],
    *,
    far: bool,
) -> None:
    """Painted car body and its windows, with wheel arches cut out of its lower edge."""
    length, width, height = size
    f = np.array([0, shape.bonnet, *shape.roof, shape.tail, 1.0])
    front = length / 2
    arch = radius * 1.17
    steps = np.array([-1.0, -0.7, 0, 0.7, 1.0] if far else [-1.001, -1, -0.87, -0.5, 0, 0.5, 0.87, 1, 1.001])
    arches = np.concatenate([a + arch * steps for a in axles])
    pillar = shape.roof[0] + (shape.roof[1] - shape.roof[0]) * (0.42 if shape.windows else 0.3)
    rear_pillar = shape.roof[1] - 0.015
    marks = np.array([0, 0.012, 0.04, 0.12, *f[1:-1], 0.985, 1, pillar - 0.008, pillar + 0.008, rear_pillar])
    x = np.unique(np.round(np.concatenate([front - marks * length, arches]), 4))[::-1]
    x = x[np.abs(x) <= front + 1e-6]
    t = (front - x) / length
    belt = height * np.interp(
        t,
        [0, 0.04, shape.bonnet, shape.roof[1], 0.985, 1],
        [shape.nose - 0.05, shape.nose, shape.belt - 0.03, shape.belt + 0.02, shape.boot, shape.boot - 0.06],
    )
    top = height * np.interp(
        t,
        [0, 0.04, shape.bonnet, *shape.roof, shape.tail, 0.99, 1],
        [
            shape.nose - 0.04,
            shape.nose + 0.02,
            shape.belt + 0.02,
            0.98,
            0.985,
            shape.boot + 0.03,
            shape.boot + 0.02,
            shape.boot - 0.05,
        ],
    )
    top += (
        height
        * 0.02
        * np.clip(np.sin(np.pi * np.clip((t - shape.roof[0]) / (shape.roof[1] - shape.roof[0]), 0, 1)), 0, 1)
    )
    top = np.maximum(top, belt + 0.015)
    half = (
        width / 2 * np.interp(t, [0, 0.012, 0.06, 0.18, 0.85, 0.96, 1], [0.78, 0.86, 0.95, 1, 1, 0.95, 0.84])
    )
    low = np.full_like(x, 0.12 * height + 0.02) + 0.05 * np.interp(t, [0, 0.05, 0.95, 1], [1, 0, 0, 1])
    for a in axles:
        inside = np.abs(x - a) <= arch
        lift = radius + np.sqrt(np.maximum(arch**2 - (x - a) ** 2, 0))
        low = np.where(inside, np.maximum(low, lift), low)
    cabin = np.clip((top - belt) / (height * 0.3), 0, 1)
    shoulder = half * (1 - 0.10 * cabin - 0.02)
    roof_edge = np.maximum(top - 0.03 - 0.05 * cabin, belt + 0.008)
    mid = np.maximum(np.maximum(0.36 * height, low + 0.02), 0.0)
    rows = [
        (half * 0.965, low),
        (half, np.maximum(low + 0.01, low * 0.5 + mid * 0.5)),
        (half * 1.0, np.maximum(mid, low + 0.015)),
        (half * 0.985, belt),
        (np.minimum(shoulder, half * 0.97) * (1 - 0.1 * cabin), roof_edge),
        (np.minimum(shoulder, half * 0.97) * (0.9 - 0.1 * cabin), top - 0.004),
        (np.minimum(shoulder, half) * 0.4, top + 0.01),
    ]
    ring = [(y, z) for y, z in rows] + [(-y, z) for y, z in rows[::-1]]
    points = np.stack([np.stack([x, y, z], -1) for y, z in ring], axis=1)  # (stations, ring, 3)
    shell = sheet(points[:, ::-1], smooth=True)
    cells = _glass_cells(t, f, (pillar, rear_pillar), shape, len(ring))
    made.add("glass", chosen_cells(shell, cells))
    made.add("body", chosen_cells(shell, ~cells))
    for end in (0, -1):  # nose and tail, filled with a fan of quads between mirrored points
        half_ring = np.stack([points[end, : len(rows)], points[end, : len(rows) - 1 : -1]], 0)
        made.add("body", sheet(half_ring if end == 0 else half_ring[:, ::-1]))
    inner = width / 2 - 0.28
    made.slab("dark", (-front + 0.25, -inner, 0.16), (front - 0.2, inner, height * shape.nose * 0.9))


def _glass_cells(
    t: FloatArray, f: FloatArray, pillars: tuple[float, float], shape: _Shape, ring: int
) -> BoolArray:
    """Mask (stations - 1, ring - 1) of the cells of the body that are windows."""
    middle = (t[:-1] + t[1:]) / 2
    cells = np.zeros((len(middle), ring - 1), bool)
    screen = ((middle > f[1]) & (middle < f[2])) | ((middle > f[3] + 0.005) & (middle < f[4] - 0.01))
    if not shape.windows and shape.roof[1] > 0.95:
        screen &= middle < 0.5
    side = (middle > f[1] + 0.06) & (middle < f[4] - 0.05)
    for pillar in pillars:
        side &= np.abs(middle - pillar) > 0.008
    if not shape.windows:
        side &= middle < pillars[0]
    for j in (4, 5, 6, ring - 7, ring - 6):
        cells[:, ring - 2 - j] |= screen
    cells[:, 4 : ring - 5] |= screen[:, None]
    cells[:, 3] |= side
    cells[:, ring - 5] |= side
    return cells


def _fittings(made: Builder, shape: _Shape, length: float, width: float, height: float) -> None:
    """Lamps, plates, bumpers, grille, mirrors."""
    front, half = length / 2, width / 2
    nose, boot = shape.nose * height, shape.boot * height
    for side in (1, -1):
        a, b = sorted((side * half * 0.5, side * half * 0.86))
        made.slab("bright", (front - 0.16, a, nose - 0.2), (front + 0.004, b, nose - 0.08))
        a, b = sorted((side * half * 0.6, side * half * 0.9))
        made.slab("tail", (-front - 0.005, a, boot - 0.26), (-front + 0.12, b, boot - 0.1))
        at = front - (shape.bonnet + 0.06) * length
        a, b = sorted((side * (half - 0.03), side * (half + 0.15)))
        made.slab(
            "body", (at - 0.07, a, shape.belt * height - 0.02), (at + 0.07, b, shape.belt * height + 0.13)
        )
    made.slab(
        "bright", (front - 0.02, -0.26, 0.32 * height - 0.05), (front + 0.015, 0.26, 0.32 * height + 0.06)
    )
    made.slab("bright", (-front - 0.012, -0.26, 0.45 * height - 0.05), (-front, 0.26, 0.45 * height + 0.06))
    made.slab("dark", (front - 0.1, -half * 0.45, nose - 0.2), (front + 0.008, half * 0.45, nose - 0.1))
    made.slab(
        "dark", (front - 0.12, -half * 0.7, 0.12 * height + 0.06), (front + 0.008, half * 0.7, 0.22 * height)
    )
    made.slab(
        "dark",
        (-front - 0.008, -half * 0.75, 0.13 * height + 0.05),
        (-front + 0.1, half * 0.75, 0.21 * height),
    )
