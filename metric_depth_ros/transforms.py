"""Tree of rigid transforms over time, without ROS: the part of tf2 that this package needs."""

from __future__ import annotations

import bisect
import difflib
import re
from collections.abc import Collection, Mapping
from itertools import chain

import numpy as np
from scipy.spatial.transform import Rotation

from metric_depth_ros.errors import TransformError
from metric_depth_ros.types import FloatArray, frame_name

# Transforms of one frame that are kept where they are forgotten at all: 20 s at 1 kHz.
_MOST_KEPT = 20_000
# Names like a missing one are looked for among so many frames at most.
_LOOKED_AT = 1000

# Parent, child, T_parent_child (4, 4), and the time it holds at, ns.
StampedTransform = tuple[str, str, FloatArray, int]
# Frames that do not move, in which odometry or a map places the robot, in the order of preference.
FIXED_FRAMES = ("odom", "map", "world")


class TransformTree:
    """Static and moving transforms between named frames, interpolated in time.

    Like tf2: every frame has at most one parent, a moving edge is never extrapolated, and a leading
    slash in a frame name is ignored. Implements ``types.TransformSource``.
    """

    def __init__(self, keep_s: float | None = None) -> None:
        """``keep_s``: moving transforms are kept for these seconds before the newest; None keeps all."""
        self._edges: dict[str, _Edge] = {}  # by child
        self._parents: dict[str, str] = {}
        self._keep_ns = None if keep_s is None else int(keep_s * 1e9)

    def add(
        self, parent: str, child: str, T_parent_child: FloatArray, stamp_ns: int, *, static: bool = False
    ) -> None:
        """Adds one transform. If the child had another parent, its transforms to it are removed."""
        parent, child = frame_name(parent), frame_name(child)
        edge = self._edges.get(child)
        self._parents[child] = parent
        if edge is None or edge.parent != parent or edge.static != static:
            edge = self._edges[child] = _Edge(parent, static)
        edge.insert(stamp_ns, np.asarray(T_parent_child, np.float64), self._keep_ns)

    def remove(self, child: str) -> None:
        """Removes all transforms of a frame to its parent."""
        self._edges.pop(frame_name(child), None)
        self._parents.pop(frame_name(child), None)

    def clear(self, newer_than_ns: int = -(2**63)) -> None:
        """Removes moving transforms, of all frames that have one newer than a time; static ones stay."""
        for child, edge in list(self._edges.items()):
            if not edge.static and edge.newest_ns > newer_than_ns:
                self.remove(child)

    def __len__(self) -> int:
        """Number of frames that have a parent."""
        return len(self._edges)

    def newest_ns(self, child: str) -> int | None:
        """Newest time at which a frame is known; None if it is fixed, or not known."""
        edge = self._edges.get(frame_name(child))
        return None if edge is None or edge.static else edge.newest_ns

    def newest(self) -> list[StampedTransform]:
        """Newest transform of every frame that has a parent; those that do not move have stamp 0."""
        return [
            (edge.parent, child, edge.poses[-1], 0 if edge.static else edge.newest_ns)
            for child, edge in self._edges.items()
        ]

    def is_static(self, child: str) -> bool:
        """Whether a frame is fixed to its parent."""
        edge = self._edges.get(frame_name(child))
        return edge is not None and edge.static

    def loop(self, parent: str, child: str) -> list[str]:
        """Frames from ``parent`` up to ``child``, which is left out, if the child is above it; else none."""
        up = chain_of(parent, self._parents)
        return up[: up.index(frame_name(child))] if frame_name(child) in up else []

    def knows(self, target: str, source: str, stamp_ns: int) -> bool:
        """Whether ``lookup`` would succeed."""
        paths = self._up_to_common(frame_name(target), frame_name(source))
        return paths is not None and all(self._edges[frame].covers(stamp_ns) for frame in chain(*paths))

    def lookup(self, target: str, source: str, stamp_ns: int, *, wait: bool = True) -> FloatArray:
        """T_target_source (4, 4) at ``stamp_ns``; there is nothing to wait for.

        Raises:
            TransformError: a frame is unknown, the two are not connected, or an edge between them
                is not known at that time.
        """
        path_target, path_source = self._paths(target, source)
        T_common_target = self._chain(path_target, stamp_ns)
        T_common_source = self._chain(path_source, stamp_ns)
        return np.linalg.inv(T_common_target) @ T_common_source

    def frames(self) -> set[str]:
        """Every frame that has a parent or a child."""
        return {*self._edges, *(edge.parent for edge in self._edges.values())}

    def parents(self) -> dict[str, str]:
        """Parent of every frame that has one."""
        return dict(self._parents)

    def fixed_frame(self, frame: str) -> str:
        """Frame above this one that does not move, as of REP 105, while this one moves in it; empty: none.

        It is ``odom``, which never jumps, else ``map``, else ``world``, all also with the name of a robot
        before it; else the root of the tree, which may only be the robot's body.
        """
        above = chain_of(frame, self._parents)[1:]
        named = (each for name in FIXED_FRAMES for each in above if is_named_fixed(each, (name,)))
        moving = (each for each in (*named, *above[-1:]) if self.latest_common_ns(frame, each) is not None)
        return next(moving, "")

    def latest_common_ns(self, target: str, source: str) -> int | None:
        """Newest time at which all moving edges between two frames are known; None if no edge moves.

        Raises:
            TransformError: a frame is unknown, or the two are not connected.
        """
        path_target, path_source = self._paths(target, source)
        moving = [self._edges[frame] for frame in path_target + path_source if not self._edges[frame].static]
        return min((edge.newest_ns for edge in moving), default=None)

    def _paths(self, target: str, source: str) -> tuple[list[str], list[str]]:
        """Frames from each of the two up to their first common ancestor, which is left out."""
        target, source = frame_name(target), frame_name(source)
        paths = self._up_to_common(target, source)
        if paths is None:
            raise TransformError(f"tf: {why_unconnected(target, source, self._parents)}")
        return paths

    def _up_to_common(self, target: str, source: str) -> tuple[list[str], list[str]] | None:
        """Frames of ``_paths`` of two names without leading slashes; None if they are not connected."""
        up_target, up_source = chain_of(target, self._parents), chain_of(source, self._parents)
        above_target = set(up_target)
        common = next((frame for frame in up_source if frame in above_target), None)
        if common is None:
            return None
        return up_target[: up_target.index(common)], up_source[: up_source.index(common)]

    def _chain(self, frames: list[str], stamp_ns: int) -> FloatArray:
        """T from the first frame to the parent of the last."""
        T = np.eye(4)
        for frame in frames:
            T = self._edges[frame].at(stamp_ns, frame) @ T
        return T


