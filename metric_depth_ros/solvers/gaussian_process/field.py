"""Field that corrects the network's log depth: one process over the image, or its local part in tiles.

Up to 128 anchors are fitted together. Of more, an even selection of 128, at most half of them,
determines what is global (constant, slope, maps, smooth field); given that, the local field is fitted in
overlapping tiles to the anchors nearest to each. So the time grows linearly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from metric_depth_ros.solvers.fitting.focus import Focus
from metric_depth_ros.solvers.fitting.observations import DEVIATION, weighted_medians
from metric_depth_ros.solvers.gaussian_process.places import Places, enlarged
from metric_depth_ros.solvers.gaussian_process.process import FEATURES, Covariance, GaussianProcess
from metric_depth_ros.solvers.gaussian_process.tiles import Tiles, tiled
from metric_depth_ros.solvers.gaussian_process.trend import NUGGET, Trend, noise_of
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
# Weight of the covariance's own amplitude, in anchors.
_OWN_AMPLITUDE = 10.0

# A focused depth's logarithm is at most this, so that its square is finite.
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
        scale: factor that is included in sigma.
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
    scale, rejected = _amplitude(process, np.ones(len(everyone))), data.rejected(process, everyone)
    process = data.focused(process, everyone, data.values)
    mean = places.shaped(process.local_mean(places.features.reshape(-1, FEATURES)))
    mean += _smooth(places, process)
    sigma = _sigma(scale, _variance(places.sparse(), process))
    return Field(mean, process.slope, sigma, scale, rejected)


def _in_tiles(places: Places, trend: Trend, data: _Data, covariance: Covariance) -> Field:
    """Field of many anchors: what is global by some of them, the local field in tiles."""
    agreed, uv = np.flatnonzero(~trend.suspect), trend.anchors.uv
    some = min(len(agreed) // 2, _TOGETHER)  # the others show how large errors are
    chosen = agreed[np.linspace(0, len(agreed) - 1, some).astype(np.intp)]
    loose = replace(data, noise=data.noise + _IN_COMMON**2)
    whole = loose.fitted(replace(covariance, maps=_OF_SOME * covariance.maps), chosen)
    rest = replace(data, values=data.values - whole.global_mean(data.features))
    tiles, local = tiled(uv, *places.size, _OWN), _resolved(covariance, len(uv)).local_field
    used = tiles.nearest(uv, _USED)
    processes = rest.fitted(local, used)
    # What is global follows the chosen anchors, so these have smaller errors; each other one counts once.
    scale = _amplitude(processes, ~np.isin(used, chosen) / np.bincount(used.ravel())[used])
    rejected = rest.rejected(processes, used)
    if data.more is not None:
        whole = data.focused(whole, chosen, data.values)
        processes = data.focused(processes, used, data.values - whole.global_mean(data.features))
    mean, variance = _over_tiles(places, tiles, local, processes)
    mean += _smooth(places, whole)
    beyond = np.maximum(_variance(places.sparse().sparse(), whole) - np.float32(local.local**2), 0)
    # Far from all anchors: there the tiles know only the local field's variance.
    variance += enlarged(beyond, variance.shape)
    return Field(mean, whole.slope, _sigma(scale, variance), scale, rejected)


def _focused(field: Field, places: Places, level: float, focus: Focus) -> Field:
    """Mixture d = m near + (1 - m) far of the field's two fits, m the focus's mask.

    Its slope is the mean of theirs, weighted by their parts in d.
    """
    near, far, mask = _depths(field, places, level, focus)
    depth: FloatArray = far + mask * (near - far)
    part = mask * near / depth
    slope = np.asarray(field.slope[1] + part * (field.slope[0] - field.slope[1]), np.float32)
    x = places.features[..., 2]
    mean = np.log(depth) - level - (1 + slope) * x
    every = places.every
    near, far, mask, depth = (each[every, every] for each in (near, far, mask, depth))
    within = mask * (field.sigma[0] * near) ** 2 + (1 - mask) * (field.sigma[1] * far) ** 2
    apart = mask * (1 - mask) * (near - far) ** 2
    return replace(field, mean=mean, slope=slope, sigma=np.sqrt(within + apart) / depth)


def _depths(
    field: Field, places: Places, level: float, focus: Focus
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Depth (rows, columns) of near and far fit, and the mask of the near one."""
    y = field.mean + (1 + field.slope[:, None, None]) * places.features[..., 2]
    near, far = np.exp(np.clip(y + np.float32(level), -_LARGEST, _LARGEST))
    return near, far, focus.mask(near, far)


def _sigma(scale: float, variance: FloatArray) -> FloatArray:
    """Standard deviation of log depth from the process's variance, with what is finer than the lattice."""
    return np.asarray(scale * np.sqrt(variance + np.float32(NUGGET**2)))


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


def _amplitude(process: GaussianProcess, counted: FloatArray) -> float:
    """Ratio of leave-one-out errors to their predicted size, pulled to 1 if anchors are few.

    An anchor's weight is the square of the process's share in its variance: errors that are mostly the
    sensor's give no information about places farther away (the next row of a LiDAR). It is multiplied by
    ``counted`` (..., N).
    """
    errors, variances = process.left_out()
    weight = (counted * np.clip(1 - process.noise / variances, 0, 1) ** 2).ravel()
    ratio, count = (np.abs(errors) / np.sqrt(variances)).ravel(), float(weight.sum())
    if np.count_nonzero(counted) < 3 or not count > 0:
        return 1.0
    found = float(weighted_medians(ratio, weight, np.ones((1, len(ratio)), bool))[0]) * DEVIATION
    return float(np.sqrt((count * found**2 + _OWN_AMPLITUDE) / (count + _OWN_AMPLITUDE)))
