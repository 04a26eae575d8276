"""Smooth camera paths through a synthetic scene, clear of fixed and moving things."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from metric_depth_ros.errors import InputError
from metric_depth_ros.geometry import quaternion, rigid_transform
from metric_depth_ros.types import FloatArray
from metric_depth_synthetic.render import draw_camera, draw_view
from metric_depth_synthetic.roaming import Stops, Surroundings, Walk, hover
from metric_depth_synthetic.scene import Scene

START_NS = 1_000_000_000

_STARTS, _WAYS = 12, 24
_CHECK_S = 0.25
_ENOUGH = 0.97
# A scene is furnished around its stations, up to the visible range: no path leaves this region.
_FASTEST_M_S, _REACH = 9.0, 1.2
# In scenes no deeper than this the camera looks at something in front of it.
_CLOSE_RANGE_M = 6.0


@dataclass(frozen=True, eq=False)
class Way:
    """Camera path: poses over time, smooth in position and rotation (monotone cubic, without overshoot).

    Attributes:
        times_s: (N,) times of the knots, ascending from 0.
        values: (N, 7) position in the world in metres, quaternion x, y, z, w of the optical frame; each
            quaternion within half a turn of the next.
    """

    times_s: FloatArray
    values: FloatArray

    def pose(self, time_s: float) -> FloatArray:
        """T_world_camera (4, 4) at a time; constant before the first knot and after the last."""
        x = _interpolated(self.times_s, self.values, time_s)
        return rigid_transform(x[:3], x[3:])


def frames(
    scene: Scene, rng: np.random.Generator, *, seconds: float, rate_hz: float
) -> Iterator[tuple[int, FloatArray]]:
    """Yields (stamp_ns, T_world_camera (4, 4)) of a camera that moves through the scene, from 1 s on.

    At ``stamp_ns`` moving things are at their places in ``World(scene, scene_time_s(stamp_ns))``.

    Raises:
        InputError: seconds or rate are not positive, or no clear path was found.
    """
    if not (seconds > 0 and rate_hz > 0):
        raise InputError(f"synthetic: {seconds} s at {rate_hz} Hz; needed both positive.")
    way = draw_way(scene, rng, seconds)
    for number in range(max(round(seconds * rate_hz), 1)):
        yield START_NS + round(number * 1e9 / rate_hz), way.pose(number / rate_hz)


def scene_time_s(stamp_ns: int) -> float:
    """Time of the scene at a stamp of ``frames``."""
    return (stamp_ns - START_NS) / 1e9


def draw_way(scene: Scene, rng: np.random.Generator, seconds: float) -> Way:
    """Random collision-free path of at least ``seconds``, from one of the scene's stations.

    On the ground it goes forward, along the road or through the rooms; from other stations (over a table,
    high up) the camera moves around in front of its target.

    Raises:
        InputError: none of several random paths is clear.
    """
    space = Surroundings(scene)
    best, best_score = None, 0.0
    for _ in range(_WAYS):
        way = _way(_stops(scene, space, rng, seconds))
        times = np.arange(0, seconds, _CHECK_S)
        poses = np.stack([way.pose(float(t)) for t in times])
        # Among equally clear paths, one that covers a distance.
        gone = float(np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1).sum())
        score = space.share_clear(times, poses) + (0.0 if gone > 0.05 * seconds * scene.near_m else -0.5)
        if score > best_score:
            best, best_score = way, score
        if score >= 1:
            break
    if best is None or best_score < _ENOUGH:
        raise InputError("synthetic: no clear way through the scene. Choose another seed.")
    return best


def _stops(scene: Scene, space: Surroundings, rng: np.random.Generator, seconds: float) -> Stops:
    T: FloatArray = np.eye(4)
    fastest_m_s = min(_FASTEST_M_S, _REACH * scene.far_m / seconds)
    for _ in range(_STARTS):
        T = draw_view(scene, space.standing, rng, draw_camera(rng))
        walk = Walk(space, T, rng, fastest_m_s)
        if walk.possible and scene.far_m > _CLOSE_RANGE_M:
            return walk.stops(seconds)
    return hover(space, T, rng, seconds)


def _way(stops: Stops) -> Way:
    turns: FloatArray = np.array([quaternion(pose[:3, :3]) for pose in stops.poses])
    for number in range(1, len(turns)):
        if turns[number] @ turns[number - 1] < 0:  # the same rotation, in the shorter direction
            turns[number] = -turns[number]
    return Way(stops.times_s, np.hstack([stops.poses[:, :3, 3], turns]))


def _interpolated(times_s: FloatArray, values: FloatArray, time_s: float) -> FloatArray:
    """Value (C,) at one time of the smooth curve through values (N, C) at uneven times."""
    time_s = float(np.clip(time_s, times_s[0], times_s[-1]))
    k = int(np.clip(np.searchsorted(times_s, time_s, side="right") - 1, 0, len(times_s) - 2))
    t0, t1 = times_s[k], times_s[k + 1]
    step, s = t1 - t0, (time_s - t0) / (t1 - t0)
    slopes = [_slope(times_s, values, at) * step for at in (k, k + 1)]
    h = (2 * s**3 - 3 * s**2 + 1, -2 * s**3 + 3 * s**2, s**3 - 2 * s**2 + s, s**3 - s**2)
    out: FloatArray = h[0] * values[k] + h[1] * values[k + 1] + h[2] * slopes[0] + h[3] * slopes[1]
    return out


def _slope(times_s: FloatArray, values: FloatArray, at: int) -> FloatArray:
    """Slope (C,) at a knot; 0 at a local extremum."""
    slopes = (
        np.diff(values[max(at - 1, 0) : at + 2], axis=0) / np.diff(times_s[max(at - 1, 0) : at + 2])[:, None]
    )
    before, after = slopes[0], slopes[-1]  # the same at the ends
    # The harmonic mean of two slopes of one sign keeps every piece monotone.
    both = before * after
    return np.where(both > 0, 2 * both / np.where(both > 0, before + after, 1), 0.0)
