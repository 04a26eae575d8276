"""Piecewise curve from relative to metric depth, the same for the whole image."""

from __future__ import annotations

from typing import Any

import numpy as np

from metric_depth_ros.solvers.fitting.closed_form import ClosedForm, Problem, rescued
from metric_depth_ros.solvers.fitting.observations import Line, Observations
from metric_depth_ros.solvers.fitting.penalised import Rows, fit_ridge
from metric_depth_ros.solvers.fitting.surfaces import fit_surfaces
from metric_depth_ros.types import FloatArray

# Least number of anchors per interval of the spline.
_PER_INTERVAL = 4
# Strengths of smoothness to choose from.
_STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)


class Piecewise(ClosedForm):
    """Intervals of relative depth, each with a scale and a shift (paper 001, after its reference [1]).

    ``model: separate`` fits each interval alone, as the paper says. ``model: spline`` (ours) fits one
    rising curve through knots between intervals that hold equally many anchors: the global line plus
    a deviation, its smoothness chosen by leave-one-out error. ``info`` adds fit and intervals.
    """

    def _fitted(self, problem: Problem) -> tuple[FloatArray, dict[str, Any]]:
        intervals = self._config.piecewise.intervals
        if self._config.piecewise.model == "separate":
            y = _separate(problem, intervals)
        else:
            knots = _knots(problem.seen.x, intervals)
            if len(knots) < 3:
                return problem.line.at(problem.x), {"fit": problem.line.how, "intervals": 1}
            intervals = len(knots) - 1
            y = _curve(problem.x, knots, _rising(_levels(problem.seen, problem.line, knots)), problem.line)
        if self._guards:
            y = rescued(y, problem.x, problem.line, problem.domain)
        return y, {"fit": self._config.piecewise.model, "intervals": intervals}


def _separate(problem: Problem, intervals: int) -> FloatArray:
    """y from an independent line in each interval; intervals divide the anchors' range of x equally.

    An interval whose anchors do not determine a line takes the global one; pixels beyond the anchors
    take the outermost interval.
    """
    seen, low = problem.seen, float(problem.seen.x.min())
    width = (float(seen.x.max()) - low) / intervals or 1.0

    def interval(x: FloatArray) -> Any:
        with np.errstate(invalid="ignore"):
            return np.clip(np.nan_to_num((x - low) / width), 0, intervals - 1).astype(np.intp)

    fits = fit_surfaces(
        seen, interval(seen.x), np.eye(intervals, dtype=np.bool_), problem.domain, slopes=False
    )
    open_ = [problem.line.scale, problem.line.shift]
    lines = np.where(fits.solved[:, None], fits.parameters[:, [0, 3]], open_).astype(np.float32)
    which = interval(problem.x)
    return np.asarray(lines[:, 0].take(which) * problem.x + lines[:, 1].take(which))


def _knots(x: FloatArray, intervals: int) -> FloatArray:
    """Knots (k,) in x, distinct and rising, with equally many anchors between them."""
    count = max(1, min(intervals, len(x) // _PER_INTERVAL))
    return np.asarray(np.unique(np.quantile(x, np.linspace(0, 1, count + 1))))


def _levels(seen: Observations, line: Line, knots: FloatArray) -> FloatArray:
    """y (k,) at the knots: the line plus a smooth deviation fitted to the anchors."""
    k, width = len(knots), np.diff(knots)
    place = np.clip(np.searchsorted(knots, seen.x, side="right") - 1, 0, k - 2)
    after = (seen.x - knots[place]) / width[place]
    rows = Rows(np.stack([place, place + 1], axis=1), np.stack([1 - after, after], axis=1), k)
    step = np.diff(np.eye(k), axis=0)
    penalty = step.T @ (step * (width.mean() / width)[:, None])
    ridge = fit_ridge(rows, seen.y - line.at(seen.x), seen.weight, penalty, _STRENGTHS)
    return line.at(knots) + ridge.coefficients


def _rising(levels: FloatArray) -> FloatArray:
    """Closest non-decreasing sequence (pool adjacent violators)."""
    blocks: list[tuple[float, int]] = []
    for level in levels.tolist():
        blocks.append((level, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (a, n), (b, m) = blocks[-2:]
            blocks[-2:] = [((a * n + b * m) / (n + m), n + m)]
    return np.repeat([level for level, _ in blocks], [n for _, n in blocks])


def _curve(x: FloatArray, knots: FloatArray, levels: FloatArray, line: Line) -> FloatArray:
    """Curve (H, W) float32, piecewise linear through the knots; the line's slope beyond them."""
    slopes = np.concatenate([[line.scale], np.diff(levels) / np.diff(knots), [line.scale]])
    edges = np.concatenate([[-np.inf], knots, [np.inf]]).astype(np.float32)
    y = np.full(x.shape, np.float32(levels[0]))
    for slope, low, high in zip(slopes.astype(np.float32), edges[:-1], edges[1:], strict=True):
        base = low if np.isfinite(low) else high
        y += slope * (np.clip(x, low, high) - base)
    return y
