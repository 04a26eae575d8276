"""Field that corrects the network's log depth: one process over the image, or its local part in tiles.

Up to 128 anchors are fitted together. Of more, an even selection of 128, at most half of them,
determines what is global (constant, slope, maps, smooth field); given that, the local field is fitted in
overlapping tiles to the anchors nearest to each. So the time grows linearly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

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

# Function from ``Covariance.columns`` (8, M) of places, and a tile, to values (M,) there.
_Value = Callable[[FloatArray, int], FloatArray]


@dataclass(frozen=True, eq=False)
class Field:
    """Correction of the network's log depth, ``mean`` + ``slope`` x, with its standard deviation.

    Attributes:
        mean: (rows, columns) float32.
        slope: the same everywhere.
        sigma: (rows / step, columns / step) of log depth.
        scale: factor that is included in sigma.
        rejected: number of suspect anchors that remain doubted.
    """

    mean: FloatArray
    slope: float
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
    """

    features: FloatArray
    values: FloatArray
    noise: FloatArray
    suspect: BoolArray | None

    def fitted(self, covariance: Covariance, chosen: IntArray) -> GaussianProcess:
        """Processes of chosen anchors, (..., n) indices."""
        suspect = None if self.suspect is None else self.suspect[chosen]
        return GaussianProcess(
            covariance, self.features[chosen], self.values[chosen], self.noise[chosen], suspect=suspect
        )

    def rejected(self, process: GaussianProcess, chosen: IntArray) -> int:
        """Number of suspect values that the processes of chosen anchors (..., n) still doubt, all of them."""
        if self.suspect is None:
            return 0
        believed = chosen[self.suspect[chosen] & ~process.doubted]
        return int(np.count_nonzero(self.suspect)) - len(np.unique(believed))


def find_field(places: Places, trend: Trend, covariance: Covariance, *, doubting: bool) -> Field:
    """Field of the Gaussian process fitted to the trend's residuals minus their level."""
    data = _Data(
        places.at(trend.anchors.uv, trend.x),
        trend.residual - trend.level,
        noise_of(trend.anchors),
        trend.suspect if doubting else None,
    )
    if len(trend.x) <= _TOGETHER:
        return _together(places, data, covariance)
    return _in_tiles(places, trend, data, covariance)


def _together(places: Places, data: _Data, covariance: Covariance) -> Field:
    """Field of few anchors, fitted together."""
    everyone = np.arange(len(data.values))
    process = data.fitted(_resolved(covariance, len(everyone)), everyone)
    mean = process.local_mean(places.features.reshape(-1, FEATURES)).reshape(places.features.shape[:2])
    mean += _smooth(places, process)
    scale = _amplitude(process, np.ones(len(everyone)))
    sigma = _sigma(scale, _variance(places.sparse(), process))
    return Field(mean, float(process.slope), sigma, scale, data.rejected(process, everyone))


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
    mean, variance = _over_tiles(places, tiles, local, processes)
    mean += _smooth(places, whole)
    beyond = np.maximum(_variance(places.sparse().sparse(), whole) - np.float32(local.local**2), 0)
    # Far from all anchors: there the tiles know only the local field's variance.
    variance += enlarged(beyond, variance.shape)
    # What is global follows the chosen anchors, so these have smaller errors; each other one counts once.
    scale = _amplitude(processes, ~np.isin(used, chosen) / np.bincount(used.ravel())[used])
    return Field(mean, float(whole.slope), _sigma(scale, variance), scale, rest.rejected(processes, used))


def _sigma(scale: float, variance: FloatArray) -> FloatArray:
    """Standard deviation of log depth from the process's variance, with what is finer than the lattice."""
    return np.asarray(scale * np.sqrt(variance + np.float32(NUGGET**2)))


def _smooth(places: Places, process: GaussianProcess) -> FloatArray:
    """Constant, smooth field and learned maps (rows, columns) of a process, computed at few places."""
    few, shape = places.sparse().sparse(), places.features.shape[:2]
    smooth = process.smooth_mean(few.features.reshape(-1, FEATURES)).reshape(few.features.shape[:2])
    found = enlarged(smooth, shape)
    if places.maps is not None:
        found += enlarged(places.maps.field(process.map_weights), shape)
    return found


def _variance(places: Places, process: GaussianProcess) -> FloatArray:
    """Variance (rows, columns) of a process."""
    return process.variance(places.with_maps()).reshape(places.features.shape[:2])


def _over_tiles(
    places: Places, tiles: Tiles, local: Covariance, processes: GaussianProcess
) -> tuple[FloatArray, FloatArray]:
    """Mean (rows, columns) and variance (rows / step, columns / step) of the local fields of tiles."""
    sparse = places.sparse()
    mean = _blended(tiles, places, places.columns(local), processes.local_sums)
    return mean, _blended(tiles, sparse, sparse.columns(local), processes.local_variance)


def _blended(tiles: Tiles, places: Places, factor: FloatArray, value: _Value) -> FloatArray:
    """Values of tiles on a lattice (rows, columns) float32, blended at their borders.

    ``factor`` (8, rows, columns) is the lattice's ``Covariance.columns``.
    """
    down, across = tiles.weights(places.v, 1), tiles.weights(places.u, 0)
    spans = zip(tiles.spans(places.v, 1), tiles.spans(places.u, 0), strict=True)
    total = np.zeros(factor.shape[1:], np.float32)
    for tile, (rows, columns) in enumerate(spans):
        part = factor[:, rows, columns]
        found = value(part.reshape(len(part), -1), tile).reshape(part.shape[1:])
        found *= down[tile, rows, None]
        found *= across[tile, columns]
        total[rows, columns] += found
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
