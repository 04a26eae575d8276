"""metric_depth evaluate: frames, candidates, records, tables and the verb, on made-up folders of frames."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import sys

import cv2
import numpy as np
import pytest

from metric_depth_ros.cli.main import main
from metric_depth_ros.config import Config, EngineConfig, RegionsConfig, from_flat, updated
from metric_depth_ros.datasets import DATASETS, Frame
from metric_depth_ros.datasets.published import Item, PublishedDataset
from metric_depth_ros.drawing import charts
from metric_depth_ros.engines.averaged import averaged
from metric_depth_ros.errors import AnchorError, ConfigError, InputError, ModelError
from metric_depth_ros.evaluation import groups, report
from metric_depth_ros.evaluation.candidates import (
    CONSTANT,
    INTERPOLATION,
    Candidate,
    build_candidates,
    controls,
    solver_candidate,
)
from metric_depth_ros.evaluation.frames import build_source, find_sets, read_views, set_name, stored_outputs
from metric_depth_ros.evaluation.known_depth import TruthRules
from metric_depth_ros.evaluation.measures import METRICS
from metric_depth_ros.evaluation.places import place_of
from metric_depth_ros.evaluation.protocols import Case
from metric_depth_ros.evaluation.records import write_records
from metric_depth_ros.evaluation.runner import Record, run
from metric_depth_ros.evaluation.study import engine_for_all
from metric_depth_ros.evaluation.whole_truth import whole_truth_candidates
from metric_depth_ros.types import Anchors, MetricDepth, RelativeDepth
from metric_depth_synthetic.shard_writer import ShardWriter

HEIGHT, WIDTH = 60, 80
FIVE = Case("random", 5)


def ramp(index):
    """A floor that runs away, metres."""
    return (np.linspace(6, 2, HEIGHT)[:, None] + np.linspace(0, 1, WIDTH) - 0.2 * index).astype(np.float32)


def write_set(data, name, count, *, unit=1.0, **calibration):
    """Frames of a floor, and what an exact network of depth up to a scale says about each of them."""
    (data / name).mkdir(parents=True)
    (data / "outputs" / name).mkdir(parents=True)
    frames = []
    for index in range(count):
        grey = np.rint(20 * ramp(index)).astype(np.uint8)
        cv2.imwrite(str(data / name / f"{index}.png"), np.repeat(grey[..., None], 3, axis=2))
        np.savez(data / name / f"{index}.npz", depth=np.float32(unit) * ramp(index))
        np.savez(data / "outputs" / name / f"{index}.npz", relative=ramp(index) / 7, kind="depth")
        frames.append({"id": str(index), "rgb": f"{index}.png", "depth": f"{index}.npz"})
    tree = {"fx": 70.0, "fy": 70.0, "cx": 39.5, "cy": 29.5, **calibration, "frames": frames}
    (data / name / "calib.json").write_text(json.dumps(tree))


@pytest.fixture
def data(tmp_path):
    write_set(tmp_path, "office", 2)
    write_set(tmp_path, "walk", 6)
    return tmp_path


def views(data, name="office", **options):
    return list(read_views(data / name, stored_outputs(data / "outputs"), **options))


# ---- frames ----------------------------------------------------------------------------------


def test_sets_are_found_themselves_and_one_level_below(data):
    assert [path.name for path in find_sets([data])] == ["office", "walk"]
    assert [path.name for path in find_sets([data / "walk", data / "office"])] == ["walk", "office"]
    for wrong, words in ((data / "nowhere", "does not exist"), (data / "outputs", "no set")):
        with pytest.raises(InputError, match=f"{words}; needed a folder with calib"):
            find_sets([wrong])
    with pytest.raises(InputError, match="walk more than once"):
        find_sets([data, data / "walk"])


class Published(PublishedDataset):
    """Six frames of a floor, in two splits of which the second is the last three."""

    title, url, licence, layout, splits = "Floors", "https://example.org", "none", "floors", ("all", "test")
    limits_m = 2.5, 6.5

    @staticmethod
    def recognises(path):
        return False

    def list_items(self):
        return [Item(str(i), scene=f"s{i // 2}") for i in range(3 if self.split == "test" else 0, 6)]

    def read_item(self, item, stamp_ns):
        image = np.full((HEIGHT, WIDTH, 3), 99, np.uint8)
        return Frame(item.id, stamp_ns, image, None, depth=ramp(int(item.id)))

    def evaluated(self, frame):
        mask = np.zeros((HEIGHT, WIDTH), np.bool_)
        mask[10:] = True
        return mask


@pytest.fixture
def floors(monkeypatch, tmp_path):
    monkeypatch.setitem(DATASETS, "floors", Published)
    (tmp_path / "there").mkdir()
    return tmp_path / "there"


def test_sets_may_be_named_with_format_and_split(floors, data):
    found = find_sets([f"floors@test:{floors}", f"floors:{floors}", data / "walk"])
    assert [set_name(path) for path in found] == ["there@test", "there", "walk"]
    with pytest.raises(InputError, match="there@test more than once"):
        find_sets([f"floors@test:{floors}"] * 2)
    asked = []

    def source(name, frame):
        asked.append(f"{name}/{frame.id}")
        return RelativeDepth(ramp(0), "depth")

    (views_of_test, views_of_all) = (list(read_views(path, source)) for path in found[:2])
    assert (
        [view.name for view in views_of_test] == ["there@test/3", "there@test/4", "there@test/5"] == asked[:3]
    )
    assert len(views_of_all) == 6  # all of a published split
    assert views_of_test[0].scene == "there@test/0" and views_of_test[2].scene == "there@test/1"


def test_a_dataset_s_limits_and_crop_count_unless_others_are_given(floors):
    def known(**given):
        rules = TruthRules(**given)
        (view, *_) = read_views(f"floors:{floors}", lambda *_: RelativeDepth(ramp(0), "depth"), rules=rules)
        return view.known, view.limits_m

    cropped = ramp(0)[10:]
    own, limits = known()
    assert limits == (2.5, 6.5) and len(own) == ((cropped >= 2.5) & (cropped <= 6.5)).sum()
    other, limits = known(limits_m=(3, 5))
    assert limits == (3, 5) and len(other) == ((cropped >= 3) & (cropped <= 5)).sum()
    assert not own.anchor_pixels and known(anchor_pixels=True)[0].anchor_pixels


def test_of_a_sequence_first_and_last_count(data):
    assert [p.frame_id for p in views(data, "walk")] == ["0", "5"]
    assert len(views(data, "walk", every=True)) == 6
    assert [p.name for p in views(data)] == ["office/0", "office/1"]


def test_shards_are_frames_too(tmp_path):
    depth = ramp(0)
    depth[:5] = np.inf  # the sky
    info = {"width": WIDTH, "height": HEIGHT, "K": [[70, 0, 39.5], [0, 70, 29.5], [0, 0, 1]]}
    with ShardWriter(tmp_path / "shards", 0) as shard:
        shard.write(0, cv2.imencode(".jpg", np.zeros((HEIGHT, WIDTH, 3), np.uint8))[1].tobytes(), depth, info)
    (folder,) = find_sets([tmp_path])
    (view,) = read_views(folder, lambda *_: RelativeDepth(ramp(0), "depth"))
    assert view.name == "shards/00000000" and view.place == "indoor"
    assert len(view.known) == WIDTH * (HEIGHT - 5)


def test_stored_outputs_are_enlarged_and_made_positive(tmp_path):
    (tmp_path / "set").mkdir()
    stored = np.array([[1.0, 3.0], [-5.0, 0.0]])
    np.savez(tmp_path / "set" / "a.npz", relative=stored, kind="depth")
    np.savez(tmp_path / "set" / "b.npz", relative=stored, kind="inverse_depth")
    image = np.zeros((4, 4, 3), np.uint8)
    found = stored_outputs(tmp_path)("set", Frame("a", 0, image, None))
    assert found.kind == "depth" and found.values.shape == (4, 4)
    # Half-pixel centres: the quarter points between 1 and 3.
    np.testing.assert_allclose(found.values[0], [1, 1.5, 2.5, 3])
    np.testing.assert_allclose(found.values[3], 1e-3)
    assert stored_outputs(tmp_path)("set", Frame("b", 0, image, None)).values.min() == -5


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (None, "cannot be read"),
        ({"kind": "depth"}, "holds no relative"),
        ({"relative": np.ones((2, 2)), "kind": "disparity"}, "'disparity'; needed"),
        ({"relative": np.ones(4), "kind": "depth"}, r"relative \(4,\)"),
    ],
)
def test_stored_outputs_that_cannot_be_used(arrays, message, tmp_path):
    (tmp_path / "set").mkdir()
    if arrays is not None:
        np.savez(tmp_path / "set" / "a.npz", **arrays)
    with pytest.raises(InputError, match=message):
        stored_outputs(tmp_path)("set", Frame("a", 0, np.zeros((4, 4, 3), np.uint8), None))


def test_the_source_is_a_folder_or_a_network(data, toy_manifest):
    image = views(data)[0].image
    np.testing.assert_allclose(
        build_source(EngineConfig(), data / "outputs")("office", Frame("0", 0, image, None)).values,
        ramp(0) / 7,
        rtol=1e-5,
    )
    network = build_source(EngineConfig(), toy_manifest)
    np.testing.assert_allclose(
        network("office", Frame("0", 0, image, None)).values, 20 / 255 * ramp(0), atol=0.01
    )
    with pytest.raises(ModelError, match="nowhere"):
        build_source(EngineConfig(), "nowhere.yaml")


def test_stored_outputs_are_averaged_with_a_second_network(data, toy_manifest):
    image = np.random.default_rng(0).integers(1, 256, (48, 64, 3), np.uint8)
    stored = build_source(EngineConfig(), data / "outputs")("office", Frame("0", 0, image, None))
    network = build_source(EngineConfig(), toy_manifest)("office", Frame("0", 0, image, None))
    both = build_source(EngineConfig(second=str(toy_manifest)), data / "outputs")(
        "office", Frame("0", 0, image, None)
    )
    np.testing.assert_array_equal(both.values, averaged(stored, network).values)


def test_the_network_is_told_the_focus_and_may_be_averaged_with_the_mirrored_picture(monkeypatch, data):
    asked = []

    class Network:
        """Says a picture's first channel, plus the column's number wherever it is: half of it is wrong."""

        def predict(self, image, *, focus_m=None, camera=None):
            asked.append(focus_m)
            return RelativeDepth(image[..., 0] + np.arange(WIDTH, dtype=np.float32), "depth", True, {"f": 1})

    monkeypatch.setattr("metric_depth_ros.evaluation.frames.build_engine", lambda config: Network())
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[:, :10] = 50
    once, both = (
        build_source(EngineConfig(), focus_m=4.0, flip=f)("s", Frame("f", 0, image, None))
        for f in (False, True)
    )
    np.testing.assert_array_equal(once.values, image[..., 0] + np.arange(WIDTH)[None])
    np.testing.assert_array_equal(both.values, image[..., 0] + (WIDTH - 1) / 2)
    assert both.metric and both.features == {"f": 1} and asked == [4.0] * 3
    with pytest.raises(ConfigError, match="stored outputs"):
        build_source(EngineConfig(), data / "outputs", flip=True)


def test_place_and_cap_follow_from_the_known_depth(tmp_path):
    """The floor runs from 2 to 7 m; in other units less than a fifth of it is beyond 10 m, and more."""
    for name, unit in (("room", 1), ("hall", 1.7), ("street", 5), ("plain", 20)):
        write_set(tmp_path, name, 1, unit=unit)
    found = {name: views(tmp_path, name)[0] for name in ("room", "hall", "street")}
    assert {name: p.place for name, p in found.items()} == {
        "room": "indoor", "hall": "indoor", "street": "outdoor",
    }  # fmt: skip
    assert 0 < (1.7 * ramp(0) > 10).mean() < 0.2
    assert len(found["hall"].known) == (np.float32(1.7) * ramp(0) <= 10).sum()
    assert found["street"].known.pixels.depth.max() == pytest.approx(35)
    plain = views(tmp_path, "plain")[0].known
    assert len(plain) == (np.float32(20) * ramp(0) <= 80).sum() < WIDTH * HEIGHT
    assert place_of(np.empty(0)) == "indoor"


def test_a_white_frame_is_left_out(tmp_path):
    write_set(tmp_path, "framed", 1)
    picture = cv2.imread(str(tmp_path / "framed/0.png"))
    picture[:8], picture[-8:], picture[:, :8], picture[:, -8:] = 255, 255, 255, 255
    cv2.imwrite(str(tmp_path / "framed/0.png"), picture)
    assert len(views(tmp_path, "framed")[0].known) == (WIDTH - 24) * (HEIGHT - 24)


def test_regions_are_made_once_for_each_configuration(data):
    (view, _) = views(data)
    first = view.regions(RegionsConfig())
    assert view.regions(RegionsConfig()) is first
    assert view.regions(RegionsConfig(width=64)) is not first


# ---- records ---------------------------------------------------------------------------------


def test_an_exact_network_has_no_error_and_the_controls_have_theirs(data):
    candidates = [solver_candidate("line", from_flat({"solver.name": "global_affine"})), *controls()]
    records = list(run(candidates, views(data), [FIVE], seeds=2))
    assert [r.solver for r in records] == ["line", CONSTANT, INTERPOLATION] * 4
    line, constant, _ = ([r for r in records if r.solver == c.label] for c in candidates)
    error = {
        c.label: np.mean([r.errors["abs_rel"] for r in records if r.solver == c.label]) for c in candidates
    }
    assert error["line"] < 1e-5 and min(r.errors["delta1"] for r in line) == 1
    assert not line[0].control and constant[0].control
    assert 0.1 < error[CONSTANT] < 0.6 and 1e-3 < error[INTERPOLATION] < error[CONSTANT]
    assert {(r.frame, r.seed) for r in line} == {("0", 0), ("0", 1), ("1", 0), ("1", 1)}
    assert all(r.anchors == 5 and r.coverage == 1 and r.seconds > 0 for r in records)
    assert all(math.isnan(r.errors["ause_abs_rel"]) and r.evaluated == WIDTH * HEIGHT - 5 for r in records)


def test_the_constant_map_is_one_depth_whatever_the_network(data):
    """The geometric mean of the anchors, as their sigmas are far below the 10 % of the misfit."""
    (view, _) = views(data)
    anchors = view.known.pixels.take(np.array([7, 1000, 4000]))
    inverse = dataclasses.replace(view, relative=RelativeDepth(view.relative.values, "inverse_depth"))
    for each in (view, inverse):
        found = controls()[0].solve(each, anchors)
        np.testing.assert_allclose(found.depth, np.exp(np.log(anchors.depth).mean()), rtol=0.01)
        assert np.ptp(found.depth) == 0


@pytest.mark.parametrize("unit", [0.004, 1.0, 15.0])
def test_depth_that_counts_is_within_the_limits_of_every_row(tmp_path, unit):
    """A colon at 4 mm to 2 cm, as in C3VD, is not cut off at ``solver.min_depth_m``, nor by any control."""
    write_set(tmp_path, "set", 1, unit=unit)
    rules = TruthRules(limits_m=(unit / 2, 20 * unit))
    config = Config()
    rows = build_candidates(config, ["global_affine"], {}, constant_map=True)
    rows += whole_truth_candidates(config, None, {})
    (view,) = views(tmp_path, "set", rules=rules)
    records = {r.solver: r for r in run(rows, [view], [Case("random", 50)], seeds=1)}
    assert {r.coverage for r in records.values()} == {1.0} and len(records) == 6
    assert records["global_affine"].errors["abs_rel"] < 1e-4
    assert records["linear (truth)"].errors["abs_rel"] < 1e-4
    assert 0.1 < records[CONSTANT].errors["abs_rel"] < 0.6
    assert records[INTERPOLATION].errors["abs_rel"] < 0.1


def test_what_is_beyond_twice_the_limits_is_unknown_in_every_row(data):
    rows = build_candidates(Config(), ["global_affine"], {}, constant_map=False)
    rows += whole_truth_candidates(Config(), None, {})
    view = views(data, rules=TruthRules(limits_m=(2, 3)))[0]
    pixels = view.known.pixels.take(np.arange(50))
    wrong = Anchors(pixels.uv, np.float32(9) * pixels.depth, pixels.sigma)
    for row in rows[:3]:  # the solver and the controls
        row.prepare(view)
        assert np.isnan(row.solve(view, wrong).depth).all(), row.label
    for row in rows[3:]:
        found = row.solve(view, pixels).depth
        assert np.isnan(found).any() and np.nanmax(found) <= 6, row.label
    set_low = build_candidates(
        from_flat({"solver.max_depth_m": 1.0}), ["global_affine"], {}, constant_map=False
    )
    for row in set_low:
        row.prepare(view)
        assert np.isnan(row.solve(view, pixels).depth).all(), row.label


def test_the_same_solver_without_a_network(data):
    rows = build_candidates(Config(), ["global_affine"], {}, constant_map=True)
    assert [row.label for row in rows] == [
        "global_affine", "control: global_affine, constant map", CONSTANT, INTERPOLATION,
    ]  # fmt: skip
    records = list(run(rows, views(data), [FIVE], seeds=1))
    ours, blind, constant = (r.errors["abs_rel"] for r in records[:3])
    assert records[1].control and blind == constant > ours


def failing(view, anchors):
    raise AnchorError("failing: 0 usable.")


def test_pixels_without_depth_count_as_twice_the_truth_and_so_do_all_of_a_failure(data):
    half = np.full((HEIGHT, WIDTH), np.nan, np.float32)
    half[:, : WIDTH // 2] = ramp(0)[:, : WIDTH // 2]
    rows = [Candidate("failing", failing), Candidate("half", lambda view, anchors: MetricDepth(half))]
    names = ["abs_rel", "delta1", "rmse_log", "silog", "mae"]
    failed, covered = run(rows, views(data)[:1], [FIVE], 1, names)
    assert failed.failure == "failing: 0 usable." and failed.coverage == 0 and math.isnan(failed.seconds)
    assert failed.errors["abs_rel"] == 1 and failed.errors["delta1"] == 0
    assert failed.errors["rmse_log"] == pytest.approx(math.log(2))
    assert failed.errors["silog"] == pytest.approx(100 * math.log(2))
    assert failed.errors["mae"] == pytest.approx(ramp(0).mean(), rel=0.01)
    missing = 1 - covered.coverage
    assert missing == pytest.approx(0.5, abs=0.01)
    assert covered.errors["abs_rel"] == pytest.approx(missing)
    assert covered.errors["delta1"] == pytest.approx(1 - missing)
    assert covered.errors["rmse_log"] == pytest.approx(math.sqrt(missing) * math.log(2))
    assert covered.errors["silog"] == pytest.approx(100 * math.sqrt(missing) * math.log(2))


def test_a_bug_is_not_a_failure(data):
    def buggy(view, anchors):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(run([Candidate("buggy", buggy)], views(data), [FIVE]))


def test_a_sigma_is_measured(data):
    def unsure(view, anchors):
        depth = view.relative.values * 7
        wrong = np.where(np.arange(WIDTH) < WIDTH // 2, 1.5, 1.1).astype(np.float32)
        return MetricDepth(depth * wrong, sigma=depth * (wrong - 0.9))

    names = ["ause_abs_rel", "ause_rmse", "within_1_sigma"]
    (record,) = run([Candidate("unsure", unsure)], views(data)[:1], [FIVE], 1, names)
    # Errors of 0.5 d and 0.1 d beside sigmas of 0.6 d and 0.2 d: sigma / d orders as the errors do.
    assert record.errors["within_1_sigma"] == 1
    assert record.errors["ause_abs_rel"] == pytest.approx(0, abs=1e-3)
    assert 0 < record.errors["ause_rmse"] < 0.5


def test_frames_in_a_row_are_compared_with_their_own_kind(data):
    """Depth is right in the first frame, then 10 % too large with 5 anchors and 20 % with 6."""
    (view, _) = views(data)
    posed = dataclasses.replace(view, T_world_camera=np.eye(4))
    three = [
        posed,
        dataclasses.replace(posed, frame_id="1"),
        dataclasses.replace(posed, frame_id="2", scene="another"),
    ]

    def drifting(view, anchors):
        factor = 1 + int(view.frame_id) * (len(anchors) - 4) / 10
        return MetricDepth(np.float32(factor) * ramp(0))

    rows = [Candidate("exact", lambda view, anchors: MetricDepth(ramp(0))), Candidate("drifting", drifting)]
    names = ["flicker", "scale_jitter", "tae"]
    records = list(run(rows, three, [FIVE, Case("random", 6)], 2, names))
    found = {(r.solver, r.count, r.frame, r.seed): r.errors for r in records}
    for count, change, moved in (
        (5, 0.0953102, (0.1 / 1.1 + 0.1) / 2),
        (6, 0.1823216, (0.2 / 1.2 + 0.2) / 2),
    ):
        for seed in (0, 1):
            assert all(map(math.isnan, found["drifting", count, "0", seed].values()))
            assert all(map(math.isnan, found["drifting", count, "2", seed].values()))  # of another scene
            drift = found["drifting", count, "1", seed]
            assert list(drift.values()) == pytest.approx([change, change, moved], rel=1e-4)
            assert list(found["exact", count, "1", seed].values()) == pytest.approx([0, 0, 0], abs=1e-6)


def test_a_view_knows_its_pose_and_scene(data):
    tree = json.loads((data / "office/calib.json").read_text())
    tree["frames"][1]["T_world_camera"] = (2 * np.eye(4) - np.diag([1, 1, 1, 1])).tolist()
    (data / "office/calib.json").write_text(json.dumps(tree))
    first, second = views(data)
    assert first.T_world_camera is None and second.T_world_camera.tolist() == np.eye(4).tolist()
    # The frames of a folder are one scene as far as anyone knows.
    assert first.scene == second.scene == "office/0"
    np.testing.assert_array_equal(first.known.depth_image, ramp(0))


def test_pictures_with_too_little_give_no_record(data):
    counts = [Case("random", 4000), Case("random", 5000)]
    records = list(run(controls(), views(data), counts))
    assert {r.count for r in records} == {4000}


def test_records_are_json_lines(data, tmp_path):
    records = list(run([Candidate("failing", failing)], views(data), [FIVE], seeds=1))
    write_records(tmp_path / "records.jsonl", records)
    lines = (tmp_path / "records.jsonl").read_text().splitlines()
    assert len(lines) == 2
    first = json.loads(lines[0])
    assert first["errors"]["abs_rel"] == 1 and first["errors"]["ause_abs_rel"] is None
    assert first["seconds"] is None and first["failure"] == "failing: 0 usable."
    assert Record(**first).case == FIVE
    with pytest.raises(InputError, match="needed a file to write to"):
        write_records(tmp_path / "nowhere" / "records.jsonl", records)


def test_candidates_have_labels_of_their_own():
    variants = {"slf": {"solver.name": "region_aware", "solver.region_aware.fit": "linear"}}
    rows = build_candidates(Config(), ["region_aware"], variants, constant_map=False)
    assert [row.label for row in rows] == ["region_aware", "slf", CONSTANT, INTERPOLATION]
    with pytest.raises(ConfigError, match="slf more than once"):
        build_candidates(Config(), ["slf"], variants, constant_map=False)
    with pytest.raises(ConfigError, match=r"Did you mean solver\.region_aware\.fit\?"):
        build_candidates(Config(), [], {"a": {"solver.region_aware.fitt": "linear"}}, constant_map=False)


# ---- tables ----------------------------------------------------------------------------------


def record(solver, set_name, abs_rel, *, count=5, **more):
    fields = {"protocol": "random", "count": count, "noisy": False, "seed": 0, "anchors": 5, "frame": "0"}
    fields |= {"coverage": 1.0, "seconds": 0.002, **more}
    errors = {"abs_rel": abs_rel, **fields.pop("errors", {})}
    return Record(solver, solver == "control", "indoor", set_name, errors=errors, **fields)


RECORDS = [
    record("a", "x", 0.1), record("b", "x", 0.2), record("control", "x", 0.05),
    record("a", "y", 0.5), record("b", "y", 0.3), record("control", "y", 0.05),
    record("a", "z", 0.1), record("b", "z", 0.65, coverage=0.5), record("control", "z", 0.05),
]  # fmt: skip


def test_the_table_is_the_mean_over_frames():
    text = report.summary(RECORDS)
    assert "## indoor, clean, truth to 10 m" in text
    assert "| AbsRel | 5 | covered | ms |" in text
    assert "| a | _0.233_ | 100.0 % | 2.0 |" in text  # (0.1 + 0.5 + 0.1) / 3
    assert "| b | 0.383 | 83.3 % | 2.0 |" in text  # (0.2 + 0.3 + 0.65) / 3
    assert "| frames | 3 |" in text


def test_choosing_on_the_other_sets_never_sees_the_set_it_reports():
    """Without x b is worse: .475 to .3; without y a is better, .1 to .425; without z b, .25 to .3."""
    chosen = {r.set_name: r.solver for r in report.chosen_elsewhere(RECORDS)}
    assert chosen == {"x": "a", "y": "a", "z": "b"}
    assert f"| {report.CHOSEN} | 0.417 |" in report.summary(RECORDS)  # (0.1 + 0.5 + 0.65) / 3
    assert report.chosen_elsewhere(RECORDS[:3]) == []
    assert report.chosen_elsewhere([r for r in RECORDS if r.solver != "b"]) == []


def test_every_column_counts_alike_in_the_choice():
    """By ratio a is better: half the error at 50 anchors outweighs 20 % more at 5; by the sum b would be."""
    records = [
        record(solver, name, error, count=count)
        for name in ("x", "y")
        for solver, at_5, at_50 in (("a", 0.6, 0.02), ("b", 0.5, 0.04))
        for count, error in ((5, at_5), (50, at_50))
    ]
    assert {r.solver for r in report.chosen_elsewhere(records)} == {"a"}


def test_the_title_tells_the_limits_of_the_truth():
    far = [record("a", "x", 0.1, limits_m=(0.2, 5.0))]
    assert "## indoor, clean, truth 0.2 to 5 m" in report.summary(far)
    mixed = [*far, record("a", "y", 0.1, limits_m=(0.0, 10.0))]
    text = report.summary(mixed)  # a table for each
    assert "## indoor, clean, truth 0.2 to 5 m" in text and "## indoor, clean, truth to 10 m" in text


def test_a_table_for_every_set():
    text = report.by_set(RECORDS)
    assert "## indoor, clean, truth to 10 m, 5 anchors" in text
    assert "| AbsRel | frames | a | b | control |" in text
    assert "| y | 1 | 0.500 | 0.300 | 0.050 |" in text


def test_failures_and_sigmas_are_told():
    failed = record("a", "x", 1.0, coverage=0.0, seconds=float("nan"), failure="a: 0 usable.")
    quality = [{"ause_abs_rel": value} for value in (math.nan, math.nan, 0.25)]
    failed, known, sure = (
        dataclasses.replace(r, errors={**r.errors, **more})
        for r, more in zip([failed, record("a", "y", 0.2), record("b", "x", 0.2)], quality, strict=True)
    )
    text = report.summary([failed, known, sure])
    assert "| a | _0.600_ | 50.0 % | 2.0 |" in text
    assert "- a: 1 of 2 failed and count as twice the true depth: a: 0 usable." in text
    # A table of its own, with the solvers that have a sigma.
    assert "| AUSE of AbsRel | 5 |\n|---|---:|\n| b | 0.250 |\n" in text
    assert "failed" not in report.summary(RECORDS) and "AUSE" not in report.summary(RECORDS)


def test_a_table_for_every_metric_in_its_unit():
    records = [record(name, "x", 0.1, errors={"rmse": 0.5, "irmse": 12.345}) for name in ("a", "b")]
    text = report.summary(records)
    assert "| RMSE, m | 5 |\n|---|---:|\n| a | **0.500** |" in text and "| iRMSE, 1/km | 5 |" in text
    assert "| a | **12.35** |" in text or "| a | **12.34** |" in text
    assert text.count("covered") == 1 and text.count("| frames |") == 1


def test_a_mean_is_over_frames_and_its_spread_over_seeds():
    """Frame 0 has two draws, of .1 and .3, and frame 1 one, of .4: (.2 + .4) / 2, not .8 / 3.

    Seed 0 has .1 and .4, a mean of .25, seed 1 has .3: the deviation of the two is .05 / sqrt(2).
    """
    records = [
        record("a", "x", 0.1), record("a", "x", 0.3, seed=1), record("a", "x", 0.4, frame="1"),
    ]  # fmt: skip
    assert groups.mean_error(records) == pytest.approx(0.3)
    assert groups.spread_over_seeds(records) == pytest.approx(0.05 / math.sqrt(2))
    assert "| a | 0.300 ± 0.035 |" in report.summary(records, spread=True)
    assert "| a | 0.300 |" in report.summary(records)
    assert math.isnan(groups.spread_over_seeds(records[:1])) and "±" not in report.summary(
        records[:1], spread=True
    )


def unmarked(text):
    """Tables without the marks of the best and second."""
    return re.sub(r"\*\*|(?<=\| )_|_(?= \|)", "", text)


# ---- the verb --------------------------------------------------------------------------------


def evaluate(data, *argv):
    return main(["evaluate", str(data), "--engine", str(data / "outputs"), *map(str, argv)])


def test_the_verb_prints_and_writes(data, tmp_path, capsys):
    out = tmp_path / "results"
    assert evaluate(
        data, "--solvers", "global_affine", "--variant", "slf", "solver.name=region_aware",
        "solver.region_aware.fit=linear", "--anchors", "5,50", "--noisy", "--seeds", 2, "--out", out,
    ) == 0  # fmt: skip
    text = capsys.readouterr().out
    assert "## indoor, clean" in text and "## indoor, noisy" in text
    assert "| AbsRel | 5 | 50 | 1 row | 4 rows | 16 rows | 8x8 grid | covered | ms |" in text
    for label in ("global_affine", "slf", CONSTANT, INTERPOLATION, report.CHOSEN):
        assert f"| {label} |" in text
    assert (out / "report.md").read_text().startswith(text)
    assert "| walk | 2 |" in (out / "report.md").read_text()
    assert not list(out.glob("sparsification*.png"))  # no sigma, no chart of it
    # 4 frames, 4 candidates, 6 cases clean and noisy, 2 seeds.
    assert len((out / "records.jsonl").read_text().splitlines()) == 4 * 4 * 12 * 2


def test_a_table_for_every_wanted_metric(data, capsys):
    few = ("--protocol", "random", "--anchors", "5", "--seeds", "2", "--solvers", "auto,median", "--spread")
    assert evaluate(data, *few, "--metrics", "delta1,silog,nll,delta1") == 0
    text = capsys.readouterr().out
    heads = [line.split(" |")[0] for line in text.splitlines() if " | 5 |" in line]
    assert heads == ["| delta1", "| SILog, 100 ln m", "| NLL, nats"]
    assert re.search(r"\| auto \| [\d.]+ ± [\d.]+ \| 100.0 % \|", text)
    assert text.count("| auto |") == 3 and text.count("| median |") == 2  # median has no sigma


def test_all_metrics_and_those_of_sequences(data, capsys):
    few = ("--protocol", "random", "--anchors", "5", "--seeds", "1", "--solvers", "auto", "--metrics", "all")
    assert evaluate(data, *few, "--all-frames") == 0
    text = capsys.readouterr().out
    missing = {name for name, metric in METRICS.items() if f"| {metric.heading} | 5 |" not in text}
    # No poses, no focus, and no surface in front of another.
    assert missing == {"flicker", "tae", "mask_accuracy", "flying_pixels"}
    assert evaluate(data, *few) == 0
    assert "scale jitter" not in capsys.readouterr().out


def test_several_datasets_are_one_table_where_the_paper_pools_them(data, capsys):
    """Rooms, and streets ten times as large: two tables of ours, one of the paper's form."""
    write_set(data, "street", 2, unit=10.0)
    argv = ("--protocol", "low", "--seeds", "1", "--metrics", "abs_rel", "--solvers", "median")
    assert evaluate(data, *argv, "--table", "001:2") == 0
    text = capsys.readouterr().out
    heads = [line for line in text.splitlines() if line.startswith("## ")]
    assert [head.partition(",")[0] for head in heads] == ["## indoor", "## outdoor", "## Paper 001"]
    both = "indoor, clean, truth to 10 m (4 frames) and outdoor, clean, truth to 80 m (2 frames)"
    assert f"(urbansyn and sun_rgbd together, range not told), on {both}; the paper's rows are of" in heads[2]


