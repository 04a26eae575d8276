"""A study as one command: networks side by side, records that a later run goes on with, files, pictures."""

from __future__ import annotations

import json
import pickle
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from metric_depth_ros.cli.main import main
from metric_depth_ros.config import Config
from metric_depth_ros.drawing.scales import BAR_WIDTH, TITLE_HEIGHT
from metric_depth_ros.engines.depth_engine import DepthEngine
from metric_depth_ros.errors import InputError
from metric_depth_ros.evaluation import study as studies
from metric_depth_ros.evaluation.frames import find_sets
from metric_depth_ros.evaluation.protocols import Case
from metric_depth_ros.evaluation.records import Journal, read_records, write_parquet, write_records
from metric_depth_ros.evaluation.runner import Record
from metric_depth_ros.evaluation.sheets import contact_sheets, extremes, middle_case
from metric_depth_ros.evaluation.study import Study, count_frames, named_networks, records_of

HEIGHT, WIDTH = 60, 80
FAST = ("--solvers", "median,global_affine", "--protocol", "random:5,50", "--seeds", "1")


def ramp(index):
    return (np.linspace(6, 2, HEIGHT)[:, None] + np.linspace(0, 1, WIDTH) - 0.2 * index).astype(np.float32)


def write_set(data, name, count):
    """Frames of a floor, and two networks' stored outputs: exact up to a scale, and bent."""
    (data / "sets" / name).mkdir(parents=True)
    frames = []
    for index in range(count):
        depth = ramp(index)
        grey = np.rint(20 * depth).astype(np.uint8)
        cv2.imwrite(str(data / "sets" / name / f"{index}.png"), np.repeat(grey[..., None], 3, axis=2))
        np.savez(data / "sets" / name / f"{index}.npz", depth=depth)
        for network, values in (("exact", depth / 7), ("bent", depth**2 / 9)):
            (data / network / name).mkdir(parents=True, exist_ok=True)
            np.savez(data / network / name / f"{index}.npz", relative=values, kind="depth")
        frames.append({"id": str(index), "rgb": f"{index}.png", "depth": f"{index}.npz"})
    tree = {"fx": 70.0, "fy": 70.0, "cx": 39.5, "cy": 29.5, "frames": frames}
    (data / "sets" / name / "calib.json").write_text(json.dumps(tree))


@pytest.fixture
def data(tmp_path):
    write_set(tmp_path, "office", 3)
    write_set(tmp_path, "hall", 2)
    return tmp_path


def evaluate(data, *argv, engines=("exact",), fast=FAST):
    networks = [str(data / name) for name in engines]
    return main(["evaluate", str(data / "sets"), "--engine", *networks, *fast, *map(str, argv)])


# ---- networks ----------------------------------------------------------------------------------


def test_networks_are_side_by_side(data, tmp_path, capsys):
    out = tmp_path / "out"
    assert evaluate(data, "--out", out, engines=("exact", "bent")) == 0
    text = capsys.readouterr().out
    assert "| AbsRel | network | 5 | 50 | covered | ms |" in text
    assert "| global_affine | exact | **0.000** |" in text and "| global_affine | bent | " in text
    records = read_records(out)
    assert {record.engine for record in records} == {"exact", "bent"}
    assert len(records) == 2 * 5 * 2 * 4  # networks, frames, cases, solvers and controls
    charts = {path.name for path in out.glob("*.png")}
    assert charts == {"error_over_anchors.png", "error_over_time.png"}
    assert r"\textbf{0.000}" in (out / "report.tex").read_text()


def test_a_study_can_be_pickled_and_counts_its_frames(data):
    networks = named_networks([data / "exact", data / "bent"], Config().engine)
    study = Study(
        Config(),
        tuple(find_sets([data / "sets"])),
        networks,
        ("median",),
        cases=(Case("random", 5),),
        seeds=1,
    )
    assert count_frames(study) == 2 * 5
    told = []
    records = [r for frame in records_of(pickle.loads(pickle.dumps(study)), tell=told.append) for r in frame]
    assert sum(told) == 10 and len(records) == 2 * 5 * 3


