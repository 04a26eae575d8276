"""Priors: metric depth without anchors, from something learned, with the uncertainty of its scale."""

from metric_depth_ros.priors.choice import build_prior, check_description, prior_path
from metric_depth_ros.priors.estimate import Estimate
from metric_depth_ros.priors.metric_network import MetricNetworkPrior, network_prior
from metric_depth_ros.priors.scale import ScalePrior
from metric_depth_ros.priors.tr2m import TR2MPrior

__all__ = [
    "Estimate",
    "MetricNetworkPrior",
    "ScalePrior",
    "TR2MPrior",
    "build_prior",
    "check_description",
    "network_prior",
    "prior_path",
]
