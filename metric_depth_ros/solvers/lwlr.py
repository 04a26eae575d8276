"""Local scale and shift at every pixel, from nearby anchors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from metric_depth_ros.config import LwlrConfig
from metric_depth_ros.solvers.fitting.closed_form import ClosedForm, Problem, rescued
from metric_depth_ros.solvers.fitting.lattice import Lattice
from metric_depth_ros.solvers.fitting.observations import deviation_about
from metric_depth_ros.types import FloatArray

# Ours: the kernel's width in mean distances between anchors.
_WIDTH_IN_SPACINGS = 1.0
# Its limits as fractions of the diagonal. The lower one keeps the kernel above the smallest float64.
_NARROWEST = 0.03
_WIDEST = 0.5
# Lattice vertices per kernel width: the bilinear error is below 2 % of the local correction.
_VERTICES_PER_WIDTH = 3
# Bounds of the local scale relative to the global line.
_LOWEST, _HIGHEST = 0.1, 10.0


class Lwlr(ClosedForm):
    """Locally weighted linear regression (paper 001, equation 3, after its reference [27]).

    g = the global line. At each pixel the scale s and shift t minimise
    sum_i k_i w_i (y_i - s g_i - t)^2 + ridge, k a Gaussian of the distance in pixels to anchor i;
    y = s g + t. The ridge is pull * t^2 as in the paper, or (ours) pulls to s = 1, t = 0. s and t are
    computed on a lattice with a step of a third of the kernel's width and interpolated. ``info`` adds the
    bandwidth in pixels.
    """

    def _fitted(self, problem: Problem) -> tuple[FloatArray, dict[str, Any]]:
        options, line = self._config.lwlr, problem.line
        height, width = problem.x.shape
        bandwidth = _bandwidth_px(options.bandwidth, width, height, len(problem.seen))
        lattice = Lattice(width, height, max(1, int(bandwidth / _VERTICES_PER_WIDTH)))
        scale, shift = local_lines(problem, lattice.u, lattice.v, bandwidth, options, guards=self._guards)
        y: FloatArray = lattice.interpolated(scale * line.scale) * problem.x
        y += lattice.interpolated(scale * line.shift + shift)
        if self._guards:
            y = rescued(y, problem.x, line, problem.domain)
        return y, {"fit": "affine", "bandwidth_px": bandwidth}


def _bandwidth_px(setting: float, width: int, height: int, anchors: int) -> float:
    diagonal = math.hypot(width, height)
    spacing = _WIDTH_IN_SPACINGS * math.sqrt(width * height / anchors) / diagonal
    return max(_NARROWEST, setting or min(spacing, _WIDEST)) * diagonal


def local_lines(
    problem: Problem,
    u: FloatArray,
    v: FloatArray,
    bandwidth_px: float,
    options: LwlrConfig,
    *,
    guards: bool,
) -> tuple[FloatArray, FloatArray]:
    """Scale and shift (rows, columns) relative to the global line, at vertices u (columns,), v (rows,)."""
    seen = problem.seen
    g = problem.line.at(seen.x)
    paper = options.ridge == "shift"
    centre = 0.0 if paper and problem.domain != "log" else float(np.average(g, weights=seen.weight))
    unit = deviation_about(centre, g, seen.weight, problem.domain)
    z, e = (g - centre) / unit, seen.y - g
    across = np.exp(-((u[:, None] - seen.uv[:, 0]) ** 2) / (2 * bandwidth_px**2))
    down = np.exp(-((v[:, None] - seen.uv[:, 1]) ** 2) / (2 * bandwidth_px**2)) * seen.weight
    # Far from all anchors the paper's fit is a ratio of tiny sums; ours follows the ridge: float32 is enough.
    across, down = (kernel.astype(np.float64 if paper else np.float32) for kernel in (across, down))
    terms = np.stack([np.ones_like(z), z, z * z, e, z * e]).astype(down.dtype)
    m, mz, mzz, me, mze = (((down * term) @ across.T).astype(np.float64) for term in terms)

    if paper:  # pulls t, not t - e, to zero: with e = y - g, s - 1 = a / unit
        slope, level = _solved(m + options.pull, mz, mzz, me, mze)
    else:
        slope, level = _solved(m + options.pull, mz, mzz + options.pull, me, mze)
    if guards:
        allowed: FloatArray = np.clip(slope, (_LOWEST - 1) * unit, (_HIGHEST - 1) * unit)
        level = level + (slope - allowed) * np.divide(mz, m, out=np.zeros_like(m), where=m > 0)
        slope = allowed
    return 1 + slope / unit, level - slope * centre / unit


def _solved(
    m: FloatArray, mz: FloatArray, mzz: FloatArray, me: FloatArray, mze: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Slope and level of e = slope z + level from moments; level alone where z does not vary."""
    det = m * mzz - mz * mz
    open_ = det <= 1e-9 * m * mzz
    det = np.where(open_, 1.0, det)
    slope = np.where(open_, 0.0, (m * mze - mz * me) / det)
    level = np.where(open_, me / m, (mzz * me - mz * mze) / det)
    return slope, level