def test_masks_at_several_focuses(data, capsys):
    """The floor's stored depth is exact up to a factor, so that a scale gives every mask."""
    few = ("--protocol", "random", "--anchors", "5", "--seeds", "1", "--metrics", "mask_accuracy,scale_mae")
    solvers = ("--solvers", "median", "--variant", "flat", "solver.name=global_affine")
    assert evaluate(data, *few, *solvers, "--focuses", "3,4.5,indoor", "--table", "004:5") == 0
    text = unmarked(capsys.readouterr().out)
    rows = [line.split(" | ")[:2] for line in text.splitlines() if line.startswith("| median, focus")]
    assert rows[:3] == [[f"| median, focus {f} m", "1.0000"] for f in ("3", "4.5", "10")]
    assert "| flat, focus 4.5 m | " in text and "| control: interpolation | 0.0" in text
    assert evaluate(data, *few, "--solvers", "median", "--set", "solver.focus_m=3") == 0
    assert "| median | 1.0000 |" in unmarked(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--metrics", "abs_rel,mask_accuracy"), "mask_accuracy of no solver with a focus; needed one. Add"),
        (("--focuses", "3,near"), "focus: 'near'; needed positive metres"),
        (("--focuses", "3", "--set", "solver.prior=network"), "own metres are of one focus for all solvers"),
    ],
)
def test_a_focus_that_there_is_not_is_told(data, capsys, options, words):
    assert evaluate(data, "--solvers", "prior", *options) == 1
    assert words in capsys.readouterr().err


