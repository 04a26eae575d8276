"""Field that corrects the network's log depth: one process over the image, or its local part in tiles.

Up to 128 anchors are fitted together. Of more, an even selection of 128, at most half of them,
determines what is global (constant, slope, maps, smooth field); given that, the local field is fitted in
overlapping tiles to the anchors nearest to each, with x corrected by it. So the time grows linearly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from metric_depth_ros.solvers.fitting.focus import Focus, near_mask
from metric_depth_ros.solvers.fitting.observations import DEVIATION, weighted_medians
from metric_depth_ros.solvers.gaussian_process.places import Places, enlarged
from metric_depth_ros.solvers.gaussian_process.process import FEATURES, Covariance, GaussianProcess
from metric_depth_ros.solvers.gaussian_process.tiles import Tiles, tiled
from metric_depth_ros.solvers.gaussian_process.trend import Trend, noise_of
from metric_depth_ros.types import BoolArray, FloatArray, IntArray

# Most anchors in the process over the whole image.
_TOGETHER = 128
# Deviation of log depth that neighbouring anchors have in common, added to their noise for what is global.
_IN_COMMON = 0.1
# Amplitude of the maps' weights, when some of the anchors determine them, over that of few anchors.
_OF_SOME = 0.6
# Most anchors inside a tile, and how many it uses with those around it.
_OWN, _USED = 64, 96
# Local length in mean distances of anchors, and its lower bound as a fraction.
_SPACINGS = 3.0
_SHORTEST = 0.6
# Factor of sigma without evidence, over the deviation of log relative depth: errors of networks are larger
# where depth differs more. With learned maps .7 of it; within bounds; and its weight in anchors.
_USUAL, _WITH_MAPS, _BOUNDS, _USUAL_WEIGHT = 2.4, 0.7, (0.7, 2.0), 3.0
# Left-out errors test variances up to this many times their median.
_TESTED = 1.5
# Deviation of log depth that is finer than the lattice.
_FINER = 0.005

# Log depth of a focused field is at most so far from the level's.
_LARGEST = 40.0

# Function from ``Covariance.columns`` (8, M) of places, and a tile, to values (..., M) there.
_Value = Callable[[FloatArray, int], FloatArray]


@dataclass(frozen=True, eq=False)
class Field:
    """Correction of the network's log depth, ``mean`` + ``slope`` x, with its standard deviation.

    Attributes:
        mean: (..., rows, columns) float32; before ``focused`` the leading axis is near and far fit.
        slope: (...,) the same everywhere; (rows, columns) after ``focused``.
        sigma: (..., rows / step, columns / step) of log depth.
        scale: factor in sigma that left-out errors tell.
        rejected: number of suspect anchors that remain doubted.
    """

    mean: FloatArray
    slope: FloatArray
    sigma: FloatArray
    scale: float
    rejected: int


@dataclass(frozen=True, eq=False)
class _Data:
    """Anchors as values of the process.

    Attributes:
        features: (N, 7 + K).
        values: (N,).
        noise: (N,) variances of the values.
        suspect: (N,) which values to leave out at first; None: no doubts.
        more: (2, N) noise added for near and far fit after doubting; None: there is no focus.
    """

    features: FloatArray
    values: FloatArray
    noise: FloatArray
    suspect: BoolArray | None
    more: FloatArray | None

    def fitted(self, covariance: Covariance, chosen: IntArray) -> GaussianProcess:
        """Processes of chosen anchors, (..., n) indices."""
        suspect = None if self.suspect is None else self.suspect[chosen]
        return GaussianProcess(
            covariance, self.features[chosen], self.values[chosen], self.noise[chosen], suspect=suspect
        )

    def without(self, mean: FloatArray) -> _Data:
        """What a mean (N,) leaves of the values, at features whose x has it."""
        features = self.features.copy()
        features[:, 2] += mean
        return replace(self, features=features, values=self.values - mean)

    def focused(self, process: GaussianProcess, chosen: IntArray, values: FloatArray) -> GaussianProcess:
        """Near and far fit of chosen anchors to values (..., N); the process itself without a focus."""
        return process if self.more is None else process.again(values[..., chosen], self.more[:, chosen])

    def rejected(self, process: GaussianProcess, chosen: IntArray) -> int:
        """Number of suspect values that the processes of chosen anchors (..., n) still doubt, all of them."""
        if self.suspect is None:
            return 0
        believed = chosen[self.suspect[chosen] & ~process.doubted]
        return int(np.count_nonzero(self.suspect)) - len(np.unique(believed))


def find_field(
    places: Places, trend: Trend, covariance: Covariance, *, doubting: bool, focus: Focus | None = None
) -> Field:
    """Field of the Gaussian process fitted to the trend's residuals minus their level.

    A focus does not change which values are doubted, nor the factor in sigma.
    """
    noise = noise_of(trend.anchors)
    data = _Data(
        places.at(trend.anchors.uv, trend.x),
        trend.residual - trend.level,
        noise,
        trend.suspect if doubting else None,
        None if focus is None else np.stack([noise_of(a) for a in focus.anchors(trend.anchors)]) - noise,
    )
    field = _fitted(places, trend, data, covariance)
    return field if focus is None else _focused(field, places, trend.level, focus)


def _fitted(places: Places, trend: Trend, data: _Data, covariance: Covariance) -> Field:
    if len(trend.x) <= _TOGETHER:
        return _together(places, data, covariance)
    return _in_tiles(places, trend, data, covariance)


def _together(places: Places, data: _Data, covariance: Covariance) -> Field:
    """Field of few anchors, fitted together."""
    everyone = np.arange(len(data.values))
    process = data.fitted(_resolved(covariance, len(everyone)), everyone)
    errors, rejected = _errors(places, process, np.ones(len(everyone))), data.rejected(process, everyone)
    process = data.focused(process, everyone, data.values)
    mean = places.shaped(process.local_mean(places.features.reshape(-1, FEATURES)))
    mean += _smooth(places, process)
    sigma = errors.sigma(_variance(places.sparse(), process))
    return Field(mean, process.slope, sigma, errors.factor, rejected)


def _in_tiles(places: Places, trend: Trend, data: _Data, covariance: Covariance) -> Field:
    """Field of many anchors: what is global by some of them, the local field in tiles.

    The tiles see depth as what is global corrects it.
    """
    agreed, uv = np.flatnonzero(~trend.suspect), trend.anchors.uv
    some = min(len(agreed) // 2, _TOGETHER)  # the others show how large errors are
    chosen = agreed[np.linspace(0, len(agreed) - 1, some).astype(np.intp)]
    loose = replace(data, noise=data.noise + _IN_COMMON**2)
    whole = loose.fitted(replace(covariance, maps=_OF_SOME * covariance.maps), chosen)
    rest, smooth = data.without(whole.global_mean(data.features)), _smooth(places, whole)
    bent = places.with_x((1 + whole.slope) * places.features[..., 2] + smooth)
    tiles, local = tiled(uv, *places.size, _OWN), _resolved(covariance, len(uv)).local_field
    used = tiles.nearest(uv, _USED)
    processes = rest.fitted(local, used)
    # What is global follows the chosen anchors, so these have smaller errors; each other one counts once.
    errors = _errors(places, processes, ~np.isin(used, chosen) / np.bincount(used.ravel())[used])
    rejected = rest.rejected(processes, used)
    if data.more is not None:
        whole = data.focused(whole, chosen, data.values)
        processes = data.focused(processes, used, data.values - whole.global_mean(data.features))
        smooth = _smooth(places, whole)
    mean, variance = _over_tiles(bent, tiles, local, processes)
    mean += smooth
    beyond = np.maximum(_variance(places.sparse().sparse(), whole) - np.float32(local.local**2), 0)
    # Far from all anchors: there the tiles know only the local field's variance.
    variance += enlarged(beyond, variance.shape)
    return Field(mean, whole.slope, errors.sigma(variance), errors.factor, rejected)


def _focused(field: Field, places: Places, level: float, focus: Focus) -> Field:
    """Mixture d = m near + (1 - m) far of the field's two fits, m the focus's mask.

    Its slope is the mean of theirs, weighted by their parts in d.
    """
    x = places.features[..., 2]
    y = field.mean + (1 + field.slope[:, None, None]) * x
    # In units of the level's depth, so that depth of any size has a square.
    near, far = np.exp(np.clip(y, -_LARGEST, _LARGEST))
    mask = near_mask(near, far, focus.focus_m / math.exp(level), focus.width)
    depth: FloatArray = far + mask * (near - far)
    part = mask * near / depth
    slope = np.asarray(field.slope[1] + part * (field.slope[0] - field.slope[1]), np.float32)
    mean = np.log(depth) - (1 + slope) * x
    every = places.every
    near, far, mask, depth = (each[every, every] for each in (near, far, mask, depth))
    within = mask * (field.sigma[0] * near) ** 2 + (1 - mask) * (field.sigma[1] * far) ** 2
    apart = mask * (1 - mask) * (near - far) ** 2
    return replace(field, mean=mean, slope=slope, sigma=np.sqrt(within + apart) / depth)


def _smooth(places: Places, process: GaussianProcess) -> FloatArray:
    """Constant, smooth field and learned maps (..., rows, columns) of a process, computed at few places."""
    few, shape = places.sparse().sparse(), places.features.shape[:2]
    found = enlarged(few.shaped(process.smooth_mean(few.features.reshape(-1, FEATURES))), shape)
    if places.maps is not None:
        found += enlarged(places.maps.field(process.map_weights), shape)
    return found


def _variance(places: Places, process: GaussianProcess) -> FloatArray:
    """Variance (..., rows, columns) of a process."""
    return places.shaped(process.variance(places.with_maps()))


def _over_tiles(
    places: Places, tiles: Tiles, local: Covariance, processes: GaussianProcess
) -> tuple[FloatArray, FloatArray]:
    """Mean (..., rows, columns) and variance (..., rows / step, columns / step) of tiles' local fields."""
    sparse = places.sparse()
    mean = _blended(tiles, places, places.columns(local), processes.local_sums)
    return mean, _blended(tiles, sparse, sparse.columns(local), processes.local_variance)


