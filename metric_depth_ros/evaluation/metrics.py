"""Standard metrics of depth maps (Eigen et al. 2014; KITTI; NYU Depth v2) and of their sigma.

Every function takes depth and truth in metres, of the same shape, and uses the pixels where both are
known: finite and positive (0 and NaN are "unknown"). Without such pixels it returns NaN. ``charged`` fills
pixels without depth before depth is compared, so that leaving pixels out does not pay. Metrics of sigma
(``ause``, ``sigma_coverage``, ``calibration_error``, ``nll``) leave out pixels without depth or sigma: none
is charged. ``measures`` lists the metrics by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np
from scipy.special import ndtri

from metric_depth_ros.errors import InputError
from metric_depth_ros.scale import best_scale
from metric_depth_ros.types import BoolArray, FloatArray

# Probabilities at which ``calibration_error`` compares.
_LEVELS = np.arange(1, 20) / 20
# Without depth, a pixel counts as this many times its true depth.
MISSING_RATIO = 2.0


def charged(depth: FloatArray, truth: FloatArray) -> FloatArray:
    """Depth, float64, in which a pixel without depth has twice its true depth, where that is known.

    Such a pixel then counts alike in every metric of depth: as an AbsRel of 1, as ln 2 in RMSE-log, as d* in
    MAE, and as none of delta1 to delta3. Raises InputError if the shapes differ.
    """
    d, t = _paired(depth, truth)
    return np.where(_positive(t) & ~_positive(d), MISSING_RATIO * t, d)


def abs_rel(depth: FloatArray, truth: FloatArray) -> float:
    """Mean of |d - d*| / d*."""
    d, t = _known(depth, truth)
    return _mean(np.abs(d - t) / t)


def sq_rel(depth: FloatArray, truth: FloatArray) -> float:
    """Mean of (d - d*)^2 / d*, metres."""
    d, t = _known(depth, truth)
    return _mean((d - t) ** 2 / t)


def mae(depth: FloatArray, truth: FloatArray) -> float:
    """Mean of |d - d*|, metres."""
    d, t = _known(depth, truth)
    return _mean(np.abs(d - t))


def rmse(depth: FloatArray, truth: FloatArray) -> float:
    """Root of the mean of (d - d*)^2, metres."""
    d, t = _known(depth, truth)
    return math.sqrt(_mean((d - t) ** 2))


def rmse_log(depth: FloatArray, truth: FloatArray) -> float:
    """Root of the mean of (ln d - ln d*)^2."""
    d, t = _known(depth, truth)
    return math.sqrt(_mean(np.log(d / t) ** 2))


def log10(depth: FloatArray, truth: FloatArray) -> float:
    """Mean of |log10 d - log10 d*|, as most papers print it (Make3D, NYU Depth v2)."""
    d, t = _known(depth, truth)
    return _mean(np.abs(np.log10(d / t)))


def log10_squared(depth: FloatArray, truth: FloatArray) -> float:
    """Mean of (log10 d - log10 d*)^2, which table 6 of paper 003 (TR2M) calls log10.

    The values of its table 1 are not squared: .033 beside an AbsRel of .077 is the size of ``log10``.
    """
    d, t = _known(depth, truth)
    return _mean(np.log10(d / t) ** 2)


def irmse(depth: FloatArray, truth: FloatArray) -> float:
    """Root of the mean of (1/d - 1/d*)^2, in 1/km (KITTI depth completion)."""
    d, t = _known(depth, truth)
    return 1e3 * math.sqrt(_mean((1 / d - 1 / t) ** 2))


def imae(depth: FloatArray, truth: FloatArray) -> float:
    """Mean of |1/d - 1/d*|, in 1/km (KITTI depth completion)."""
    d, t = _known(depth, truth)
    return 1e3 * _mean(np.abs(1 / d - 1 / t))


def silog(depth: FloatArray, truth: FloatArray) -> float:
    """100 times the standard deviation of ln d - ln d*: SILog of the KITTI benchmarks.

    Eigen et al. 2014 (equation 1) have the variance itself, without root and factor.
    """
    d, t = _known(depth, truth)
    return 100 * math.sqrt(_mean((np.log(d / t) - _mean(np.log(d / t))) ** 2))


def delta(depth: FloatArray, truth: FloatArray, power: int = 1) -> float:
    """Fraction with max(d / d*, d* / d) < 1.25^power; power 1, 2, 3 are delta1, delta2, delta3."""
    d, t = _known(depth, truth)
    return _mean(np.maximum(d / t, t / d) < 1.25**power)


def scale_error(depth: FloatArray, truth: FloatArray) -> float:
    """|ln s|, s the factor that brings depth closest to truth (``best_scale``, without its bounds).

    Of depth that is a factor times a network's, this is the error of the logarithm of that factor: what
    table I of paper 002 has the mean and the root mean square of, over images.
    """
    d, t = _known(depth, truth)
    return abs(math.log(best_scale(d, t, (0.0, math.inf)))) if d.size else float("nan")


def coverage(depth: FloatArray, truth: FloatArray) -> float:
    """Fraction of the pixels with known truth that have a depth. Compare errors only at similar coverage."""
    depth, truth = _paired(depth, truth)
    return _mean(_positive(depth)[_positive(truth)])


def ause(
    depth: FloatArray, truth: FloatArray, sigma: FloatArray, error: Literal["abs_rel", "rmse"] = "abs_rel"
) -> float:
    """Area under the sparsification error: 0 where sigma orders the errors perfectly.

    e(f) is the error after removing the fraction f of the pixels with the largest sigma, e*(f) after removing
    those with the largest errors (the oracle). With n pixels

        AUSE = mean over f = 0, 1/n, ..., (n-1)/n of (e(f) - e*(f)) / e(0)

    so 1 means an area as large as the error itself (after Ilg et al. 2018, "Uncertainty Estimates and
    Multi-Hypotheses Networks", with one step per pixel). For abs_rel pixels are ordered by sigma / d, and
    for the oracle by |d - d*| / d*; for rmse by sigma and by |d - d*|. Pixels of equal sigma get their
    mean (squared) error, so their order has no effect: a constant sigma scores as badly as a random one.

    Args:
        depth, truth: metres.
        sigma: metres, of depth's shape. Pixels where it is not finite, or is negative, do not count.
        error: "abs_rel" or "rmse".

    Returns:
        NaN without known pixels, 0 without errors.
    """
    left, best = _sparsified(depth, truth, sigma, error)
    if not left.size:
        return float("nan")
    return float((left - best).mean() / left[0]) if left[0] else 0.0


def sparsification(
    depth: FloatArray,
    truth: FloatArray,
    sigma: FloatArray,
    error: Literal["abs_rel", "rmse"] = "abs_rel",
    *,
    steps: int = 20,
) -> FloatArray:
    """Sparsification curves (2, steps): e(f) and e*(f) of ``ause`` at f = 0, 1/steps, ...; NaN if unknown."""
    both = np.stack(_sparsified(depth, truth, sigma, error))
    if not both.size:
        return np.full((2, steps), np.nan)
    return np.asarray(both[:, np.arange(steps) * both.shape[1] // steps])


def _sparsified(
    depth: FloatArray, truth: FloatArray, sigma: FloatArray, error: Literal["abs_rel", "rmse"]
) -> tuple[FloatArray, FloatArray]:
    """Curves e(f) and e*(f) of ``ause``, (n,) each."""
    d, t, s = _known_with_sigma(depth, truth, sigma)
    relative = error == "abs_rel"
    errors = np.abs(d - t) / t if relative else (d - t) ** 2
    left = _means_of_rest(_shared(errors, s / d if relative else s))
    best = _means_of_rest(np.sort(errors))
    return (left, best) if relative else (np.sqrt(left), np.sqrt(best))


def sigma_coverage(depth: FloatArray, truth: FloatArray, sigma: FloatArray, times: float = 1.0) -> float:
    """Fraction of pixels with |d - d*| <= times sigma, where all three are known.

    NaN without such pixels. Of normal errors it is .683 within one sigma and .954 within two.
    """
    d, t, s = _known_with_sigma(depth, truth, sigma)
    return _mean(np.abs(d - t) <= times * s)


def calibration_error(depth: FloatArray, truth: FloatArray, sigma: FloatArray) -> float:
    """Mean over p = .05, .1, ..., .95 of |p - fraction of pixels with d* below the p-quantile|.

    The quantiles are those of a normal distribution about d with a positive sigma (Kuleshov et al. 2018,
    "Accurate Uncertainties for Deep Learning Using Calibrated Regression", equation 9, with |.| for the
    square). 0 is perfect; a sigma far too small for unbiased errors has .24.
    """
    z = _standardised(depth, truth, sigma)[0]
    if not z.size:
        return float("nan")
    below = np.searchsorted(np.sort(z), ndtri(_LEVELS), side="right") / z.size
    return _mean(np.abs(below - _LEVELS))


def nll(depth: FloatArray, truth: FloatArray, sigma: FloatArray) -> float:
    """Mean of ln sigma + ((d - d*) / sigma)^2 / 2 + ln(2 pi) / 2, nats: negative log likelihood.

    Of a normal distribution with positive sigma in metres (Nix and Weigend 1994).
    """
    z, s = _standardised(depth, truth, sigma)
    return _mean(np.log(s) + z**2 / 2 + math.log(2 * math.pi) / 2)


# Metrics of depth beside truth, by name.
OF_PIXELS: dict[str, Callable[[FloatArray, FloatArray], float]] = {
    "abs_rel": abs_rel,
    "sq_rel": sq_rel,
    "rmse": rmse,
    "rmse_log": rmse_log,
    "log10": log10,
    "log10_squared": log10_squared,
    "mae": mae,
    "irmse": irmse,
    "imae": imae,
    "silog": silog,
    "delta1": delta,
    "delta2": partial(delta, power=2),
    "delta3": partial(delta, power=3),
}


def all_metrics(depth: FloatArray, truth: FloatArray, cap_m: float | None = None) -> dict[str, float]:
    """Every metric of ``OF_PIXELS``, with ``coverage`` and ``count``, over truth up to ``cap_m`` metres.

    Raises:
        InputError: the shapes differ.
    """
    depth, truth = _paired(depth, truth)
    if cap_m is not None:
        truth = np.where(truth <= cap_m, truth, np.nan)
    metrics = {name: metric(depth, truth) for name, metric in OF_PIXELS.items()}
    metrics["coverage"] = coverage(depth, truth)
    metrics["count"] = float(np.count_nonzero(_positive(depth) & _positive(truth)))
    return metrics


def _paired(depth: FloatArray, truth: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Depth and truth as float64. Raises InputError if their shapes differ."""
    d, t = np.asarray(depth, np.float64), np.asarray(truth, np.float64)
    if d.shape != t.shape:
        raise InputError(
            f"metrics: depth is {d.shape}, truth {t.shape}; needed one shape. Resize one of them first."
        )
    return d, t


def _known(depth: FloatArray, truth: FloatArray) -> tuple[FloatArray, FloatArray]:
    d, t = _paired(depth, truth)
    both = _positive(d) & _positive(t)
    return d[both], t[both]


def _known_with_sigma(
    depth: FloatArray, truth: FloatArray, sigma: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    d, t = _paired(depth, truth)
    _, s = _paired(depth, sigma)
    known = _positive(d) & _positive(t) & np.isfinite(s) & (s >= 0)
    return d[known], t[known], s[known]


def _standardised(depth: FloatArray, truth: FloatArray, sigma: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(d* - d) / sigma (n,) and sigma (n,), where all are known and sigma is positive."""
    d, t, s = _known_with_sigma(depth, truth, sigma)
    return (t - d)[s > 0] / s[s > 0], s[s > 0]


def _shared(errors: FloatArray, key: FloatArray) -> FloatArray:
    """Errors ordered by key, ascending; errors with equal keys are replaced by their mean."""
    _, which, count = np.unique(key, return_inverse=True, return_counts=True)
    mean = np.bincount(which.reshape(-1), errors) / count
    return np.repeat(mean, count)


def _means_of_rest(ordered: FloatArray) -> FloatArray:
    """Means (n,) of the first n, n - 1, ..., 1 values."""
    return (np.cumsum(ordered) / np.arange(1, len(ordered) + 1))[::-1]


def _positive(values: FloatArray) -> BoolArray:
    known: BoolArray = np.isfinite(values) & (values > 0)
    return known


def _mean(values: FloatArray | BoolArray) -> float:
    return float(values.mean()) if values.size else float("nan")
