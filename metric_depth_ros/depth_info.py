"""What ``depth/info`` says of one depth image: where its scale is from, and how far to trust it."""

from __future__ import annotations

from math import nan
from typing import Any

import numpy as np

from metric_depth_ros.anchors import sample_bilinear
from metric_depth_ros.depth import positive_depth
from metric_depth_ros.pipeline import Result
from metric_depth_ros.types import Anchors, FloatArray, MetricDepth, RelativeDepth

# Medians over the image take about so many pixels.
_SAMPLE = 5_000


def depth_info(result: Result) -> dict[str, Any]:
    """Values by key, the same keys for every solver: docs/node.md lists them. NaN is unknown.

    Further keys, ``solver NAME``, hold what the solver itself says, if it is a text, number or truth value.
    """
    told, anchors = result.metric.info, result.anchors
    used = int(told.get("anchors", len(anchors)))
    values = {
        "scale_from": told["scale_from"],
        "solver": result.solver,
        "runtime": result.runtime,
        "scale": _scale(result),
        "anchors": len(anchors),
        "anchors_used": used,
        "anchors_rejected": int(told.get("rejected", 0)),
        "cloud_age_s": result.cloud_age_s,
        "scale_age_s": float(told.get("scale_age_s", nan)),
        **_residuals(result.metric.depth, anchors),
        "sigma_relative": _sigma(result.metric),
        "known": float(np.count_nonzero(~np.isnan(result.metric.depth)) / result.metric.depth.size),
        "left_out": float(told.get("left_out", 0.0)),
    }
    own = {f"solver {key}": value for key, value in told.items() if isinstance(value, _PLAIN)}
    return values | {key: value for key, value in own.items() if key not in _SAID}


_PLAIN = (str, int, float, np.generic)
# What the keys of every solver say already.
_SAID = ("solver scale_from", "solver anchors", "solver rejected", "solver left_out", "solver scale_age_s")


def _residuals(depth: FloatArray, anchors: Anchors) -> dict[str, float]:
    """Median and root mean square of |log (depth / anchor)|, at the anchors where depth is known."""
    off = np.abs(_logarithms(sample_bilinear(depth, anchors.uv), anchors.depth))
    if not len(off):
        return {"residual_median": nan, "residual_rms": nan}
    return {"residual_median": float(np.median(off)), "residual_rms": float(np.sqrt(np.mean(off**2)))}


def _scale(result: Result) -> float:
    """Median of metric over relative depth."""
    if result.relative is None:
        return nan
    relative = RelativeDepth(_sample(result.relative.values), result.relative.kind)
    return _median_ratio(_sample(result.metric.depth), positive_depth(relative))


def _sigma(metric: MetricDepth) -> float:
    """Median of sigma over depth."""
    return nan if metric.sigma is None else _median_ratio(_sample(metric.sigma), _sample(metric.depth))


def _median_ratio(values: FloatArray, over: FloatArray) -> float:
    """Median ratio of two maps (h, w) where both are known; NaN if nowhere."""
    logarithms = _logarithms(values, over)
    return float(np.exp(np.median(logarithms))) if len(logarithms) else nan


def _logarithms(values: FloatArray, over: FloatArray) -> FloatArray:
    """log (values / over), 1-D, where both are known and positive."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.log(values / over)
    return np.asarray(found[np.isfinite(found)])


def _sample(values: FloatArray) -> FloatArray:
    """Every so many-th row and column, a view."""
    step = max(1, int((values.size / _SAMPLE) ** 0.5))
    return values[::step, ::step]
