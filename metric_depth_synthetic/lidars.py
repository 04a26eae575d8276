"""LiDARs simulated in a synthetic world: spinning lines and solid-state patterns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from metric_depth_ros.datasets.shard_layout import Scan
from metric_depth_ros.types import BoolArray, FloatArray, IntArray
from metric_depth_synthetic.sensors import from_angles, in_world, mounted
from metric_depth_synthetic.world import Hits, World, lifted

# A return of this strength is lost one time in e. Strength is 1 for white at the maximum range: dark
# asphalt at half of it, met at a grazing angle, is mostly lost.
_FAINT = 0.15
# Beams share their energy between two surfaces where the range jumps by this part.
_JUMP = 0.05
# Cosine of the largest angle between neighbouring beams: 3 degrees.
_NEIGHBOURS = 0.9986


@dataclass(frozen=True)
class LidarNoise:
    """What is wrong with a LiDAR's ranges. ``scan(noise=False)`` leaves all of it out.

    Attributes:
        range_sigma_m, range_sigma_part: standard deviation of the range: a + b * range.
        dropout: part of the beams that is lost for no reason.
        faint: how readily weak returns are lost: from far, dark or grazing surfaces; 0 for never.
        edges: chance that a beam at an edge gives a point between the two surfaces.
        mirrors: how much of the mirror share of a surface counts: such beams give the mirrored scene
            behind the surface, or nothing.
        outliers: part of the points that lie anywhere along their beam.
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
    """Lines at fixed elevations turned about the vertical axis; one turn at one instant.

    Attributes:
        lines: 1 to 64 (or more), evenly from ``fov_down_deg`` to ``fov_up_deg``; elevations are positive
            upwards, and one line lies in the middle.
        azimuth_step_deg, azimuth_deg: between beams of a line; first and last direction, left is positive.
        min_range_m, max_range_m: nothing is reported outside.
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
        """(lines * N, 3) unit, in the sensor's frame, line by line from the lowest."""
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
        """One turn. Beams that return nothing have no point; ``noise=False``: exact and all of them."""
        return _lidar_scan(self, self.directions, world, T_world_camera, rng, noise=noise)


@dataclass(frozen=True, eq=False)
class SolidStateLidar:
    """Beams in a cone or window ahead, in a pattern that does not repeat from scan to scan.

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
        """(points, 3) unit, in the sensor's frame, of the scan that begins ``start`` turns in."""
        turns = start + np.arange(self.points) / self.points
        # Frequencies whose ratio is far from a fraction of small numbers fill the field evenly.
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
        """One scan, from a random place in the pattern. ``noise=False``: exact, and all that return."""
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
    """Ranges (N,) as a LiDAR would report them, inf for lost ones, and which of them are far off."""
    count = len(range_m)
    albedo, mirror = _optics(world)
    material = world.material_of[np.maximum(hits.triangle, 0)]
    out, wrong = _mixed_edges(kind.edges, range_m, ways, rng)
    mirrored = np.flatnonzero((rng.random(count) < kind.mirrors * mirror[material]) & (hits.triangle >= 0))
    if len(mirrored):
        # The beam either goes on to what the mirror shows, seen behind it, or its echo misses the sensor.
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
    """Ranges (N,) with some of the beams at edges between the two surfaces, and which those are."""
    after = np.roll(range_m, -1)
    with np.errstate(invalid="ignore"):
        edge = np.abs(after - range_m) > _JUMP * np.minimum(after, range_m)
    edge &= np.isfinite(after) & np.isfinite(range_m)
    # The end of a line has no neighbour in the next one.
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
    """Metres from a mirroring surface to what the beam meets next; inf for nothing."""
    ways, normals, range_m = ways[which], hits.normals[which], hits.range_m[which]
    along = np.einsum("ij,ij->i", normals, ways)
    start = lifted(origin + ways * range_m[:, None], normals, range_m)
    return world.cast(start, ways - 2 * along[:, None] * normals).range_m


def _optics(world: World) -> tuple[FloatArray, FloatArray]:
    """(M,) how much light a material scatters back, and the share that it mirrors."""
    albedo = [np.mean([m.colour, m.colour_2]) for m in world.materials]
    return np.clip(albedo, 0.02, 1.0), np.array([m.mirror for m in world.materials])


LIDARS: Mapping[str, SpinningLidar] = {
    "VLP-16": SpinningLidar(),
    "HDL-64": SpinningLidar(64, -24.8, 2.0, 0.18, min_range_m=0.9, max_range_m=120.0),
    "OS1-32": SpinningLidar(32, -22.5, 22.5, 0.3516, min_range_m=0.3, max_range_m=120.0),
    "single-line": SpinningLidar(1, 0.0, 0.0, 0.25, (-135.0, 135.0), min_range_m=0.06, max_range_m=30.0),
}
