"""Tells a range that a sensor measures wrong for a moment from a scene that changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from metric_depth_ros.anchors import inside_image
from metric_depth_ros.types import Anchors, FloatArray, ImageArray

# Logarithm of depth by which most anchors must differ from the last depth, one way, beyond what a robot of
# this speed changes and three sigma; and their number and part.
_STEP, _FASTEST_M_S, _FEW, _MOST = 0.2, 5.0, 10, 0.75
# A later image says nothing.
_LONGEST_S = 1.0
# Anchors that are looked at, evenly spaced in their order.
_LOOKED_AT = 2000
# Pictures are compared at this size, the inner part of one anywhere in the other, by their correlation.
_SMALL, _MARGIN, _SAME = (32, 24), 4, 0.85


@dataclass(frozen=True, eq=False)
class _Last:
    """Depth (H, W) of the last image that had anchors, and its picture."""

    depth: FloatArray
    image: ImageArray
    stamp_ns: int


@dataclass(frozen=True)
class _Jump:
    """By what factor, as a logarithm, and in which cloud."""

    log_ratio: float
    cloud_ns: int

    def confirmed_by(self, other: _Jump) -> bool:
        """Whether another cloud says the same."""
        return self.cloud_ns != other.cloud_ns and abs(self.log_ratio - other.log_ratio) < _STEP


class JumpWatch:
    """Finds sources whose range has jumped as a whole though the picture has not: ours.

    Every scene may change in a step, so the second cloud in a row that says the same is believed.
    """

    def __init__(self) -> None:
        self._last: _Last | None = None
        self._doubted: dict[str, _Jump] = {}

    def keep(self, depth: FloatArray, image: ImageArray, anchors: Anchors, stamp_ns: int) -> None:
        """Takes the depth of an image, if anchors determined it."""
        if len(anchors) >= _FEW:
            self._last = _Last(depth, image, stamp_ns)

    def found(
        self, by_source: Mapping[str, Anchors], cloud_ns: Mapping[str, int], image: ImageArray, stamp_ns: int
    ) -> dict[str, str]:
        """That a source's range has jumped, by the name of each that is not to be believed.

        Args:
            by_source: anchors in pixels of the image.
            cloud_ns: stamp of each source's newest cloud; a source without one is not judged.
        """
        last, words = self._last, dict[str, str]()
        if last is None or last.image.shape != image.shape:
            return words
        passed_s = (stamp_ns - last.stamp_ns) / 1e9
        for name, anchors in by_source.items():
            log_ratio = _jump(anchors, last.depth, passed_s) if name in cloud_ns else None
            before = self._doubted.pop(name, None)
            if log_ratio is None or not _same_view(last.image, image):
                continue
            jump = _Jump(log_ratio, cloud_ns[name])
            if before is not None and before.confirmed_by(jump):
                continue
            self._doubted[name] = jump
            words[name] = (
                f"range jump: {np.exp(log_ratio):.2g} times as deep as {passed_s:.2f} s before in most "
                "places, though the picture is the same; needed a second cloud that says the same. If it "
                "repeats, check the sensor: its units, its echoes, and who else publishes on its topic."
            )
        return words


def _jump(anchors: Anchors, depth: FloatArray, passed_s: float) -> float | None:
    """Median log ratio of anchors to an earlier depth (H, W), if most are off one way; else None."""
    if not 0 < passed_s <= _LONGEST_S:
        return None
    height, width = depth.shape
    some = anchors.take(np.arange(0, len(anchors), 1 + len(anchors) // _LOOKED_AT))
    some = some.take(inside_image(some.uv, width, height))
    u, v = np.rint(some.uv).astype(np.intp).T
    before = depth[np.minimum(v, height - 1), np.minimum(u, width - 1)]
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = np.log(some.depth / before)
        nearest = np.minimum(some.depth, before)
        most = _STEP + np.log1p(_FASTEST_M_S * passed_s / nearest) + 3 * some.sigma / some.depth
    known = np.isfinite(apart)
    apart, most = apart[known], most[known]
    if len(apart) < _FEW or max(np.mean(apart > most), np.mean(apart < -most)) < _MOST:
        return None
    return float(np.median(apart))


def _same_view(one: ImageArray, other: ImageArray) -> bool:
    """Whether two pictures show the same, moved a little."""
    small, inner = (
        cv2.cvtColor(cv2.resize(each, _SMALL, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
        for each in (one, other)
    )
    inner = inner[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    return bool(cv2.matchTemplate(small, inner, cv2.TM_CCOEFF_NORMED).max() >= _SAME)
