"""Partial pooling: fits of regions, pulled to those of their neighbours and to the global line.

Ours. With g the global line, b = g (b = 1 in the log domain) and f the columns of the fit beside the
level (none: median; x: linear; x, u, v: surface), region r has

    y = g + z_r b + s_r . (f - m_r b),    m_r = sum w b f / sum w b^2 over its anchors,

so that level z_r and slopes s_r are independent. Both have Gaussian priors of mean zero:

    levels   precision  I / nu + t L,  L the Laplacian of the graph of touching regions
    slopes   precision  diag(1 / nu_j), each region for itself

The result is the posterior mean: one n x n solve for the levels, n solves of k x k for the slopes.
All variances are moments of the anchors (empirical Bayes): the noise from the residuals inside
regions, nu from the distance of the regions' own levels from zero, t from how much closer those of
touching regions are to each other, nu_j from the slopes. So a region without anchors follows its
neighbours, pulled to the global line; with many anchors it keeps its own fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metric_depth_ros.depth import Domain
from metric_depth_ros.regions.adjacency import neighbours
from metric_depth_ros.solvers.fitting.observations import NO_VARIATION, Line, Observations, size_of
from metric_depth_ros.solvers.fitting.surfaces import summed
from metric_depth_ros.solvers.region_aware.fits import FITS, RegionFits, simplest_of_the_best
from metric_depth_ros.types import BoolArray, FloatArray, IntArray

_TINY = np.finfo(np.float64).tiny
# Slopes of each fit.
_COLUMNS = {"median": 0, "linear": 1, "surface": 3}
# Prior: share of noise in the variance of the global residual, and its weight in anchors.
_NOISE_SHARE, _NOISE_WORTH = 0.5, 1.0
# Relative size that counts as zero in float64.
_EXACT = 1e-12
# Least variance between neighbours' levels, as a fraction of that between unrelated ones.
_CLOSEST = 0.05


@dataclass(frozen=True, eq=False)
class _Moments:
    """Sums over each region's anchors, n regions and k columns.

    Attributes:
        count: (n,) anchors.
        mass: (n,) sum w b^2.
        level: (n,) sum w b e / mass, e = y - g.
        centre: (n, k) m_r.
        gram: (n, k, k) sum w f~ f~^T of f~ = f - m_r b.
        cross: (n, k) sum w f~ e.
        energy: (n,) sum w e^2.
    """

    count: IntArray
    mass: FloatArray
    level: FloatArray
    centre: FloatArray
    gram: FloatArray
    cross: FloatArray
    energy: FloatArray


def fit_pooled(
    seen: Observations, labels: IntArray, group: IntArray, n: int, line: Line, domain: Domain, fit: str
) -> RegionFits:
    """Fit of every region, pulled to its neighbours and to the global line (partial pooling).

    Args:
        seen: the anchors.
        labels: (H, W) regions, 0 to n-1.
        group: (N,) each anchor's region.
        n: number of regions.
        line: the global fit.
        domain: of ``seen``.
        fit: "median", "linear", "surface", or "auto": per region the one with the least leave-one-out
            error, all of them with the variances of the richest.
    """
    k = _COLUMNS["surface" if fit == "auto" else fit]
    base = Line(0.0, 1.0, "constant") if domain == "log" or not line.scale else line
    raw = np.column_stack([seen.x, seen.uv])[:, :k]
    origin, unit = raw.mean(axis=0), raw.std(axis=0)
    size = np.array([size_of(seen.x, domain), *np.maximum(np.abs(seen.uv).max(axis=0), 1)])[:k]
    unit = np.where(unit > NO_VARIATION * size, unit, np.inf)
    columns, b, e = (raw - origin) / unit, base.at(seen.x), seen.y - line.at(seen.x)
    moments = _summed(columns, b, seen, e, group, n)
    noise, misfit = _noise(moments, seen)
    precision = _level_precision(moments, noise, misfit, neighbours(labels, n))
    level = np.linalg.solve(precision, moments.mass * moments.level / noise)
    if fit == "auto":
        candidates = [_slopes(moments, noise, order) for order in _COLUMNS.values()]
        rest, deviation = e - level[group] * b, columns - moments.centre[group] * b[:, None]
        level_part = b**2 * (np.diag(np.linalg.inv(precision)) / noise)[group]
        best = _best_orders(candidates, deviation, rest, level_part, seen.weight, group)
        slopes, fits = np.stack([found for found, _ in candidates])[best, np.arange(n)], best + 1
    else:
        slopes, fits = _slopes(moments, noise, k)[0], np.full(n, FITS.index(fit))

    drawn = level - np.sum(slopes * moments.centre, axis=1)
    parameters = np.zeros((n, 4))
    parameters[:, :k] = slopes / unit
    parameters[:, 0] += line.scale + drawn * base.scale
    parameters[:, 3] = line.shift + drawn * base.shift - (slopes / unit) @ origin
    ranges = np.tile([seen.depth.min(), seen.depth.max()], (n, 1))  # every fit depends on all anchors
    empty = moments.count == 0
    return RegionFits(parameters, np.where(empty, FITS.index("global"), fits), ranges, empty)


def _best_orders(
    candidates: list[tuple[FloatArray, FloatArray]],
    deviation: FloatArray,
    rest: FloatArray,
    level_part: FloatArray,
    weight: FloatArray,
    group: IntArray,
) -> IntArray:
    """Index (n,) of the candidate with the least leave-one-out error in each region.

    Args:
        candidates: slopes and their covariances from ``_slopes``, simple to rich.
        deviation: (N, k) f~ of each anchor.
        rest: (N,) e less the level.
        level_part: (N,) the level's share of each anchor's leverage, without its weight.
        weight: (N,) of the anchors.
        group: (N,) their regions.
    """
    errors = []
    for slopes, inverse in candidates:
        leverage = weight * (level_part + np.einsum("nk,nkl,nl->n", deviation, inverse[group], deviation))
        left_out = (rest - np.sum(deviation * slopes[group], axis=1)) / np.maximum(1 - leverage, 1e-6)
        errors.append(np.bincount(group, weight * left_out**2, len(slopes)))
    return simplest_of_the_best(np.stack(errors, axis=1))


def _summed(
    columns: FloatArray, b: FloatArray, seen: Observations, e: FloatArray, group: IntArray, n: int
) -> _Moments:
    k, w = columns.shape[1], seen.weight
    outer = (columns[:, :, None] * columns[:, None, :]).reshape(len(columns), k * k)
    plain = np.column_stack([b * b, b * e, e * e, b[:, None] * columns, columns * e[:, None], outer])
    sums = summed(plain * w[:, None], group, n)
    mass, be, energy = sums[:, 0], sums[:, 1], sums[:, 2]
    bf, fe, ff = np.split(sums[:, 3:], [k, 2 * k], axis=1)
    safe = np.maximum(mass, _TINY)[:, None]
    level, centre = be / safe[:, 0], bf / safe
    return _Moments(
        count=np.bincount(group, minlength=n),
        mass=mass,
        level=level,
        centre=centre,
        gram=ff.reshape(n, k, k) - mass[:, None, None] * centre[:, :, None] * centre[:, None, :],
        cross=fe - mass[:, None] * centre * level[:, None],
        energy=energy,
    )


def _noise(moments: _Moments, seen: Observations) -> tuple[float, float]:
    """Variance of an anchor of weight 1 inside its region, and about the global line; both positive."""
    k, total = moments.centre.shape[1], len(seen)
    misfit = float(moments.energy.sum()) / total
    misfit = max(misfit, _EXACT * float(seen.weight @ seen.y**2) / total)
    enough = moments.count > k + 1
    gram, cross = moments.gram[enough], moments.cross[enough]
    inside = moments.energy - moments.mass * moments.level**2
    explained = np.zeros(int(enough.sum()))
    if k:
        ridge = _EXACT * np.trace(gram, axis1=1, axis2=2)[:, None, None] * np.eye(k) + _TINY * np.eye(k)
        explained = np.sum(cross * np.linalg.solve(gram + ridge, cross[:, :, None])[:, :, 0], axis=1)
    rest = float(np.maximum(inside[enough] - explained, 0).sum())
    freedom = float((moments.count[enough] - 1 - k).sum())
    return (rest + _NOISE_WORTH * _NOISE_SHARE * misfit) / (freedom + _NOISE_WORTH), misfit


def _level_precision(moments: _Moments, noise: float, misfit: float, touch: BoolArray) -> FloatArray:
    """Posterior precision (n, n) of the levels, from the anchors, the global line and the neighbours."""
    # An anchor at which the base is 0 (an inverse depth of 0) gives no information on its region's level.
    mass, seen = moments.mass, moments.mass > _EXACT * moments.mass.max()
    one = mass.sum() / moments.count.sum()
    signal = max(0.0, float(mass @ moments.level**2) - noise * int(seen.sum()))
    prior = _NOISE_WORTH * (1 - _NOISE_SHARE) * misfit
    nu = (signal + prior) / float(mass.sum() + _NOISE_WORTH * one)

    first, second = np.nonzero(np.triu(touch & seen & seen[:, None]))
    apart = 2 * nu
    if len(first):
        worth = 1 / (1 / mass[first] + 1 / mass[second])
        squared = float(worth @ (moments.level[first] - moments.level[second]) ** 2)
        apart = float(np.clip((squared - noise * len(first)) / worth.sum(), _CLOSEST * apart, apart))
    degree = touch.sum(axis=1, dtype=np.float64)
    usual_degree = float(degree.sum()) / max(1, int(np.count_nonzero(degree)))
    coupling = (1 / apart - 1 / (2 * nu)) / max(1.0, usual_degree)
    return np.asarray(np.diag(mass / noise + 1 / nu + coupling * degree) - coupling * touch)


def _slopes(moments: _Moments, noise: float, order: int) -> tuple[FloatArray, FloatArray]:
    """Posterior means (n, k) of the first ``order`` slopes, and their covariances (n, k, k) over the noise.

    The other slopes are zero.
    """
    n, k = moments.centre.shape
    slopes, inverse = np.zeros((n, k)), np.zeros((n, k, k))
    if order:
        gram, cross = moments.gram[:, :order, :order], moments.cross[:, :order]
        own = np.diagonal(gram, axis1=1, axis2=2)
        known = own > _EXACT * np.maximum(own.max(axis=0), _TINY)
        explained = np.divide(cross**2, own, out=np.zeros_like(cross), where=known) - noise * known
        nu = np.maximum(explained.sum(axis=0), 0) / np.maximum((own * known).sum(axis=0), _TINY)
        ridge = noise / np.maximum(nu, _EXACT * noise / np.maximum(own.max(axis=0), 1.0))
        inverse[:, :order, :order] = np.linalg.inv(gram + np.diag(ridge))
        slopes[:, :order] = np.einsum("nkl,nl->nk", inverse[:, :order, :order], cross)
    return slopes, inverse
