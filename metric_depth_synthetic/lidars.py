"""Simulated LiDARs: spinning lines and solid-state patterns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from metric_depth_ros.datasets.shard_layout import Scan
from metric_depth_ros.types import BoolArray, FloatArray, IntArray
from metric_depth_synthetic.sensors import from_angles, in_world, mounted
from metric_depth_synthetic.world import Hits, World, lifted

# A return of this strength is lost with probability 1/e. Strength is 1 for white at the maximum range: dark
# asphalt at half of it, hit at a grazing angle, is mostly lost.
_FAINT = 0.15
# Beams divide their energy between two surfaces if the range jumps by this fraction.
_JUMP = 0.05
# Cosine of the largest angle between neighbouring beams: 3 degrees.
_NEIGHBOURS = 0.9986


@dataclass(frozen=True)
class LidarNoise:
    """Noise and errors of a LiDAR's ranges. ``scan(noise=False)`` leaves all of them out.

    Attributes:
        range_sigma_m, range_sigma_part: standard deviation of the range: a + b * range.
        dropout: fraction of the beams lost at random.
        faint: strength of the loss of weak returns, from far, dark or grazing surfaces; 0 for none.
        edges: probability that a beam at an edge gives a point between the two surfaces.
        mirrors: factor on the mirror fraction of surfaces: mirrored beams give the mirrored scene behind the
            surface, or nothing.
        outliers: fraction of the points at a random place along their beam.
    """

    range_sigma_m: float = 0.015
    range_sigma_part: float = 0.0005
    dropout: float = 0.01
    faint: float = 1.0
    edges: float = 0.15
    mirrors: float = 1.0
    outliers: float = 0.0005


@dataclass(frozen=True, eq=False)
class SpinningLidar:
    """Spinning LiDAR: lines at fixed elevations rotate about the vertical axis; a turn is instantaneous.

    Attributes:
        lines: 1 to 64 (or more), evenly from ``fov_down_deg`` to ``fov_up_deg``; elevations are positive
            upwards, and one line lies in the middle.
        azimuth_step_deg, azimuth_deg: angle between beams of a line; first and last direction, left positive.
        min_range_m, max_range_m: limits of the reported range.
    """

    lines: int = 16
    fov_down_deg: float = -15.0
    fov_up_deg: float = 15.0
    azimuth_step_deg: float = 0.2
    azimuth_deg: tuple[float, float] = (-180.0, 180.0)
    min_range_m: float = 0.4
    max_range_m: float = 100.0
    noise: LidarNoise = LidarNoise()
    T_camera_sensor: FloatArray = field(default_factory=lambda: mounted(0.0, -0.15, -0.1))

    @property
    def directions(self) -> FloatArray:
        """Unit directions (lines * N, 3) in the sensor's frame, line by line from the lowest."""
        if self.lines == 1:
            elevations = np.array([(self.fov_down_deg + self.fov_up_deg) / 2])
        else:
            elevations = np.linspace(self.fov_down_deg, self.fov_up_deg, self.lines)
        first, last = self.azimuth_deg
        count = max(round((last - first) / self.azimuth_step_deg), 1)
        azimuths = first + self.azimuth_step_deg * np.arange(count)
        return from_angles(azimuths, elevations[:, None])

    def scan(
        self, world: World, T_world_camera: FloatArray, rng: np.random.Generator, *, noise: bool = True
    ) -> Scan:
        """One turn. Beams without a return have no point; ``noise=False``: exact, with all returns."""
        return _lidar_scan(self, self.directions, world, T_world_camera, rng, noise=noise)


@dataclass(frozen=True, eq=False)
class SolidStateLidar:
    """Solid-state LiDAR: beams in a cone or window, in a pattern that differs from scan to scan.

    Attributes:
        pattern: "rosette", of two turning prisms, in a cone ``fov_deg[0]`` wide; or "lissajous", of two
            swinging mirrors, in a window.
        fov_deg: full width and height.
        points: beams in one scan.
    """

    pattern: Literal["rosette", "lissajous"] = "rosette"
    fov_deg: tuple[float, float] = (70.0, 70.0)
    points: int = 10_000
    min_range_m: float = 0.1
    max_range_m: float = 90.0
    noise: LidarNoise = LidarNoise()
    T_camera_sensor: FloatArray = field(default_factory=lambda: mounted(0.08, 0.0, 0.0))

    def directions(self, start: float) -> FloatArray:
        """Unit directions (points, 3) in the sensor's frame, of the scan from ``start`` turns on."""
        turns = start + np.arange(self.points) / self.points
        # Frequencies whose ratio is far from a ratio of small integers fill the field evenly.
        if self.pattern == "rosette":
            a, b = 2 * np.pi * 73.0 * turns, -2 * np.pi * 46.127 * turns
            across, up = (np.cos(a) + np.cos(b)) / 2, (np.sin(a) + np.sin(b)) / 2
        else:
            across, up = np.sin(2 * np.pi * 61.0 * turns), np.sin(2 * np.pi * 9.7361 * turns)
        azimuths, elevations = across * self.fov_deg[0] / 2, up * self.fov_deg[1] / 2
        return from_angles(azimuths, elevations)

    def scan(
        self, world: World, T_world_camera: FloatArray, rng: np.random.Generator, *, noise: bool = True
    ) -> Scan:
        """One scan, from a random start in the pattern. ``noise=False``: exact, with all returns."""
        return _lidar_scan(
            self, self.directions(rng.uniform(0, 1e4)), world, T_world_camera, rng, noise=noise
        )


