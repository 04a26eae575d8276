"""metric_depth_ros.solve: the solvers behind it, its options, and what it refuses."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from made_scenes import with_maps

import metric_depth_ros
from metric_depth_ros import solve
from metric_depth_ros.config import RegionsConfig, SolverConfig
from metric_depth_ros.depth import within_limits
from metric_depth_ros.errors import AnchorError, ConfigError, InputError
from metric_depth_ros.regions import build_segmenter
from metric_depth_ros.solvers import SOLVERS, build_solver
from metric_depth_ros.types import Anchors, RelativeDepth, SolverInput

HEIGHT, WIDTH, COUNT = 60, 80, 40
RNG = np.random.default_rng(0)
TRUTH = RNG.uniform(2, 6, (HEIGHT, WIDTH))
INVERSE = 3.0 / TRUTH - 0.2  # affine-invariant, as MiDaS gives it
UV = np.column_stack([RNG.integers(0, WIDTH, COUNT), RNG.integers(0, HEIGHT, COUNT)])
DEPTH = TRUTH[UV[:, 1], UV[:, 0]]
IMAGE = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
IMAGE[:, WIDTH // 2 :] = 200


@pytest.mark.parametrize("solver", ["auto", "global_affine", "region_aware"])
def test_exact_where_the_network_is_right_up_to_scale_and_shift(solver):
    result = solve(INVERSE, UV, DEPTH, image=IMAGE, solver=solver)
    assert result.depth.dtype == np.float32 and result.depth.shape == TRUTH.shape
    np.testing.assert_allclose(result.depth, TRUTH, rtol=1e-4)
    assert result.info["anchors"] == COUNT


@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_gives_what_it_gives_by_itself(solver):
    noisy = (INVERSE + 0.05 * np.random.default_rng(1).standard_normal(TRUTH.shape)).astype(np.float32)
    labels = build_segmenter(RegionsConfig()).segment(IMAGE, RelativeDepth(noisy, "inverse_depth"))
    anchors = Anchors(UV.astype(np.float32), DEPTH.astype(np.float32), (0.02 * DEPTH).astype(np.float32))
    relative = with_maps(RelativeDepth(noisy, "inverse_depth"))
    given = SolverInput(relative, anchors, image=IMAGE, regions=labels)
    config = SolverConfig(name=solver)
    expected = within_limits(build_solver(config).solve(given), config)
    for regions in (None, labels):
        maps = relative.features["basis"]
        found = solve(noisy, UV, DEPTH, image=IMAGE, regions=regions, solver=solver, basis=maps)
        np.testing.assert_allclose(found.depth, expected.depth, rtol=1e-5)


def test_lists_and_a_sigma_for_all_will_do():
    relative = [[1.0, 2.0], [3.0, 4.0]]
    found = solve(relative, [[0, 0], [1, 1]], [2, 8], kind="depth", sigma=0.1, solver="global_affine")
    np.testing.assert_allclose(found.depth, [[2, 4], [6, 8]], rtol=1e-5)


def test_sigma_is_two_percent_unless_said():
    depth = DEPTH * np.random.default_rng(2).uniform(0.8, 1.2, COUNT)
    silent = solve(INVERSE, UV, depth, solver="global_affine").depth
    np.testing.assert_allclose(
        solve(INVERSE, UV, depth, sigma=0.02 * depth, solver="global_affine").depth, silent, rtol=1e-5
    )
    uneven = np.where(np.arange(COUNT) < 20, 0.03, 3.0)
    assert np.abs(solve(INVERSE, UV, depth, sigma=uneven, solver="global_affine").depth - silent).max() > 1e-3


def test_options_are_the_settings_of_the_solver_and_of_all():
    result = solve(INVERSE, UV, DEPTH, solver="global_affine", domain="log", max_depth_m=4)
    assert result.info["domain"] == "log"
    assert np.nanmax(result.depth) <= 4 and np.isnan(result.depth).any()
    fits = solve(INVERSE, UV, DEPTH, image=IMAGE, solver="region_aware", fit="linear").info
    assert fits["surface"] == 0 and fits["linear"] > 0


def test_the_focus_counts():
    depth = DEPTH * np.random.default_rng(3).uniform(0.7, 1.3, COUNT)
    plain = solve(INVERSE, UV, depth, solver="global_affine").depth
    assert np.abs(solve(INVERSE, UV, depth, solver="global_affine", focus_m=2.5).depth - plain).max() > 1e-3


def test_refined_takes_the_options_of_what_it_refines():
    depth = DEPTH * np.random.default_rng(3).uniform(0.7, 1.3, COUNT)
    one, other = (
        solve(INVERSE, UV, depth, solver="refined", of="lwlr", bandwidth=width).depth for width in (0.05, 5.0)
    )
    assert np.abs(one - other).max() > 1e-3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"solver": "gloal_affine", "domain": "log"}, "solver.name: .*; needed one of auto"),
        ({"domian": "log"}, "unknown option 'domian'. Did you mean domain"),
        ({"fit": "linear"}, "global_affine: unknown option 'fit'"),
        ({"solver": "refined", "bandwidth": 1.0}, "refined: unknown option 'bandwidth'"),
        ({"solver": "refined", "of": "lwrl"}, "solver.refined.of: 'lwrl'; needed .* Did you mean lwlr"),
        ({"name": "region_aware"}, "unknown option 'name'"),
        ({"domain": "metres"}, "solver.domain: 'metres'; needed one of"),
        ({"max_depth_m": "far"}, "solver.max_depth_m: 'far'"),
        ({"min_depth_m": 9, "max_depth_m": 3}, "needed less than"),
    ],
)
def test_a_wrong_option_is_named(options, message):
    with pytest.raises(ConfigError, match=message):
        solve(INVERSE, UV, DEPTH, **{"solver": "global_affine", **options})


def replaced(values, index, value):
    copy = np.array(values, float)
    copy[index] = value
    return copy


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"relative": INVERSE[None]}, r"relative: shape \(1, 60, 80\); needed \(H, W\)"),
        ({"relative": "map"}, "relative: could not convert"),
        ({"kind": "disparity"}, "kind: 'disparity'; needed inverse_depth"),
        ({"uv": UV.T}, r"uv: shape \(2, 40\); needed \(N, 2\)"),
        ({"depth": DEPTH[1:]}, r"depth: shape \(39,\); needed \(40,\)"),
        ({"depth": replaced(DEPTH, 7, np.nan)}, "depth: 1 of 40 are not positive metres, the first at 7"),
        ({"depth": -DEPTH}, "depth: 40 of 40"),
        ({"uv": replaced(UV, (3, 1), np.inf)}, "uv: 1 of 40 are not finite pixels, the first at 3"),
        ({"sigma": [0.1]}, r"sigma: shape \(1,\); needed \(40,\)"),
        ({"sigma": -0.1}, "sigma: 40 of 40"),
        ({"image": IMAGE[:-1]}, "image: .* the size of relative"),
        ({"image": IMAGE / 255.0}, "of float64; needed"),
        ({"solver": "region_aware"}, "region_aware: neither image nor regions"),
        ({"solver": "region_aware", "regions": np.zeros((2, 2), int)}, "region_aware: regions"),
    ],
)
def test_a_wrong_input_is_named(changes, message):
    arguments = {"relative": INVERSE, "uv": UV, "depth": DEPTH, "solver": "global_affine", **changes}
    with pytest.raises(InputError, match=message):
        solve(**arguments)


def test_a_gray_image_is_one_of_three_equal_channels():
    depth = DEPTH * np.random.default_rng(4).uniform(0.8, 1.2, COUNT)
    expected = solve(INVERSE, UV, depth, image=IMAGE).depth
    for gray in (IMAGE[..., 0], IMAGE[..., :1]):
        np.testing.assert_array_equal(solve(INVERSE, UV, depth, image=gray).depth, expected)


def test_anchors_outside_do_not_count():
    outside = UV + np.array([WIDTH, 0])
    with pytest.raises(AnchorError, match="0 usable of 40"):
        solve(INVERSE, outside, DEPTH, solver="global_affine")
    both = solve(INVERSE, np.vstack([UV, outside]), np.tile(DEPTH, 2), solver="global_affine")
    assert both.info["anchors"] == COUNT


def test_no_input_is_modified():
    relative = INVERSE.astype(np.float32)
    relative[0, 0] = np.nan
    copies = [a.copy() for a in (relative, UV, DEPTH, IMAGE)]
    result = solve(relative, UV, DEPTH, image=IMAGE, focus_m=3)
    assert np.isnan(result.depth[0, 0])
    for now, before in zip((relative, UV, DEPTH, IMAGE), copies, strict=True):
        np.testing.assert_array_equal(now, before)


def test_the_package_imports_nothing_heavy_until_it_is_used():
    script = (
        "import sys, metric_depth_ros\n"
        "heavy = {'numpy', 'cv2', 'yaml'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert metric_depth_ros.solve is metric_depth_ros.api.solve\n"
        "assert not {'onnxruntime', 'rosbags', 'torch'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with pytest.raises(AttributeError, match="solv"):
        metric_depth_ros.solv  # noqa: B018


def test_labels_may_be_any_whole_numbers_and_more_than_a_solver_holds():
    labels = build_segmenter(RegionsConfig()).segment(IMAGE)
    plain, gapped = (
        solve(INVERSE, UV, DEPTH, image=IMAGE, regions=found, solver="region_aware")
        for found in (labels, labels * 26001 + 7)
    )
    np.testing.assert_array_equal(plain.depth, gapped.depth)
    assert plain.info == gapped.info
    pixels = np.arange(TRUTH.size).reshape(TRUTH.shape)
    many = solve(INVERSE, UV, DEPTH, image=IMAGE, regions=pixels, solver="region_aware")
    assert many.info["regions"] <= 1000
    with pytest.raises(InputError, match="needed at most 1000"):
        solve(INVERSE, UV, DEPTH, regions=pixels, solver="region_aware")


def test_what_a_masked_array_hides_is_unknown():
    hidden = np.zeros(TRUTH.shape, bool)
    hidden[:10] = True
    found = solve(np.ma.masked_array(INVERSE, hidden), UV, DEPTH, image=IMAGE)
    np.testing.assert_array_equal(np.isnan(found.depth), hidden)
    with pytest.raises(InputError, match="complex numbers"):
        solve(INVERSE + 1j, UV, DEPTH, image=IMAGE)


def test_a_prior_is_an_array_and_networks_are_refused():
    for name in ("scale_cnn", "tr2m"):
        with pytest.raises(ConfigError, match="needs a network"):
            solve(INVERSE, UV, DEPTH, solver=name)
    truth = solve(INVERSE, UV, DEPTH, image=IMAGE).depth
    for nothing in (np.empty((0, 2)), UV - 10_000):
        alone = solve(INVERSE, nothing, DEPTH[: len(nothing)], image=IMAGE, prior=2 * truth, prior_sigma=0.2)
        np.testing.assert_allclose(alone.depth, 2 * truth, rtol=1e-6)
        np.testing.assert_allclose(alone.sigma, 0.4 * truth, rtol=1e-5)
    few = solve(
        INVERSE, UV[:1], DEPTH[:1], image=IMAGE, prior=np.where(truth > 0, 2 * truth, -1), solver="median"
    )
    assert 0 < few.info["prior_weight"] < 1 and few.info["prior"] == "given"
    only = solve(INVERSE, UV, DEPTH, image=IMAGE, prior=2 * truth, solver="prior")
    np.testing.assert_array_equal(only.depth, (2 * truth).astype(np.float32))
    for wrong, told in (
        ({"prior": truth[1:]}, "prior: shape"), ({"prior": -truth}, "no positive depth"),
        ({"prior": truth, "prior_sigma": "x"}, "prior_sigma: 'x'"), ({"prior": "far"}, "prior: "),
        ({"prior": truth, "prior_sigma": 0}, "prior_sigma"),
        ({"prior": truth, "prior_sigma": np.nan}, "prior_sigma"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=told):
            solve(INVERSE, UV, DEPTH, image=IMAGE, **wrong)
    with pytest.raises(ConfigError, match="unknown option 'description'"):
        solve(INVERSE, UV, DEPTH, image=IMAGE, description="a room")


def test_millimetres_are_refused():
    with pytest.raises(InputError, match="look like millimetres: divide by 1000"):
        solve(INVERSE, UV, 1000 * DEPTH)
    with pytest.raises(InputError, match=r"all 40 are beyond max_depth_m \(1 m\)"):
        solve(INVERSE, UV, DEPTH, max_depth_m=1)
    near = 0.03 * DEPTH  # of a table, 0.1 m away: only a prior can tell
    assert solve(INVERSE, UV, 1000 * near).info["anchors"] == COUNT
    with pytest.raises(InputError, match="times as deep as the prior expects"):
        solve(INVERSE, UV, 1000 * near, prior=0.03 * TRUTH)


def test_uncertain_depth_is_left_out_as_in_the_pipeline():
    whole = solve(INVERSE, UV, DEPTH)
    most = float(np.nanmedian(whole.sigma / whole.depth))
    found = solve(INVERSE, UV, DEPTH, max_relative_sigma=most)
    np.testing.assert_array_equal(np.isnan(found.depth), ~(whole.sigma <= np.float32(most) * whole.depth))
    assert found.info["left_out"] == pytest.approx(0.5, abs=0.01)
    with pytest.raises(ConfigError, match=r"global_affine has no sigma"):
        solve(INVERSE, UV, DEPTH, solver="global_affine", max_relative_sigma=0.1)


def test_the_package_shows_solve():
    assert {"solve", "__version__"} <= set(dir(metric_depth_ros))
