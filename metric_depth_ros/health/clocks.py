"""Why an image has no cloud, by the times of both: clocks that differ, or limits that are too small."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metric_depth_ros.sync import Source

# Stamps that differ by more than their way to us explains are those of another clock.
APART_S = 1.0
# Less may be a clock, or a sensor whose messages come late.
_LATE_S = 0.1
# A cloud that came once, as a latched map, may be this old.
_OLD_S = 3600.0
# After so many times the usual spacing a sensor has fallen silent.
_SILENT = 4
# Largest value of a lead in the settings.
_MOST_LEAD_S = 1.0


@dataclass(frozen=True)
class Heard:
    """When a message was measured, by its stamp, and when it came or was recorded; both in ns."""

    stamp_ns: int
    came_ns: int


@dataclass(frozen=True)
class Limits:
    """How far in time the clouds of a source may be from an image.

    Attributes:
        source: its name in the settings; empty for the one topic without a name.
        offset_s: what the settings add to its stamps.
        wait_s: how long an image waits for a cloud to come; infinite in a bag.
        exact: whether stamps must be equal.
    """

    age_s: float
    lead_s: float
    source: str = ""
    offset_s: float = 0.0
    wait_s: float = math.inf
    exact: bool = False

    def setting(self, what: str) -> str:
        """Name of the setting of "age" or "lead"."""
        return f"sources.{self.source}.max_{what}_s" if self.source else f"sync.max_cloud_{what}_s"


@dataclass(frozen=True)
class Reason:
    """Why images have no cloud, in words with what to do, and the setting that mends it, if one does."""

    words: str
    setting: str = ""
    value: float | str = 0.0
    clocks: bool = False  # they differ


def limits_of(source: Source, *, live: bool = False) -> Limits:
    """Limits of a source of anchors as its settings are now."""
    sync = source.ring.config
    waits_s = 0.0 if sync.mode == "latest" else sync.max_wait_s
    name, wait_s = source.name if source.model else "", waits_s if live else math.inf
    age_s, lead_s, exact = sync.max_cloud_age_s, sync.max_cloud_lead_s, sync.mode == "exact"
    return Limits(age_s, lead_s, name, source.offset_ns / 1e9, wait_s, exact)


def apart_s(images: Sequence[Heard], clouds: Sequence[Heard]) -> float:
    """How far the clouds' stamps are ahead of the images', compared by when they came; 0 without either.

    Each image is compared with the cloud that came nearest to it: both clocks may have jumped since others.
    """
    if not images or not clouds:
        return 0.0
    came, ahead = zip(*(_came_and_ahead(of) for of in (images, clouds)), strict=True)
    nearest = np.abs(came[0][:, None] - came[1]).argmin(1)
    return float(np.median(ahead[1][nearest] - ahead[0])) / 1e9


def _came_and_ahead(heard: Sequence[Heard]) -> tuple[np.ndarray, np.ndarray]:
    """When messages (N,) came, and how far their stamps are ahead of that; both in ns."""
    stamps, came = np.array([(each.stamp_ns, each.came_ns) for each in heard]).T
    return came, stamps - came


def why_apart(images: Sequence[Heard], clouds: Sequence[Heard], limits: Limits) -> Reason | None:
    """Why images have no cloud of a sensor, and what to do; None if every image has one.

    Args:
        images: those without a cloud, or all; in any order.
        clouds: of the sensor, by the stamps that the settings make of theirs.
        limits: within which a cloud belongs to an image.
    """
    if not images or not clouds:
        return None
    apart = apart_s(images, clouds)
    gaps = _gaps(images, clouds, 0.0, limits)
    since = np.isfinite(gaps[:, 0])
    if since.any():  # those before the first cloud say nothing
        gaps = gaps[since]
    if not _short(gaps, limits).any():
        return None
    fewer = _short(_gaps(images, clouds, apart, limits), limits).sum() < _short(gaps, limits).sum()
    certain_s = APART_S if len(clouds) > 1 or apart > 0 else _OLD_S
    if abs(apart) > certain_s or (_LATE_S < abs(apart) <= APART_S and fewer):
        return _other_clock(apart, gaps, limits)
    if limits.exact:
        return _unequal(gaps, limits)
    return _silence(gaps, clouds, limits) or _too_small(gaps, limits)


def _other_clock(apart: float, gaps: np.ndarray, limits: Limits) -> Reason:
    """That the sensor's clock differs, or live perhaps that its messages come late."""
    offset_s = round(limits.offset_s - apart, 3)
    setting = f"sources.{limits.source}.time_offset_s"
    named = f"set {setting}" if limits.source else "name it in anchors.sources with time_offset_s"
    before = gaps[np.isfinite(gaps[:, 0]), 0]
    if math.isinf(limits.wait_s):
        named = f"run with --stamps recorded, or {named}"
    late = ""
    if math.isfinite(limits.wait_s) and -APART_S <= apart < 0 and len(before):
        late = f" If it only comes late, set {limits.setting('age')}: {_above(float(before.max())):g}."
    words = (
        f"The sensor's clock is {apart:+.3f} s off the camera's, compared by when messages came. Set it, "
        f"or {named}: {offset_s:.3f}.{late}"
    )
    return Reason(words, setting, offset_s, clocks=True)


