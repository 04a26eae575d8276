"""Terrain with hills, a curved road, and surface strips along it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metric_depth_ros.types import FloatArray
from metric_depth_synthetic.mesh import Mesh, joined, sheet
from metric_depth_synthetic.scenes.prefab import chosen_cells, without_slivers

HORIZON_M = 1200.0


class Land:
    """Ground heights, and the coordinates of a road: s metres along it, t metres to its left."""

    def __init__(
        self,
        rng: np.random.Generator,
        *,
        bend: float = 0.0,
        slope: float = 0.0,
        reach: tuple[float, float] = (-90, 260),
    ) -> None:
        """A road through the origin along +x.

        Args:
            bend: largest curvature, 1/m.
            slope: typical steepness, such as 0.04.
            reach: first and last s of the road.
        """
        angle = rng.uniform(0, 2 * np.pi, 4)
        wave = 2 * np.pi / np.array([rng.uniform(90, 160), rng.uniform(150, 260), rng.uniform(260, 500), 900])
        self._wave = np.stack([np.cos(angle), np.sin(angle)], 1) * wave[:, None]
        self._phase = rng.uniform(0, 2 * np.pi, 4)
        self._height = slope * np.array([0.25, 0.5, 0.6, 0.5]) / wave
        self._zero = 0.0
        self._zero = float(self.z(0.0, 0.0))
        self.reach = reach
        s = np.arange(reach[0] - 20, reach[1] + 21, 1.0)
        start = int(np.argmin(np.abs(s)))
        curvature = bend * np.sin(2 * np.pi * s / rng.uniform(150, 400) + rng.uniform(0, 2 * np.pi))
        heading = np.cumsum(curvature)
        heading -= heading[start]
        x, y = np.cumsum(np.cos(heading)), np.cumsum(np.sin(heading))
        self._s, self._heading = s, heading
        self._x, self._y = x - x[start], y - y[start]

    def z(self, x: FloatArray | float, y: FloatArray | float) -> FloatArray:
        """Ground height in metres at world positions."""
        at_x, at_y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        phase = at_x[..., None] * self._wave[:, 0] + at_y[..., None] * self._wave[:, 1] + self._phase
        out: FloatArray = np.sin(phase) @ self._height - self._zero
        return out

    def tilt(self, x: float, y: float) -> tuple[float, float]:
        """Slope of the ground along x and y."""
        phase = self._wave @ np.array([x, y]) + self._phase
        gradient = (np.cos(phase) * self._height) @ self._wave
        return float(gradient[0]), float(gradient[1])

    def heading(self, s: FloatArray | float) -> FloatArray:
        """Direction of the road at s, radians from +x."""
        return np.asarray(np.interp(s, self._s, self._heading))

    def xy(self, s: FloatArray | float, t: FloatArray | float) -> tuple[FloatArray, FloatArray]:
        """World x and y of places on the road."""
        h = self.heading(s)
        x, y = np.interp(s, self._s, self._x), np.interp(s, self._s, self._y)
        return x - np.sin(h) * t, y + np.cos(h) * t

    def points(self, s: FloatArray, t: FloatArray, lift: FloatArray | float = 0.0) -> FloatArray:
        """World points (..., 3) of places on the road, ``lift`` metres above the ground."""
        x, y = self.xy(s, t)
        return np.stack([x, y, self.z(x, y) + lift], axis=-1)

    def distance(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Approximate distance to the road's centre line in metres, accurate to a few metres."""
        line = np.stack([self._x[::6], self._y[::6]], 1)
        points = np.stack([x, y], -1)
        out: FloatArray = np.sqrt(((points[..., None, :] - line) ** 2).sum(-1).min(-1))
        return out


@dataclass(frozen=True)
class Band:
    """Strip along a road, from the end of the previous strip to ``to`` metres left of the middle.

    Attributes:
        name: name of its surface.
        lift: height above the ground at its end, metres.
        steps: cells across.
    """

    name: str
    to: float
    lift: float
    steps: int = 1


