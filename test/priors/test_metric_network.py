"""The prior that a metric network gives: its metres, and how sure they are in rooms and in streets."""

from __future__ import annotations

import numpy as np
import pytest

from metric_depth_ros.config import EngineConfig
from metric_depth_ros.engines.manifest import MetricSolverManifest, load_prior_manifest
from metric_depth_ros.errors import ModelError
from metric_depth_ros.priors import MetricNetworkPrior, build_prior
from metric_depth_ros.share import share_path
from metric_depth_ros.types import PriorInput, RelativeDepth

BUNDLED = share_path("config/models/metric_solver.yaml")


class Metres:
    """An engine that has seen ``depth``."""

    label, why, on_cpu = "", "", True

    def __init__(self, depth):
        self.depth = np.asarray(depth, np.float32)

    def predict(self, image, *, focus_m=None, camera=None):
        return RelativeDepth(self.depth, "depth", metric=True, network="metres")


def prior_of(far_part, sigma=0.0, sigma_far=0.0):
    """The prior of a picture of which a part lies at 30 m, the rest at 3 m."""
    depth = np.where(np.arange(100) < 100 * far_part, 30.0, 3.0)[:, None] * np.ones(100)
    image, blank = np.zeros((100, 100, 3), np.uint8), RelativeDepth(np.ones((100, 100), np.float32), "depth")
    return MetricNetworkPrior(Metres(depth), sigma, sigma_far)(PriorInput(image, blank, None)), depth


@pytest.mark.parametrize(("far_part", "sigma"), [(0.1, 1.3 * 0.4), (0.5, 0.2)])
def test_a_prior_is_as_sure_as_its_manifest_says_of_pictures_like_this_one(far_part, sigma):
    prior, depth = prior_of(far_part, 0.4, 0.2)
    assert prior.sigma == pytest.approx(sigma) and prior.has_shape and prior.name == "metres"
    np.testing.assert_array_equal(prior.depth, depth)
    assert prior_of(far_part)[0].sigma == 0.35  # its manifest says nothing


def test_metric_solver_comes_with_its_sigmas(tmp_path):
    manifest = load_prior_manifest(BUNDLED)
    assert isinstance(manifest, MetricSolverManifest) and manifest.sigma > manifest.sigma_far > 0.1
    found = build_prior("metric_solver", EngineConfig(runtime="onnxruntime"))
    assert isinstance(found, MetricNetworkPrior)
    assert (found._near, found._far) == (1.3 * manifest.sigma, manifest.sigma_far)
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(BUNDLED.read_text().replace("sigma_far: ", "sigma_far: -"))
    with pytest.raises(ModelError, match=r"sigma, sigma_far: 0.381, -0.246; needed 0 or more"):
        load_prior_manifest(wrong)
