"""Vehicles: cars lofted from side profiles, vans, lorries, buses, bicycles with their riders.

A vehicle stands on z = 0 around (0, 0) and faces +x.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from metric_depth_ros.datasets.synthetic.mesh import ellipsoid, lathe, sheet, tube
from metric_depth_ros.datasets.synthetic.palette import Palette
from metric_depth_ros.datasets.synthetic.scene import Material, Role
from metric_depth_ros.datasets.synthetic.scenes.prefab import Builder, Parts, Prefab, chosen_cells, posed, slabs
from metric_depth_ros.types import FloatArray

VARIANTS = 40


@dataclass(frozen=True)
class _Shape:
    """A car's side profile in parts of its length, from the front, and of its height."""

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
    "hatchback": _Shape((3.7, 4.3), (1.68, 1.8), (1.42, 1.55), 0.27, (0.44, 0.86), 0.97, 0.63, 0.47, 0.62, share=4),
    "saloon": _Shape((4.4, 5.0), (1.75, 1.9), (1.4, 1.5), 0.29, (0.44, 0.72), 0.86, 0.64, 0.47, 0.66, share=4),
    "estate": _Shape((4.4, 4.9), (1.75, 1.88), (1.45, 1.55), 0.28, (0.43, 0.92), 0.985, 0.63, 0.47, 0.62, share=3),
    "suv": _Shape((4.2, 4.9), (1.8, 2.0), (1.62, 1.85), 0.27, (0.41, 0.9), 0.98, 0.62, 0.54, 0.62, share=4),
    "mpv": _Shape((4.2, 5.0), (1.78, 1.98), (1.65, 2.0), 0.17, (0.37, 0.93), 0.99, 0.57, 0.44, 0.56, share=2),
    "city": _Shape((2.7, 3.6), (1.55, 1.66), (1.45, 1.56), 0.2, (0.4, 0.88), 0.985, 0.6, 0.48, 0.6, share=2),
    "van": _Shape((4.8, 6.2), (1.9, 2.05), (1.95, 2.6), 0.13, (0.27, 0.985), 0.997, 0.53, 0.42, 0.5, False, share=2),
    "pickup": _Shape((5.0, 5.6), (1.85, 2.0), (1.75, 1.9), 0.27, (0.38, 0.58), 0.62, 0.6, 0.54, 0.58, share=1),
}  # fmt: skip


class Fleet:
    """The vehicles of one scene: each has its paint, the rest is shared."""

    def __init__(self, rng: np.random.Generator, palette: Palette) -> None:
        """Draws what is shared."""
        self._rng, self._palette = rng, palette
        grey = float(rng.uniform(0.3, 0.6))
        self._shared = {
            "glass": palette.draw("glass", colour=(0.02, 0.025, 0.03)),
            "dark": palette.draw("plastic", colour=(0.015, 0.015, 0.016)),
            "bright": palette.draw("metal", colour=(grey, grey, grey)),
            "tail": palette.draw("plastic", colour=(0.35, 0.01, 0.01)),
        }

    def car(self, *, far: bool = False) -> tuple[Parts, Prefab]:
        """A car or van in a paint of its own, and its prefab; ``far`` has half of the triangles."""
        prefab = _car(int(self._rng.integers(VARIANTS)), far)
        return prefab.dressed(self._materials("body")), prefab

    def lorry(self) -> tuple[Parts, Prefab]:
        """A lorry, box van or bus, and its prefab."""
        prefab = _heavy(int(self._rng.integers(18)))
        return prefab.dressed(self._materials("body", "cargo")), prefab

    def two_wheeler(self, *, ridden: bool) -> tuple[Parts, Prefab]:
        """A bicycle or moped, ridden or on its stand, and its prefab."""
        prefab = _two_wheeler(int(self._rng.integers(10)), ridden)
        materials = self._materials("body")
        if ridden:
            for slot, role in _CLOTHES.items():
                materials[slot] = self._palette.draw(role)
        return prefab.dressed(materials), prefab

    def _materials(self, *painted: str) -> dict[str, Material]:
        return self._shared | {slot: self._palette.draw("paint") for slot in painted}


_CLOTHES: dict[str, Role] = {"cloth": "fabric", "legs": "fabric", "skin": "skin"}


