"""Builds the prior that ``solver.prior`` names."""

from __future__ import annotations

from pathlib import Path

from metric_depth_ros.config import EngineConfig
from metric_depth_ros.engines import build_engine
from metric_depth_ros.engines.manifest import (
    Manifest,
    MetricSolverManifest,
    ScaleManifest,
    TR2MManifest,
    load_prior_manifest,
)
from metric_depth_ros.errors import ModelError
from metric_depth_ros.files import user_path
from metric_depth_ros.priors.estimate import Estimate
from metric_depth_ros.priors.metric_network import NETWORK, MetricNetworkPrior, network_prior
from metric_depth_ros.priors.scale import ScalePrior
from metric_depth_ros.priors.text import check_readable
from metric_depth_ros.priors.tr2m import TR2MPrior
from metric_depth_ros.runtimes import Request
from metric_depth_ros.share import share_path

# The priors that come with the package, by their name in solver.prior.
BUNDLED_PRIORS = {
    "scale_cnn": "config/models/scale.yaml",
    "tr2m": "config/models/tr2m.yaml",
    "metric_solver": "config/models/metric_solver.yaml",
}
# Priors whose networks are no depth networks, by their manifest.
_WITH_OWN_NETWORK: dict[type, type[ScalePrior] | type[TR2MPrior]] = {
    ScaleManifest: ScalePrior,
    TR2MManifest: TR2MPrior,
}


def prior_path(name: str) -> Path | None:
    """Path of the manifest that ``solver.prior`` names; None for none, and for the network's own metres.

    Raises:
        ModelError: it is neither a known name nor a file's.
    """
    if name in ("", NETWORK):
        return None
    if name in BUNDLED_PRIORS:
        return share_path(BUNDLED_PRIORS[name])
    path = user_path(name)
    if path.suffix == "":
        known = ", ".join((*BUNDLED_PRIORS, NETWORK))
        raise ModelError(f"solver.prior: {name!r}; needed {known} or a manifest.")
    return path


def build_prior(name: str, config: EngineConfig) -> Estimate | None:
    """The prior that ``solver.prior`` names: a bundled one, a manifest, the network's own metres, or none.

    ``config``: runtime, precision and threads of its network.

    Raises:
        ModelError: the manifest or the model file cannot be used, or its network gives no metres.
    """
    path = prior_path(name)
    if path is None:
        return network_prior if name == NETWORK else None
    manifest = load_prior_manifest(path)
    kind = _WITH_OWN_NETWORK.get(type(manifest))
    if kind is not None:
        return kind.load(
            path,
            Request(config.runtime, config.precision, config.threads, timeout_s=config.timeout_s),
        )
    if isinstance(manifest, Manifest) and not manifest.output.metric:
        raise ModelError(
            f"solver.prior: {path} is of a network without metres (metric: false); needed a scale network or "
            "a metric one."
        )
    engine = EngineConfig(
        str(path), runtime=config.runtime, precision=config.precision, threads=config.threads
    )
    if isinstance(manifest, MetricSolverManifest):
        return MetricNetworkPrior(build_engine(engine), manifest.sigma, manifest.sigma_far)
    return MetricNetworkPrior(build_engine(engine))


def check_description(prior: Estimate | None, description: str) -> None:
    """Raises ConfigError if a prior reads and cannot read this description; takes no time."""
    if isinstance(prior, TR2MPrior):
        check_readable(description)
