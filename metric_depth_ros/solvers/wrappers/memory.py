"""Memory around any solver: what earlier images said, moved to the present one."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from metric_depth_ros.anchors import inside_image
from metric_depth_ros.config import SolverConfig
from metric_depth_ros.depth import relative_in
from metric_depth_ros.errors import AnchorError
from metric_depth_ros.geometry import project, transform_points, unproject
from metric_depth_ros.solvers.fitting.basis_maps import USUAL_MISFIT
from metric_depth_ros.solvers.solver import Solver
from metric_depth_ros.types import Anchors, Camera, FloatArray, IntArray, MetricDepth, SolverInput

# Number of places of an image that are remembered.
_PLACES = 4800
# Earlier images count no more after this many times ``memory_s``.
_FORGOTTEN = 4.0
# Deviation of log depth that a second adds to places that were moved by a known motion: ours, chosen for
# flicker on develop frames and rendered drives, on which .7 to .9 of the errors are within sigma.
_MOVED = 0.02
# Places whose log depth is larger, as a solver may say of the sky, are not moved.
_LARGEST = 20.0
# Deviation of log depth before there is any anchor.
_UNCORRECTED = 1.0
# A place has changed, as something moved or hides it, if it is off by more deviations than this, or by this
# many times as many as the median place, since errors repeat; within one deviation it has not.
_CHANGED = 3.0
# Depth without anchors whose level is farther off than this many deviations is wrong, not only uncertain.
_DOUBTED = 2.0
# Memory is dropped when the median anchor is off by so many deviations, or by _ANOTHER if the median place
# is, too, as after a cut; with n anchors, by 1 + 2 / n times as many.
_JUMP, _ANOTHER, _FEW = 3.0, 1.0, 2.0
# Deviation in places of the Gaussian that averages over places, and the weight of places that counts fully.
_AVERAGED, _ENOUGH = 1.0, 0.3


class Remembering(Solver):
    """Any solver, its log depth averaged over time: a Kalman filter at 4,800 places of the image.

    Ours. What the last image said, y with variance p, is moved to the present one. The solver says y' with
    variance v there (its sigma; without one 10 %). Depth is exp(y' + k (y - y')), k = v / (v + p), the
    differences averaged over neighbouring places and enlarged, so that edges stay those of the present
    image. p grows by exp(t / memory_s). That p shrinks by 1 - k is right for errors that differ from image
    to image, and steadies depth; but networks and anchors repeat theirs. So sigma is the mean of what both
    say, weighted likewise: nothing gets surer by being said twice.

    Where the camera's pose in a fixed frame is known, places move as points. Otherwise their ratio of
    metric to relative depth is taken as that of the same pixel, both divided by their image's median unless
    the network is metric, and p grows by drift^2 t. Images without anchors take everything from memory. It
    is dropped when anchors contradict it and when time jumps; a place that has changed counts no more.
    """

    remembers = True

    def __init__(self, config: SolverConfig, solver: Solver) -> None:
        self._temporal, self._solver = config.temporal, solver
        self._memory: _Memory | None = None
        self.wants_regions = solver.wants_regions
        self.probabilistic, self.follows_anchors = solver.probabilistic, solver.follows_anchors

    def solve(self, given: SolverInput) -> MetricDepth:
        """Depth and, if the wrapped solver gives it, sigma (H, W) in metres.

        ``info`` gains ``carried``, whether memory contributed. An image without a stamp is solved by itself
        and not remembered. Raises what the wrapped solver raises, but no AnchorError while there is memory.
        """
        if given.stamp_ns is None:
            return self._solver.solve(given)
        view, stamp_ns = _view_of(given), int(given.stamp_ns)
        said = self._said(view, stamp_ns)
        try:
            fitted = self._solver.solve(given)
        except AnchorError:
            if said is None:
                raise
            fitted = _uncorrected(view, said)
        correction = None if said is None else _correction(view, said, fitted, given.anchors)
        found = fitted if correction is None else correction.applied(fitted)
        remembered = _remembered(view, fitted, found, correction, stamp_ns)
        if said is not None and self._memory is not None and correction is not None:
            remembered = remembered.filled(said, self._memory)
        self._memory = remembered
        sigma = found.sigma if self.probabilistic else None
        return replace(found, sigma=sigma, info={**found.info, "carried": correction is not None})

    def inherit(self, before: Solver) -> None:
        """Takes over what another solver remembers."""
        if isinstance(before, Remembering):
            self._memory = before._memory

    def _said(self, view: _View, stamp_ns: int) -> _Said | None:
        """What memory says of the present view; None if it says nothing."""
        memory, lasts_s = self._memory, self._temporal.memory_s
        if memory is None:
            return None
        passed_s = (stamp_ns - memory.stamp_ns) / 1e9
        if not 0 <= passed_s <= _FORGOTTEN * lasts_s:
            return None
        said = memory.moved(view) or memory.at_its_pixels(view)
        if said is None or not np.isfinite(said.log_depth).any():
            return None
        drift = _MOVED if said.moved else self._temporal.drift
        faded = math.exp(passed_s / lasts_s)
        drifted = drift**2 * passed_s
        return replace(
            said, variance=said.variance * faded, square=said.square * faded + drifted, drifted=drifted
        )


@dataclass(frozen=True, eq=False)
class _View:
    """What is remembered of an image beside its depth.

    Attributes:
        relative: (H, W) log of relative depth, NaN unknown; its median is 0 unless the network is metric.
        uv: (M, 2) the places' pixels, M = rows times columns of ``shape``.
        camera, T_fixed_camera: as in ``SolverInput``.
    """

    relative: FloatArray
    uv: FloatArray
    shape: tuple[int, int]
    camera: Camera | None
    T_fixed_camera: FloatArray | None

    def cell(self, uv: FloatArray) -> IntArray:
        """Index (N,) of the place that is nearest to each of the pixels (N, 2)."""
        height, width = self.relative.shape
        rows, columns = self.shape
        column = np.clip((uv[:, 0] + 0.5) * (columns / width), 0, columns - 1).astype(np.intp)
        row = np.clip((uv[:, 1] + 0.5) * (rows / height), 0, rows - 1).astype(np.intp)
        return np.asarray(row * columns + column)

    def summed(self, cell: IntArray, values: FloatArray) -> FloatArray:
        """Sums (rows, columns) of values (N,) in the neighbourhood of each place."""
        sums = np.bincount(cell, values, len(self.uv)).astype(np.float32).reshape(self.shape)
        return np.asarray(cv2.GaussianBlur(sums, (0, 0), _AVERAGED, borderType=cv2.BORDER_REPLICATE))

    def averaged(self, cell: IntArray, values: FloatArray, weight: FloatArray) -> FloatArray:
        """Weighted means (rows, columns) likewise; 0 where there is no weight."""
        return self.summed(cell, weight * values) / np.maximum(self.summed(cell, weight), 1e-9)


def _view_of(given: SolverInput) -> _View:
    logarithm = relative_in("log", given.relative)
    height, width = logarithm.shape
    side_px = max((width * height / _PLACES) ** 0.5, 1.0)
    columns, rows = (max(1, round(side / side_px)) for side in (width, height))
    u = (np.arange(columns) + 0.5) * (width / columns) - 0.5
    v = (np.arange(rows) + 0.5) * (height / rows) - 0.5
    uv = np.stack(np.meshgrid(u, v), axis=-1).reshape(-1, 2).astype(np.float32)
    if not given.relative.metric:
        known = _at(logarithm, uv)
        known = known[np.isfinite(known)]
        logarithm = logarithm - np.float32(np.median(known) if len(known) else 0)
    return _View(logarithm, uv, (rows, columns), given.camera, given.T_fixed_camera)


@dataclass(frozen=True, eq=False)
class _Said:
    """What memory says of the present image.

    Attributes:
        log_depth, variance, square: (N,) at pixels ``uv`` (N, 2).
        moved: whether by a known motion.
        drifted: variance that the time since then adds; ``square`` has it.
    """

    uv: FloatArray
    log_depth: FloatArray
    variance: FloatArray
    square: FloatArray
    moved: bool
    drifted: float = 0.0


@dataclass(frozen=True, eq=False)
class _Memory:
    """Log depth (M,) at the places of an earlier image.

    Attributes:
        variance: (M,) of the filter.
        square: (M,) of sigma, in log depth.
        log_ratio: (M,) log depth minus the view's relative one; older where that is unknown.
    """

    view: _View
    log_depth: FloatArray
    variance: FloatArray
    square: FloatArray
    log_ratio: FloatArray
    stamp_ns: int

    def moved(self, now: _View) -> _Said | None:
        """The places as points that are seen from the present pose; None if a pose is unknown."""
        before = self.view
        if before.camera is None or before.T_fixed_camera is None:
            return None
        if now.camera is None or now.T_fixed_camera is None:
            return None
        known = np.abs(self.log_depth) < _LARGEST
        points = unproject(before.uv[known], np.exp(self.log_depth[known]), before.camera)
        T_now_before = np.linalg.inv(now.T_fixed_camera) @ before.T_fixed_camera
        uv, depth = project(transform_points(T_now_before, points), now.camera)
        seen = inside_image(uv, now.camera.width, now.camera.height)
        variance, square = self.variance[known][seen], self.square[known][seen]
        return _Said(uv[seen], np.log(depth[seen]), variance, square, moved=True)

    def at_its_pixels(self, now: _View) -> _Said | None:
        """The places' ratios on the present relative depth; None if the images differ in size."""
        if now.relative.shape != self.view.relative.shape:
            return None
        log_depth = self.log_ratio + _at(now.relative, now.uv)
        return _Said(now.uv, log_depth, self.variance, self.square, moved=False)

    def filled(self, said: _Said, before: _Memory) -> _Memory:
        """This memory with what an earlier one said of the places whose depth is now unknown."""
        log_depth, log_ratio = self.log_depth.copy(), self.log_ratio.copy()
        variance, square = self.variance.copy(), self.square.copy()
        if said.moved:
            of_place = np.full(len(log_depth), -1)
            of_place[self.view.cell(said.uv)] = np.arange(len(said.uv))
            gap = np.flatnonzero(np.isnan(log_depth) & (of_place >= 0))
            source = of_place[gap]
            log_depth[gap] = said.log_depth[source]
        else:
            gap = source = np.flatnonzero(np.isnan(log_ratio) & np.isfinite(before.log_ratio))
            log_ratio[gap] = before.log_ratio[gap]
        variance[gap], square[gap] = said.variance[source] + said.drifted, said.square[source]
        return _Memory(self.view, log_depth, variance, square, log_ratio, self.stamp_ns)


