"""The default solver: a Gaussian process on the logarithm of metric over relative depth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from metric_depth_ros.anchors import sample_bilinear
from metric_depth_ros.engines.positive import positive_depth
from metric_depth_ros.errors import AnchorError
from metric_depth_ros.solver_config import SolverConfig
from metric_depth_ros.solvers.domain import limited
from metric_depth_ros.solvers.gaussian_process import FEATURES, Covariance, GaussianProcess
from metric_depth_ros.solvers.outliers import disagreeing
from metric_depth_ros.solvers.tiles import Tile, tiled
from metric_depth_ros.types import (
    Anchors,
    Camera,
    FloatArray,
    ImageArray,
    IntArray,
    Kind,
    MetricDepth,
    RelativeDepth,
)

# What log metric depth rises by per log relative depth, before any anchor is seen.
_SLOPE: dict[Kind, float] = {"depth": 1.1, "inverse_depth": 0.7}
# Error in log depth of an anchor beyond its sigma: what is finer than the field can follow.
_NUGGET = 0.015
# Anchors solved for together; more are parted, each part having so many of its own.
_TOGETHER, _OWN, _LEAST = 512, 220, 64
# Places at which the field is computed: so many pairs with anchors, within bounds.
_PAIRS, _PLACES = 2.5e6, (4800, 19200)
# The uncertainty is computed at every so many places across and down.
_SPARSE = 5
# Anchors' worth of trust in the covariance's own amplitude.
_OWN_AMPLITUDE = 10.0


@dataclass(frozen=True, eq=False)
class Places:
    """A lattice over the image, at which the field is computed.

    Attributes:
        features: (rows, columns, 6) float32, see ``gaussian_process``.
        size: width and height of the image in pixels.
    """

    features: FloatArray
    size: tuple[int, int]

    @property
    def u(self) -> FloatArray:
        """(columns,) pixels."""
        return _middles(self.size[0], self.features.shape[1])

    @property
    def v(self) -> FloatArray:
        """(rows,) pixels."""
        return _middles(self.size[1], self.features.shape[0])

    def at(self, uv: FloatArray, x: FloatArray) -> FloatArray:
        """(N, 6) features of pixels (N, 2) whose x is known; their colours are the nearest place's."""
        rows, columns = self.features.shape[:2]
        column, row = ((uv + 0.5) * np.array([columns, rows]) / self.size).astype(np.intp).T
        found = self.features[np.minimum(row, rows - 1), np.minimum(column, columns - 1)]
        found[:, :2] = _scaled(uv, self.size)
        found[:, 2] = x
        return found

    def sparse(self) -> Places:
        """Every fifth place across and down."""
        half = _SPARSE // 2
        return Places(self.features[half::_SPARSE, half::_SPARSE], self.size)


@dataclass(frozen=True, eq=False)
class Field:
    """What is added to the network's log depth: ``mean`` + ``slope`` x, with one standard deviation.

    Attributes:
        mean: (rows, columns) float32.
        slope, sigma: coarser ones.
        scale: what sigma was multiplied by.
    """

    mean: FloatArray
    slope: FloatArray
    sigma: FloatArray
    scale: float


class Auto:
    """log d = c + b log r + f, with a Gaussian process f over image place, log r and colour.

    Ours. All anchors are explained at once, each as far as its sigma allows; between them the field
    follows what lies near, is equally far for the network and looks alike, and far from all anchors
    the answer is the network's own with the scale of the nearest. So there is nothing to choose by the
    number of anchors. Anchors that disagree with those around them are left out. Sigma is that of the
    process, its amplitude corrected by how well left-out anchors are predicted.
    """

    uses: frozenset[str] = frozenset({"image"})

    def __init__(self, config: SolverConfig) -> None:
        self._config = config
        self._covariance = Covariance()

    def solve(
        self,
        relative: RelativeDepth,
        anchors: Anchors,
        *,
        image: ImageArray | None = None,
        camera: Camera | None = None,
        regions: IntArray | None = None,
        text: str | None = None,
        focus_m: float | None = None,
        stamp_ns: int | None = None,
    ) -> MetricDepth:
        """Depth and sigma (H, W) in metres; NaN where ``relative`` is, and outside the configured range.

        Without an image colours count as alike.

        Raises:
            AnchorError: no anchor lies where the network says something.
        """
        x = np.log(positive_depth(relative))
        seen, at = _usable(x, anchors)
        log_depth, slope = np.log(seen.depth.astype(np.float64)), _SLOPE[relative.kind]
        ratio = log_depth - slope * at
        rejected = 0
        if self._config.robust != "none":
            kept = ~disagreeing(seen.uv, ratio, log_depth)
            rejected = int(np.count_nonzero(~kept))
            seen, at, ratio = seen.take(kept), at[kept], ratio[kept]
        level, middle = np.float32(np.median(ratio)), np.float32(np.median(at))
        x -= middle
        places = _places(x, image, len(seen))
        field = _field(places, seen, at - middle, ratio - level)
        y = _enlarged(field.slope + np.float32(slope), x.shape)
        y *= x
        y += _enlarged(field.mean, x.shape)
        y += level + np.float32(slope) * middle
        depth = limited(np.exp(y, out=y), self._config.min_depth_m, self._config.max_depth_m)
        sigma = _enlarged(field.sigma, x.shape)
        sigma *= depth
        info = {"anchors": len(seen), "rejected": rejected, "sigma_scale": field.scale}
        return MetricDepth(depth, sigma, info=info)