def test_workers_change_nothing_but_times(data, tmp_path, monkeypatch):
    """Also with relative paths, and with a metric of sequences, which keeps frames together."""
    monkeypatch.chdir(data)
    metrics, options = "abs_rel,scale_jitter", ("--all-frames", "--solvers", "median")
    found = []
    for name, more in (("here", ()), ("there", ("--workers", "2"))):
        assert evaluate(Path(), "--out", tmp_path / name, "--metrics", metrics, *options, *more) == 0
        found.append([replace(record, seconds=0.0) for record in read_records(tmp_path / name)])
    assert str(found[0]) == str(found[1]) and len(found[0]) == 5 * 2 * 3  # with NaN


def test_labels_of_networks_differ(tmp_path):
    (tmp_path / "a/depth").mkdir(parents=True)
    (tmp_path / "b/depth").mkdir(parents=True)
    found = named_networks([tmp_path / "a/depth", tmp_path / "b/depth"], Config().engine)
    assert [network.label for network in found] == [str(tmp_path / "a/depth"), str(tmp_path / "b/depth")]
    assert [network.label for network in named_networks([Config().engine], Config().engine)] == ["small"]


def test_the_run_tells_where_its_figures_come_from(data, tmp_path):
    out = tmp_path / "out"
    assert evaluate(data, "--out", out) == 0
    run = json.loads((out / "run.json").read_text())
    assert run["command"].startswith("metric_depth evaluate ") and run["versions"]["numpy"] == np.__version__
    assert run["machine"]["cores"] >= 1 and run["settings"]["solver.name"] == "auto"
    assert run["study"]["networks"]["exact"]["stored"] == str(data / "exact")
    assert run["git"] is None or len(run["git"]["commit"]) == 40


# ---- resume ------------------------------------------------------------------------------------


def test_an_interrupted_run_goes_on_where_it_ended(data, tmp_path, monkeypatch):
    """The last line was cut off; what was whole is kept, and only the rest is computed."""
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert evaluate(data, "--out", whole) == 0 and evaluate(data, "--out", out) == 0
    lines = (whole / "records.jsonl").read_text().splitlines(keepends=True)
    (out / "records.jsonl").write_text("".join(lines[:21]) + lines[21][:40])
    computed = []
    original = studies.build_source

    def counting(*args, **kwargs):
        source = original(*args, **kwargs)
        return lambda name, frame: computed.append((name, frame.id)) or source(name, frame)

    monkeypatch.setattr(studies, "build_source", counting)
    assert evaluate(data, "--out", out, "--resume") == 0

    def without_time(folder):
        return {(r.set_name, r.frame, r.count, r.solver): repr(r.errors) for r in read_records(folder)}

    assert without_time(out) == without_time(whole)
    assert len(read_records(out)) == len(lines)
    assert computed == [
        ("office", "0"),
        ("office", "1"),
        ("office", "2"),
    ]  # 8 a frame, 2 whole
    computed.clear()
    assert evaluate(data, "--out", out, "--resume") == 0 and not computed


def test_metrics_of_sequences_are_the_same_after_an_interruption(data, tmp_path):
    """They need the frame before, whose record is there already."""
    whole, out = tmp_path / "whole", tmp_path / "out"
    options = ("--all-frames", "--metrics", "abs_rel,scale_jitter")
    assert evaluate(data, *options, "--out", whole) == 0 and evaluate(data, *options, "--out", out) == 0
    lines = (whole / "records.jsonl").read_text().splitlines(keepends=True)
    (out / "records.jsonl").write_text("".join(lines[:27]))
    assert evaluate(data, *options, "--out", out, "--resume") == 0
    jitter = [
        {(r.set_name, r.frame, r.count, r.solver): repr(r.errors) for r in read_records(folder)}
        for folder in (whole, out)
    ]
    assert jitter[0] == jitter[1] and len(read_records(out)) == len(lines)
    assert sum("nan" not in errors for errors in jitter[0].values()) == (1 + 2) * 8  # all but first frames