@lru_cache(maxsize=None)
def _car(variant: int, far: bool = False) -> Prefab:
    rng = np.random.default_rng([71, variant])
    shares = np.array([s.share for s in _SHAPES.values()])
    shape = list(_SHAPES.values())[int(np.searchsorted(np.cumsum(shares) / shares.sum(), (variant + 0.5) / VARIANTS))]
    length, width, height = (float(rng.uniform(*bounds)) for bounds in (shape.length, shape.width, shape.height))
    radius = float(np.clip(0.2 * height + rng.uniform(-0.01, 0.04), 0.28, 0.4))
    axles = (length * (0.5 - rng.uniform(0.17, 0.2)), -length * (0.5 - rng.uniform(0.17, 0.21)))
    made = Builder()
    _body(made, shape, (length, width, height), radius, axles, far=far)
    for x in axles:
        for side in (1, -1):
            _wheel(made, x, side * (width / 2 - 0.13), radius, 0.2, side, far=far)
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
    """The painted shell and its windows, with wheel arches cut out of its lower edge."""
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
        t, [0, 0.04, shape.bonnet, shape.roof[1], 0.985, 1], [shape.nose - 0.05, shape.nose, shape.belt - 0.03,
        shape.belt + 0.02, shape.boot, shape.boot - 0.06])  # fmt: skip
    top = height * np.interp(
        t, [0, 0.04, shape.bonnet, *shape.roof, shape.tail, 0.99, 1],
        [shape.nose - 0.04, shape.nose + 0.02, shape.belt + 0.02, 0.98, 0.985, shape.boot + 0.03, shape.boot + 0.02,
         shape.boot - 0.05])  # fmt: skip
    top += height * 0.02 * np.clip(np.sin(np.pi * np.clip((t - shape.roof[0]) / (shape.roof[1] - shape.roof[0]), 0, 1)), 0, 1)
    top = np.maximum(top, belt + 0.015)
    half = width / 2 * np.interp(t, [0, 0.012, 0.06, 0.18, 0.85, 0.96, 1], [0.78, 0.86, 0.95, 1, 1, 0.95, 0.84])
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
) -> FloatArray:
    """(stations - 1, ring - 1) which cells of the shell are windows."""
    middle = (t[:-1] + t[1:]) / 2
    cells = np.zeros((len(middle), ring - 1), bool)
    n = ring // 2
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
    assert n >= 5
    return cells


def _wheel(
    made: Builder, x: float, y: float, radius: float, width: float, side: int, *, far: bool = False
) -> None:
    """A tyre and its rim, the axis along y, the rim to ``side``."""
    T = posed((x, y, radius), roll_deg=-90 * side)
    half = width / 2
    tread = [(radius * 0.95, -half), (radius, -half * 0.7), (radius, half * 0.7), (radius * 0.68, half * 0.95)]
    made.add("dark", lathe(tread[2:] if far else tread, segments=9 if far else 14), T)
    rim = [(radius * 0.68, half * 0.95), (radius * 0.5, half * 0.6), (0.03, half * 0.85)]
    made.add("bright", lathe(rim[::2] if far else rim, segments=9, smooth=False), T)


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
        made.slab("body", (at - 0.07, a, shape.belt * height - 0.02), (at + 0.07, b, shape.belt * height + 0.13))
    made.slab("bright", (front - 0.02, -0.26, 0.32 * height - 0.05), (front + 0.015, 0.26, 0.32 * height + 0.06))
    made.slab("bright", (-front - 0.012, -0.26, 0.45 * height - 0.05), (-front, 0.26, 0.45 * height + 0.06))
    made.slab("dark", (front - 0.1, -half * 0.45, nose - 0.2), (front + 0.008, half * 0.45, nose - 0.1))
    made.slab("dark", (front - 0.12, -half * 0.7, 0.12 * height + 0.06), (front + 0.008, half * 0.7, 0.22 * height))
    made.slab("dark", (-front - 0.008, -half * 0.75, 0.13 * height + 0.05), (-front + 0.1, half * 0.75, 0.21 * height))


@lru_cache(maxsize=None)
def _heavy(variant: int) -> Prefab:
    rng = np.random.default_rng([72, variant])
    made = Builder()
    if variant % 3 == 0:
        _bus(made, rng)
    else:
        _truck(made, rng, long=variant % 3 == 1)
    return made.prefab()


