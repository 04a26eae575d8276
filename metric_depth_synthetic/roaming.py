"""Camera paths in a synthetic scene: along a road, through rooms, around things on a table."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from metric_depth_ros.types import BoolArray, FloatArray, IntArray
from metric_depth_synthetic.render import look_at
from metric_depth_synthetic.scene import LABELS, Scene
from metric_depth_synthetic.world import World

_WALKABLE = [LABELS.index(name) for name in ("floor", "ground", "road")]
# Speed per second as a fraction of the typical range in view: a slow walk in a room, a car in town on a
# road, a hand over a table.
_PACE = (0.15, 0.3)
_STEP_S = 1.0
_AHEAD_S = np.array([1.0, 2.0, 3.5, 5.0])
_TURNS_DEG = np.array([0, -5, 5, -10, 10, -18, 18, -28, 28, -40, 40], np.float64)
_ALL_ROUND_DEG = np.arange(45, 316, 15, dtype=np.float64)
_TURN_DEG_S = 25.0
_MOST_TURN_DEG = 45.0  # in one piece


@dataclass(frozen=True, eq=False)
class Stops:
    """Poses T_world_camera (N, 4, 4) at ascending times (N,) in seconds from 0."""

    times_s: FloatArray
    poses: FloatArray


class Surroundings:
    """Free space between the fixed and moving things of a scene."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        movers = [thing for thing in scene.things if thing.motion is not None]
        fixed = [thing for thing in scene.things if thing.motion is None]
        self.standing = World(replace(scene, things=fixed)) if fixed else World(scene)
        # Moving things are placed again for every time, which is fast since they are few.
        self._movers = replace(scene, things=movers) if movers else None
        self.body_m = float(np.clip(scene.near_m * 0.7, 0.05, 0.9))
        self.room_m = 2.5 * scene.near_m  # to be left ahead
        self._around = _sphere(40)

    def typical_range(self, T_world_camera: FloatArray) -> float:
        """Median range in a camera's view, metres; infinite under open sky."""
        ways = self._around[self._around[:, 2] > 0.7] @ T_world_camera[:3, :3].T
        range_m = self.standing.cast(T_world_camera[:3, 3], ways).range_m
        return float(np.median(range_m))

    def ground(self, points: FloatArray) -> tuple[FloatArray, IntArray]:
        """Heights (N,) and labels (N,) of the surfaces below points (N, 3)."""
        down = np.broadcast_to(np.array([0, 0, -1.0]), points.shape)
        hits = self.standing.cast(points, down)
        return points[:, 2] - hits.range_m, hits.label

    def free_m(self, starts: FloatArray, ways: FloatArray) -> FloatArray:
        """Free distance (N,) in metres from starts (N, 3) along unit directions (N, 3), for a body."""
        sides = np.stack([-ways[:, 1], ways[:, 0], np.zeros(len(ways))], axis=1)
        sides /= np.maximum(np.linalg.norm(sides, axis=1, keepdims=True), 1e-9)
        offsets = np.array([-1.0, 0.0, 1.0])[:, None, None] * self.body_m * sides
        origins = (starts + offsets).reshape(-1, 3)
        range_m = self.standing.cast(origins, np.tile(ways, (3, 1))).range_m
        nearest: FloatArray = range_m.reshape(3, -1).min(axis=0)
        return nearest

    def share_clear(self, times_s: FloatArray, poses: FloatArray) -> float:
        """Fraction, 0 to 1, of the poses (N, 4, 4) at times (N,) that are clear of all things."""
        clear = self._clear(self.standing, poses)
        steps = np.diff(poses[:, :3, 3], axis=0)
        clear[1:] &= ~self.standing.blocked(poses[:-1, :3, 3], steps, np.ones(len(steps), np.float32))
        if self._movers is not None:
            for number in np.flatnonzero(clear):
                moved = World(self._movers, float(times_s[number]))
                clear[number] = self._clear(moved, poses[number : number + 1])[0]
        return float(clear.mean())

    def _clear(self, world: World, poses: FloatArray) -> BoolArray:
        """Mask (N,) of poses with no thing within the body and no view filled by a near surface."""
        count, rays = len(poses), len(self._around)
        origins = np.repeat(poses[:, :3, 3], rays, axis=0)
        hits = world.cast(origins, np.tile(self._around, (count, 1)))
        range_m, inside = hits.range_m.reshape(count, rays), hits.backface.reshape(count, rays)
        # The ground may be nearer than the sides: a low robot.
        level = np.abs(self._around[:, 2]) < 0.6
        touched = (range_m[:, level] < 0.6 * self.body_m).any(1) | (range_m < 0.04).any(1)
        ahead = poses[:, :3, 2] @ self._around.T > 0.8
        filled = (ahead & (range_m < self._scene.near_m)).sum(1) > 0.5 * np.maximum(ahead.sum(1), 1)
        clear: BoolArray = ~touched & ~filled & (inside.mean(1) < 0.4)
        return clear