def why_unconnected(target: str, source: str, parents: Mapping[str, str]) -> str:
    """Why there is no transform from source to target, and what to do.

    Args:
        parents: parent of every frame that has one.
    """
    frames = {*parents, *parents.values()}
    missing = [frame for frame in (target, source) if frame not in frames]
    if missing:
        near = [f"{frame!r}: {', '.join(like)}" for frame in missing if (like := _alike(frame, frames))]
        verb = "do not exist" if len(missing) > 1 else "does not exist"
        what = f"frame {' and '.join(map(repr, missing))} {verb}"
        what += f" (names like {'; '.join(near)})" if near else ""
    else:
        what = f"they are not connected: {target!r} is below {chain_of(target, parents)[-1]!r}, "
        what += f"{source!r} below {chain_of(source, parents)[-1]!r}"
    known = ", ".join(sorted(frames)) or "none"
    return (
        f"no transform from {source!r} to {target!r}: {what}; known frames: {known}. Publish it: ros2 run "
        f"tf2_ros static_transform_publisher --frame-id {target} --child-frame-id {source} --x ... "
        "--yaw ..."
    )


def _alike(frame: str, frames: Collection[str]) -> list[str]:
    return difflib.get_close_matches(frame, sorted(frames), n=3) if len(frames) <= _LOOKED_AT else []


def chain_of(frame: str, parents: Mapping[str, str]) -> list[str]:
    """A frame, its parent, and so on up to its root; without leading slashes."""
    chain, last = {frame_name(frame): None}, frame_name(frame)
    while (parent := parents.get(last)) is not None and parent not in chain:
        chain[parent], last = None, parent
    return [*chain]


def is_named_fixed(frame: str, names: Collection[str] = FIXED_FRAMES) -> bool:
    """Whether a frame has one of these names, by default of any frame that does not move."""
    return re.split(r"[/_]", frame.lower())[-1] in names


class _Edge:
    """T_parent_child over time."""

    def __init__(self, parent: str, static: bool) -> None:
        self.parent = parent
        self.static = static
        self._stamps: list[int] = []
        self.poses: list[FloatArray] = []

    @property
    def newest_ns(self) -> int:
        return self._stamps[-1]

    def insert(self, stamp_ns: int, T: FloatArray, keep_ns: int | None) -> None:
        if self.static:
            self._stamps, self.poses = [stamp_ns], [T]
            return
        at = bisect.bisect_left(self._stamps, stamp_ns)
        if at < len(self._stamps) and self._stamps[at] == stamp_ns:
            self.poses[at] = T
            return
        self._stamps.insert(at, stamp_ns)
        self.poses.insert(at, T)
        if keep_ns is not None and self._stamps[0] < self._stamps[-1] - 2 * keep_ns:
            self._drop(bisect.bisect_left(self._stamps, self._stamps[-1] - keep_ns))
        elif keep_ns is not None and len(self._stamps) > _MOST_KEPT:
            self._drop(_MOST_KEPT // 2)

    def _drop(self, count: int) -> None:
        """Removes the oldest."""
        del self._stamps[:count], self.poses[:count]

    def covers(self, stamp_ns: int) -> bool:
        return self.static or self._stamps[0] <= stamp_ns <= self._stamps[-1]

    def at(self, stamp_ns: int, child: str) -> FloatArray:
        if self.static:
            return self.poses[0]
        first, last = self._stamps[0], self._stamps[-1]
        if not self.covers(stamp_ns):
            late = (stamp_ns - last) / 1e9 if stamp_ns > last else (stamp_ns - first) / 1e9
            raise TransformError(
                f"tf: {self.parent!r} to {child!r} is known from {first / 1e9:.3f} to {last / 1e9:.3f} s; "
                f"needed {stamp_ns / 1e9:.3f} s ({late:+.3f} s outside). "
                "Check the clocks of both publishers and use_sim_time, or raise extrinsics.tf_timeout_s."
            )
        at = bisect.bisect_left(self._stamps, stamp_ns)
        if self._stamps[at] == stamp_ns:
            return self.poses[at]
        fraction = (stamp_ns - self._stamps[at - 1]) / (self._stamps[at] - self._stamps[at - 1])
        return interpolate(self.poses[at - 1], self.poses[at], fraction)


def interpolate(T0: FloatArray, T1: FloatArray, fraction: float) -> FloatArray:
    """Pose (4, 4) between two poses: translation linear, rotation along the shortest arc (slerp)."""
    R0, R1 = T0[:3, :3], T1[:3, :3]
    turn = Rotation.from_matrix(R0.T @ R1).as_rotvec()
    T: FloatArray = T0 + fraction * (T1 - T0)
    T[:3, :3] = R0 @ Rotation.from_rotvec(fraction * turn).as_matrix()
    return T
