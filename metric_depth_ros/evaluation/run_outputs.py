"""Depth that `metric_depth run` or the node wrote, to be measured: by the stamps of the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from metric_depth_ros import messages
from metric_depth_ros.bags import open_bag
from metric_depth_ros.bags.folder import METADATA
from metric_depth_ros.bags.storage import readable_messages
from metric_depth_ros.config import Config
from metric_depth_ros.datasets import Frame, set_parts
from metric_depth_ros.depth import within_limits
from metric_depth_ros.errors import AnchorError, InputError
from metric_depth_ros.evaluation.candidates import Candidate, limited
from metric_depth_ros.evaluation.frames import KnownView, RelativeSource, set_name
from metric_depth_ros.geometry import pixel_rays, project, resize_camera
from metric_depth_ros.types import Anchors, Camera, FloatArray, MetricDepth, RelativeDepth

# What a run writes into its folder, and the topics in it.
DEPTH_BAG = "depth.mcap"
DEPTH, SIGMA, CALIBRATION = "/depth/image_rect", "/depth/sigma", "/depth/camera_info"
LABEL = "depth as stored"
# Depth of a bag that was recorded live is looked for so long around its calibration.
_AROUND_NS = 10**9


class _Shot(NamedTuple):
    """Where a depth image lies in time, and its camera."""

    recorded_ns: int
    camera: Camera


@dataclass(frozen=True)
class StoredDepth:
    """Depth images of a bag by the stamps of their images."""

    path: Path

    @cached_property
    def _shots(self) -> dict[int, _Shot]:
        """By stamp. Raises InputError if the bag has no depth, or no calibration of it."""
        with open_bag(self.path) as bag:
            known = bag.topics
        if missing := [topic for topic in (DEPTH, CALIBRATION) if topic not in known]:
            raise InputError(
                f"{self.path}: no {' and no '.join(missing)}; needed depth and its camera_info, as "
                f"metric_depth run writes them (--maps depth). It has {', '.join(known) or 'no topic'}."
            )
        return {
            messages.stamp_ns(told): _Shot(recorded_ns, _camera(told))
            for recorded_ns, told in readable_messages(self.path, CALIBRATION)
            if not isinstance(told, InputError)
        }

    @cached_property
    def _has_sigma(self) -> bool:
        with open_bag(self.path) as bag:
            return SIGMA in bag.topics

    def of(self, frame: Frame) -> RelativeDepth:
        """Depth of a frame's image at its pixels, NaN unknown, with feature "sigma" if there is one.

        All is NaN if the bag has no depth of its stamp.

        Raises:
            InputError: the frame has no camera, or depth and its camera are not of one size.
        """
        if frame.camera is None:
            raise InputError(f"frame {frame.id}: no intrinsics; needed them to place stored depth.")
        shot = self._shots.get(frame.stamp_ns)
        found = None if shot is None else self._image(DEPTH, frame.stamp_ns, shot.recorded_ns)
        if shot is None or found is None:
            return RelativeDepth(np.full(frame.image.shape[:2], np.nan, np.float32), "depth", metric=True)
        sigma = self._image(SIGMA, frame.stamp_ns, shot.recorded_ns) if self._has_sigma else None
        features = {} if sigma is None else {"sigma": _placed(sigma, frame, shot.camera)[None]}
        return RelativeDepth(_placed(found, frame, shot.camera), "depth", metric=True, features=features)

    def _image(self, topic: str, stamp_ns: int, recorded_ns: int) -> FloatArray | None:
        """The image (H, W) in metres of a topic and stamp; None if there is none, or it cannot be read."""
        around = 0 if recorded_ns == stamp_ns else _AROUND_NS
        window = recorded_ns - around, recorded_ns + around + 1
        for _, message in readable_messages(self.path, topic, window):
            if not isinstance(message, InputError) and messages.stamp_ns(message) == stamp_ns:
                return messages.read_depth(message)
        return None


def _camera(message: Any) -> Camera:
    """Camera at the origin of its own frame."""
    return replace(messages.read_camera(message, rectified=False), position_m=(0.0, 0.0, 0.0))


def _placed(values: FloatArray, frame: Frame, camera: Camera) -> FloatArray:
    """Depth or sigma (h, w) of a camera at the pixels (H, W) of a frame, the nearest; NaN outside.

    The camera's picture may be the frame's rectified or smaller one. Raises InputError if the values are not
    of the camera's size.
    """
    assert frame.camera is not None
    if values.shape != (camera.height, camera.width):
        found, needed = f"{values.shape[1]}x{values.shape[0]}", f"{camera.width}x{camera.height}"
        raise InputError(f"{DEPTH}: {found}; needed {needed}, the size in its camera_info.")
    rays = pixel_rays(frame.camera).reshape(-1, 3) @ _rotation(frame, camera).T
    uv, z = project(rays, camera)
    u, v = np.nan_to_num(uv, nan=-9.0).T.reshape(2, frame.camera.height, frame.camera.width)
    border: Any = float("nan")
    seen = cv2.remap(
        values.astype(np.float32), np.ascontiguousarray(u), np.ascontiguousarray(v), cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT, borderValue=border,
    )  # fmt: skip
    return np.asarray(seen / z.reshape(seen.shape))


def _rotation(frame: Frame, camera: Camera) -> FloatArray:
    """From the frame's camera to one of stored depth: that of its calibration, if the depth is rectified."""
    wanted = frame.rectification
    if wanted is None or frame.camera is None:
        return np.eye(3, dtype=np.float32)
    rectified = resize_camera(replace(frame.camera, K=wanted.K), camera.width, camera.height)
    same = not camera.distorted and np.allclose(rectified.K, camera.K, rtol=1e-4)
    return np.asarray(wanted.R if same else np.eye(3), np.float32)


