"""Residuals spread: any solver's depth drawn to the anchors, with a sigma."""

from __future__ import annotations

import numpy as np
import pytest
from made_scenes import HEIGHT, LEARNED, OURS, WIDTH, U, V, anchors_on, quarters, smooth_relative, solver_of

from metric_depth_ros.types import Anchors, RelativeDepth

FITTED = [name for name in OURS if name not in ("gaussian_process", *LEARNED)]


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
    assert kept.sigma is None or name == "basis"
    assert set(kept.info) <= set(spread.info)
    covered = (np.abs(spread.depth - truth) < spread.sigma).mean()
    assert 0.4 < covered < 0.999
    u, v = anchors.uv.astype(int).T
    off = np.abs(spread.depth[v, u] - anchors.depth)
    assert (off <= 3 * anchors.sigma + 0.01 * anchors.depth).mean() > 0.95


@pytest.mark.parametrize("name", FITTED)
def test_a_fit_that_leaves_nothing_over_stays_as_it_is(name):
    relative = smooth_relative()
    answer = solver_of(name, residuals="spread").solve(
        RelativeDepth(relative, "depth"), anchors_on(2 * relative, 100), regions=quarters()
    )
    np.testing.assert_allclose(answer.depth, 2 * relative, rtol=0.02)


@pytest.mark.parametrize("name", ["global_affine", "paper_global"])
def test_a_wrong_anchor_is_not_honoured_and_counted(name):
    relative, truth = bent()
    anchors = anchors_on(truth, 150)
    depth = anchors.depth.copy()
    depth[7] *= 3
    answer = solver_of(name, residuals="spread").solve(
        RelativeDepth(relative, "depth"), Anchors(anchors.uv, depth, anchors.sigma)
    )
    u, v = anchors.uv[7].astype(int)
    assert answer.depth[v, u] < 1.3 * truth[v, u]
    assert answer.info["spread_rejected"] >= 1


def test_residuals_stop_at_the_edge_of_an_image():
    """Two things side by side, alike for the network; one anchor each side of the edge among few others."""
    left = U < WIDTH / 2
    image = np.where(left, 220, 40).astype(np.uint8)[..., None] * np.ones(3, np.uint8)
    truth = np.where(left, 2.0, 3.0)
    anchors = anchors_on(truth, 40, sigma=0.01)
    flat = RelativeDepth(np.ones((HEIGHT, WIDTH), np.float32), "depth")
    seeing, blind = (
        solver_of("global_affine", residuals="spread").solve(flat, anchors, image=i).depth
        for i in (image, None)
    )
    edge = np.abs(U - WIDTH / 2) < 4
    errors = [np.abs(depth / truth - 1)[edge].mean() for depth in (seeing, blind)]
    assert errors[0] < 0.7 * errors[1]


def test_the_limits_hold_for_the_result_and_not_on_the_way():
    relative, truth = bent()
    anchors = anchors_on(truth, 60)
    limited = solver_of("global_affine", residuals="spread", max_depth_m=float(np.median(truth)))
    answer = limited.solve(RelativeDepth(relative, "depth"), anchors)
    assert 0.4 < np.isnan(answer.depth).mean() < 0.6
    far = limited.solve(RelativeDepth(relative, "depth"), anchors_on(1000 * truth, 60))
    assert np.isnan(far.depth).all()