def test_no_anchors_at_all_is_a_protocol(data, capsys):
    argv = ("--protocol", "none,random", "--anchors", "5", "--seeds", "1", "--metrics", "abs_rel")
    assert evaluate(data, *argv, "--solvers", "median") == 0
    text = capsys.readouterr().out
    assert "| AbsRel | 0 | 5 | covered | ms |" in text
    assert "| median | **1.000** | **0.000** | 50.0 % |" in text and "- median: 4 of 8 failed" in text


def rows_of(text):
    """Cells of the first table by the row's label."""
    first = unmarked(text).split("\n\n")[1]
    lines = [line.split("|")[1:-1] for line in first.splitlines() if line.startswith("| ")]
    return {label.strip(): [cell.strip() for cell in cells] for label, *cells in lines}


def test_protocols_with_counts_of_their_own(data, capsys):
    assert evaluate(data, "--protocol", "random:250,1000 rows:8 grid:16", "--seeds", 1) == 0
    assert rows_of(capsys.readouterr().out)["AbsRel"] == [
        "250",
        "1000",
        "8 rows",
        "16x16 grid",
        "covered",
        "ms",
    ]


def test_anchors_that_no_frame_has_are_told(data, caplog):
    protocol = ("--protocol", "random:5,900000,sensor", "--noisy", "--seeds", "1")
    assert evaluate(data, *protocol, "--metrics", "abs_rel") == 0
    assert "anchors 900000, sensor: no frame has them and enough pixels beside, left out" in caplog.text