class Walk:
    """Path over the ground at a constant height: forward on the same kind of ground, turning at its end."""

    def __init__(
        self, space: Surroundings, T: FloatArray, rng: np.random.Generator, fastest_m_s: float
    ) -> None:
        """Starts with the view ``T_world_camera``."""
        self._space, self._rng = space, rng
        self._place = np.array(T[:3, 3], np.float64)
        self._heading = float(np.degrees(np.arctan2(T[1, 2], T[0, 2])))
        self._pitch = float(np.clip(np.degrees(np.arcsin(T[2, 2])), -15, 5))
        height, label = space.ground(self._place[None])
        self._height, self._label = float(self._place[2] - height[0]), int(label[0])
        typical = space.typical_range(T)
        outdoors = not np.isfinite(typical) or typical > 8
        self._pace = float(min(rng.uniform(*_PACE) * typical, fastest_m_s))
        self._sway_deg = 4.0 if outdoors else 12.0
        self.possible = (
            self._label in _WALKABLE and self._height < 2.5 and abs(T[2, 2]) < 0.45 and typical > 1.2
        )

    def stops(self, seconds: float) -> Stops:
        """Knots of the path; if there is no way forward, the camera looks around."""
        times, poses, sway, speed = [0.0], [self._look(0.0)], 0.0, self._pace
        while times[-1] < seconds:
            sway = 0.7 * sway + 0.7 * self._sway_deg * float(self._rng.normal())
            # The speed varies slightly.
            speed = 0.7 * speed + 0.3 * self._pace * float(self._rng.uniform(0.6, 1.3))
            here = self._place
            turned = self._advance(speed * _STEP_S)
            # A turn on the spot takes time, over several knots.
            rest = abs(turned)
            while rest > _MOST_TURN_DEG:
                rest -= _MOST_TURN_DEG
                times.append(times[-1] + _MOST_TURN_DEG / _TURN_DEG_S)
                poses.append(self._look(sway - np.sign(turned) * rest, here))
            times.append(times[-1] + max(_STEP_S, rest / _TURN_DEG_S))
            poses.append(self._look(sway))
        return Stops(np.array(times), np.array(poses))

    def _look(self, sway_deg: float, place: FloatArray | None = None) -> FloatArray:
        yaw = np.radians(self._heading + sway_deg)
        pitch = np.radians(self._pitch + self._rng.normal(0, 0.8))
        forward = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)])
        here = self._place if place is None else place
        return look_at(here, here + forward, np.radians(self._rng.normal(0, 0.5)))

    def _advance(self, step_m: float) -> float:
        """Takes one step in the best direction, or turns if there is none; returns the turn in degrees."""
        for turns in (_TURNS_DEG, _ALL_ROUND_DEG):
            scores, ends = self._scores(turns, step_m)
            best = int(scores.argmax())
            if scores[best] > 0:
                self._place = ends[best]
                return self._turn(turns[best])
        return self._turn(float(self._rng.choice([-60, 60])))

    def _turn(self, degrees: float) -> float:
        """Turns by an angle, in the shorter direction; returns the turn in degrees."""
        turn = float((degrees + 180) % 360 - 180)
        self._heading += turn
        return turn

    def _scores(self, turns: FloatArray, step_m: float) -> tuple[FloatArray, FloatArray]:
        """Scores (N,) of steps after turns (N,), 0 or less if impossible, and their end points (N, 3)."""
        ways = np.radians(self._heading + turns)
        ways = np.stack([np.cos(ways), np.sin(ways), np.zeros(len(turns))], axis=1)
        free = self._space.free_m(np.broadcast_to(self._place, ways.shape), ways)
        ahead = step_m * _AHEAD_S / _STEP_S
        sides = np.stack([-ways[:, 1], ways[:, 0], np.zeros(len(turns))], axis=1)
        offsets = self._space.body_m * np.array([-1.0, 0.0, 1.0])
        # (turns, ahead, offsets, 3); farther ones start slightly higher, for slopes.
        points = self._place + ways[:, None, None] * ahead[:, None, None]
        points = points + sides[:, None, None] * offsets[:, None]
        points[..., 2] += 0.1 * ahead[:, None]
        height, label = self._space.ground(points.reshape(-1, 3))
        height, label = height.reshape(points.shape[:3]), label.reshape(points.shape[:3])
        rise = np.abs(height - (self._place[2] - self._height))
        level = rise < 0.12 + 0.1 * ahead[:, None]
        open_ = (free[:, None] > ahead + self._space.room_m)[..., None] & level
        worth = (open_ * np.where(label == self._label, 1.0, 0.3)).mean(2)
        worth = np.minimum.accumulate(worth, axis=1).sum(1)
        worth += 0.5 * np.minimum(free / (2 * ahead[-1]), 1)
        worth -= 0.012 * np.abs(turns) + self._rng.normal(0, 0.03, len(turns))
        ends = points[:, 0, 1].copy()
        ends[:, 2] = height[:, 0, 1] + self._height
        return np.where(open_[:, 0].all(1), np.maximum(worth, 1e-3), -1.0), ends


