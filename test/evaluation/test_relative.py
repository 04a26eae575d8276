"""The measure of a depth network by itself, on hand-made arrays and folders."""

import importlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from metric_depth_ros.errors import InputError
from metric_depth_ros.evaluation import relative
from metric_depth_ros.evaluation.places import place_of
from metric_depth_ros.evaluation.relative import (
    Score,
    Truth,
    constant,
    fitted_depth,
    inverse_values,
    median_score,
    rank_correlation,
    read_truths,
    rows_only,
    scaled_error,
    score,
)
from metric_depth_ros.types import RelativeDepth

HEIGHT, WIDTH = 60, 80


def truth_of(depth, name="set/frame"):
    v, u = np.nonzero(np.isfinite(depth))
    return Truth(name, np.zeros((*depth.shape, 3), np.uint8), np.column_stack([u, v]), depth[v, u])


@pytest.fixture
def depth():
    return np.random.default_rng(0).uniform(1, 5, (HEIGHT, WIDTH)).astype(np.float32)


def test_rank_correlation_by_hand():
    # Ranks 1 2 3 4 and 1 3 2 4: 1 - 6 * 2 / (4 * 15) = 0.8.
    assert rank_correlation(np.array([1, 2, 3, 4.0]), np.array([10, 30, 20, 40.0])) == pytest.approx(0.8)
    # Ties share 1.5: centred ranks -1 -1 0.5 1.5 -> (-1, -1, .5, 1.5) . (-1.5, -.5, .5, 1.5).
    tied = rank_correlation(np.array([1, 1, 2, 3.0]), np.array([1, 2, 3, 4.0]))
    assert tied == pytest.approx(4.5 / np.sqrt(4.5 * 5))
    assert rank_correlation(np.ones(4), np.arange(4.0)) == 0


def test_rank_correlation_is_the_correlation_of_ranks():
    def ranks(x):
        return (x < x[:, None]).sum(axis=1) + ((x == x[:, None]).sum(axis=1) + 1) / 2

    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 30, 500).astype(float), rng.normal(size=500)
    expected = np.corrcoef(ranks(a), ranks(a + 9 * b))[0, 1]
    assert rank_correlation(a, a + 9 * b) == pytest.approx(expected, rel=1e-12)
    assert rank_correlation(np.arange(4.0), np.ones(4)) == 0


def test_the_fit_by_hand_and_its_floor():
    # 1/depth = 0.25 value + 0.25 at the anchors; the last value would be behind the camera.
    anchors = np.array([0.0, 1.0, 3.0])
    found = fitted_depth(np.array([0.0, 1.0, -3.0]), anchors, 1 / (0.25 * anchors + 0.25))
    assert found == pytest.approx([4.0, 2.0, 8.0])


def test_a_perfect_map_scores_1_and_0_whatever_its_scale_and_shift(depth):
    for scale, shift in ((1.0, 0.0), (30.0, -7.0), (0.01, 3.0)):
        found = score(scale / depth + shift, truth_of(depth))
        assert found.rank == pytest.approx(1)
        assert found.abs_rel == pytest.approx(0, abs=1e-4)


def test_a_map_that_says_nothing(depth):
    found = score(constant(truth_of(depth).image), truth_of(depth))
    assert found.rank == 0
    # One depth for all: that of the mean inverse depth, ln 5 / 4. Exact up to the anchors' draw.
    level = 4 / np.log(5)
    assert found.abs_rel == pytest.approx(np.mean(np.abs(level - depth) / depth), abs=0.02)


def test_rows_only_is_right_about_a_floor():
    floor = np.repeat(1 / (np.arange(HEIGHT, dtype=np.float32)[:, None] + 5), WIDTH, axis=1)
    found = score(rows_only(np.zeros((HEIGHT, WIDTH, 3), np.uint8)), truth_of(floor))
    assert found.rank == pytest.approx(1) and found.abs_rel < 1e-4


def test_an_inverted_map_is_worth_less_than_none(depth):
    assert score(depth, truth_of(depth)).rank == pytest.approx(-1)


def test_every_network_is_asked_about_the_same_pixels(depth):
    noisy = 1 / depth + np.random.default_rng(2).normal(0, 0.05, depth.shape)
    assert score(noisy, truth_of(depth)) == score(noisy, truth_of(depth))
    assert score(noisy, truth_of(depth)).abs_rel != score(noisy, truth_of(depth, "set/other")).abs_rel


def test_values_that_are_no_numbers_count_as_farthest(depth):
    values = 1 / depth
    values[depth > 4] = np.nan
    found = score(values, truth_of(depth))
    assert 0.9 < found.rank < 1
    with pytest.raises(InputError, match="no finite value"):
        score(np.full_like(values, np.nan), truth_of(depth))
    with pytest.raises(InputError, match="needed"):
        score(values[:-1], truth_of(depth))


def test_a_depth_network_is_turned_over(depth):
    assert np.allclose(inverse_values(RelativeDepth(depth, "depth")), 1 / depth)
    assert inverse_values(RelativeDepth(depth, "inverse_depth")) is depth


def test_one_scale_is_enough_for_positive_depth_and_not_for_another_offset(depth):
    truth = truth_of(depth)
    assert scaled_error(7 * depth, truth) < 1e-6
    assert scaled_error(7 / (1 / depth + 0.5), truth) > 0.02


def test_medians():
    assert median_score([Score(0.1, 0.3), Score(0.5, 0.1), Score(0.3, 0.9)]) == Score(0.3, 0.3)
    assert np.isnan(median_score([]).rank)


