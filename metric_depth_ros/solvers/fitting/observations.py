"""Anchors as solvers see them: pairs of relative and metric depth with weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metric_depth_ros.anchors import sample_bilinear
from metric_depth_ros.errors import AnchorError
from metric_depth_ros.solvers.fitting.domain import Domain, depth_in, weights_in
from metric_depth_ros.solvers.fitting.robust import robust_weights
from metric_depth_ros.types import Anchors, FloatArray

# Depths that differ by no more than this fraction are one depth.
_ONE_DEPTH = 1e-3


@dataclass(frozen=True, eq=False)
class Observations:
    """Anchors as a solver sees them: y = f(x, u, v) with weights. All float64.

    Attributes:
        uv: (N, 2) pixels.
        depth: (N,) metres.
        x, y: (N,) relative and metric depth in the solver's domain.
        weight: (N,) of the squared error of y, mean 1.
        relative_weight: (N,) of an error in log depth, mean 1.
        rejected: how many more there were, which disagreed with the others.
    """

    uv: FloatArray
    depth: FloatArray
    x: FloatArray
    y: FloatArray
    weight: FloatArray
    relative_weight: FloatArray
    rejected: int = 0

    def __len__(self) -> int:
        return len(self.depth)

    @property
    def one_depth(self) -> bool:
        """Whether all anchors lie at one depth, so that they tell a scale and no more."""
        return one_depth(self.depth)


def observe(
    x_map: FloatArray, anchors: Anchors, domain: Domain, weighting: str, robust: str, who: str
) -> Observations:
    """The anchors at which both depths are known, less those that ``robust`` gives no weight.

    Args:
        x_map: (H, W) of ``relative_in``.
        anchors: some of them may be unusable.
        domain: of ``x_map``.
        weighting: "relative" or "none", see ``weights_in``.
        robust: "neighbours" or "none", see ``robust_weights``.
        who: the solver's name, for the error.

    Raises:
        AnchorError: none is left.
    """
    anchors, x = usable(x_map, anchors, who)
    uv = anchors.uv.astype(np.float64)
    depth, sigma = anchors.depth.astype(np.float64), anchors.sigma.astype(np.float64)
    y: FloatArray = depth_in(domain, depth)
    trust: FloatArray = np.ones(len(x))
    if robust == "neighbours":
        trust = robust_weights(uv, x, y, domain, sigma / depth)
    kept = np.flatnonzero(trust)
    weight = weights_in(domain, depth, sigma, weighting)[kept] * trust[kept]
    relative_weight = weights_in("log", depth, sigma, weighting)[kept] * trust[kept]
    return Observations(
        uv=uv[kept],
        depth=depth[kept],
        x=x[kept],
        y=y[kept],
        weight=weight / weight.mean(),
        relative_weight=relative_weight / relative_weight.mean(),
        rejected=len(x) - len(kept),
    )


def usable(x_map: FloatArray, anchors: Anchors, who: str) -> tuple[Anchors, FloatArray]:
    """The anchors at which both depths are known, N of them, and the map (H, W) there, (N,) float64.

    Raises:
        AnchorError: there is none; ``who`` is the solver that needed one.
    """
    x = sample_bilinear(x_map, anchors.uv).astype(np.float64)
    known = np.isfinite(x) & np.isfinite(anchors.depth) & (anchors.depth > 0)
    known &= np.isfinite(anchors.sigma) & (anchors.sigma >= 0)
    if not known.any():
        raise AnchorError(
            f"{who}: 0 usable of {len(anchors)} anchors; needed 1 with positive depth inside the image, "
            "where the network says something. Check T_camera_lidar and the network's output."
        )
    return anchors.take(known), x[known]


def by_place(anchors: Anchors) -> Anchors:
    """In order of place, so that the anchors' own order changes nothing, not even the last digit."""
    return anchors.take(np.lexsort((anchors.sigma, anchors.depth, anchors.uv[:, 1], anchors.uv[:, 0])))


def one_depth(depth: FloatArray) -> bool:
    """Whether depths (N,) are all alike."""
    return bool(depth.max() <= depth.min() * (1 + _ONE_DEPTH))