def test_limits_and_pixels_with_anchors(data, capsys, tmp_path):
    argv = ["--protocol", "random:4000", "--solvers", "median", "--seeds", 1]
    assert evaluate(data, *argv, "--limits", "2.5,5") == 1  # too few known pixels
    assert "no frame with enough known pixels" in capsys.readouterr().err
    assert evaluate(data, *argv, "--limits", "2.5,6.5", "--anchor-pixels", "in", "--out", tmp_path / "o") == 0
    assert "## indoor, clean, truth 2.5 to 6.5 m" in capsys.readouterr().out
    (first, *_) = (tmp_path / "o/records.jsonl").read_text().splitlines()
    assert json.loads(first)["limits_m"] == [2.5, 6.5]


def test_all_true_depth_as_rows_with_the_given_regions_beside(data, tmp_path, capsys):
    """The right half is twice as far as the network says: only the labels know."""
    labels = np.repeat((np.arange(WIDTH)[None] >= WIDTH // 2).astype(np.uint8), HEIGHT, axis=0)
    for name, frame in (("office", "0"), ("office", "1"), ("walk", "0"), ("walk", "5")):
        (tmp_path / "labels" / name).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "labels" / name / f"{frame}.png"), labels)
        depth = ramp(int(frame)) * np.where(labels, 1.2, 0.6).astype(np.float32)
        np.savez(data / name / f"{frame}.npz", depth=depth)
    assert evaluate(
        data, "--whole-truth", "network", "--regions", tmp_path / "labels", "--protocol", "random:100",
        "--seeds", 1, "--solvers", "paper_slf", "--set", "regions.depth_step=0",
    ) == 0  # fmt: skip
    rows = rows_of(capsys.readouterr().out)
    assert float(rows["linear (truth)"][0]) > 0.1 < float(rows["region linear (truth)"][0])
    assert rows["region linear (truth, given regions)"][0] == "0.000"
    assert rows["region median (truth, given regions)"][0] == "0.000"
    assert rows["paper_slf"][0] == "0.000"  # all solvers have the given ones


