"""Interface of priors: metric depth without anchors, with the uncertainty of its scale."""

from __future__ import annotations

from typing import Protocol

from metric_depth_ros.errors import ConfigError
from metric_depth_ros.types import Prior, PriorInput, RelativeDepth

# How much larger the error of a scale is on pictures unlike the training's (ours: 1.3 on the indoor develop
# frames, less on the outdoor ones).
UNSEEN = 1.3


class Estimate(Protocol):
    """What is known of an image -> metric depth without anchors.

    Raises:
        ConfigError: the prior does not fit the depth network.
        InputError: it needs a camera, and there is none.
        ModelError: its network gives nothing that can be used.
    """

    def __call__(self, given: PriorInput) -> Prior: ...


def check_network(prior: str, made_for: str, metric: bool, relative: RelativeDepth, train: str) -> None:
    """Raises ConfigError if a depth is not of the network that a prior was trained for.

    Args:
        made_for, metric: name of that network, and whether it gives metres.
        train: verb of ``metric_depth train`` that makes such a prior.
    """
    theirs = relative.network
    if theirs not in ("", made_for) or relative.metric != metric:
        kind = "metres" if metric else "relative depth"
        raise ConfigError(
            f"solver.prior: {prior} is for the {kind} of {made_for}; the network is {theirs or 'another'}. "
            f"Train one for it: metric_depth train {train} --engine MANIFEST; two networks cannot have one "
            "(engine.second)."
        )