def _truck(made: Builder, rng: np.random.Generator, *, long: bool) -> None:
    """A cab, a chassis and a box, tank or flat bed."""
    length = float(rng.uniform(10, 16) if long else rng.uniform(5.5, 8))
    half, cab_height = (1.25, float(rng.uniform(2.8, 3.7))) if long else (1.1, float(rng.uniform(2.2, 2.7)))
    front, cab = length / 2, float(rng.uniform(1.8, 2.3))
    x = front - np.array([0, 0.03, 0.12, 0.5, cab * 0.9, cab])
    top = cab_height * np.array([0.55, 0.58, 0.97, 1, 1, 0.98])
    wide = half * np.array([0.93, 0.96, 0.98, 1, 1, 1]) * 0.97
    ring = [(wide, 0.5 + 0 * x), (wide, 0.45 * top + 0.3), (wide * 0.97, top * 0.94), (wide * 0.85, top)]
    points = np.stack(
        [np.stack([x, y, z], -1) for y, z in [*ring, *((-y, z) for y, z in ring[::-1])]], axis=1
    )
    made.add("body", sheet(points[:, ::-1], smooth=False))
    for end in (0, -1):
        half_ring = np.stack([points[end, :4], points[end, :3:-1]], 0)
        made.add("body", sheet(half_ring if end == 0 else half_ring[:, ::-1]))
    z = cab_height * 0.55
    made.slab("glass", (front - 0.2, -half * 0.82, z), (front - 0.035, half * 0.82, z + cab_height * 0.3))
    made.slab("glass", (front - 1.2, -half * 0.985, z), (front - 0.3, half * 0.985, z + cab_height * 0.26))
    made.slab("dark", (front - 0.1, -half * 0.8, 0.75), (front + 0.02, half * 0.8, z - 0.15))
    made.slab("dark", (front - 0.3, -half * 0.97, 0.35), (front + 0.05, half * 0.97, 0.65))
    for side in (1, -1):
        a, b = sorted((side * half * 0.62, side * half * 0.9))
        made.slab("bright", (front - 0.1, a, 0.68), (front + 0.055, b, 0.86))
        made.slab("tail", (-front - 0.02, a, 0.75), (-front + 0.05, b, 0.95))
        a, b = sorted((side * half, side * (half + 0.25)))
        made.slab("dark", (front - 0.25, a, z + 0.05), (front - 0.1, b, z + 0.75))
    made.slab("dark", (-front, -half * 0.6, 0.6), (front - 1, half * 0.6, 0.95))
    made.slab("bright", (-front - 0.03, -0.28, 0.6), (-front, 0.28, 0.73))
    deck, end = (1.15, front - cab - 0.25) if long else (0.9, front - cab - 0.1)
    high = float(rng.uniform(2.3, 3.9) if long else rng.uniform(2.6, 3.3))
    kind = float(rng.random())
    if kind < 0.7:
        made.slab("cargo", (-front, -half, deck), (end, half, high))
        made.slab("bright", (-front - 0.015, -0.02, deck), (-front, 0.02, high))
        for z in (deck, high - 0.08):
            made.slab("dark", (-front - 0.01, -half - 0.01, z), (end, half + 0.01, z + 0.08))
    elif kind < 0.85:
        tank = lathe([(0, 0), (0.9, 0.05), (1.1, 0.4), (1.1, end + front - 0.4), (0.9, end + front - 0.05), (0, end + front)])
        made.add("cargo", tank, posed((-front, 0, deck + 1.0), pitch_deg=90))
    else:
        made.slab("cargo", (-front, -half, deck), (end, half, deck + 0.2))
        for y in (-half, half - 0.05):
            made.slab("cargo", (-front, y, deck), (end, y + 0.05, deck + 0.7))
    wheels = [front - 0.9, -front + 1.4, -front + 2.6] if long else [front - 0.8, -front + 1.3]
    if long:
        wheels += [-front + 3.8, front - 3.6]
    for x_wheel in wheels:
        for side in (1, -1):
            _wheel(made, x_wheel, side * (half - 0.2), 0.5 if long else 0.4, 0.32, side)


def _bus(made: Builder, rng: np.random.Generator) -> None:
    length, high, half = float(rng.uniform(9, 13)), float(rng.uniform(2.9, 3.3)), 1.25
    if rng.random() < 0.15:
        high = 4.2
    front = length / 2
    made.slab("body", (-front, -half, 0.35), (front, half, high))
    made.slab("body", (-front + 1, -half * 0.7, high), (front - 2, half * 0.7, high + 0.18))
    lines = [1.1] if high < 4 else [1.1, 2.7]
    for z in lines:
        tall = 1.15
        edges = np.arange(-front + 0.5, front - 0.6, 1.45)
        low = np.stack([edges, np.full_like(edges, -half - 0.012), np.full_like(edges, z)], -1)
        step = np.array([1.36, 2 * half + 0.024, tall])
        made.add("glass", slabs(low, low + step))
        made.slab("glass", (front - 0.1, -half * 0.93, z - 0.1), (front + 0.015, half * 0.93, z + tall + 0.1))
        made.slab("glass", (-front - 0.012, -half * 0.8, z + 0.2), (-front + 0.1, half * 0.8, z + tall))
    for x in (front - 1.3, 0.2):
        made.slab("glass", (x - 0.6, -half - 0.015, 0.45), (x + 0.6, -half + 0.1, 2.25))
    made.slab("dark", (front - 0.2, -half, 0.35), (front + 0.04, half, 0.6))
    made.slab("bright", (front, -half * 0.5, high - 0.38), (front + 0.02, half * 0.5, high - 0.12))
    for side in (1, -1):
        a, b = sorted((side * half * 0.6, side * half * 0.93))
        made.slab("bright", (front - 0.1, a, 0.62), (front + 0.02, b, 0.85))
        made.slab("tail", (-front - 0.015, a, 0.8), (-front + 0.1, b, 1.25))
        a, b = sorted((side * half, side * (half + 0.2)))
        made.slab("dark", (front + 0.02, a, 1.9), (front + 0.14, b, 2.4))
        for x in (front - 2.6, -front + 2.9):
            _wheel(made, x, side * (half - 0.12), 0.48, 0.3, side)
    made.slab("bright", (-front - 0.012, -0.27, 0.62), (-front, 0.27, 0.74))