def test_scale_and_shift_of_a_training_set(data, tmp_path, capsys):
    """The stored network is wrong by the same factor everywhere."""
    argv = ["--protocol", "random:5", "--seeds", 1, "--solvers", "median", "--scaling"]
    assert evaluate(data / "office", *argv, "global") == 1  # its outputs lie elsewhere
    capsys.readouterr()
    outputs = ["--engine", data / "outputs"]
    assert (
        main(["evaluate", *map(str, [data / "office", *outputs, "--fit-on", data / "walk", *argv, "global"])])
        == 0
    )
    assert float(rows_of(capsys.readouterr().out)["Global"][0]) < 0.001
    for scaling, message in (
        ("rsa", "walk/0: no description; RSA reads one"),
        ("clip", "--scaling clip: needed"),
    ):
        given = [data / "office", *outputs, "--fit-on", data / "walk", *argv, scaling]
        assert main(["evaluate", *map(str, given)]) == 1
        assert message in capsys.readouterr().err


def test_rows_that_cannot_be_learned_are_left_out_and_named(data, caplog, capsys, monkeypatch):
    monkeypatch.setattr("metric_depth_ros.cli.evaluation_jobs.find_spec", lambda name: None)
    argv = [
        data / "office",
        "--engine",
        data / "outputs",
        "--fit-on",
        data / "walk",
        "--protocol",
        "random:5",
    ]
    assert main(["evaluate", *map(str, argv), "--seeds", "1", "--solvers", "median"]) == 0
    rows = rows_of(capsys.readouterr().out)
    assert "Global" in rows and not {"Image", "RSA"} & set(rows)
    assert "without RSA: walk has frames without a description" in caplog.text
    assert "without Image: needed torch" in caplog.text


