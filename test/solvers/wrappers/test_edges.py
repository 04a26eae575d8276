"""Sharp edges: pixels between two surfaces go to one of them, and nothing else changes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from made_scenes import anchors_on, smooth_relative, solver_of

from metric_depth_ros.config import SolverConfig
from metric_depth_ros.evaluation.boundaries import boundary_f1, flying_pixels
from metric_depth_ros.solvers import build_solver
from metric_depth_ros.solvers.wrappers import edges
from metric_depth_ros.types import RelativeDepth, SolverInput

SHAPE = (240, 320)
V, U = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float32)


def sharpened(depth):
    """Depth with sharp edges, of a solver without sigma."""
    return edges.sharpened(depth)[0]


def box_before_a_wall(size=1):
    """True depth of a box before a wall, and the same as a depth network blurs it, in so many times SHAPE."""
    truth = np.full(SHAPE, 4.0, np.float32)
    truth[60:180, 90:220] = 2.0
    truth = np.kron(truth, np.ones((size, size), np.float32))
    return truth, cv2.GaussianBlur(truth, (0, 0), 1.3 * size)


@pytest.mark.parametrize("size", [1, 2, 4])
def test_veils_are_halved_and_edges_found(size):
    truth, blurred = box_before_a_wall(size)
    sharp = sharpened(blurred)
    assert flying_pixels(sharp, truth) <= 0.5 * flying_pixels(blurred, truth)
    assert boundary_f1(sharp, truth) > 1.2 * boundary_f1(blurred, truth)
    assert np.abs(sharp / truth - 1).mean() < np.abs(blurred / truth - 1).mean()


@pytest.mark.parametrize("tilt", [0, 20, -35])
def test_a_floor_a_slanted_wall_and_waves_stay_as_they_are(tilt):
    horizon = 100 - np.tan(np.radians(tilt)) * (U - 160)
    floor = np.where(horizon + 2 < V, 375 / np.maximum(V - horizon, 1), np.nan).astype(np.float32)
    waves = 3 * np.exp(0.05 * np.sin(U / 30) * np.cos(V / 25))
    wall = 4 / (1 + 0.003 * (U - 160))
    for depth in (floor, wall, waves):
        near_and_flat = depth < 100
        np.testing.assert_allclose(sharpened(depth)[near_and_flat], depth[near_and_flat], rtol=0.01)


@pytest.mark.parametrize(("shape", "reach"), [((240, 320), 2), ((481, 641), 5), ((723, 1279), 12)])
def test_no_pixel_leaves_what_is_around_it(shape, reach):
    depth = np.exp(np.random.default_rng(0).normal(0, 0.5, shape)).astype(np.float32)
    around = np.ones((2 * reach + 1,) * 2, np.uint8)
    sharp = sharpened(depth)
    assert (sharp >= cv2.erode(depth, around) * 0.9999).all()
    assert (sharp <= cv2.dilate(depth, around) * 1.0001).all()


def test_depths_times_c_give_results_times_c():
    _, blurred = box_before_a_wall()
    np.testing.assert_allclose(sharpened(blurred * np.float32(7)), 7 * sharpened(blurred), rtol=1e-4)


def test_unknown_depth_stays_unknown_and_pulls_nothing():
    _, depth = box_before_a_wall()
    depth[100:140, 100:130] = np.nan
    depth[10, 10], depth[12, 40], depth[14, 60] = np.inf, 0, -1
    sharp = sharpened(depth)
    np.testing.assert_array_equal(np.isnan(sharp), np.isnan(depth))
    assert sharp[10, 10] == np.inf and sharp[12, 40] == 0 and sharp[14, 60] == -1
    known = np.isfinite(depth) & (depth > 0)
    assert sharp[known].min() > 1.9 and sharp[known].max() < 4.1
    np.testing.assert_allclose(sharp[104, 95:100], depth[104, 95:100], rtol=0.03)


@pytest.mark.parametrize("shape", [(481, 641), (722, 1279), (7, 3840), (33, 5)])
@pytest.mark.parametrize("every", [1, 2, 5])
def test_each_pixel_is_of_the_cell_whose_sample_is_nearest(shape, every):
    place = np.arange(shape[0] * shape[1], dtype=np.float32).reshape(shape)
    sampled = edges._sampled(place, every)
    at, cell = edges._pixels(np.ones(sampled.shape, bool), every, shape)
    np.testing.assert_array_equal(at, np.arange(place.size))
    pixels, samples = (np.stack(np.divmod(each, shape[1])) for each in (at, sampled.ravel()[cell]))
    assert np.abs(pixels - samples).max() <= every // 2


@pytest.mark.parametrize("shape", [(480, 640), (720, 1280)])
@pytest.mark.parametrize("column", range(300, 305))
def test_a_wire_before_an_edge_stays(shape, column):
    depth = np.where(np.arange(shape[1]) < 306, 2.0, 4.0) * np.ones((shape[0], 1))
    depth = depth.astype(np.float32)
    depth[:, column] = 1.0
    assert (sharpened(depth)[:, column] == 1).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (3, 2), (1, 640), (640, 1), (3, 2000)])
def test_small_images_work(shape):
    depth = np.linspace(1, 2, shape[0] * shape[1], dtype=np.float32).reshape(shape)
    assert sharpened(depth).shape == shape
    assert np.isnan(sharpened(np.full(shape, np.nan, np.float32))).all()


def test_what_a_pixel_moves_widens_its_sigma():
    truth, blurred = box_before_a_wall()
    relative, anchors = RelativeDepth(blurred, "depth"), anchors_on(truth, 60, sigma=0.01)
    kept, sharp = (
        solver_of("gaussian_process", edges=edges).solve(relative, anchors) for edges in ("keep", "sharp")
    )
    moved = np.abs(sharp.depth - kept.depth)
    assert (moved > 0.1).any()
    np.testing.assert_allclose(sharp.sigma, np.hypot(kept.sigma, moved), rtol=1e-4)
    assert sharp.info == kept.info


def test_no_pixel_moves_by_more_than_its_sigma():
    _, blurred = box_before_a_wall()
    sigma = np.full(SHAPE, 0.05, np.float32)
    sigma[:, ::2], sigma[0], sigma[60] = 3.0, 0, np.nan
    sharp, wide = edges.sharpened(blurred, sigma)
    moved = np.abs(sharp - blurred)
    known = np.isfinite(sigma)
    assert (moved[known] <= sigma[known] * 1.001 + 1e-6).all() and moved[60].max() > 0.1
    assert moved[:, 1::2][known[:, 1::2]].max() > 0.03
    assert np.isfinite(sharp).all()
    np.testing.assert_allclose(wide[known], np.hypot(sigma, moved)[known], rtol=1e-4)


@pytest.mark.parametrize(("name", "sharp"), [("refined", True), ("auto", False), ("median", False)])
def test_edges_are_sharp_where_it_is_chosen(name, sharp):
    assert SolverConfig(name=name).sharp_edges == sharp
    assert SolverConfig(name=name, edges="sharp").sharp_edges
    assert not SolverConfig(name=name, edges="keep").sharp_edges


@pytest.mark.parametrize(("before", "now"), [("keep", "sharp"), ("sharp", "keep")])
def test_memory_stays_when_the_choice_changes(before, now):
    truth, blurred = box_before_a_wall()
    relative, anchors = RelativeDepth(blurred, "depth"), anchors_on(truth, 60)
    first, second = (solver_of("median", edges=edges, temporal__memory_s=1.0) for edges in (before, now))
    first.solve(relative, anchors, stamp_ns=10**10)
    second.solver.inherit(first.solver)
    assert second.solve(relative, anchors, stamp_ns=10**10 + 10**8).info["carried"]


def test_what_the_solver_needs_and_gives_is_told():
    for name in ("region_aware", "gaussian_process", "median"):
        kept, sharp = (solver_of(name, edges=edges).solver for edges in ("keep", "sharp"))
        for told in ("wants_regions", "probabilistic", "follows_anchors"):
            assert getattr(sharp, told) == getattr(kept, told)


def test_a_solver_without_sigma_gets_none():
    relative = smooth_relative()
    anchors = anchors_on(2 * relative, 20)
    found = build_solver(SolverConfig(name="median", edges="sharp")).solve(
        SolverInput(RelativeDepth(relative, "depth"), anchors)
    )
    assert found.sigma is None
