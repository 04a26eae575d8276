"""benchmarks/bench_refined.py: what its tables and lists say of records, and the pictures that it makes."""

import importlib
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_data import write_frames

from metric_depth_ros.cli.main import build_parser
from metric_depth_ros.datasets import open_dataset
from metric_depth_ros.evaluation.protocols import Case
from metric_depth_ros.evaluation.records import write_records
from metric_depth_ros.evaluation.runner import Record
from metric_depth_ros.evaluation.tables import Row
from metric_depth_ros.types import Camera

PROGRAMS = Path(__file__).parents[2] / "benchmarks"
MODULES = ("bench_refined", "refined_page", "refined_pictures", "refined_tables", "made_frames")


@pytest.fixture
def program(monkeypatch):
    """Function from a name to the program of that name."""
    if not (PROGRAMS / "bench_refined.py").is_file():
        pytest.skip("no benchmarks beside an installed package")
    monkeypatch.syspath_prepend(PROGRAMS)  # as when it is run
    yield importlib.import_module
    for name in MODULES:
        sys.modules.pop(name, None)


def records(auto, ours, case, place="indoor", engine="small", sets=2, within=0.68, ause=(0.3, 0.2)):
    """Records of both solvers with one error each, in two frames of each set."""
    found = []
    for name, error, spread in (("gaussian_process", auto, ause[0]), ("refined", ours, ause[1])):
        errors = {"abs_rel": error, "within_1_sigma": within, "ause_abs_rel": spread}
        found += [
            Record(
                name, False, place, f"set{number}", str(frame), case.protocol, case.count, case.noisy, 0, 9,
                errors, coverage=1.0, engine=engine,
            )
            for number in range(sets)
            for frame in range(2)
        ]  # fmt: skip
    return found


@pytest.mark.parametrize(
    ("place", "case", "ours", "bar", "met"),
    [
        ("indoor", Case("random", 100), 0.088, -12, True),
        ("indoor", Case("random", 100), 0.089, -12, False),
        ("outdoor", Case("random", 500, True), 0.092, -8, True),
        ("outdoor", Case("random", 50), 0.093, -8, False),
        ("outdoor", Case("rows", 4), 0.090, -10, True),
        ("indoor", Case("rows", 16), 0.091, -10, False),
        ("indoor", Case("random", 2000), 0.100, 0, True),
        ("indoor", Case("rows", 1), 0.101, 0, False),
    ],
)
def test_each_column_has_the_bar_of_its_place_and_case(program, place, case, ours, bar, met):
    [change] = program("refined_tables").changes(records(0.1, ours, case, place))
    assert (change.bar, change.met) == (bar, met)
    assert change.percent == pytest.approx(1000 * ours - 100)
    assert change.low == pytest.approx(change.percent) == pytest.approx(change.high)


def test_a_column_shows_its_change_and_what_is_missed(program):
    tables = program("refined_tables")
    found = [*records(0.1, 0.08, Case("random", 50)), *records(0.1, 0.095, Case("random", 50, True))]
    [row] = tables.change_table(tables.changes(found)).rows
    assert row.labels == ("50",)
    assert row.cells[2:4] == ["-20.0 (-20.0 to -20.0)", "-12: met"]
    assert row.cells[6:] == ["-5.0 (-5.0 to -5.0)", "-12: **missed**"]


def test_what_is_asked_is_counted_by_column(program):
    tables = program("refined_tables")
    found = [*records(0.1, 0.08, Case("random", 50)), *records(0.1, 0.095, Case("random", 500))]
    lines = {row.labels[0]: row.cells for row in tables.asked_of_changes(tables.changes(found))}
    indoor = "AbsRel with 50, 100, 500 random anchors, indoor: -12 %"
    assert lines[indoor] == ["-5.0 to -20.0 %", "1 of 2 columns"]
    assert lines["no column worse"] == ["at most -5.0 %", "2 of 2 columns"]


def test_sigma_is_counted_by_column(program):
    found = [
        *records(0.1, 0.1, Case("random", 50), within=0.73),
        *records(0.1, 0.1, Case("random", 500), within=0.62, ause=(0.2, 0.3)),
    ]
    within, ause = program("refined_tables").asked_of_sigma(found)
    assert within.cells == ["0.62 to 0.73", "1 of 2 columns (auto 1)"]
    assert ause.cells == ["auto 0.250, refined 0.250 in the mean", "1 of 2 columns"]