def test_settings_count(data, capsys):
    few = ("--protocol", "random", "--anchors", "50", "--seeds", "1", "--solvers", "global_affine")
    few += ("--metrics", "abs_rel")
    assert evaluate(data, *few, "--set", "solver.max_depth_m=4") == 0
    (row,) = [
        line for line in unmarked(capsys.readouterr().out).splitlines() if line.startswith("| global_affine")
    ]
    assert 10 < float(row.split("|")[3].split("%")[0]) < 90


@pytest.mark.parametrize(("options", "frames"), [((), 4), (("--all-frames",), 8), (("--place", "indoor"), 4)])
def test_frames_that_count(data, options, frames, capsys):
    assert evaluate(data, "--protocol", "grid", *options) == 0
    assert f"| frames | {frames} |" in capsys.readouterr().out


def test_a_parameter_file_counts(data, tmp_path, capsys):
    (tmp_path / "settings.yaml").write_text("solver: {name: global_affine, max_depth_m: 4.0}\n")
    settings = ("--config", tmp_path / "settings.yaml", "--metrics", "abs_rel")
    assert evaluate(data, "--protocol", "grid", *settings) == 0
    (row,) = [
        line for line in unmarked(capsys.readouterr().out).splitlines() if line.startswith("| global_affine")
    ]
    assert 10 < float(row.split("|")[3].split("%")[0]) < 90