def _usable(x: FloatArray, anchors: Anchors) -> tuple[Anchors, FloatArray]:
    """The anchors at which both depths are known, and x (N,) there."""
    at = sample_bilinear(x, anchors.uv).astype(np.float64)
    known = np.isfinite(at) & np.isfinite(anchors.depth) & (anchors.depth > 0)
    known &= np.isfinite(anchors.sigma) & (anchors.sigma >= 0)
    if not known.any():
        raise AnchorError(
            f"auto: 0 usable of {len(anchors)} anchors; needed 1 with positive depth inside the image, "
            "where the network says something. Check T_camera_lidar and the network's output."
        )
    return anchors.take(known), at[known]


def _places(x: FloatArray, image: ImageArray | None, anchors: int) -> Places:
    """The lattice for a map x (H, W), finer for fewer anchors."""
    height, width = x.shape
    count = min(max(_PAIRS / anchors, _PLACES[0]), _PLACES[1])
    step = max((width * height / count) ** 0.5, 1.0)
    columns, rows = (_SPARSE * max(1, round(side / step / _SPARSE)) for side in (width, height))
    features = np.zeros((rows, columns, FEATURES), np.float32)
    features[..., 0], features[..., 1] = np.meshgrid(
        *(_middles(n, m) / (width * height) ** 0.5 for n, m in ((width, columns), (height, rows)))
    )
    features[..., 2] = cv2.resize(np.nan_to_num(x), (columns, rows), interpolation=cv2.INTER_AREA)
    if image is not None:
        small = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
        features[..., 3:] = cv2.cvtColor(small, cv2.COLOR_RGB2LAB) / np.float32(100)
    return Places(features, (width, height))


def _middles(pixels: int, parts: int) -> FloatArray:
    """(parts,) coordinates of the middles of equal parts of an image side."""
    return (np.arange(parts) + 0.5) * (pixels / parts) - 0.5


def _scaled(uv: FloatArray, size: tuple[int, int]) -> FloatArray:
    """Pixels in units of the image's mean side."""
    return np.asarray(uv / (size[0] * size[1]) ** 0.5, np.float32)


def _field(places: Places, seen: Anchors, x: FloatArray, values: FloatArray) -> Field:
    """The process given values (N,) at the anchors, whose x (N,) is known."""
    features = places.at(seen.uv, x)
    noise = _NUGGET**2 + (seen.sigma.astype(np.float64) / seen.depth) ** 2
    parts = []
    for tile in tiled(seen.uv, *places.size, _OWN if len(seen) > _TOGETHER else _TOGETHER):
        chosen = tile.chosen(seen.uv, _LEAST)
        process = GaussianProcess(Covariance(), features[chosen], values[chosen], noise[chosen])
        parts.append((tile, process))
    sparse = places.sparse()
    smooth = _blended(parts, sparse, lambda process, at: process.smooth_mean(at))
    slope = _blended(parts, sparse, lambda process, at: np.full(len(at), process.slope))
    variance = _blended(parts, sparse, lambda process, at: process.variance(at))
    mean = _blended(parts, places, lambda process, at: process.local_mean(at))
    mean += _enlarged(smooth, mean.shape)
    scale = _amplitude([process for _, process in parts])
    return Field(mean, slope, scale * np.sqrt(variance + np.float32(_NUGGET**2)), scale)


def _blended(
    parts: Sequence[tuple[Tile, GaussianProcess]],
    places: Places,
    value: Callable[[GaussianProcess, FloatArray], FloatArray],
) -> FloatArray:
    """(rows, columns) float32: ``value`` of each part's process on its own tile, one fading into the next."""
    rows, columns = places.features.shape[:2]
    if len(parts) == 1:
        whole = value(parts[0][1], places.features.reshape(-1, FEATURES))
        return np.asarray(whole.reshape(rows, columns), np.float32)
    total, weights = np.zeros((rows, columns), np.float32), np.zeros((rows, columns), np.float32)
    for tile, process in parts:
        down, across = tile.reach(places.v, places.u)
        weight = tile.weights(places.v[down], places.u[across])
        at = places.features[down, across]
        total[down, across] += weight * value(process, at.reshape(-1, FEATURES)).reshape(weight.shape)
        weights[down, across] += weight
    return total / weights


def _amplitude(processes: Sequence[GaussianProcess]) -> float:
    """How much larger left-out errors are than they should be, drawn to 1 by few anchors."""
    errors, variances = (
        np.concatenate(parts) for parts in zip(*(p.left_out() for p in processes), strict=True)
    )
    if len(errors) < 3:
        return 1.0
    found = float(np.median(np.abs(errors) / np.sqrt(variances))) * 1.4826
    return ((len(errors) * found**2 + _OWN_AMPLITUDE) / (len(errors) + _OWN_AMPLITUDE)) ** 0.5


def _enlarged(field: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """(H, W) float32 of a coarser field, bilinear."""
    return np.asarray(cv2.resize(field, shape[::-1], interpolation=cv2.INTER_LINEAR))