@pytest.mark.parametrize(
    ("ours", "within", "worse", "told"),
    [(0.1029, 0.1, False, False), (0.1031, 0.62, True, False), (0.1031, 0.63, True, True)],
)
def test_a_set_is_worse_in_its_mean_and_sigma_may_say_so(program, ours, within, worse, told):
    tables = program("refined_tables")
    found = records(0.1, ours, Case("random", 10), within=within, sets=1)
    [mean] = tables.set_means(found)
    assert (mean.worse, mean.told) == (worse, told)
    [row] = tables.worse_table({"night": found}).rows
    number = 2 if worse else 0
    assert row.cells[1] == f"{number} of 2" and row.cells[3] == f"{int(worse)} of 1"
    assert row.cells[4] == str(int(worse and not told))


def test_a_prior_s_rows_are_of_the_same_two_solvers(program):
    """Without anchors both have a prior, and labels that say so."""
    tables = program("refined_tables")
    found = records(0.3, 0.3, Case("none", 0), sets=1)
    for record in found:
        object.__setattr__(record, "solver", f"{record.solver}+prior")
    assert [mean.auto for mean in tables.set_means(found)] == [0.3]


def test_cells_are_clean_and_noisy(program):
    found = [*records(0.1, 0.05, Case("rows", 4)), *records(0.2, 0.15, Case("rows", 4, True))]
    auto, ours = program("refined_tables").by_case(found, "abs_rel", 3).rows
    assert auto == Row(("small, indoor, auto",), [".100/.200"]) and ours.cells == [".050/.150"]
    assert not program("refined_tables").by_case(found, "boundary_f1").rows


def test_the_page_is_written_from_records(program, tmp_path):
    real = [
        *records(0.1, 0.09, Case("random", 3), engine="relative_meter"),
        *records(0.1, 0.09, Case("random", 100), engine="relative_meter"),
        *records(0.1, 0.12, Case("rows", 4), within=0.5),
    ]
    runs = {"real": real, "night": records(0.1, 0.2, Case("random", 50)),
            "rendered": records(0.1, 0.09, Case("random", 50))}  # fmt: skip
    for name, found in runs.items():
        (tmp_path / name).mkdir()
        write_records(tmp_path / name / "records.jsonl", found)
    page = program("refined_page").write_page(tmp_path, "Of these.").read_text()
    assert "| rendered held-out scenes | -10.0 | 0 of 4 |" in page
    assert "| set1, refined | .090/- |" in page and "| set0, auto | .100/- |" in page
    assert "| nowhere worse by more than 0.003 | 4 of 10 means of sets worse | 2 of them said |" in page
    assert "- night, made: small, set0, 50 random: 0.100 to 0.200, 0.68 within one sigma" in page
    assert "| 1 to 3 anchors | -10.0 |" in page and "## Time" not in page


def test_every_command_is_one_that_is_known(program, tmp_path, monkeypatch):
    bench = program("bench_refined")
    write_frames(tmp_path / "nyu_metric3d")
    plan = bench.Plan("report", tmp_path / "out", tmp_path, None)
    assert plan.sets == [tmp_path / "nyu_metric3d"] and not plan.setting
    names = []
    for name, sets, options in bench.evaluations(plan):
        args = build_parser().parse_args(["evaluate", *map(str, sets), *bench.shlex.split(options)])
        names.append(name)
        assert args.protocol and args.metrics
    assert names == ["real", "no_anchors", *bench.OF_REAL, "wide", "fisheye", "rendered", "family"]


def test_figures_of_two_networks_do_not_mix(program, tmp_path):
    bench = program("bench_refined")
    manifests = [tmp_path / name for name in ("a.yaml", "b.yaml")]
    for path in manifests:
        path.write_text(f"name: {path.stem}")
    first, second = (bench.Plan("develop", tmp_path, tmp_path, path) for path in manifests)
    assert bench.check_network(first) == bench.check_network(first)
    with pytest.raises(SystemExit, match="another network"):
        bench.check_network(second)


def test_without_data_it_is_skipped(program, capsys, monkeypatch):
    monkeypatch.delenv("METRIC_DEPTH_DATA", raising=False)
    program("bench_refined").main([])
    assert "skipped" in capsys.readouterr().out


def test_the_best_frame_is_the_one_that_gains_most(program):
    case = Case("random", 100)
    found = [*records(0.1, 0.09, case, sets=1), *records(0.2, 0.1, case, sets=1)]
    for record, name in zip(found, "aabbccdd", strict=True):
        object.__setattr__(record, "set_name", name)
    found = [r for r in found if r.solver == "refined"] + [r for r in found if r.solver == "gaussian_process"]
    names = {"a": "x", "b": "x", "c": "y", "d": "y"}
    for record in found:
        object.__setattr__(record, "set_name", names[record.set_name])
    assert program("refined_pictures").extremes(found, "small") == {"best": ("y", "0"), "worst": ("x", "1")}


# ---- pictures --------------------------------------------------------------------------------


