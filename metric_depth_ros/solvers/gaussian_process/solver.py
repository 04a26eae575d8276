"""The default solver: a Gaussian process on the logarithm of metric over relative depth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from metric_depth_ros.config import SolverConfig
from metric_depth_ros.solvers.fitting.observations import DEVIATION, weighted_medians
from metric_depth_ros.solvers.gaussian_process.process import FEATURES, Covariance, GaussianProcess
from metric_depth_ros.solvers.gaussian_process.tiles import Tile, tiled
from metric_depth_ros.solvers.gaussian_process.trend import NUGGET, Trend, find_trend, noise_of
from metric_depth_ros.solvers.solver import Solver
from metric_depth_ros.types import FloatArray, ImageArray, IntArray, MetricDepth, SolverInput

# Most anchors solved in one system; more are split into tiles.
_TOGETHER = 512
# Most anchors inside a tile, and bounds of how many it uses with those of its neighbours.
_OWN = 130
_LEAST, _MOST = 64, 600
# Number of pairs of places and anchors to compute, and bounds of the number of places.
_PAIRS = 2.5e6
_PLACES = (4800, 19200)
# Step in places, across and down, at which the variance is computed.
_SPARSE = 5
# Local length in mean distances of anchors, and its lower bound as a fraction.
_SPACINGS = 2.0
_SHORTEST = 0.6
# Weight of the covariance's own amplitude, in anchors.
_OWN_AMPLITUDE = 10.0


@dataclass(frozen=True, eq=False)
class Places:
    """Lattice of places over the image, at which the field is computed.

    Attributes:
        features: (rows, columns, 6) float32, see ``process``.
        size: width and height of the image in pixels.
    """

    features: FloatArray
    size: tuple[int, int]

    @property
    def u(self) -> FloatArray:
        """Pixel coordinates (columns,) of the places."""
        return _middles(self.size[0], self.features.shape[1])

    @property
    def v(self) -> FloatArray:
        """Pixel coordinates (rows,) of the places."""
        return _middles(self.size[1], self.features.shape[0])

    def at(self, uv: FloatArray, x: FloatArray) -> FloatArray:
        """Features (N, 6) of pixels (N, 2) with known x (N,); colours are those of the nearest place."""
        rows, columns = self.features.shape[:2]
        column, row = ((uv + 0.5) * np.array([columns, rows]) / self.size).astype(np.intp).T
        found = self.features[np.minimum(row, rows - 1), np.minimum(column, columns - 1)]
        found[:, :2] = uv / (self.size[0] * self.size[1]) ** 0.5
        found[:, 2] = x
        return np.asarray(found)

    def sparse(self) -> Places:
        """Every fifth place across and down."""
        half = _SPARSE // 2
        return Places(self.features[half::_SPARSE, half::_SPARSE], self.size)


@dataclass(frozen=True, eq=False)
class Field:
    """Correction of the network's log depth, ``mean`` + ``slope`` x, with its standard deviation.

    Attributes:
        mean: (rows, columns) float32.
        slope: (rows / 5, columns / 5).
        sigma: (rows / 5, columns / 5) of log depth.
        scale: factor that is included in sigma.
    """

    mean: FloatArray
    slope: FloatArray
    sigma: FloatArray
    scale: float


class GaussianProcessSolver(Solver):
    """Default solver: log d = c + b log r + f, f a Gaussian process over position, log r and colour.

    Ours. All anchors are fitted at once, each as far as its sigma allows. Between them the field follows
    the anchors that are close in the image, in relative depth and in colour; far from all anchors the
    result is the network's depth with the scale of the nearest. Anchors that disagree with those
    around them are rejected. Sigma is that of the process, scaled by leave-one-out errors.
    """

    probabilistic = True
    follows_anchors = True

    def __init__(self, config: SolverConfig, covariance: Covariance | None = None) -> None:
        self._config = config
        self._covariance = covariance or Covariance()

    def solve(self, given: SolverInput) -> MetricDepth:
        """Depth and sigma (H, W) in metres; NaN where ``given.relative`` is.

        Without an image all colours are equal.

        Raises:
            AnchorError: no anchor lies where the network gives a value.
        """
        trend = find_trend(given.relative, given.anchors, self._config)
        level = np.float32(np.median(trend.residual))
        covariance = _resolved(self._covariance, len(trend.x))
        places = _places(trend.map, given.image, len(trend.x))
        field = _field(places, trend, level, covariance, doubting=self._config.robust != "none")
        y = _enlarged(field.slope + np.float32(1), trend.map.shape)
        y *= trend.map
        y += _enlarged(field.mean, y.shape)
        y += level
        depth = np.exp(y, out=y)
        sigma = _enlarged(field.sigma, y.shape)
        sigma *= depth
        info = {
            "trend": trend.name,
            "anchors": len(trend.x),
            "rejected": trend.rejected,
            "sigma_scale": field.scale,
        }
        return MetricDepth(depth, sigma, info=info)


def _places(x: FloatArray, image: ImageArray | None, anchors: int) -> Places:
    """Lattice for a map x (H, W), finer for fewer anchors."""
    height, width = x.shape
    low, high = _PLACES
    count = high if anchors > _TOGETHER else min(max(_PAIRS / anchors, low), high)
    step = max((width * height / count) ** 0.5, 1.0)
    columns, rows = (_SPARSE * max(1, round(side / step / _SPARSE)) for side in (width, height))
    features = np.zeros((rows, columns, FEATURES), np.float32)
    features[..., 0], features[..., 1] = np.meshgrid(
        *(_middles(n, m) / (width * height) ** 0.5 for n, m in ((width, columns), (height, rows)))
    )
    features[..., 2] = _reduced(x, (columns, rows))
    if image is not None:
        small = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
        features[..., 3:] = cv2.cvtColor(small, cv2.COLOR_RGB2LAB) / np.float32(100)
    return Places(features, (width, height))


def _reduced(x: FloatArray, size: tuple[int, int]) -> FloatArray:
    """Mean of the known values of a map (H, W) in each cell of a lattice; 0 where none is known."""
    unknown = np.isnan(x)
    if not unknown.any():
        return np.asarray(cv2.resize(x, size, interpolation=cv2.INTER_AREA))
    total, share = (
        cv2.resize(part, size, interpolation=cv2.INTER_AREA)
        for part in (np.where(unknown, np.float32(0), x), (~unknown).astype(np.float32))
    )
    return np.asarray(np.divide(total, share, out=np.zeros_like(total), where=share > 0))


def _middles(pixels: int, parts: int) -> FloatArray:
    """Pixel coordinates (parts,) of the centres of equal parts of an image side."""
    return (np.arange(parts) + 0.5) * (pixels / parts) - 0.5


def _field(places: Places, trend: Trend, level: float, covariance: Covariance, *, doubting: bool) -> Field:
    """Field of the Gaussian process fitted to the trend's residuals minus ``level``."""
    uv = trend.anchors.uv
    features, values, noise = places.at(uv, trend.x), trend.residual - level, noise_of(trend.anchors)

    def process_of(chosen: IntArray | slice) -> GaussianProcess:
        return GaussianProcess(covariance, features[chosen], values[chosen], noise[chosen], doubting=doubting)

    tiles = list(tiled(uv, *places.size, _OWN)) if len(uv) > _TOGETHER else []
    processes = [process_of(tile.chosen(uv, _LEAST, _MOST)) for tile in tiles] or [process_of(slice(None))]
    parts, sparse = (tiles, processes), places.sparse()
    smooth = _blended(*parts, sparse, GaussianProcess.smooth_mean)
    slope = _blended(*parts, sparse, lambda process, at: np.full(len(at), process.slope))
    variance = _blended(*parts, sparse, GaussianProcess.variance)
    mean = _blended(*parts, places, GaussianProcess.local_mean)
    mean += _enlarged(smooth, mean.shape)
    scale = _amplitude(processes)
    sigma = scale * np.sqrt(variance + np.float32(NUGGET**2))
    return Field(mean, slope, sigma, scale)


