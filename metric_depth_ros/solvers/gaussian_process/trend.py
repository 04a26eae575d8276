"""Trend of log depth that the Gaussian process corrects, and which anchors are suspect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.spatial import cKDTree

from metric_depth_ros.config import SolverConfig
from metric_depth_ros.depth import Domain, choose_domain, depth_from, depth_in, relative_in
from metric_depth_ros.solvers.fitting.observations import (
    DEVIATION,
    Line,
    by_place,
    fit_line,
    medians,
    observe,
    usable,
)
from metric_depth_ros.solvers.gaussian_process.process import FEATURES, GAIN, Covariance, GaussianProcess
from metric_depth_ros.types import Anchors, BoolArray, FloatArray, IntArray, RelativeDepth

NAME = "gaussian_process"  # in errors
# Least number of anchors to fit a line.
_FEWEST = 16
# Most anchors used to compare two trends.
_COMPARED = 64
# A line extrapolates badly: its leave-one-out error must be below this fraction of the scale's.
_BETTER = 0.6
# Error in log depth of an anchor beyond its sigma: detail finer than the field can follow.
NUGGET = 0.01
# With fewer anchors the neighbours are too far away for a comparison.
_FEWEST_JUDGED = 10
_NEIGHBOURS = 8
# Neighbours that must support an anchor, and rounds in which wrong ones lose their support.
_SUPPORTERS = 2
_ROUNDS = 3
# Disagreement in log depth that is always accepted.
_TOLERANCE = 0.12
# The Hampel identifier's factor.
_FACTOR = 3.0
# An inverse depth is at least that of the farthest anchor divided by this.
_FARTHEST = 10.0


@dataclass(frozen=True, eq=False)
class Trend:
    """Trend of log depth: log depth = map - middle + residual, the residual known at the anchors.

    Attributes:
        name: "scale": the network's positive depth unchanged; "line": its values through a global line.
        map: (H, W) float32; NaN where the network gives no value.
        middle: the map at the median anchor.
        anchors: N anchors that are usable.
        x: (N,) the map at the anchors minus ``middle``.
        residual: (N,) log depth of the anchors minus x.
        suspect: (N,) whether their neighbours contradict them.
    """

    name: Literal["scale", "line"]
    map: FloatArray
    middle: float
    anchors: Anchors
    x: FloatArray
    residual: FloatArray
    suspect: BoolArray

    @property
    def level(self) -> float:
        """Median of the residual at anchors that are not suspect."""
        return float(medians(self.residual[~self.suspect]))


def find_trend(relative: RelativeDepth, anchors: Anchors, config: SolverConfig) -> Trend:
    """Trend from the network's depth, or from a global line if that predicts left-out anchors better.

    Raises:
        AnchorError: no anchor is usable.
    """
    logarithm = relative_in("log", relative)
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
    """Trend of a global line if it predicts left-out anchors much better than ``scale``, else None.

    There is none in the log domain, where the process itself has a slope.
    """
    space = choose_domain(domain, relative.kind)
    if space == "log" or np.count_nonzero(~scale.suspect) < _FEWEST:
        return None
    values = relative_in(space, relative)
    if _unknown(values) > _unknown(scale.map):
        return None
    agreed = scale.anchors.take(~scale.suspect)
    seen = observe(values, agreed, space, "relative", "none", NAME)
    fit, least = fit_line(seen, space), float(depth_in(space, seen.depth).min() / _FARTHEST)
    x = _log_depth(fit, seen.x, space, least)
    side = values.size**0.5
    by_line, by_scale = _left_out_errors(agreed, np.stack([x, scale.x[~scale.suspect]]), side)
    if by_line > _BETTER * by_scale:
        return None
    logarithm = _log_depth(fit, values, space, least)
    return _trend("line", logarithm, own, usable(logarithm, own, NAME)[1], near)


def _unknown(values: FloatArray) -> int:
    return int(np.count_nonzero(np.isnan(values)))


def _log_depth(line: Line, values: FloatArray, domain: Domain, least: float) -> FloatArray:
    """Log depth of a line applied to values of a domain, with y raised to ``least``."""
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
    """Trend from log relative depth (H, W), x (N,) at the anchors."""
    log_depth = np.log(anchors.depth.astype(np.float64))
    suspect = disagreeing(near, log_depth - x, log_depth)
    middle = float(medians(x[~suspect]))
    return Trend(name, logarithm, middle, anchors, x - middle, log_depth - x + middle, suspect)


def _left_out_errors(anchors: Anchors, x: FloatArray, side: float) -> FloatArray:
    """Mean leave-one-out errors (T,) in log depth of up to 64 anchors, given x (T, N) and the others."""
    chosen = np.linspace(0, len(anchors) - 1, min(len(anchors), _COMPARED)).astype(np.intp)
    anchors, x = anchors.take(chosen), x[:, chosen]
    features = np.zeros((*x.shape, FEATURES), np.float32)
    features[..., :2], features[..., 2] = anchors.uv / side, x - medians(x)[:, None]
    features[..., GAIN] = 1
    residual = np.log(anchors.depth.astype(np.float64)) - x
    residual -= medians(residual)[:, None]
    noise = np.broadcast_to(noise_of(anchors), x.shape)
    error, _ = GaussianProcess(Covariance(), features, residual, noise).left_out()
    return np.asarray(np.abs(error).mean(axis=-1))


def noise_of(anchors: Anchors) -> FloatArray:
    """Variances (N,) of the anchors' log depth about a smooth field."""
    return np.asarray(NUGGET**2 + (anchors.sigma.astype(np.float64) / anchors.depth) ** 2)


