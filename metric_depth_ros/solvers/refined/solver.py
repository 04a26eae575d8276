"""Solver that looks once more: another solver's depth, corrected by a learned network."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from metric_depth_ros.config import SolverConfig
from metric_depth_ros.solvers.choice import solver_class
from metric_depth_ros.solvers.fitting.observations import occupied_cells
from metric_depth_ros.solvers.refined.inputs import LEAST_SIGMA, USUAL_SIGMA, Look, look_at
from metric_depth_ros.solvers.refined.network import load_network
from metric_depth_ros.solvers.solver import Solver
from metric_depth_ros.types import FloatArray, MetricDepth, SolverInput

# Nothing is corrected where anchors lie in up to so many of an image's 64 cells, all of it from so many on,
# and half of it where sigma is such a part of depth. Ours, of develop frames: with one to three anchors, and
# far from all of them, the network can only guess.
_FEW_CELLS, _ENOUGH_CELLS = 3, 9
_HALF_SIGMA = 0.3


class Refined(Solver):
    """Depth d' of another solver, corrected: log d = log d' + c, sigma = sigma' exp(c + p).

    Ours. sigma' is 1 % of depth or more, as the network was told in training. c and p are maps of a network
    that sees the solver's depth and sigma, the relative map, the residuals at the anchors and the image. A
    pixel may take over the depth of others up to 6 pixels of the network's input away, and change by 3 of
    the solver's sigmas (10 % of depth for one without) besides: where the solver is sure little is changed.
    It steps back where little is known: nothing is changed with anchors in 3 or fewer of 64 cells of the
    image, half of it at 30 % of relative sigma. It knows single images; ``solver.temporal`` averages it with
    the last result.
    """

    probabilistic = True

    def __init__(self, config: SolverConfig) -> None:
        """Raises ModelError if the network cannot be used."""
        self._solver = _solver_of(config)
        self._network = load_network(config.refined)
        self.wants_regions, self.follows_anchors = self._solver.wants_regions, self._solver.follows_anchors
        self.focuses = self._solver.focuses

    def solve(self, given: SolverInput) -> MetricDepth:
        """Depth and sigma (H, W) in metres; NaN where the other solver's depth is. Raises what it raises.

        ``info`` is the other solver's.
        """
        fitted = self._solver.solve(given)
        if fitted.sigma is None:
            sigma = np.float32(USUAL_SIGMA) * fitted.depth
        else:
            sigma = np.maximum(fitted.sigma, np.float32(LEAST_SIGMA) * fitted.depth)
        look = look_at(given, fitted, self._network.size)
        part = _part(look)
        if not part.any():
            return replace(fitted, sigma=sigma)
        correction, change = part * self._network.correction(look)
        size = fitted.depth.shape[::-1]
        depth, widened = (cv2.resize(cv2.exp(log), size) for log in (correction, correction + change))
        depth *= fitted.depth
        widened *= sigma
        return replace(fitted, depth=depth, sigma=widened)


def _solver_of(config: SolverConfig) -> Solver:
    """The solver whose depth is corrected."""
    name = config.refined.of
    return solver_class(name)(replace(config, name=name))


def _part(look: Look) -> FloatArray:
    """Part of the correction (h, w) that is made, 0 to 1: by how far the anchors are spread, and by sigma."""
    cells = occupied_cells(look.uv, look.maps.shape[1:])
    spread = min(max((cells - _FEW_CELLS) / (_ENOUGH_CELLS - _FEW_CELLS), 0.0), 1.0)
    doubt = cv2.exp(2 * look.maps[1]) / np.float32(_HALF_SIGMA**2)
    return np.asarray(np.float32(spread) / (1 + doubt), np.float32)