def test_a_new_solver_and_case_are_added(data, tmp_path):
    out = tmp_path / "out"
    assert evaluate(data, "--out", out) == 0
    before = (out / "records.jsonl").read_text()
    more = ("--solvers", "median,piecewise", "--protocol", "random:5,50,grid", "--seeds", "1")
    assert evaluate(data, "--out", out, "--resume", fast=more) == 0
    after = (out / "records.jsonl").read_text()
    assert after.startswith(before)
    added = read_records(out)[len(before.splitlines()) :]
    assert {(r.solver, r.protocol) for r in added if not r.control} == {
        ("piecewise", "random"), ("piecewise", "grid"), ("median", "grid"),
    }  # fmt: skip


def test_records_of_other_settings_are_not_mixed(data, tmp_path, capsys):
    out = tmp_path / "out"
    assert evaluate(data, "--out", out) == 0
    assert evaluate(data, "--out", out, "--resume", "--set", "solver.max_depth_m=5") == 1
    assert "other settings than this run; needed the same to go on" in capsys.readouterr().err
    (data / "bent").rename(data / "elsewhere")
    (data / "elsewhere").mkdir(exist_ok=True)
    assert evaluate(data, "--out", out, "--resume", "--limits", "1,5") == 1
    assert "other rules than" in capsys.readouterr().err


def test_a_label_keeps_its_settings_over_runs_that_leave_it_out(data, tmp_path, capsys):
    out = tmp_path / "out"
    with_label = ("--variant", "a", "solver.name=piecewise", "solver.piecewise.intervals=2")
    assert evaluate(data, "--out", out, *with_label) == 0
    assert evaluate(data, "--out", out, "--resume") == 0
    assert evaluate(data, "--out", out, "--resume", *with_label[:-1], "solver.piecewise.intervals=3") == 1
    assert "other variants.a than this run" in capsys.readouterr().err
    run = json.loads((out / "run.json").read_text())
    assert len(run["earlier"]) == 1 and "--variant" in run["earlier"][0]["command"]
    (out / "run.json").write_text("[]")
    assert evaluate(data, "--out", out, "--resume") == 1
    assert "no study; needed the run.json" in capsys.readouterr().err


def test_a_network_is_known_by_its_manifests_content(data, tmp_path, toy_manifest, capsys):
    """Elsewhere it is the same; where it says something else it is another, under the same name."""
    out, moved = tmp_path / "out", tmp_path / "moved"
    shutil.copytree(toy_manifest.parent, moved)
    argv = ["evaluate", str(data / "sets"), *FAST, "--out", str(out)]
    assert main([*argv, "--engine", str(toy_manifest)]) == 0
    elsewhere = moved / toy_manifest.name
    assert main([*argv, "--engine", str(elsewhere), "--resume"]) == 0
    elsewhere.write_text(elsewhere.read_text() + "# changed\n")
    assert main([*argv, "--engine", str(elsewhere), "--resume"]) == 1
    assert "other networks.toy than this run" in capsys.readouterr().err


def test_a_run_is_never_removed_unasked(data, tmp_path, capsys):
    out = tmp_path / "out"
    assert evaluate(data, "--out", out) == 0
    before = (out / "records.jsonl").read_text()
    charts = [out / "sparsification_indoor_clean.png", out / "sheet_exact_median_5.jpg"]
    for path in [*charts, out / "notes.txt"]:
        path.write_text("of the earlier run")
    assert evaluate(data, "--out", out) == 1
    assert f"{out}: records.jsonl of an earlier run; needed a folder without" in capsys.readouterr().err
    assert (out / "records.jsonl").read_text() == before and charts[0].exists()
    assert evaluate(data, "--out", out, "--overwrite", "--resume") == 1
    assert (
        evaluate(data, "--out", out, "--overwrite", fast=("--protocol", "grid", "--solvers", "median")) == 0
    )
    assert {record.protocol for record in read_records(out)} == {"grid"}
    assert not any(chart.exists() for chart in charts) and (out / "notes.txt").exists()