def nearest(uv: FloatArray) -> IntArray | None:
    """Indices (N, 8) of the anchors closest to each of the pixels (N, 2); None for fewer than 10."""
    if len(uv) < _FEWEST_JUDGED:
        return None
    _, near = cKDTree(uv).query(uv, k=_NEIGHBOURS + 1)
    itself = near == np.arange(len(uv))[:, None]
    itself[~itself.any(axis=1), -1] = True  # not found, because others lie at its place
    return np.asarray(near[~itself].reshape(len(uv), _NEIGHBOURS))


def disagreeing(near: IntArray | None, log_ratio: FloatArray, log_depth: FloatArray) -> BoolArray:
    """Mask (N,) of wrong anchors: far from the median of their 8 nearest, and not supported by them.

    Far: by more than three times their median deviation (Hampel 1974). Not supported: by fewer than two
    of them that are not wrong themselves; a neighbour supports an anchor if metric depth, or its ratio to
    relative depth, agrees within 12 %. So a thin part in front and a gap between two objects, where both
    the network and the median are wrong, keep their anchors, as several lie there. Anchors at one place
    support each other. With fewer than 10 anchors none is wrong; if more than half would be, none is.

    Args:
        near: from ``nearest``.
        log_ratio: (N,) log of metric over relative depth.
        log_depth: (N,) log of metric depth.
    """
    if near is None:
        return np.zeros(len(log_ratio), bool)
    around = log_ratio[near]
    middle = medians(around)
    apart = np.abs(around - log_ratio[:, None])
    deviation = DEVIATION * medians(np.abs(around - middle[:, None]))
    off = np.abs(log_ratio - middle) > np.maximum(_FACTOR * deviation, _TOLERANCE)
    np.minimum(apart, np.abs(log_depth[near] - log_depth[:, None]), out=apart)
    supports, wrong = apart < _TOLERANCE, np.zeros(len(near), bool)
    for _ in range(_ROUNDS):
        wrong = off & (np.count_nonzero(supports & ~wrong[near], axis=1) < _SUPPORTERS)
    return wrong if 2 * np.count_nonzero(wrong) <= len(wrong) else np.zeros_like(wrong)