def ramp(width=64, height=48):
    image = np.empty((height, width, 3), np.uint8)
    image[:] = np.linspace(0, 255, width)[:, None]
    return image


def test_night_is_dark_and_noisy(program):
    image = np.full((80, 100, 3), 200, np.uint8)
    dark = program("made_frames").night(image, np.random.default_rng(0)).astype(float)
    assert dark.mean() < 110 and dark.std(axis=(0, 1)).min() > 8
    assert dark[..., 0].mean() > dark[..., 1].mean() > dark[..., 2].mean()


def test_thermal_is_grey_of_low_contrast_that_does_not_follow_brightness(program):
    thermal = program("made_frames").thermal
    found = thermal(ramp(), np.random.default_rng(0))
    assert (np.ptp(found, axis=2) == 0).all() and 60 < np.ptp(found) < 130
    steps = np.diff(found[..., 0].mean(axis=0)[::8].astype(int))
    assert (steps < 0).any() and (steps > 0).any()


def test_a_remade_set_has_its_truth_and_other_pictures(program, tmp_path):
    made, folder = program("made_frames"), write_frames(tmp_path / "room")
    there = open_dataset(made.remade(folder, tmp_path / "out", made.night))
    before = open_dataset(folder)
    assert len(there) == 2 and [there[0].id, there[1].id] == [before[0].id, before[5].id]
    for mine, other in zip((there[0], there[1]), (before[0], before[5]), strict=True):
        np.testing.assert_array_equal(mine.depth, other.depth)
        np.testing.assert_array_equal(mine.camera.K, other.camera.K)
        assert mine.image.mean() < other.image.mean()
    again = open_dataset(made.remade(folder, tmp_path / "again", made.night))
    np.testing.assert_array_equal(again[0].image, there[0].image)


def test_a_narrow_set_is_the_middle_with_its_camera(program, tmp_path):
    made, folder = program("made_frames"), write_frames(tmp_path / "room", count=1)
    mine, other = open_dataset(made.OF_REAL["narrow"](folder, tmp_path / "out"))[0], open_dataset(folder)[0]
    assert mine.image.shape == (24, 32, 3)
    np.testing.assert_array_equal(mine.image, other.image[12:36, 16:48])
    np.testing.assert_array_equal(mine.depth, other.depth[12:36, 16:48])
    np.testing.assert_array_equal(mine.camera.K[:2, 2], other.camera.K[:2, 2] - (16, 12))


def test_depth_on_a_white_frame_is_left_out(program, tmp_path):
    made, folder = program("made_frames"), write_frames(tmp_path / "room", count=1)
    picture = cv2.imread(str(folder / "0.png"))
    picture[:2], picture[-2:], picture[:, :2], picture[:, -2:] = 255, 255, 255, 255
    cv2.imwrite(str(folder / "0.png"), picture)
    depth = open_dataset(made.remade(folder, tmp_path / "out", made.thermal))[0].depth
    assert np.isnan(depth[0]).all() and np.isfinite(depth[24, 32])


def test_points_and_their_calibration_stay(program, tmp_path):
    made, folder = program("made_frames"), write_frames(tmp_path / "street", count=1, depth=False)
    tree = json.loads((folder / "calib.json").read_text())
    points = np.array([[0, 0, 5, 1]], "<f4")
    points.tofile(folder / "0.bin")
    tree |= {"points": "0.bin", "T_camera_lidar": np.eye(4).tolist()}
    (folder / "calib.json").write_text(json.dumps(tree))
    there = open_dataset(made.remade(folder, tmp_path / "out", made.thermal))[0]
    np.testing.assert_array_equal(there.points_lidar, points[:, :3])
    np.testing.assert_array_equal(there.T_camera_lidar, np.eye(4))


def test_a_wide_view_is_wider_than_any_in_training(program):
    camera = program("made_frames").wide_camera(np.random.default_rng(3))
    assert 125 <= np.degrees(2 * np.arctan(camera.width / 2 / camera.K[0, 0])) <= 145


def test_a_fisheye_picture_is_straight_again_and_black_where_it_saw_nothing(program):
    camera = Camera(160, 120, np.array([[40.0, 0, 79.5], [0, 40.0, 59.5], [0, 0, 1]]))
    image = np.repeat(ramp(160, 120)[:, :, :1] // 2 + 100, 3, axis=2)
    depth = np.full((120, 160), 2.0, np.float32)
    found, known = program("made_frames").through_fisheye(image, depth, camera)
    middle = np.s_[30:90, 40:120]
    np.testing.assert_allclose(found[middle], image[middle], atol=3)
    assert np.isnan(known[0, 80]) and not found[0, 80].any() and (known[middle] == 2).all()