def test_records_tell_the_protocol_of_the_run(data, tmp_path, caplog):
    options = ("--anchor-pixels", "in", "--whole-truth", "log", "--set", "regions.source=built-in")
    assert evaluate(data, "--out", tmp_path, *options) == 0
    for record in read_records(tmp_path):
        assert (record.anchor_pixels, record.space, record.flip) == (True, "log", False)
        assert record.regions == "built-in"
    assert "no frame with enough known pixels" not in caplog.text


@pytest.mark.parametrize("option", [["--resume"], ["--overwrite"], ["--pictures"], ["--records", "parquet"]])
def test_what_needs_a_folder_says_so(data, option, capsys):
    assert evaluate(data, *option) == 1
    assert "needed --out DIR" in capsys.readouterr().err


# ---- records on disk ---------------------------------------------------------------------------


def record(**changes):
    fields = dict(
        solver="a", control=False, place="indoor", set_name="x", frame="0", protocol="random", count=5,
        noisy=False, seed=0, anchors=5, errors={"abs_rel": 0.5, "ause_rmse": float("nan")}, evaluated=400,
        coverage=1.0, sparsified=(1.0, 0.5), oracle=(1.0, 0.25), seconds=0.25, engine="small",
        dataset="nyuv2@test", limits_m=(0.001, 10.0),
    )  # fmt: skip
    return Record(**{**fields, **changes})


RECORDS = [
    record(),
    record(frame="1", failure="a: 0 usable.", sparsified=(), oracle=(), seconds=float("nan")),
]


def same(a, b):
    return repr(a) == repr(b)


def test_records_come_back_as_they_were(tmp_path):
    write_records(tmp_path / "records.jsonl", RECORDS)
    assert same(read_records(tmp_path), RECORDS)
    assert same(read_records(tmp_path / "records.jsonl"), RECORDS)


def test_records_as_parquet(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write_parquet(tmp_path / "records.parquet", RECORDS)
    assert same(read_records(tmp_path), RECORDS)
    columns = parquet.read_schema(tmp_path / "records.parquet").names
    assert {"solver", "errors.abs_rel", "errors.ause_rmse"} <= set(columns)
    (tmp_path / "records.parquet").write_bytes(b"PAR1 or so")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        read_records(tmp_path)


def test_parquet_of_a_run_that_goes_on_has_all_its_records(data, tmp_path):
    """Also where it is asked for the first time alone."""
    pytest.importorskip("pyarrow.parquet")
    assert evaluate(data, "--out", tmp_path, "--records", "parquet") == 0
    few = len(read_records(tmp_path))
    assert evaluate(data, "--out", tmp_path, "--resume", "--seeds", "2") == 0
    assert len(read_records(tmp_path / "records.parquet")) == len(read_records(tmp_path)) > few


def test_without_pyarrow_it_is_said_before_minutes_of_work(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    assert evaluate(data, "--out", tmp_path / "out", "--records", "parquet") == 1
    assert "pip install 'metric_depth_ros[parquet]'" in capsys.readouterr().err
    assert not (tmp_path / "out/records.jsonl").exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[1]", "line 1: no object"),
        ("{", "line 1: not valid JSON"),
        ('{"solver": "a"}', "line 1: no control"),
        ('{"secret": 1}', "line 1: field 'secret'"),
        (("count", '"five"'), "line 1, count: not int"),
        (("count", "-5"), "unknown protocol, or a count"),
        (("place", '"sea"'), "line 1, place: not"),
        (("errors", "[]"), "line 1, errors: not"),
        (("limits_m", "[1]"), "line 1, limits_m: not"),
        (("coverage", "true"), "line 1, coverage: not float"),
        ("", "no record"),
    ],
)
def test_records_that_are_none(tmp_path, line, message):
    path = tmp_path / "records.jsonl"
    if isinstance(line, tuple):
        write_records(path, [record()])
        tree = json.loads(path.read_text())
        tree[line[0]] = json.loads(line[1])
        line = json.dumps(tree)
    path.write_text(line)
    with pytest.raises(InputError, match=message):
        read_records(tmp_path)