def ribbon(land: Land, s: FloatArray, start: tuple[float, float], bands: Sequence[Band]) -> dict[str, Mesh]:
    """Surfaces of a road by band name, from ``start``, (t, lift), across the bands."""
    t, lift, names = [start[0]], [start[1]], []
    for band in bands:
        for k in range(band.steps):
            t.append(t[-1] + (band.to - t[-1]) / (band.steps - k))
            lift.append(lift[-1] + (band.lift - lift[-1]) / (band.steps - k))
            names.append(band.name)
    grid_s, grid_t = np.broadcast_arrays(np.asarray(s, np.float64)[:, None], np.array(t))
    points = land.points(grid_s, grid_t, np.array(lift))
    # (along t) x (along s) points down; with t in reverse order it points up.
    surface = sheet(points[:, ::-1])
    order = np.array(names)[::-1]
    out = {}
    for name in dict.fromkeys(names):
        cells = np.broadcast_to(order == name, (len(grid_s) - 1, len(names)))
        out[name] = chosen_cells(surface, cells)
    return out


def marks(
    land: Land, s: FloatArray, t: FloatArray, length: FloatArray, width: FloatArray, lift: float
) -> Mesh:
    """N painted bars: centres at (s, t), ``length`` along the road, ``width`` across."""
    s, t, length, width = np.broadcast_arrays(*(np.asarray(a, np.float64) for a in (s, t, length, width)))
    signs = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    at_s = s[:, None] + signs[:, 0] * length[:, None] / 2
    at_t = t[:, None] + signs[:, 1] * width[:, None] / 2
    p = land.points(at_s, at_t, lift).astype(np.float32)
    corners = np.concatenate([p[:, [0, 1, 2]], p[:, [0, 2, 3]]])
    flat = np.broadcast_to(np.array([0, 0, 1], np.float32), corners.shape)
    return Mesh(corners, flat, corners[..., :2].copy())


def terrain(land: Land, half_width: float) -> Mesh:
    """Ground to the horizon, lowered under the road's own surfaces (within ``half_width`` of it)."""
    radius = np.concatenate([[0.0], np.geomspace(8, HORIZON_M, 25)])
    angle = np.linspace(0, 2 * np.pi, 41)
    x, y = radius[:, None] * np.cos(angle), radius[:, None] * np.sin(angle)
    near = np.clip((half_width - 1 - land.distance(x, y)) / 3 + 1, 0, 1)
    z = land.z(x, y) - 0.7 * near
    # Far away the ground becomes flat, so a hill does not hide everything.
    z *= np.exp(-((radius / 600) ** 2))[:, None]
    points = np.stack([x, y, z], -1)
    return without_slivers(sheet(points[:, ::-1]))


def skyline(
    rng: np.random.Generator, land: Land, radius: float, height: float, rough: float, *, steps: bool = False
) -> Mesh:
    """Distant skyline all around: hills and woods, or with ``steps`` the roofs of a town."""
    n = 90
    angle = np.linspace(0, 2 * np.pi, n + 1)
    waves = rng.normal(size=(8, 1)) / np.arange(1, 9)[:, None] ** 0.8
    turn = np.arange(1, 9)[:, None] * angle * 2 + rng.uniform(0, 2 * np.pi, (8, 1))
    top = height * np.clip(0.6 + 0.4 * (waves * np.sin(turn)).sum(0), 0.0, 2)
    top = top + rough * height * rng.normal(size=n + 1)
    if steps:
        angle = np.repeat(angle, 2)[1:-1]
        top = np.repeat(top[:-1], 2)
    top[-1] = top[0]
    r = radius * (1 + 0.1 * np.sin(angle * 3 + rng.uniform(0, 6)))
    x, y = r * np.cos(angle), r * np.sin(angle)
    base = land.z(x, y) * np.exp(-((r / 600) ** 2)) - 3
    low, high = np.stack([x, y, base], -1), np.stack([x, y, base + 3 + np.maximum(top, 0.3)], -1)
    return without_slivers(sheet(np.stack([low, high])[:, ::-1]))


__all__ = ["HORIZON_M", "Band", "Land", "joined", "marks", "ribbon", "skyline", "terrain"]