def hover(space: Surroundings, T: FloatArray, rng: np.random.Generator, seconds: float) -> Stops:
    """Path around the target of the view ``T_world_camera``, like a handheld camera."""
    distance = min(space.typical_range(T), 5.0)
    target = T[:3, 3] + T[:3, 2] * distance
    pace = float(rng.uniform(*_PACE)) * distance
    times, poses = [0.0], [T]
    while times[-1] < seconds:
        here = poses[-1][:3, 3]
        there = here
        for _ in range(12):
            drawn = T[:3, 3] + rng.normal(0, 0.2, 3) * distance
            step = drawn - here
            length = float(np.linalg.norm(step))
            if length > 1e-6 and space.free_m(here[None], step[None] / length)[0] > length + space.body_m:
                there = drawn
                break
        aim = target + rng.normal(0, 0.06, 3) * distance
        poses.append(_turned_to(poses[-1], there, aim))
        times.append(times[-1] + max(float(np.linalg.norm(there - here)) / pace, 1.0))
    return Stops(np.array(times), np.array(poses))


def _turned_to(T: FloatArray, place: FloatArray, target: FloatArray) -> FloatArray:
    """Pose moved to a place with the smallest rotation towards a target; also for straight down."""
    forward = (target - place) / max(float(np.linalg.norm(target - place)), 1e-9)
    axis = np.cross(T[:3, 2], forward)
    cosine = float(T[:3, 2] @ forward)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    out = np.eye(4)
    out[:3, :3] = (np.eye(3) + cross + cross @ cross / max(1 + cosine, 1e-6)) @ T[:3, :3]
    out[:3, 3] = place
    return out


def _sphere(count: int) -> FloatArray:
    """Unit vectors (count, 3), evenly distributed over all directions."""
    z = 1 - (2 * np.arange(count) + 1) / count
    angle = np.arange(count) * np.pi * (3 - 5**0.5)
    flat = np.sqrt(1 - z**2)
    return np.stack([flat * np.cos(angle), flat * np.sin(angle), z], axis=1)
