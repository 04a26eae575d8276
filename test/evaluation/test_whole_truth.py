"""Fits to all true depth: exact ones are recovered, by region too, and nothing is chosen by the truth."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from metric_depth_ros.config import Config, RegionsConfig
from metric_depth_ros.datasets import Frame
from metric_depth_ros.errors import AnchorError
from metric_depth_ros.evaluation.frames import KnownView
from metric_depth_ros.evaluation.known_depth import known_depth, known_pixels
from metric_depth_ros.evaluation.whole_truth import fitted, group_medians, whole_truth_candidates
from metric_depth_ros.types import RelativeDepth

HEIGHT, WIDTH = 40, 60
X = np.random.default_rng(0).uniform(1, 3, (HEIGHT, WIDTH)).astype(np.float32)
LABELS = (np.arange(WIDTH)[None] >= 25).astype(np.int32) + np.zeros((HEIGHT, 1), np.int32)


def view_of(depth, kind="depth", values=X, labels=None) -> KnownView:
    frame = Frame("a", 0, np.zeros((HEIGHT, WIDTH, 3), np.uint8), None, depth=np.asarray(depth, np.float32))
    known = known_depth(frame, known_pixels(frame), limits_m=(0, 100))
    relative = RelativeDepth(values, kind)
    return KnownView("set", "a", "indoor", frame.image, None, relative, known, given_regions=labels)


def test_a_line_in_the_network_s_own_space_is_met_exactly():
    found = fitted(view_of(2 * X + 0.5), "linear", None, None)
    np.testing.assert_allclose(found.depth, 2 * X + 0.5, rtol=1e-5)
    inverse = view_of(1 / (0.3 * X + 0.1), "inverse_depth")
    np.testing.assert_allclose(fitted(inverse, "linear", None, None).depth, 1 / (0.3 * X + 0.1), rtol=1e-5)
    # In depth, as in paper 000, it is not a line.
    assert np.abs(fitted(inverse, "linear", "depth", None).depth * (0.3 * X + 0.1) - 1).max() > 0.01


def test_the_linear_fit_is_least_squares_over_all_known_pixels():
    depth = X + np.random.default_rng(1).normal(0, 0.2, X.shape)
    depth[:5] = np.nan
    found = fitted(view_of(depth), "linear", None, None).depth
    known = np.isfinite(depth)
    scale, shift = np.polyfit(X[known].astype(float), depth[known].astype(np.float32).astype(float), 1)
    np.testing.assert_allclose(found, scale * X + shift, rtol=1e-5)


@pytest.mark.parametrize("kind", ["depth", "inverse_depth"])
def test_the_median_fit_is_the_ratio_of_the_medians_of_depth(kind):
    depth = 3 * X + np.random.default_rng(1).uniform(0, 1, X.shape).astype(np.float32)
    r = X if kind == "depth" else 1 / X
    found = fitted(view_of(depth, kind), "median", None, None).depth
    np.testing.assert_allclose(found, r * (np.median(depth) / np.median(r)), rtol=1e-5)


@pytest.mark.parametrize("fit", ["median", "linear"])
def test_every_region_has_its_own_fit(fit):
    depth = np.where(LABELS == 0, 2 * X, 5 * X)
    found = fitted(view_of(depth), fit, None, LABELS).depth
    np.testing.assert_allclose(found, depth, rtol=1e-5)
    assert np.abs(fitted(view_of(depth), fit, None, None).depth / depth - 1).mean() > 0.1


@pytest.mark.parametrize("fit", ["median", "linear"])
def test_a_region_without_truth_takes_the_fit_of_the_image(fit):
    depth = np.where(LABELS == 0, 2 * X, np.nan)
    found = fitted(view_of(depth), fit, None, LABELS).depth
    np.testing.assert_allclose(found, 2 * X, rtol=1e-5)
    gaps = np.where(LABELS == 0, 0, 7)  # labels 1 to 6 have no pixel
    np.testing.assert_allclose(fitted(view_of(depth), fit, None, gaps).depth, 2 * X, rtol=1e-5)


def test_a_constant_map_gives_the_mean_and_an_unknown_one_nothing():
    flat = view_of(X, values=np.ones_like(X))
    np.testing.assert_allclose(
        fitted(flat, "linear", None, LABELS).depth[0, 0], X[LABELS == 0].mean(), rtol=1e-5
    )
    with pytest.raises(AnchorError, match=r"linear \(truth\): the network gives no value at 2400"):
        fitted(view_of(X, values=np.full_like(X, np.nan)), "linear", None, None)


def test_what_a_line_makes_negative_is_unknown():
    depth = np.where(X > 1.2, 2 * X - 2.4, np.nan)
    found = fitted(view_of(depth), "linear", None, None).depth
    np.testing.assert_array_equal(np.isnan(found), 2 * X - 2.4 <= 1e-6)


def test_medians_of_groups_are_numpy_s():
    generator = np.random.default_rng(2)
    values, group = generator.normal(size=200), generator.integers(0, 7, 200)
    group[group == 3] = 4
    found = group_medians(values, group, 8)
    for each in range(8):
        own = values[group == each]
        assert found[each] == np.median(own) if len(own) else np.isnan(found[each])


def test_rows_are_controls_with_all_regions_and_need_no_anchors():
    depth = np.where(LABELS == 0, 2 * X, 5 * X)
    regions = {"": RegionsConfig(), ", given regions": RegionsConfig(source="topic")}
    rows = whole_truth_candidates(Config(), None, regions)
    assert [row.label for row in rows] == [
        "median (truth)", "linear (truth)", "region median (truth)", "region linear (truth)",
        "region median (truth, given regions)", "region linear (truth, given regions)",
    ]  # fmt: skip
    assert all(row.control for row in rows)
    given = view_of(depth, labels=LABELS)
    none = given.known.pixels.take(np.zeros(0, int))
    for row in rows:
        row.prepare(given)
    np.testing.assert_allclose(rows[-1].solve(given, none).depth, depth, rtol=1e-5)
    other = dataclasses.replace(given, frame_id="b", relative=RelativeDepth(2 * X, "depth"))
    np.testing.assert_allclose(rows[-1].solve(other, none).depth, depth, rtol=1e-5)
