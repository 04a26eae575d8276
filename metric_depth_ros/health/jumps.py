"""Tells a range that a sensor measures wrong for a moment from a scene that changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from metric_depth_ros.anchors import inside_image
from metric_depth_ros.types import Anchors, FloatArray, ImageArray

# Logarithm of depth by which most anchors must differ from the last depth, one way, beyond three sigma and,
# unless the picture refutes it, what a robot of this speed changes within this time; and the part that must.
_STEP, _FASTEST_M_S, _LONGEST_S, _MOST = 0.2, 5.0, 1.0, 0.75
# Fewer than few anchors must all differ, by this many times their own spread; fewer than least tell nothing.
_LEAST, _FEW, _SPREADS = 3, 10, 4.0
# Anchors that are looked at, evenly spaced in their order.
_LOOKED_AT = 2000
# Pictures are compared at this size: the inner part of one anywhere in the other, by their correlation, and
# by their mean difference in gray levels, which is noise up to here.
_SMALL, _MARGIN, _SAME, _NOISE = (32, 24), 4, 0.85, 3.0


@dataclass(frozen=True, eq=False)
class _Last:
    """Depth (H, W) of the last image that had anchors, and its picture."""

    depth: FloatArray
    image: ImageArray
    stamp_ns: int


@dataclass(frozen=True)
class _Jump:
    """By what factor, as a logarithm; how near; whether the picture shows that nothing moved; the cloud."""

    log_ratio: float
    nearest_m: float
    still: bool
    cloud_ns: int

    def confirmed_by(self, other: _Jump) -> bool:
        """Whether another cloud says the same, but for what a robot may have moved in between."""
        passed_s = abs(other.cloud_ns - self.cloud_ns) / 1e9
        moved = 0.0 if other.still else np.log1p(_FASTEST_M_S * passed_s / other.nearest_m)
        return passed_s > 0 and abs(self.log_ratio - other.log_ratio) < _STEP + moved


class JumpWatch:
    """Finds sources whose range has jumped as a whole though the picture has not: ours.

    Every scene may change in a step, so the second cloud in a row that says the same is believed.
    """

    def __init__(self) -> None:
        self._last: _Last | None = None
        self._doubted: dict[str, _Jump] = {}

    def keep(self, depth: FloatArray, image: ImageArray, anchors: Anchors, stamp_ns: int) -> None:
        """Takes the depth of an image, if anchors determined it."""
        if len(anchors) >= _LEAST:
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
        if last is None or last.image.shape != image.shape or stamp_ns <= last.stamp_ns:
            return words
        passed_s = (stamp_ns - last.stamp_ns) / 1e9
        for name, anchors in by_source.items():
            before = self._doubted.pop(name, None)
            if name not in cloud_ns:
                continue
            jump = _jump(anchors, last, image, passed_s, cloud_ns[name])
            if jump is None or (before is not None and before.confirmed_by(jump)):
                continue
            self._doubted[name] = jump
            words[name] = (
                f"range jump: {np.exp(jump.log_ratio):.2g} times as deep as {passed_s:.2f} s before in most "
                "places, though the picture is the same; needed a second cloud that says the same. If it "
                "repeats, check the sensor: its units, its echoes, and who else publishes on its topic."
            )
        return words


def _jump(anchors: Anchors, last: _Last, image: ImageArray, passed_s: float, cloud_ns: int) -> _Jump | None:
    """The jump of anchors from an earlier depth, if most are off one way; else None."""
    height, width = last.depth.shape
    some = anchors.take(np.arange(0, len(anchors), 1 + len(anchors) // _LOOKED_AT))
    some = some.take(inside_image(some.uv, width, height))
    apart = _apart(some, last.depth, np.zeros(2))
    if not abs(_median(apart)) > _STEP:
        return None
    before, now = _small(last.image, image)
    if (cells := _shift(before, now)) is None:
        return None
    a_cell = np.array([width, height]) / _SMALL
    apart = _apart(some, last.depth, cells * a_cell)
    log_ratio = _median(apart)
    places = (some.uv + 0.5) / a_cell - 0.5
    if_still = _difference(before, now, places, cells, 1.0)
    if_moved = _difference(before, now, places, cells, float(np.exp(-log_ratio)))
    refuted = 2 * if_still <= if_moved
    moved = np.zeros(len(some))
    if if_still > _NOISE and not refuted:
        if passed_s > _LONGEST_S:
            return None
        moved = np.log1p(_FASTEST_M_S * passed_s / (some.depth * np.minimum(1, np.exp(-apart))))
    most = _STEP + moved + 3 * some.sigma / some.depth
    if not _beyond(apart, most):
        return None
    nearest_m = float(np.median(some.depth)) * min(1.0, float(np.exp(-log_ratio)))
    return _Jump(log_ratio, nearest_m, refuted and if_moved > _NOISE, cloud_ns)


def _apart(anchors: Anchors, depth: FloatArray, shift: FloatArray) -> FloatArray:
    """Log ratio (N,) of anchors to an earlier depth (H, W), moved by pixels (2,) since; NaN if unknown."""
    height, width = depth.shape
    u, v = np.rint(anchors.uv - shift).astype(np.intp).T
    inside = (u >= 0) & (v >= 0) & (u <= width) & (v <= height)
    before = depth[np.clip(v, 0, height - 1), np.clip(u, 0, width - 1)]
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = np.log(anchors.depth / before)
    return np.where(inside & np.isfinite(apart), apart, np.nan)


def _median(apart: FloatArray) -> float:
    """Of those known; NaN if too few are."""
    known = apart[np.isfinite(apart)]
    return float(np.median(known)) if len(known) >= _LEAST else np.nan


def _beyond(apart: FloatArray, most: FloatArray) -> bool:
    """Whether most known log ratios exceed theirs one way; all, and well beyond their spread, if few."""
    known = np.isfinite(apart)
    apart, most = apart[known], most[known]
    if len(apart) < _LEAST:
        return False
    part = max(np.mean(apart > most), np.mean(apart < -most))
    if len(apart) >= _FEW:
        return bool(part >= _MOST)
    return bool(part == 1 and abs(np.median(apart)) > _SPREADS * np.std(apart, ddof=1))


def _small(before: ImageArray, now: ImageArray) -> tuple[FloatArray, FloatArray]:
    """Both in gray and small, the first as bright as the second."""
    one, other = (
        cv2.cvtColor(cv2.resize(each, _SMALL, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
        for each in (before, now)
    )
    gain = (other.mean() + 1) / (one.mean() + 1)
    return one.astype(np.float32) * np.float32(gain), other.astype(np.float32)


def _shift(before: FloatArray, now: FloatArray) -> FloatArray | None:
    """Cells (2,) right and down by which a small picture has moved; None if it shows something else."""
    if np.abs(now - before).mean() <= _NOISE:
        return np.zeros(2)
    inner = before[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    _, best, _, at = cv2.minMaxLoc(cv2.matchTemplate(now, inner, cv2.TM_CCOEFF_NORMED))
    return np.subtract(at, _MARGIN).astype(float) if best >= _SAME else None


def _difference(
    before: FloatArray, now: FloatArray, places: FloatArray, cells: FloatArray, zoom: float
) -> float:
    """Mean gray levels between a picture and an earlier one, moved by cells and enlarged, at places (N, 2).

    NaN if no place was in the picture before.
    """
    centre = (np.array(_SMALL) - 1) / 2
    whence = (places - cells - centre) / zoom + centre
    inside = np.all((whence > -0.5) & (whence < np.array(_SMALL) - 0.5), axis=1)
    if not inside.any():
        return np.nan
    one, other = (
        cv2.remap(
            each, at[inside].astype(np.float32)[:, None], None, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE
        )
        for each, at in ((before, whence), (now, places))
    )
    return float(np.abs(one - other).mean())