def _blended(tiles: Tiles, places: Places, factor: FloatArray, value: _Value) -> FloatArray:
    """Values of tiles on a lattice (..., rows, columns) float32, blended at their borders.

    ``factor`` (8, rows, columns) is the lattice's ``Covariance.columns``.
    """
    down, across = tiles.weights(places.v, 1), tiles.weights(places.u, 0)
    spans = zip(tiles.spans(places.v, 1), tiles.spans(places.u, 0), strict=True)
    total: FloatArray | None = None
    for tile, (rows, columns) in enumerate(spans):
        part = factor[:, rows, columns]
        found = value(part.reshape(len(part), -1), tile)
        found = found.reshape(*found.shape[:-1], *part.shape[1:])
        found *= down[tile, rows, None]
        found *= across[tile, columns]
        if total is None:
            total = np.zeros((*found.shape[:-2], *factor.shape[1:]), np.float32)
        total[..., rows, columns] += found
    total /= down.T @ across
    return total


def _resolved(covariance: Covariance, anchors: int) -> Covariance:
    """Covariance with a shorter local length for many anchors, which show finer detail."""
    length = covariance.local_length
    shorter = float(np.clip(_SPACINGS * anchors**-0.5, _SHORTEST * length, length))
    return replace(covariance, local_length=shorter)


