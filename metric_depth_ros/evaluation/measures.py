"""Metrics by name: what each needs, its unit and its better direction, for the runner and the tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from metric_depth_ros.errors import ConfigError
from metric_depth_ros.evaluation import metrics
from metric_depth_ros.evaluation.boundaries import boundary_f1, flying_pixels, is_dense
from metric_depth_ros.evaluation.temporal import Moment, flicker, scale_jitter, tae
from metric_depth_ros.near_far import mask_accuracy
from metric_depth_ros.types import FloatArray


@dataclass(frozen=True, eq=False)
class Solved:
    """Depth of one image beside the truth.

    Attributes:
        depth: (N,) metres at the evaluated pixels, NaN where the solver gives none.
        truth: (N,) metres.
        sigma: (N,) metres, or None of solvers without one.
        moment: depth beside truth as images, for metrics that need them.
        before: that of the frame before, by the same solver with the same case and seed.
        focus_m: depth at which near and far part; 0: none.
    """

    depth: FloatArray
    truth: FloatArray
    sigma: FloatArray | None = None
    moment: Moment | None = None
    before: Moment | None = None
    focus_m: float = 0.0


@dataclass(frozen=True)
class Metric:
    """One metric as the runner computes it and the tables print it.

    Attributes:
        title: name in tables, as published.
        unit: empty for plain numbers.
        lower_is_better: None if neither is: the value of normal errors is best.
        compute: NaN where it is not defined, as a metric of sigma for a solver without one.
        digits: decimals in tables.
        of: what it compares: single pixels, whole images, or images of a sequence.
        root: whether its mean over draws and frames is the root of the mean square.
        needs: what it cannot be measured without, beside depth and truth; empty: nothing.
    """

    title: str
    unit: str
    lower_is_better: bool | None
    compute: Callable[[Solved], float]
    digits: int = 3
    of: Literal["pixels", "images", "sequences"] = "pixels"
    root: bool = False
    needs: str = ""

    @property
    def heading(self) -> str:
        """Title with its unit."""
        return f"{self.title}, {self.unit}" if self.unit else self.title


def _of_pixels(name: str) -> Callable[[Solved], float]:
    """Metric of all evaluated pixels; those without depth are charged."""
    metric = metrics.OF_PIXELS[name]
    return lambda solved: metric(metrics.charged(solved.depth, solved.truth), solved.truth)


def _silog(solved: Solved) -> float:
    """SILog in which a pixel without depth is off the others' mean by the ln 2 of ``charged``.

    A common factor of 2 would be no error: the mean is that of the pixels with depth alone.
    """
    covered = metrics.coverage(solved.depth, solved.truth)
    known = metrics.silog(solved.depth, solved.truth) if covered else 0.0
    missing = 100 * math.log(metrics.MISSING_RATIO)
    return math.hypot(math.sqrt(covered) * known, math.sqrt(1 - covered) * missing)


def _scale_error(solved: Solved) -> float:
    return metrics.scale_error(metrics.charged(solved.depth, solved.truth), solved.truth)


def _of_sigma(metric: Callable[[FloatArray, FloatArray, FloatArray], float]) -> Callable[[Solved], float]:
    """Metric of the pixels with depth and sigma."""

    def compute(solved: Solved) -> float:
        return float("nan") if solved.sigma is None else metric(solved.depth, solved.truth, solved.sigma)

    return compute


def _mask_accuracy(solved: Solved) -> float:
    """Accuracy of the mask d <= focus; wrong where there is no depth. NaN without a focus.

    Near depth of Metric-Solver never exceeds its focus and far depth never falls below it: depth tells the
    mask.
    """
    if not solved.focus_m:
        return float("nan")
    known = np.isfinite(solved.depth) & (solved.depth > 0)
    mask = np.where(known, solved.depth <= solved.focus_m, solved.truth > solved.focus_m)
    return mask_accuracy(mask, solved.truth, solved.focus_m)


def _of_edges(metric: Callable[[FloatArray, FloatArray], float]) -> Callable[[Solved], float]:
    """Metric of depth edges, which only dense true depth has."""

    def compute(solved: Solved) -> float:
        if solved.moment is None or solved.moment.from_lidar or not is_dense(solved.moment.truth):
            return float("nan")
        return metric(solved.moment.depth, solved.moment.truth)

    return compute


def _of_sequence(metric: Callable[[Moment, Moment], float]) -> Callable[[Solved], float]:
    """Metric of two frames in a row."""

    def compute(solved: Solved) -> float:
        if solved.before is None or solved.moment is None:
            return float("nan")
        return metric(solved.before, solved.moment)

    return compute


_SIGMA = "a sigma"
_DENSE = "dense true depth with edges"
_ROW = "two frames in a row of one scene, with known depth"
_POSES = (
    "poses (T_world_camera of frames; in a bag, transforms to the camera from a fixed frame) and frames in a "
    "row that see the same points with known depth"
)
# A metric is one line here; metrics of depth are in ``metrics.OF_PIXELS`` as well.
METRICS: dict[str, Metric] = {
    "abs_rel": Metric("AbsRel", "", True, _of_pixels("abs_rel")),
    "sq_rel": Metric("SqRel", "m", True, _of_pixels("sq_rel")),
    "rmse": Metric("RMSE", "m", True, _of_pixels("rmse")),
    "rmse_log": Metric("RMSE-log", "", True, _of_pixels("rmse_log")),
    "log10": Metric("log10", "", True, _of_pixels("log10")),
    "log10_squared": Metric("log10 squared", "", True, _of_pixels("log10_squared"), 4),
    "mae": Metric("MAE", "m", True, _of_pixels("mae")),
    "irmse": Metric("iRMSE", "1/km", True, _of_pixels("irmse"), 2),
    "imae": Metric("iMAE", "1/km", True, _of_pixels("imae"), 2),
    "silog": Metric("SILog", "100 ln m", True, _silog, 2),
    "delta1": Metric("delta1", "", False, _of_pixels("delta1")),
    "delta2": Metric("delta2", "", False, _of_pixels("delta2")),
    "delta3": Metric("delta3", "", False, _of_pixels("delta3")),
    "scale_mae": Metric("MAE of ln scale", "", True, _scale_error, 4),
    "scale_rmse": Metric("RMSE of ln scale", "", True, _scale_error, 4, root=True),
    "mask_accuracy": Metric("mask accuracy", "", False, _mask_accuracy, 4, needs="a focus"),
    "boundary_f1": Metric("boundary F1", "", False, _of_edges(boundary_f1), of="images", needs=_DENSE),
    "flying_pixels": Metric("flying pixels", "", True, _of_edges(flying_pixels), of="images", needs=_DENSE),
    "scale_jitter": Metric("scale jitter", "", True, _of_sequence(scale_jitter), of="sequences", needs=_ROW),
    "flicker": Metric("flicker", "", True, _of_sequence(flicker), of="sequences", needs=_POSES),
    "tae": Metric("TAE", "", True, _of_sequence(tae), of="sequences", needs=_POSES),
    "ause_abs_rel": Metric("AUSE of AbsRel", "", True, _of_sigma(metrics.ause), needs=_SIGMA),
    "ause_rmse": Metric(
        "AUSE of RMSE", "", True, _of_sigma(partial(metrics.ause, error="rmse")), needs=_SIGMA
    ),
    "within_1_sigma": Metric("within 1 sigma", "", None, _of_sigma(metrics.sigma_coverage), needs=_SIGMA),
    "within_2_sigma": Metric(
        "within 2 sigma", "", None, _of_sigma(partial(metrics.sigma_coverage, times=2.0)), needs=_SIGMA
    ),
    "calibration_error": Metric(
        "calibration error", "", True, _of_sigma(metrics.calibration_error), needs=_SIGMA
    ),
    "nll": Metric("NLL", "nats", True, _of_sigma(metrics.nll), needs=_SIGMA),
}
# What papers print most, and the quality of sigma where a solver has one.
DEFAULT = ("abs_rel", "rmse", "delta1", "ause_abs_rel", "within_1_sigma")
OF_SEQUENCES = tuple(name for name, metric in METRICS.items() if metric.of == "sequences")


def chosen_metrics(names: Sequence[str], *, sequences: bool) -> tuple[str, ...]:
    """Names of metrics without repetition, ``all`` standing for every one that can be computed.

    Args:
        sequences: whether all frames of sequences are evaluated, so that they can be compared in time.

    Raises:
        ConfigError: a metric is unknown, or needs sequences.
    """
    wrong = [name for name in names if name not in METRICS and name != "all"]
    if wrong or not names:
        raise ConfigError(
            f"metrics: {', '.join(map(repr, wrong)) or 'none'}; needed all, or some of {', '.join(METRICS)}."
        )
    temporal = [name for name, metric in METRICS.items() if metric.of == "sequences" and not sequences]
    if early := [name for name in names if name in temporal]:
        raise ConfigError(
            f"metrics: {', '.join(early)} of single frames; needed frames in a row. Add --all-frames."
        )
    if "all" in names:
        return tuple(name for name in METRICS if name not in temporal)
    return tuple(dict.fromkeys(names))


def errors_of(solved: Solved, names: Sequence[str]) -> dict[str, float]:
    """Value of each metric by name; finite for all that measure depth itself."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return {name: float(METRICS[name].compute(solved)) for name in names}