def _remembered(
    view: _View, fitted: MetricDepth, found: MetricDepth, correction: _Correction | None, stamp_ns: int
) -> _Memory:
    """Memory of an image whose depth was first ``fitted``, then ``found`` with the correction."""
    log_depth, square = _log_depth(found, view.uv)
    variance = _log_depth(fitted, view.uv)[1]
    if correction is not None:
        variance = variance * (1 - correction.gain.ravel())
    return _Memory(view, log_depth, variance, square, log_depth - _at(view.relative, view.uv), stamp_ns)


def _at(values: FloatArray, uv: FloatArray) -> FloatArray:
    """Values (N,) of a map (H, W) at the pixels nearest to (N, 2)."""
    u, v = np.rint(uv).astype(np.intp).T
    return np.asarray(values[v, u])


def _log_depth(found: MetricDepth, uv: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Log depth (N,) and its variance (N,) at pixels (N, 2); NaN where depth is unknown."""
    depth = _at(found.depth, uv)
    with np.errstate(divide="ignore", invalid="ignore"):  # solvers may give depths that are none
        log_depth = np.where((depth > 0) & (depth < np.inf), np.log(depth), np.float32(np.nan))
        sigma = USUAL_MISFIT if found.sigma is None else _at(found.sigma, uv) / depth
    return log_depth, np.broadcast_to(np.square(sigma), depth.shape)


def _uncorrected(view: _View, said: _Said) -> MetricDepth:
    """Depth of the network alone, at memory's level."""
    apart = said.log_depth - _at(view.relative, said.uv)
    apart = apart[np.isfinite(apart)]
    if not len(apart):
        raise AnchorError("memory: nothing that is remembered lies where the network gives a value.")
    depth = np.exp(view.relative + np.float32(np.median(apart)))
    return MetricDepth(depth, np.float32(_UNCORRECTED) * depth, {"anchors": 0, "rejected": 0})


@dataclass(frozen=True, eq=False)
class _Correction:
    """What memory adds to a solver's log depth.

    Attributes:
        apart: (rows, columns) memory's log depth minus the solver's.
        gain: (rows, columns) part of it that is added.
        surer: (rows, columns) memory's sigma over the solver's.
    """

    apart: FloatArray
    gain: FloatArray
    surer: FloatArray

    def applied(self, fitted: MetricDepth) -> MetricDepth:
        """The corrected depth and sigma."""
        size = fitted.depth.shape[::-1]
        factor = cv2.resize(np.exp(self.gain * self.apart), size, interpolation=cv2.INTER_LINEAR)
        depth, sigma = fitted.depth * factor, None
        if fitted.sigma is not None:
            mean = cv2.resize(1 + self.gain * (self.surer - 1), size, interpolation=cv2.INTER_LINEAR)
            sigma = fitted.sigma * (factor * mean)
        return replace(fitted, depth=depth, sigma=sigma)


def _correction(view: _View, said: _Said, fitted: MetricDepth, anchors: Anchors) -> _Correction | None:
    """Correction by what memory says; None if it says nothing of this depth, or anchors contradict it."""
    log_depth, own = _log_depth(fitted, said.uv)
    apart: FloatArray = said.log_depth - log_depth
    known = np.flatnonzero(np.isfinite(apart) & np.isfinite(own))
    if not len(known):
        return None
    apart = apart[known]
    variance, square = (np.asarray(each[known], np.float32) for each in (said.variance, said.square))
    total = variance + said.drifted + own[known]
    doubt = _doubt(fitted, apart, total)
    total += doubt
    off = np.abs(apart - np.median(apart)) / np.sqrt(total)
    usual = float(np.median(off))
    same = (off <= min(max(_CHANGED * usual, 1), _CHANGED)).astype(np.float32)
    cell, weight = view.cell(said.uv[known]), same / total
    whole = view.summed(cell, weight)
    apart, variance = view.averaged(cell, apart, weight), view.averaged(cell, variance, weight)
    # Not by their weights: places that are surer would make their neighbours so.
    square = view.averaged(cell, square, same)
    most = _ANOTHER if usual > _ANOTHER else _JUMP
    if _contradicted(view, apart, np.where(whole > 0, variance, np.nan), fitted, anchors, most):
        return None
    own = np.nan_to_num(_log_depth(fitted, view.uv)[1]).astype(np.float32).reshape(view.shape)
    both = np.maximum(variance + said.drifted + own + doubt, 1e-12).astype(np.float32)
    gain = np.minimum(whole * both / _ENOUGH, 1) * (own + doubt) / both
    return _Correction(apart, gain, np.sqrt(square / np.maximum(own, 1e-12)))


def _doubt(fitted: MetricDepth, apart: FloatArray, variance: FloatArray) -> float:
    """Variance added to depth without anchors, as a prior's, that memory is far from: 0 for other depth."""
    if fitted.info.get("anchors") != 0:
        return 0.0
    return max(0.0, float(np.median(apart) ** 2 - _DOUBTED**2 * np.median(variance)))


def _contradicted(
    view: _View, apart: FloatArray, variance: FloatArray, fitted: MetricDepth, anchors: Anchors, most: float
) -> bool:
    """Whether the median anchor is farther than ``most`` deviations from what memory says of its pixel.

    As if no time had passed.
    """
    height, width = fitted.depth.shape
    anchors = anchors.take(inside_image(anchors.uv, width, height) & (anchors.depth > 0))
    cell = view.cell(anchors.uv)
    off = np.log(anchors.depth) - _log_depth(fitted, anchors.uv)[0] - apart.ravel()[cell]
    off /= np.sqrt(variance.ravel()[cell] + (anchors.sigma / anchors.depth) ** 2)
    off = np.abs(off[np.isfinite(off)])
    return len(off) > 0 and bool(np.median(off) > most * (1 + _FEW / len(off)))