@dataclass(frozen=True)
class _Errors:
    """How large errors are, relative to the process's standard deviation.

    Attributes:
        factor: where left-out anchors test it.
        usual: elsewhere.
        tested: largest variance of the process that is tested.
    """

    factor: float
    usual: float
    tested: float

    def sigma(self, variance: FloatArray) -> FloatArray:
        """Standard deviation of log depth from the process's variance, and what is finer than the lattice."""
        tested = np.minimum(variance, np.float32(self.tested))
        square = np.float32(self.factor**2) * (tested + np.float32(_FINER**2))
        return np.asarray(np.sqrt(square + np.float32(self.usual**2) * (variance - tested)))


def _errors(places: Places, process: GaussianProcess, counted: FloatArray) -> _Errors:
    """Size of errors by left-out anchors; if these are few it is pulled to what is usual.

    An anchor's weight is the square of the process's share in its variance: errors that are mostly the
    sensor's give no information about places farther away (the next row of a LiDAR). It is multiplied by
    ``counted`` (..., N).
    """
    usual = _USUAL * places.deviation * (1.0 if places.maps is None else _WITH_MAPS)
    usual = float(np.clip(usual, *_BOUNDS))
    errors, variances = process.left_out()
    own = variances - process.noise
    weight = (counted * np.clip(own / variances, 0, 1) ** 2).ravel()
    count, everyone = float(weight.sum()), np.ones((1, weight.size), bool)
    if np.count_nonzero(counted) < 3 or not count > 0:
        return _Errors(usual, usual, np.inf)
    ratio = (np.abs(errors) / np.sqrt(variances)).ravel()
    found = DEVIATION * float(weighted_medians(ratio, weight, everyone)[0])
    tested = _TESTED * float(weighted_medians(own.ravel(), weight, everyone)[0])
    square = (count * found**2 + _USUAL_WEIGHT * usual**2) / (count + _USUAL_WEIGHT)
    return _Errors(float(np.sqrt(square)), usual, max(tested, 0.0))