def test_a_line_that_was_cut_off_is_removed(tmp_path):
    path = tmp_path / "records.jsonl"
    write_records(path, RECORDS)
    path.write_text(path.read_text()[:-9])
    with Journal(path, resume=True) as journal:
        assert same(journal.records, RECORDS[:1])
        journal.write(RECORDS[1:])
    assert same(read_records(path), RECORDS)
    path.write_text("no line end")
    with Journal(path, resume=True) as journal:
        assert journal.records == []


# ---- the cache ---------------------------------------------------------------------------------


def test_outputs_of_networks_are_computed_once(data, tmp_path, toy_manifest, monkeypatch):
    argv = ["evaluate", str(data / "sets"), "--engine", str(toy_manifest), *FAST, "--metrics", "abs_rel"]
    argv += ["--cache", str(tmp_path / "cache"), "--cache-dtype", "float16"]
    assert main([*argv, "--out", str(tmp_path / "first")]) == 0
    assert len(list((tmp_path / "cache").glob("*/*.npz"))) == 3  # of five frames two look like others

    predict = DepthEngine.predict

    def refuse(self, image, **more):
        assert not image.any(), "computed again"  # but for the first run of a network
        return predict(self, image, **more)

    monkeypatch.setattr(DepthEngine, "predict", refuse)
    assert main([*argv, "--out", str(tmp_path / "second")]) == 0
    first, second = (read_records(tmp_path / name) for name in ("first", "second"))
    assert [r.errors for r in first] == [r.errors for r in second]
    with pytest.raises(AssertionError, match="computed again"):  # other settings, other outputs
        main([*argv, "--set", "engine.precision=fp32"])


# ---- pictures ----------------------------------------------------------------------------------


def test_the_best_the_median_and_the_worst_frame():
    errors = {"0": 0.3, "1": 0.1, "2": 0.2}
    records = [record(frame=f, errors={"abs_rel": e, "delta1": 1 - e}) for f, e in errors.items()]
    assert extremes(records, "abs_rel") == {
        ("x", "1"): "best: AbsRel 0.100",
        ("x", "2"): "median: AbsRel 0.200",
        ("x", "0"): "worst: AbsRel 0.300",
    }  # fmt: skip
    assert next(iter(extremes(records, "delta1"))) == ("x", "1")
    assert extremes(records[:1], "abs_rel") == {("x", "0"): "best, median, worst: AbsRel 0.300"}
    assert extremes([], "abs_rel") == {}
    cases = [record(count=n) for n in (5, 50, 500)] + [record(count=7, noisy=True)]
    assert middle_case(cases) == Case("random", 50) and middle_case([]) is None


def test_sheets_show_the_frames_and_where_the_error_is(data, tmp_path):
    out = tmp_path / "out"
    assert evaluate(data, "--out", out, "--pictures", engines=("bent",)) == 0
    assert {path.name for path in out.glob("*.jpg")} == {
        "sheet_bent_median_50.jpg", "sheet_bent_global_affine_50.jpg",
    }  # fmt: skip
    picture = cv2.imread(str(out / "sheet_bent_median_50.jpg"))
    assert picture.shape[:2] == (3 * 2 * (TITLE_HEIGHT + 300), 3 * (400 + BAR_WIDTH))
    # The part of the error, without the edge; the bent map is off at the ends.
    error = (
        slice(2 * TITLE_HEIGHT + 310, 2 * TITLE_HEIGHT + 590),
        slice(400 + BAR_WIDTH + 10, 800 + BAR_WIDTH - 10),
    )
    assert np.ptp(picture[error], axis=2).max() > 100

    study = Study(
        Config(),
        tuple(find_sets([data / "sets"])),
        named_networks([data / "exact"], Config().engine),
        ("median",),
        cases=(Case("random", 50),),
        seeds=1,
    )
    records = [r for frame in records_of(study) for r in frame]
    ((name, exact),) = contact_sheets(study, records)
    assert name == "sheet_exact_median_50" and exact[error].min() > 225  # white: no error
