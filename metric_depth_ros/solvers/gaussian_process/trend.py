"""What log depth is before the anchors near a pixel are asked: the network's answer, made positive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from metric_depth_ros.config import SolverConfig
from metric_depth_ros.engines.positive import positive_depth
from metric_depth_ros.solvers.fitting.domain import Domain, choose_domain, depth_from, depth_in, relative_in
from metric_depth_ros.solvers.fitting.line import Line, fit_line
from metric_depth_ros.solvers.fitting.observations import by_place, observe, usable
from metric_depth_ros.solvers.fitting.outliers import disagreeing, nearest
from metric_depth_ros.solvers.gaussian_process.process import FEATURES, Covariance, GaussianProcess
from metric_depth_ros.types import Anchors, FloatArray, IntArray, RelativeDepth

NAME = "gaussian_process"  # in errors
# Anchors that a line must be fitted to.
_FEWEST = 16
# Anchors that two trends are compared by.
_COMPARED = 64
# A line extrapolates badly: it must predict left-out anchors with so much of the error.
_BETTER = 0.6
# Error in log depth of an anchor beyond its sigma: what is finer than the field can follow.
NUGGET = 0.01
# An inverse depth is at least that of the farthest anchor by this.
_FARTHEST = 10.0


@dataclass(frozen=True, eq=False)
class Trend:
    """log depth = map + residual; the residual is known at the anchors.

    Attributes:
        name: "scale", the network's positive depth as it is, or "line", its values by a global fit.
        map: (H, W) float32, 0 at the median anchor; NaN where the network says nothing.
        anchors: N of them that are usable and agree with each other.
        x: (N,) the map at the anchors.
        residual: (N,) log depth of the anchors less x.
        rejected: how many more there were, which did not agree.
    """

    name: Literal["scale", "line"]
    map: FloatArray
    anchors: Anchors
    x: FloatArray
    residual: FloatArray
    rejected: int


def find_trend(relative: RelativeDepth, anchors: Anchors, config: SolverConfig) -> Trend:
    """The network's own depth up to a scale, or where left-out anchors say so that of a global line.

    Raises:
        AnchorError: none is usable.
    """
    logarithm = np.log(positive_depth(relative))
    own, x = usable(logarithm, by_place(anchors), NAME)
    most = config.gaussian_process.most_anchors
    if len(own) > most:
        kept = np.linspace(0, len(own) - 1, most).astype(np.intp)
        own, x = own.take(kept), x[kept]
    near = nearest(own.uv) if config.robust != "none" else None
    scale = _trend("scale", logarithm, own, x, near)
    return _line(relative, own, config.domain, near, scale) or scale


def _line(
    relative: RelativeDepth, own: Anchors, domain: str, near: IntArray | None, scale: Trend
) -> Trend | None:
    """The trend of a global line, if it predicts left-out anchors much better than ``scale``.

    Not of a line in the log domain: the process has a slope of its own there.
    """
    space = choose_domain(domain, relative.kind)
    if space == "log" or len(scale.x) < _FEWEST:
        return None
    values = relative_in(space, relative)
    if _unknown(values) > _unknown(scale.map):
        return None
    seen = observe(values, scale.anchors, space, "relative", "none", NAME)
    fit, least = fit_line(seen, space), float(depth_in(space, seen.depth).min() / _FARTHEST)
    x = _log_depth(fit, seen.x, space, least)
    side = values.size**0.5
    by_line, by_scale = (_left_out_error(scale.anchors, at, side) for at in (x, scale.x))
    if by_line > _BETTER * by_scale:
        return None
    logarithm = _log_depth(fit, values, space, least)
    return _trend("line", logarithm, own, usable(logarithm, own, NAME)[1], near)


def _unknown(values: FloatArray) -> int:
    return int(np.count_nonzero(np.isnan(values)))


def _log_depth(line: Line, values: FloatArray, domain: Domain, least: float) -> FloatArray:
    """The log depth of a line through values of a domain, held above a least y."""
    y = line.at(values)
    np.maximum(y, y.dtype.type(least), out=y)
    return np.asarray(np.log(depth_from(domain, y, out=y)))


def _trend(
    name: Literal["scale", "line"],
    logarithm: FloatArray,
    anchors: Anchors,
    x: FloatArray,
    near: IntArray | None,
) -> Trend:
    """The trend of log relative depth (H, W), x (N,) of it at the anchors; wrong anchors are dropped."""
    log_depth = np.log(anchors.depth.astype(np.float64))
    kept = ~disagreeing(near, log_depth - x, log_depth)
    rejected = int(np.count_nonzero(~kept))
    anchors, x, log_depth = anchors.take(kept), x[kept], log_depth[kept]
    middle = np.median(x)
    return Trend(name, logarithm - np.float32(middle), anchors, x - middle, log_depth - x + middle, rejected)


def _left_out_error(anchors: Anchors, x: FloatArray, side: float) -> float:
    """Mean error in log depth of up to 64 anchors, each predicted from x (N,) and the others."""
    chosen = np.linspace(0, len(x) - 1, min(len(x), _COMPARED)).astype(np.intp)
    anchors, x = anchors.take(chosen), x[chosen]
    features = np.zeros((len(x), FEATURES), np.float32)
    features[:, :2], features[:, 2] = anchors.uv / side, x - np.median(x)
    residual = np.log(anchors.depth.astype(np.float64)) - x
    process = GaussianProcess(Covariance(), features, residual - np.median(residual), noise_of(anchors))
    error, _ = process.left_out()
    return float(np.mean(np.abs(error)))


def noise_of(anchors: Anchors) -> FloatArray:
    """(N,) variances of the anchors' log depth about a smooth field."""
    return np.asarray(NUGGET**2 + (anchors.sigma.astype(np.float64) / anchors.depth) ** 2)