def _lidar_scan(
    lidar: SpinningLidar | SolidStateLidar,
    directions: FloatArray,
    world: World,
    T_world_camera: FloatArray,
    rng: np.random.Generator,
    *,
    noise: bool,
) -> Scan:
    origin, ways = in_world(T_world_camera @ lidar.T_camera_sensor, directions)
    hits = world.cast(origin, ways)
    range_m: FloatArray = hits.range_m.astype(np.float64)
    wrong: BoolArray = np.zeros(len(range_m), bool)
    if noise:
        range_m, wrong = _disturbed(lidar.noise, lidar.max_range_m, range_m, hits, world, origin, ways, rng)
    kept = (range_m >= lidar.min_range_m) & (range_m <= lidar.max_range_m)
    points = directions[kept] * range_m[kept, None]
    return Scan(
        points.astype(np.float32), hits.thing[kept].astype(np.int32), wrong[kept], lidar.T_camera_sensor
    )


def _disturbed(
    kind: LidarNoise,
    max_range_m: float,
    range_m: FloatArray,
    hits: Hits,
    world: World,
    origin: FloatArray,
    ways: FloatArray,
    rng: np.random.Generator,
) -> tuple[FloatArray, BoolArray]:
    """Ranges (N,) with noise, inf for lost ones, and the mask of the outliers."""
    count = len(range_m)
    albedo, mirror = _optics(world)
    material = world.material_of[np.maximum(hits.triangle, 0)]
    out, wrong = _mixed_edges(kind.edges, range_m, ways, rng)
    mirrored = np.flatnonzero((rng.random(count) < kind.mirrors * mirror[material]) & (hits.triangle >= 0))
    if len(mirrored):
        # The beam either continues to the mirrored scene, seen behind it, or its echo misses the sensor.
        out[mirrored] = range_m[mirrored] + _after_mirror(world, origin, ways, hits, mirrored)
        out[mirrored[rng.random(len(mirrored)) < 0.5]] = np.inf
        wrong[mirrored] = True
    strength = albedo[material] * hits.cosine * (max_range_m / np.maximum(out, 1e-3)) ** 2
    lost = rng.random(count) < kind.dropout
    if kind.faint > 0:
        lost |= rng.random(count) < np.exp(-strength / (_FAINT * kind.faint))
    stray = rng.random(count) < kind.outliers
    reach = np.where(np.isfinite(out), out, max_range_m)
    out = np.where(stray, reach * rng.random(count), out)
    wrong |= stray
    with np.errstate(invalid="ignore"):
        out = out + rng.normal(0, 1, count) * (kind.range_sigma_m + kind.range_sigma_part * out)
    out[lost & ~stray | np.isnan(out)] = np.inf
    return out, wrong


def _mixed_edges(
    chance: float, range_m: FloatArray, ways: FloatArray, rng: np.random.Generator
) -> tuple[FloatArray, BoolArray]:
    """Ranges (N,) in which some beams at edges lie between the two surfaces, and the mask of these."""
    after = np.roll(range_m, -1)
    with np.errstate(invalid="ignore"):
        edge = np.abs(after - range_m) > _JUMP * np.minimum(after, range_m)
    edge &= np.isfinite(after) & np.isfinite(range_m)
    # The last beam of a line is no neighbour of the first beam of the next.
    edge &= np.einsum("ij,ij->i", ways, np.roll(ways, -1, axis=0)) > _NEIGHBOURS
    share = rng.random(len(range_m))
    mixed = edge & (rng.random(len(range_m)) < chance)
    # Not range_m + share * (after - range_m): infinite ranges would become NaN.
    out = np.where(mixed, 0.0, range_m)
    out[mixed] = range_m[mixed] * (1 - share[mixed]) + after[mixed] * share[mixed]
    return out, mixed


def _after_mirror(
    world: World, origin: FloatArray, ways: FloatArray, hits: Hits, which: IntArray
) -> FloatArray:
    """Distance in metres from a mirror to the next surface on the beam; inf without one."""
    ways, normals, range_m = ways[which], hits.normals[which], hits.range_m[which]
    along = np.einsum("ij,ij->i", normals, ways)
    start = lifted(origin + ways * range_m[:, None], normals, range_m)
    return world.cast(start, ways - 2 * along[:, None] * normals).range_m


def _optics(world: World) -> tuple[FloatArray, FloatArray]:
    """Backscatter (M,) and mirror fraction (M,) of the materials."""
    albedo = [np.mean([m.colour, m.colour_2]) for m in world.materials]
    return np.clip(albedo, 0.02, 1.0), np.array([m.mirror for m in world.materials])


LIDARS: Mapping[str, SpinningLidar] = {
    "VLP-16": SpinningLidar(),
    "HDL-64": SpinningLidar(64, -24.8, 2.0, 0.18, min_range_m=0.9, max_range_m=120.0),
    "OS1-32": SpinningLidar(32, -22.5, 22.5, 0.3516, min_range_m=0.3, max_range_m=120.0),
    "single-line": SpinningLidar(1, 0.0, 0.0, 0.25, (-135.0, 135.0), min_range_m=0.06, max_range_m=30.0),
}
