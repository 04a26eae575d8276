"""Simulated metric sensors: map points of visual odometry, radar, range finder, depth camera.

LiDARs are in ``lidars``.

Rays start at the sensor and hit the scene's exact surfaces, so camera and sensor see different surfaces, as
on a robot (parallax). A sensor's own frame is as in ROS, x forward, y left, z up; map points of visual
odometry and a depth camera's frame are optical.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

import cv2
import numpy as np

from metric_depth_ros.datasets.shard_layout import Scan
from metric_depth_ros.geometry import pixel_rays, unproject
from metric_depth_ros.types import Camera, FloatArray
from metric_depth_synthetic.scene import LABELS
from metric_depth_synthetic.world import World

if TYPE_CHECKING:
    from metric_depth_synthetic.render import View

_METALLIC = frozenset(
    LABELS.index(name) for name in ("vehicle", "pole", "sign", "fence", "screen", "structure")
)


class Sensor(Protocol):
    """Ray-based sensor beside the camera."""

    @property
    def T_camera_sensor(self) -> FloatArray: ...

    def scan(
        self, world: World, T_world_camera: FloatArray, rng: np.random.Generator, *, noise: bool = True
    ) -> Scan: ...


def mounted(
    x: float = 0.0,
    y: float = 0.0,
    z: float = 0.0,
    *,
    yaw_deg: float = 0.0,
    pitch_deg: float = 0.0,
    roll_deg: float = 0.0,
) -> FloatArray:
    """T_camera_sensor (4, 4) of a sensor that looks in the camera's direction.

    Args:
        x, y, z: its position in the camera's optical frame, metres: right, down, forward.
        yaw_deg, pitch_deg, roll_deg: rotation about the sensor's own z (to the left), y (down) and x.
    """
    T = np.eye(4)
    yaw, pitch, roll = np.radians([yaw_deg, pitch_deg, roll_deg])
    about_z = [[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]]
    about_y = [[np.cos(pitch), 0, np.sin(pitch)], [0, 1, 0], [-np.sin(pitch), 0, np.cos(pitch)]]
    about_x = [[1, 0, 0], [0, np.cos(roll), -np.sin(roll)], [0, np.sin(roll), np.cos(roll)]]
    T[:3, :3] = np.array([[0, -1, 0], [0, 0, -1], [1, 0, 0]]) @ about_z @ about_y @ about_x
    T[:3, 3] = x, y, z
    return T


@dataclass(frozen=True)
class VioPoints:
    """Map points of visual odometry: image corners with depth from motion.

    Triangulation measures inverse depth, so 1 / z' = 1 / z + k n with a normal n: the error of depth grows
    with its square, sigma_z = k z^2 for small errors.

    Attributes:
        count: largest number of corners.
        mapped: how many of them, drawn at random, become points; None: all.
        spacing_px: smallest distance between two.
        noise: k in 1/m: pixels of error / (focal length * baseline).
        pixel_sigma: standard deviation of the corners' positions.
        outliers: fraction of the points with the depth of a wrong match.
        max_depth_m: farther points have no parallax and are not mapped.
    """

    count: int = 300
    mapped: int | None = None
    spacing_px: float = 5.0
    noise: float = 0.01
    pixel_sigma: float = 0.4
    outliers: float = 0.03
    max_depth_m: float = 40.0

    def scan(self, view: View, rng: np.random.Generator, *, noise: bool = True) -> Scan:
        """Points in the camera's optical frame; ``noise=False``: exact, those of the corners' pixels."""
        grey = cv2.cvtColor(np.ascontiguousarray(view.image), cv2.COLOR_RGB2GRAY)
        corners = cv2.goodFeaturesToTrack(grey, self.count, 0.01, self.spacing_px)
        uv = np.zeros((0, 2)) if corners is None else np.rint(corners.reshape(-1, 2).astype(np.float64))
        u, v = uv.T.astype(np.intp)
        z = view.depth[v, u].astype(np.float64)
        mapped = np.flatnonzero(z <= self.max_depth_m)
        if self.mapped is not None:
            mapped = rng.permutation(mapped)[: self.mapped]
        uv, z, thing = uv[mapped], z[mapped], view.instances[v, u][mapped].astype(np.int32)
        wrong = np.zeros(len(z), bool)
        if noise and len(z):
            wrong = rng.random(len(z)) < self.outliers
            match = np.median(z) * np.exp(rng.normal(0, 0.7, len(z)))
            inverse = 1 / z + self.noise * rng.normal(0, 1, len(z))
            # No system would keep a point with an inverse depth near zero in its map.
            kept = wrong | (inverse > 1 / (2 * self.max_depth_m))
            z = np.where(wrong, match, 1 / np.where(inverse > 0, inverse, np.inf))
            uv = uv + rng.normal(0, self.pixel_sigma, uv.shape)
            uv, z, thing, wrong = uv[kept], z[kept], thing[kept], wrong[kept]
        return Scan(unproject(uv, z, view.camera), thing, wrong, np.eye(4))


@dataclass(frozen=True, eq=False)
class Radar:
    """Automotive radar: few points, on good reflectors, with coarse angles and unknown elevation.

    Attributes:
        points: largest number of points in one scan.
        fov_deg: full width.
        elevation_deg: full height of the field of view.
        flat: points are reported in the sensor's plane, at their range and azimuth.
        range_sigma_m, azimuth_sigma_deg: standard deviations.
        dropout: fraction of the points that is lost.
        ghosts: fraction of the points that are multipath echoes: at a multiple of the range, or mirrored.
    """

    points: int = 48
    fov_deg: float = 110.0
    elevation_deg: float = 8.0
    min_range_m: float = 0.5
    max_range_m: float = 100.0
    flat: bool = True
    range_sigma_m: float = 0.15
    azimuth_sigma_deg: float = 1.0
    dropout: float = 0.1
    ghosts: float = 0.08
    T_camera_sensor: FloatArray = field(default_factory=lambda: mounted(0.0, 0.5, 0.1))

    def scan(
        self, world: World, T_world_camera: FloatArray, rng: np.random.Generator, *, noise: bool = True
    ) -> Scan:
        """One scan. The reflecting surfaces are random; ``noise=False`` gives exact points on them."""
        beams = 8 * self.points
        azimuths = rng.uniform(-self.fov_deg / 2, self.fov_deg / 2, beams)
        elevations = rng.uniform(-self.elevation_deg / 2, self.elevation_deg / 2, beams)
        directions = from_angles(azimuths, elevations)
        hits = world.cast(*in_world(T_world_camera @ self.T_camera_sensor, directions))
        inside = (hits.range_m >= self.min_range_m) & (hits.range_m <= self.max_range_m)
        # Metal reflects well, and so do surfaces that face the sensor.
        strength = (
            np.where(np.isin(hits.label, list(_METALLIC)), 1.0, 0.2) * hits.cosine.astype(np.float64) ** 2
        )
        answer = np.flatnonzero(inside & (strength > 1e-3))
        weight = strength[answer] / max(strength[answer].sum(), 1e-9)
        chosen = (
            rng.choice(answer, min(self.points, len(answer)), replace=False, p=weight)
            if len(answer)
            else answer
        )
        range_m, azimuths = hits.range_m[chosen].astype(np.float64), azimuths[chosen]
        elevations = np.zeros(len(chosen)) if self.flat else elevations[chosen]
        thing, wrong = hits.thing[chosen].astype(np.int32), np.zeros(len(chosen), bool)
        if noise:
            wrong = rng.random(len(chosen)) < self.ghosts
            range_m = range_m + rng.normal(0, self.range_sigma_m, len(chosen))
            range_m = np.where(wrong, range_m * rng.uniform(1.3, 2.0, len(chosen)), range_m)
            azimuths = azimuths + rng.normal(0, self.azimuth_sigma_deg, len(chosen))
            kept = (rng.random(len(chosen)) >= self.dropout) & (range_m <= self.max_range_m)
            kept &= range_m >= self.min_range_m
            range_m, azimuths, elevations = range_m[kept], azimuths[kept], elevations[kept]
            thing, wrong = thing[kept], wrong[kept]
        points = from_angles(azimuths, elevations) * range_m[:, None]
        return Scan(points.astype(np.float32), thing, wrong, self.T_camera_sensor)


@dataclass(frozen=True, eq=False)
class RangeFinder:
    """Single forward range: the nearest thing in a cone (ultrasound) or the median over it (laser).

    Attributes:
        cone_deg: full opening angle.
        answer: "nearest" or "median".
        range_sigma_m, range_sigma_part: standard deviation a + b * range.
        dropout: probability of no measurement.
    """

    cone_deg: float = 2.0
    answer: Literal["nearest", "median"] = "median"
    min_range_m: float = 0.05
    max_range_m: float = 40.0
    range_sigma_m: float = 0.01
    range_sigma_part: float = 0.002
    dropout: float = 0.02
    T_camera_sensor: FloatArray = field(default_factory=lambda: mounted(0.03, 0.0, 0.0))

    @property
    def directions(self) -> FloatArray:
        """Unit directions (61, 3): the axis, and others evenly distributed in the cone."""
        number = np.arange(61)
        radius = np.sqrt(number / 60) * self.cone_deg / 2
        angle = number * np.pi * (3 - 5**0.5)
        return from_angles(radius * np.cos(angle), radius * np.sin(angle))

    def scan(
        self, world: World, T_world_camera: FloatArray, rng: np.random.Generator, *, noise: bool = True
    ) -> Scan:
        """Point on the sensor's axis at the measured range; no point without a measurement."""
        hits = world.cast(*in_world(T_world_camera @ self.T_camera_sensor, self.directions))
        # The lower of two middle ranges, which is the range of a ray.
        order = np.argsort(hits.range_m, kind="stable")
        ray = int(order[0 if self.answer == "nearest" else (len(order) - 1) // 2])
        range_m = float(hits.range_m[ray])
        if noise and np.isfinite(range_m):
            range_m += rng.normal(0, self.range_sigma_m + self.range_sigma_part * range_m)
            range_m = np.inf if rng.random() < self.dropout else range_m
        heard = self.min_range_m <= range_m <= self.max_range_m
        points = np.array([[range_m, 0, 0]], np.float32)[: int(heard)]
        thing = hits.thing[[ray]].astype(np.int32)[: int(heard)]
        return Scan(points, thing, np.zeros(len(points), bool), self.T_camera_sensor)


def _beside(x: float, y: float, z: float) -> FloatArray:
    """T_camera_sensor (4, 4) of another optical frame at a place in the camera's."""
    T = np.eye(4)
    T[:3, 3] = x, y, z
    return T


@dataclass(frozen=True, eq=False)
class DepthCamera:
    """Depth camera beside the camera, as stereo with a projector: noise grows with depth squared, and holes.

    Attributes:
        camera: its own calibration.
        noise: standard deviation of depth / depth^2, 1/m.
        grazing: surfaces seen at a smaller cosine of the angle of incidence are not measured.
        edge: where depth changes by more than this fraction to a neighbour, it is not measured.
        blobs: fraction of the image lost in patches (reflections, no texture).
    """

    camera: Camera = field(
        default_factory=lambda: Camera(212, 120, np.array([[160.0, 0, 105.5], [0, 160, 59.5], [0, 0, 1]]))
    )
    min_depth_m: float = 0.3
    max_depth_m: float = 6.0
    noise: float = 0.004
    grazing: float = 0.15
    edge: float = 0.1
    blobs: float = 0.15
    T_camera_sensor: FloatArray = field(default_factory=lambda: _beside(0.06, 0.02, 0.0))

    def image(
        self, world: World, T_world_camera: FloatArray, rng: np.random.Generator, *, noise: bool = True
    ) -> FloatArray:
        """Depth image (H, W) in metres, NaN where not measured; ``noise=False``: exact, without holes."""
        rays = pixel_rays(self.camera)
        T = np.asarray(T_world_camera @ self.T_camera_sensor, np.float32)
        hits = world.cast(T[:3, 3], rays.reshape(-1, 3) @ T[:3, :3].T)
        depth = hits.range_m.reshape(rays.shape[:2])
        lost = (depth < self.min_depth_m) | (depth > self.max_depth_m)
        if noise:
            lost |= hits.cosine.reshape(depth.shape) < self.grazing
            around, near = np.ones((3, 3), np.uint8), np.minimum(depth, np.float32(2 * self.max_depth_m))
            lost |= cv2.dilate(near, around) > (1 + self.edge) * cv2.erode(near, around)
            patches = cv2.resize(rng.random((8, 12)), depth.shape[::-1], interpolation=cv2.INTER_CUBIC)
            lost |= patches < np.quantile(patches, self.blobs)
            with np.errstate(invalid="ignore"):
                depth = depth + self.noise * depth**2 * rng.normal(0, 1, depth.shape)
        return np.where(lost, np.nan, depth).astype(np.float32)


def from_angles(azimuths_deg: FloatArray, elevations_deg: FloatArray) -> FloatArray:
    """Unit vectors (N, 3) float64, x forward, y left, z up, from angles that broadcast together."""
    azimuths, elevations = np.radians(azimuths_deg), np.radians(elevations_deg)
    flat = np.cos(elevations)
    parts = np.broadcast_arrays(flat * np.cos(azimuths), flat * np.sin(azimuths), np.sin(elevations))
    return np.stack(parts, axis=-1).reshape(-1, 3)


def in_world(T_world_sensor: FloatArray, directions: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Origin (3,) and unit directions (N, 3) of rays, float32, in the world."""
    origin = np.asarray(T_world_sensor[:3, 3], np.float32)
    return origin, (directions @ T_world_sensor[:3, :3].T).astype(np.float32)