def test_a_set_without_depth_is_named(data, caplog):
    write_set(data, "empty", 1)
    tree = json.loads((data / "empty/calib.json").read_text())
    del tree["frames"][0]["depth"]
    (data / "empty/calib.json").write_text(json.dumps(tree))
    assert evaluate(data, "--protocol", "grid") == 0
    assert "empty: no frame with enough known pixels, left out" in caplog.text


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--solvers", "magic"], "solver.name: 'magic'"),
        (["--variant", "a", "solver.focus=1"], "solver.focus: unknown setting"),
        (["--variant", "a", "--variant", "a"], "--variant a: given twice"),
        (["--protocol", "spiral"], "protocol: 'spiral'; needed one of none, random, rows, grid"),
        (["--anchors", "0"], "random: 0 anchors; needed 1 to 1000000."),
        (["--anchors", "few"], "--anchors few: needed whole numbers"),
        (["--anchors", "-1"], "random: -1 anchors"),
        (
            ["--anchors", "7", "--protocol", "random:5,rows"],
            "--anchors 7: numbers of a random without its own",
        ),
        (["--scaling", "global"], "--scaling global: nothing to learn from; needed --fit-on DATA"),
        (["--cache-gb", "0"], "--cache-gb 0: needed more than 0"),
        (["--cache-gb", "inf"], "--cache-gb inf: needed more than 0"),
        (["--table", "7"], "published table 7: unknown; needed one of 000:1, "),
        (["--seeds", "0"], "--seeds 0"),
        (["--metrics", "abs_rel,psnr"], "metrics: 'psnr'; needed all, or some of abs_rel, "),
        (["--metrics", "flicker"], "flicker of single frames; needed frames in a row. Add --all-frames."),
        (["--place", "outdoor"], "no frame with enough known pixels; needed 400 of known depth within"),
        (["--engine", "nowhere.yaml"], "nowhere.yaml"),
        (["--set", "regions.width"], "needed NAME=VALUE"),
        (["--protocol", "random:few"], "protocol random: 'few'; needed whole numbers"),
        (["--limits", "5"], "--limits 5: needed NEAR,FAR in metres"),
        (["--limits", "5,2"], "limits: 5 to 2 m; needed a range"),
        (["--regions", "nowhere"], "--regions nowhere: no folder"),
    ],
)
def test_user_errors_are_one_line(data, argv, message, capsys):
    assert evaluate(data, *argv) == 1
    error = capsys.readouterr().err
    assert message in error and error.startswith("metric_depth: ") and error.count("\n") == 1


# ---- real frames -----------------------------------------------------------------------------


def test_real_frames_with_the_controls_beside(data_dir, capsys):
    """A stored network helps at 10 anchors; with 500 interpolation beats one line, regions beat it too."""
    sets = [str(data_dir / name) for name in ("tum_open3d", "sunrgbd_open3d", "realsense_tabletop")]
    argv = ["--solvers", "global_affine,region_aware", "--protocol", "random", "--anchors", "10,500"]
    argv += ["--metrics", "abs_rel"]
    assert main(["evaluate", *sets, "--engine", str(data_dir / "relative_meter"), "--seeds", "1", *argv]) == 0
    table = {
        cells[1].strip(): [float(cell) for cell in cells[2:4]]
        for line in unmarked(capsys.readouterr().out).splitlines()
        if (cells := line.split("|"))[2:3] and cells[2].strip().startswith("0.")
    }
    assert table["global_affine"][0] < table[CONSTANT][0]
    assert table["region_aware"][1] < table["global_affine"][1] < table[CONSTANT][1]
    assert table["region_aware"][1] < 0.06 and table[INTERPOLATION][1] < 0.05