def bag_of(run: Path) -> Path | None:
    """The bag of depth of a run of one source, or that this is itself; None of a folder of runs."""
    paths = (run / DEPTH_BAG, run)
    return next((path for path in paths if path.is_file() or (path / METADATA).is_file()), None)


def depth_of(run: Path, bag: Path) -> Path | None:
    """Bag of the depth that a run of a folder of bags wrote of one of them; None if there is none.

    It lies below the run as the bag below its folder, for DRIVES/monday/a.mcap at
    RUN/monday/a.mcap/depth.mcap: at the longest end of the bag's path that the run has.
    """
    parts = set_parts(bag)[2].resolve().parts
    ends = (run.joinpath(*parts[start:], DEPTH_BAG) for start in range(1, len(parts)))
    return next((path for path in ends if path.is_file()), None)


def depth_bags(run: Path, sets: Sequence[Path]) -> dict[str, StoredDepth]:
    """Bag of stored depth of each set, by its name.

    Args:
        run: folder that `metric_depth run` wrote, of one source or of a folder of bags; or a bag of depth.

    Raises:
        InputError: a set has none.
    """
    one = bag_of(run)
    if one is not None and len(sets) == 1:
        return {set_name(sets[0]): StoredDepth(one)}
    found = {path: depth_of(run, path) for path in sets}
    if missing := [set_name(path) for path, bag in found.items() if bag is None]:
        several = f"depth of one source, but {len(sets)} sets are given" if one is not None else "no depth"
        needed = ", ".join(f"{name}/{DEPTH_BAG}" for name in missing)
        raise InputError(
            f"{run}: {several}; needed {needed} in it. Give the folder that metric_depth run wrote of these "
            "data (without --no-bag), or those data alone."
        )
    return {set_name(path): StoredDepth(bag) for path, bag in found.items() if bag is not None}


def run_source(run: Path, sets: Sequence[Path]) -> RelativeSource:
    """Source of the depth that a run stored of these sets. Raises InputError if a set has none."""
    bags = depth_bags(run, sets)
    return lambda name, frame: bags[name].of(frame)


def stored_depth(config: Config) -> Candidate:
    """Candidate that says what was stored, within the limits of depth; fails where there is none."""

    def solve(view: KnownView, anchors: Anchors) -> MetricDepth:
        depth, sigma = view.relative.values.copy(), view.relative.features.get("sigma")
        if not np.isfinite(depth).any():
            raise AnchorError(f"{view.name}: no depth of its stamp is stored.")
        metric = MetricDepth(depth, None if sigma is None else sigma[0].copy())
        return within_limits(metric, limited(config, view).solver)

    return Candidate(LABEL, solve)
