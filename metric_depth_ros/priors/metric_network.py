"""Priors from metric networks: the depth network's own metres, or those of a second network."""

from __future__ import annotations

from dataclasses import replace

from metric_depth_ros.depth import is_far, metres_of
from metric_depth_ros.errors import ConfigError
from metric_depth_ros.priors.estimate import UNSEEN
from metric_depth_ros.types import Engine, Prior, PriorInput

# The depth network's own metres, if it has some.
NETWORK = "network"
# Standard deviation of the log scale of networks whose manifest states none (ours).
UNSTATED_SIGMA = 0.35
# Whether a picture is a far one is seen from every so many rows and columns.
_STEP = 4


def network_prior(given: PriorInput) -> Prior:
    """The depth network's own metres. Raises ConfigError if its depth is relative."""
    relative = given.relative
    if not relative.metric:
        raise ConfigError(
            "solver.prior: network, but the network has no metres of its own (metric: false in its "
            "manifest). Name another prior, or take a metric network."
        )
    return Prior(metres_of(relative), UNSTATED_SIGMA, relative.network or NETWORK)


class MetricNetworkPrior:
    """The metres of a second network. Not thread safe."""

    def __init__(self, engine: Engine, sigma: float = 0.0, sigma_far: float = 0.0) -> None:
        """``sigma``, ``sigma_far``: of its manifest."""
        self._engine = engine
        # Real streets were no worse than rendered ones, real rooms were (UNSEEN).
        self._near, self._far = UNSEEN * sigma or UNSTATED_SIGMA, sigma_far or UNSTATED_SIGMA

    def __call__(self, given: PriorInput) -> Prior:
        """Prior (H, W) of an image, most precise at the focus if its network has one. Raises ModelError."""
        found = self._engine.predict(given.image, camera=given.camera, focus_m=given.focus_m)
        prior = network_prior(replace(given, relative=found))
        sigma = self._far if is_far(prior.depth[::_STEP, ::_STEP]) else self._near
        return replace(prior, sigma=sigma, has_shape=True)