@pytest.mark.parametrize(("noisy", "bounds"), [(False, (0.175, 0.074, 0.037)), (True, (0.21, 0.078, 0.043))])
def test_auto_on_real_frames(data_dir, capsys, noisy, bounds):
    """With 10, 100 and 500 anchors: within its bounds, better than interpolation, hardly worse than blind."""
    sets = [str(data_dir / name) for name in ("tum_open3d", "sunrgbd_open3d", "realsense_tabletop")]
    argv = ["--solvers", "auto", "--constant-map", "--protocol", "random", "--anchors", "10,100,500"]
    argv += ["--metrics", "abs_rel"]
    argv += ["--seeds", "1", "--engine", str(data_dir / "relative_meter"), *(["--noisy"] if noisy else [])]
    assert main(["evaluate", *sets, *argv]) == 0
    table = {
        cells[1].strip(): [float(cell) for cell in cells[2:5]]
        for line in unmarked(capsys.readouterr().out).splitlines()  # of two tables the second, the noisy one
        if (cells := line.split("|"))[2:3] and re.fullmatch(r" \d\.\d+ ", cells[2])
    }
    auto, blind = table["auto"], table["control: auto, constant map"]
    assert all(error < bound for error, bound in zip(auto, bounds, strict=True)), auto
    assert all(error < other for error, other in zip(auto, table[INTERPOLATION], strict=True))
    assert all(error < 1.05 * other for error, other in zip(auto, blind, strict=True))


def test_a_real_street_and_a_real_room(data_dir):
    source = stored_outputs(data_dir / "relative_meter")
    frames = {"indoor": 0, "outdoor": 0}
    for folder in (p for p in find_sets([data_dir]) if p.name in ("kitti_seq_2011_09_26", "nyu_metric3d")):
        for view in read_views(folder, source):
            frames[view.place] += 1
            assert view.relative.values.min() > 0 and view.known.from_lidar == (view.place == "outdoor")
    assert frames == {"indoor": 2, "outdoor": 2}


def test_charts_of_sparsification_for_solvers_with_a_sigma(data, tmp_path, capsys):
    assert evaluate(
        data, "--solvers", "auto,global_affine", "--protocol", "random", "--anchors", "20", "--seeds", 1,
        "--out", tmp_path,
    ) == 0  # fmt: skip
    chart = cv2.imread(str(tmp_path / "sparsification_indoor_clean.png"))
    assert chart is not None and chart.std() > 5


def test_evaluate_needs_no_matplotlib(data, tmp_path, capsys, caplog, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    charts._warn_once.cache_clear()
    out = tmp_path / "out"
    assert evaluate(
        data, "--solvers", "auto", "--protocol", "random", "--anchors", "20", "--seeds", 1, "--out", out
    ) == 0  # fmt: skip
    assert "metric_depth_ros[plots]" in caplog.text
    assert {path.name for path in out.iterdir()} == {"records.jsonl", "report.md", "report.tex", "run.json"}


@pytest.mark.parametrize("solvers", [("median", "basis"), ("basis", "median")])
@pytest.mark.parametrize("name", ["", "small"])
def test_the_network_with_maps_serves_all_if_one_solver_wants_them(solvers, name, caplog):
    caplog.set_level("INFO")
    changes = [{"solver.name": solver} for solver in solvers]
    config = updated(Config(), {"engine.manifest": name})
    assert engine_for_all(config, changes).manifest.endswith("small_depth_basis.yaml")
    assert "all solvers on small_depth_basis" in caplog.text
    assert engine_for_all(Config(), [{"solver.name": "median"}]).manifest == ""
    both = [{"solver.name": "basis"}, {"solver.name": "paper_basis"}]
    with pytest.raises(ConfigError, match="small_depth_basis and small_depth_paper_basis; needed one"):
        engine_for_all(config, both)
    named = updated(config, {"engine.manifest": "tiny"})
    assert engine_for_all(named, both).manifest == "tiny"
    second = updated(config, {"engine.manifest": "tiny", "engine.second": "small"})
    with pytest.raises(ConfigError, match="small_depth_basis and small_depth_paper_basis; needed one"):
        engine_for_all(second, both)
    # The default solver takes any maps.
    either = [{"solver.name": "auto"}, {"solver.name": "paper_basis"}]
    for order in (either, either[::-1]):
        assert engine_for_all(config, order).manifest.endswith("small_depth_paper_basis.yaml")


def test_a_prior_is_compared_without_anchors_and_with_few(data):
    """The network says metres that are a quarter too large; the solver alone fails without anchors."""
    views_of_metres = [
        dataclasses.replace(
            view, relative=RelativeDepth(1.25 * 7 * view.relative.values, "depth", metric=True)
        )
        for view in views(data)
    ]
    variants = {"prior": {"solver.prior": "network"}, "alone": {}}
    candidates = build_candidates(from_flat({"solver.name": "median"}), [], variants, constant_map=False)
    cases = [Case("none", 0), Case("random", 200)]
    records = list(run(candidates, views_of_metres, cases, seeds=1))
    assert {(r.anchors, r.evaluated) for r in records if r.protocol == "none"} == {(0, WIDTH * HEIGHT)}
    found = {(r.solver, r.count): r for r in records}
    assert found["alone", 0].failure and found["alone", 0].errors["abs_rel"] == 1
    assert found["prior", 0].errors["abs_rel"] == pytest.approx(0.25, rel=0.01)
    assert found["prior", 0].errors["ause_abs_rel"] >= 0
    assert found["prior", 200].errors["abs_rel"] == pytest.approx(
        found["alone", 200].errors["abs_rel"], abs=0.002
    )


def test_frames_without_intrinsics_and_a_prior_that_needs_them_end_the_comparison(data):
    """A prior that cannot be asked is no error of 1 of the solver's."""
    blind = [dataclasses.replace(view, camera=None) for view in views(data)]
    (candidate, *_) = build_candidates(
        from_flat({"solver.prior": "scale_cnn"}), ["auto"], {}, constant_map=False
    )
    with pytest.raises(
        InputError, match=r"/.*no camera; scale needs the focal length\. Give fx, fy, cx and cy"
    ):
        list(run([candidate], blind, [Case("random", 5)], seeds=1))
    assert not next(run([candidate], views(data), [Case("random", 5)], seeds=1)).failure


def test_a_bad_second_network_is_named_with_stored_outputs_too(tmp_path):
    with pytest.raises(ModelError, match=r"engine\.second: 'smal'"):
        build_source(EngineConfig(second="smal"), tmp_path)