def _resolved(covariance: Covariance, anchors: int) -> Covariance:
    """Covariance with a shorter local length for many anchors, which show finer detail."""
    length = covariance.local_length
    shorter = float(np.clip(_SPACINGS * anchors**-0.5, _SHORTEST * length, length))
    return replace(covariance, local_length=shorter)


def _blended(
    tiles: Sequence[Tile],
    processes: Sequence[GaussianProcess],
    places: Places,
    value: Callable[[GaussianProcess, FloatArray], FloatArray],
) -> FloatArray:
    """``value`` of the processes (rows, columns) float32, each on its own tile, blended at the borders.

    A single process is used for the whole image, with a tile or without.
    """
    rows, columns = places.features.shape[:2]
    if len(processes) == 1:
        whole = value(processes[0], places.features.reshape(-1, FEATURES))
        return np.asarray(whole.reshape(rows, columns), np.float32)
    total, weights = np.zeros((rows, columns), np.float32), np.zeros((rows, columns), np.float32)
    u, v = places.u, places.v
    for tile, process in zip(tiles, processes, strict=True):
        down, across = tile.reach(v, u)
        weight = tile.weights(v[down], u[across])
        at = places.features[down, across]
        total[down, across] += weight * value(process, at.reshape(-1, FEATURES)).reshape(weight.shape)
        weights[down, across] += weight
    return total / weights


def _amplitude(processes: Sequence[GaussianProcess]) -> float:
    """Ratio of leave-one-out errors to their predicted size, pulled to 1 if anchors are few.

    An anchor's weight is the square of the process's share in its variance: errors that are mostly the
    sensor's give no information about places farther away (the next row of a LiDAR).
    """
    errors, variances = (
        np.concatenate(parts) for parts in zip(*(p.left_out() for p in processes), strict=True)
    )
    noise = np.concatenate([p.noise for p in processes])
    weight = np.clip(1 - noise / variances, 0, 1) ** 2
    ratio, count = np.abs(errors) / np.sqrt(variances), weight.sum()
    if len(errors) < 3 or not count > 0:
        return 1.0
    found = float(weighted_medians(ratio, weight, np.ones((1, len(ratio)), bool))[0]) * DEVIATION
    return float(np.sqrt((count * found**2 + _OWN_AMPLITUDE) / (count + _OWN_AMPLITUDE)))


def _enlarged(field: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Coarse field resized to (H, W) float32, bilinear."""
    return np.asarray(cv2.resize(field, shape[::-1], interpolation=cv2.INTER_LINEAR))
