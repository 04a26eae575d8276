"""Sharp edges for any solver: pixels that hang between two surfaces go to one of them."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from metric_depth_ros.solvers.solver import Solver
from metric_depth_ros.types import BoolArray, FloatArray, MetricDepth, SolverInput

# Half the width of the window, in parts of the image's longer side.
_REACH = 1 / 130
# Least step of log depth in the window, and the least part of that in a window of twice the width; each
# counts wholly this much further on. On a slope the part is a half, at an edge all. Ours, of develop frames.
_STEP, _STEP_MORE = 0.05, 0.05
_PART, _PART_MORE = 0.5, 0.3
# How much steeper a step becomes.
_STEEPER = 4.0


class SharpEdges(Solver):
    """Depth of another solver in which pixels between two surfaces go towards the one closer to their depth.

    Toggle mapping of log depth (Kramer and Bruckner 1975): towards the least or the greatest in a window,
    as far as there is a step of 5 to 10 % that is not a slope, four times as steep as before. Ours: the
    conditions. What a pixel moves is added to its variance.
    """

    def __init__(self, solver: Solver) -> None:
        self._solver = solver
        self.wants_regions = solver.wants_regions
        self.probabilistic, self.follows_anchors = solver.probabilistic, solver.follows_anchors

    def solve(self, given: SolverInput) -> MetricDepth:
        """Depth and, if the wrapped solver gives it, sigma (H, W) in metres. Raises what that raises."""
        fitted = self._solver.solve(given)
        depth = sharpened(fitted.depth)
        sigma = fitted.sigma
        if sigma is not None:
            with np.errstate(invalid="ignore"):  # both may be infinite
                sigma = cv2.magnitude(sigma, depth - fitted.depth)
        return replace(fitted, depth=depth, sigma=sigma)


def sharpened(depth: FloatArray) -> FloatArray:
    """Depth (H, W) with sharper edges, metres; what is NaN, infinite or not positive stays as it is.

    Images of up to 65 pixels are too small to have any.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        log_depth = np.log(depth)
    known = np.isfinite(log_depth)
    window = np.ones((2 * round(_REACH * max(depth.shape)) + 1,) * 2, np.uint8)
    near = cv2.erode(_filled(log_depth, known, np.inf), window)
    far = cv2.dilate(_filled(log_depth, known, -np.inf), window)
    with np.errstate(over="ignore", invalid="ignore"):  # where nothing is known
        step, around = far - near, cv2.dilate(far, window) - cv2.erode(near, window)
    at = np.flatnonzero(known & (step > _STEP) & (step > _PART * around))
    log_depth, near, step, around = (part.ravel()[at] for part in (log_depth, near, step, around))
    share = np.minimum((step - _STEP) / _STEP_MORE, 1) * np.minimum((step / around - _PART) / _PART_MORE, 1)
    place = np.clip(_STEEPER * ((log_depth - near) / step - 0.5) + 0.5, 0, 1)
    sharp: FloatArray = depth.copy()
    sharp.ravel()[at] *= np.exp(share * (near + place * step - log_depth))
    return sharp


def _filled(values: FloatArray, known: BoolArray, other: float) -> FloatArray:
    return values if known.all() else np.asarray(np.where(known, values, np.float32(other)))