@lru_cache(maxsize=None)
def _two_wheeler(variant: int, ridden: bool) -> Prefab:
    rng = np.random.default_rng([73, variant])
    made = Builder()
    moped = variant % 5 == 4
    radius, base = (0.28, 1.25) if moped else (float(rng.uniform(0.31, 0.35)), float(rng.uniform(0.98, 1.1)))
    thick = 0.05 if moped else 0.02
    turn = np.linspace(0, 2 * np.pi, 17)
    ring = np.stack([(radius - thick) * np.cos(turn), 0 * turn, (radius - thick) * np.sin(turn)], -1)
    seat, bar = (-0.25 * base, 0.0, 0.78 if moped else 0.95), (0.36 * base, 0.0, 1.02)
    for x in (base / 2, -base / 2):
        made.add("dark", tube(ring + (x, 0, radius), thick, segments=5))
        for angle in np.arange(6) * np.pi / 6:
            way = (radius - thick) * np.array([np.cos(angle), 0, np.sin(angle)])
            made.add("bright", tube(np.stack([-way, way]) + (x, 0, radius), 0.004, segments=3))
    crank = (-0.05, 0.0, radius * 0.9)
    frame = [
        (crank, (seat[0] + 0.03, 0, seat[2] - 0.1)), ((seat[0] + 0.04, 0, seat[2] - 0.18), (bar[0] - 0.03, 0, bar[2] - 0.2)),
        (crank, (bar[0] - 0.02, 0, bar[2] - 0.25)), (crank, (-base / 2, 0, radius)),
        ((-base / 2, 0, radius), (seat[0] + 0.03, 0, seat[2] - 0.2)), ((base / 2, 0, radius), (bar[0], 0, bar[2] - 0.02)),
        ((bar[0] - 0.05, -0.28, bar[2]), (bar[0] - 0.05, 0.28, bar[2])),
    ]  # fmt: skip
    for a, b in frame:
        made.add("body", tube(np.array([a, b]), 0.06 if moped else 0.019, segments=6))
    made.slab("dark", (seat[0] - 0.14, -0.08, seat[2] - 0.04), (seat[0] + (0.4 if moped else 0.12), 0.08, seat[2] + 0.04))
    if moped:
        made.slab("body", (-0.75, -0.14, 0.4), (-0.1, 0.14, 0.72))
        made.slab("body", (0.35, -0.2, 0.35), (0.42, 0.2, 0.95))
        made.slab("body", (-0.2, -0.18, 0.24), (0.4, 0.18, 0.34))
        made.slab("tail", (-0.78, -0.08, 0.6), (-0.74, 0.08, 0.68))
    if ridden:
        _rider(made, np.array(seat), np.array(bar), rng)
    return made.prefab()


def _rider(made: Builder, seat: FloatArray, bar: FloatArray, rng: np.random.Generator) -> None:
    hip = seat + (0, 0, 0.1)
    lean = float(rng.uniform(0.1, 0.35))
    neck = hip + (0.52 * np.sin(lean) + 0.02, 0, 0.52 * np.cos(lean))
    trunk = ellipsoid(0.24, 0.38, 0.62, power=0.7, segments=12)
    made.add("cloth", trunk, posed(hip - (0, 0, 0.06), pitch_deg=np.degrees(lean)))
    made.add("skin", ellipsoid(0.19, 0.16, 0.24, segments=10), posed(neck + (0.03, 0, 0.02)))
    made.add("dark", ellipsoid(0.23, 0.19, 0.16, segments=10), posed(neck + (0.02, 0, 0.13)))
    for side in (1, -1):
        y = side * 0.17
        elbow = (neck + bar) / 2 + (0.0, side * 0.22, -0.1)
        made.add("cloth", tube(np.stack([neck + (0, y, -0.08), elbow, bar + (-0.05, side * 0.24, 0.02)]), 0.045))
        foot = np.array([0.02 + side * 0.12, side * 0.12, 0.3 + side * 0.12])
        knee = (hip + foot) / 2 + (0.22, 0, 0.05)
        leg = np.stack([hip + (0, side * 0.1, 0), knee + (0, side * 0.03, 0), foot])
        made.add("legs", tube(leg, 0.065))
        made.add("dark", ellipsoid(0.26, 0.1, 0.09, segments=8), posed(foot + (0.04, 0, -0.07)))