# ---- folders ---------------------------------------------------------------------------------


def write_set(folder, frames, **shared):
    """A frame folder; each frame is (id, depth image in mm or None)."""
    folder.mkdir(parents=True)
    entries = []
    for name, millimetres in frames:
        cv2.imwrite(str(folder / f"{name}.png"), np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
        entry = {"id": name, "rgb": f"{name}.png"}
        if millimetres is not None:
            cv2.imwrite(str(folder / f"{name}_d.png"), millimetres)
            entry["depth"] = f"{name}_d.png"
        entries.append(entry)
    intrinsics = dict.fromkeys(("fx", "fy", "cx", "cy"))
    tree = {**intrinsics, "depth_scale": 0.001, **shared, "frames": entries}
    (folder / "calib.json").write_text(json.dumps(tree))


def test_known_pixels_of_a_depth_image_without_intrinsics(tmp_path):
    millimetres = np.zeros((HEIGHT, WIDTH), np.uint16)
    millimetres[10:50, 20:60] = 1500
    write_set(tmp_path / "set", [("a", millimetres), ("b", None), ("c", np.zeros_like(millimetres))])
    (only,) = read_truths(tmp_path / "set")  # b has no depth, c no pixel of it
    assert only.name == "set/a" and len(only.depth) == 1600
    assert only.depth == pytest.approx(1.5)
    assert only.uv.min(axis=0).tolist() == [20, 10] and only.uv.max(axis=0).tolist() == [59, 49]


def test_depth_of_lower_resolution_counts_at_its_own_centres(tmp_path):
    write_set(tmp_path / "set", [("a", None)], lowres_depth="low.png")
    coarse = np.full((20, 40), 2000, np.uint16)
    coarse[0, 0] = 0
    cv2.imwrite(str(tmp_path / "set/low.png"), coarse)
    (found,) = read_truths(tmp_path / "set")
    assert len(found.depth) == 799 and found.depth == pytest.approx(2.0)
    # Cells are 2 x 3 pixels: centres at 0.5, 2.5, ... and 1, 4, ...
    assert set(found.uv[:, 1]) == set(range(1, HEIGHT, 3))
    (tmp_path / "set/low.png").unlink()
    with pytest.raises(InputError, match=r"low\.png is missing"):
        list(read_truths(tmp_path / "set"))


# ---- the benchmark's own arithmetic ----------------------------------------------------------


@pytest.fixture(scope="module")
def bench():
    folder = Path(relative.__file__).parents[2] / "benchmarks"
    if not folder.is_dir():
        pytest.skip("no benchmarks beside an installed package")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield importlib.import_module("bench_relative")


def test_sets_that_are_not_there_are_left_out(bench, tmp_path):
    names = bench.SETS["develop"]["indoor"][:2]
    ramp = np.repeat(np.linspace(3000, 1000, HEIGHT)[:, None], WIDTH, axis=1).astype(np.uint16)
    for name in names:
        write_set(tmp_path / name, [("a", ramp), ("b", ramp)])
    rows = {"rows": rows_only, "constant": constant}
    found = bench.score_sets(tmp_path, "develop", {"indoor": rows, "outdoor": rows})
    assert list(found) == ["indoor"] and tuple(found["indoor"]) == names
    scores = found["indoor"][names[0]]
    assert [len(of) for of in scores.values()] == [2, 2]
    assert scores["rows"][0].rank == pytest.approx(1) and scores["constant"][0].rank == 0


def test_no_set_is_in_both_halves(bench):
    develop, report = ({s for sets in half.values() for s in sets} for half in bench.SETS.values())
    assert not develop & report and len(develop) == 10 and len(report) == 10


def test_real_frames_of_the_develop_half_are_read_and_found_where_they_were_taken(bench, data_dir):
    for place, names in bench.SETS["develop"].items():
        for name in names:
            truths = list(read_truths(data_dir / name))
            assert truths, name
            assert all((t.depth > 0.1).all() and (t.depth < 200).all() for t in truths), name
            assert {place_of(t.depth) for t in truths} == {place}, name


def test_the_benchmark_says_how_far_the_way_is(bench):
    scores = {
        bench.NETWORK: [Score(0.8, 0.15), Score(0.6, 0.25)],
        bench.TEACHER: [Score(0.9, 0.10), Score(0.9, 0.10)],
        bench.ROWS: [Score(0.5, 0.30), Score(0.7, 0.30)],
        bench.CONSTANT: [Score(0.0, 0.40), Score(0.0, 0.40)],
    }
    # Medians: rank 0.7, 0.9, 0.6; AbsRel 0.2, 0.1, 0.3.
    better, way = bench.summary("indoor", scores)
    assert "rank on 50% of 2 frames, in AbsRel on 100%" in better
    assert "33% of the way" in way and "50% in AbsRel" in way
    text = bench.report({"indoor": {"a": scores, "b": scores}})
    assert "| a | 2 | 0.700 / 0.200 | 0.900 / 0.100 | 0.600 / 0.300 | 0.000 / 0.400 |" in text
    assert "| **indoor** | 4 |" in text and way in text


def test_the_benchmark_needs_no_network(bench):
    scores = {bench.ROWS: [Score(0.5, 0.3)], bench.CONSTANT: [Score(0.0, 0.4)]}
    assert bench.report({"outdoor": {"a": scores}}).count("0.500 / 0.300") == 2
