"""Residuals spread: any solver's depth drawn to the anchors, with a sigma."""

from __future__ import annotations

import numpy as np
import pytest
from made_scenes import HEIGHT, OURS, WIDTH, U, V, anchors_on, quarters, smooth_relative, solver_of

from metric_depth_ros.types import RelativeDepth

FITTED = [name for name in OURS if name != "auto"]


def bent():
    """A relative map, and a depth that no scale, line or quarter makes of it."""
    relative = smooth_relative()
    return relative, 3 * relative * np.exp(0.3 * np.sin(5 * U / WIDTH) * np.cos(4 * V / HEIGHT))


@pytest.mark.parametrize("name", FITTED)
def test_spread_residuals_are_nearer_to_the_truth_between_the_anchors(name):
    relative, truth = bent()
    anchors = anchors_on(truth, 150, sigma=0.002)
    kept, spread = (
        solver_of(name, residuals=residuals).solve(
            RelativeDepth(relative, "depth"), anchors, regions=quarters()
        )
        for residuals in ("keep", "spread")
    )
    error, before = (np.mean(np.abs(answer.depth / truth - 1)) for answer in (spread, kept))
    assert error < 0.8 * before
    assert kept.sigma is None
    assert spread.info["domain"] == kept.info["domain"]
    covered = (np.abs(spread.depth - truth) < spread.sigma).mean()
    assert 0.4 < covered <= 1


@pytest.mark.parametrize("name", FITTED)
def test_a_fit_that_leaves_nothing_over_stays_as_it_is(name):
    relative = smooth_relative()
    answer = solver_of(name, residuals="spread").solve(
        RelativeDepth(relative, "depth"), anchors_on(2 * relative, 100), regions=quarters()
    )
    np.testing.assert_allclose(answer.depth, 2 * relative, rtol=0.02)