def _gaps(images: Sequence[Heard], clouds: Sequence[Heard], shift_s: float, limits: Limits) -> np.ndarray:
    """Seconds (N, 2) from each image back to the cloud before it, and on to the one after; inf: none.

    Only clouds that come while the image waits count.
    """
    stamps = np.array([cloud.stamp_ns / 1e9 - shift_s for cloud in clouds])
    at = np.array([image.stamp_ns / 1e9 for image in images])
    passed = at[:, None] - stamps
    if math.isfinite(limits.wait_s):
        came = np.array([cloud.came_ns / 1e9 for cloud in clouds])
        until = np.array([image.came_ns / 1e9 + limits.wait_s for image in images])
        passed = np.where(came > until[:, None], np.nan, passed)
    before, after = np.where(passed >= 0, passed, np.inf), np.where(passed < 0, -passed, np.inf)
    return np.stack([before.min(1), after.min(1)], 1)


def _short(gaps: np.ndarray, limits: Limits) -> np.ndarray:
    """Which images (N,) have no cloud within the limits."""
    short: np.ndarray = (gaps[:, 0] > limits.age_s) & (gaps[:, 1] > limits.lead_s)
    return short


def _silence(gaps: np.ndarray, clouds: Sequence[Heard], limits: Limits) -> Reason | None:
    """That a sensor stopped for a while whose clouds come often enough otherwise."""
    before = gaps[np.isfinite(gaps[:, 0]), 0]
    spacing = np.diff(np.sort([cloud.stamp_ns / 1e9 for cloud in clouds]))
    usual = float(np.median(spacing)) if len(spacing) else math.inf
    if not len(before) or usual > limits.age_s or before.max() < _SILENT * usual:
        return None
    return Reason(
        f"The sensor sent nothing for {before.max():.3f} s, mostly it sends every {usual:.3f} s. See whether "
        "its driver runs, and whether messages get lost."
    )


def _unequal(gaps: np.ndarray, limits: Limits) -> Reason:
    """That stamps must be equal, and are not."""
    setting = f"sources.{limits.source}.mode" if limits.source else "sync.mode"
    words = (
        f"The nearest cloud is {float(np.median(gaps.min(1))):.6f} s off the image, but {setting} is exact, "
        f"which needs equal stamps. Trigger both sensors together, or set {setting}: approximate."
    )
    return Reason(words, setting, "approximate")


def _too_small(gaps: np.ndarray, limits: Limits) -> Reason | None:
    """Which of age and lead is too small, and the value that would do.

    It is the lead if clouds follow soon after all images, and were long before them.
    """
    before, after = (gaps[np.isfinite(gaps[:, side]), side] for side in (0, 1))
    if len(after) and after.max() <= _MOST_LEAD_S and (not len(before) or 2 * after.max() < before.max()):
        what, limit, gap, way = "lead", limits.lead_s, float(after.max()), "after"
    elif len(before):
        what, limit, gap, way = "age", limits.age_s, float(before.max()), "before"
    else:
        return None
    setting = limits.setting(what)
    value = _above(gap)
    words = (
        f"The nearest cloud is up to {gap:.3f} s {way} the image, but {setting} is {limit:g} s. "
        f"Set {setting}: {value:g}."
    )
    return Reason(words, setting, value)


def _above(seconds: float) -> float:
    """A round number that is at least a tenth larger."""
    step = 10.0 ** (math.floor(math.log10(max(seconds, 1e-3))) - 1)
    return round(math.ceil(1.1 * seconds / step - 1e-9) * step, 6)
