"""`metric_depth run` of a folder of bags: what is a bag, one result for each, and what happens to workers."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import write_toy_model
from made_bags import COMMON, HEIGHT, WIDTH, results, write_bag

from metric_depth_ros.bags import find_bags
from metric_depth_ros.cli import progress, run_folder
from metric_depth_ros.cli.folder_results import Row
from metric_depth_ros.cli.main import main
from metric_depth_ros.fleet import Ended, Fleet, UnexpectedError


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    (tmp_path / "toy").mkdir()
    return write_toy_model(tmp_path / "toy", width=WIDTH, height=HEIGHT)


@pytest.fixture
def drives(tmp_path: Path) -> Path:
    """Bags of both kinds at several depths, of one name in two folders, and a damaged one."""
    root = tmp_path / "drives"
    for name in ("a.mcap", "city/a.mcap", "city/night/b.db3", "city/night/c"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        write_bag(root / name, far=5.0 + len(name) / 4)
    (root / "city/damaged.mcap").write_bytes((root / "a.mcap").read_bytes()[:2000])
    return root


NAMES = ["a.mcap", "city/a.mcap", "city/damaged.mcap", "city/night/b.db3", "city/night/c"]


@pytest.fixture
def run(toy: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """The command; its jobs run in this process, which is quicker, unless there are --workers."""
    monkeypatch.chdir(tmp_path)
    asked = run_folder.fleet_of

    def fleet_of(args: argparse.Namespace) -> Fleet:
        fleet = asked(args)
        return fleet if args.workers or args.ray else Fleet()

    monkeypatch.setattr(run_folder, "fleet_of", fleet_of)
    return lambda *args: main(["run", *COMMON, "--manifest", str(toy), *map(str, args)])


def summary(out: Path) -> dict[str, dict[str, Any]]:
    rows = [json.loads(line) for line in (out / "summary.jsonl").read_text().splitlines()]
    assert len({row["bag"] for row in rows}) == len(rows)
    return {row["bag"]: row for row in rows}


# ---- what is a bag -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "bags"),
    [
        (["a.bag", "b.mcap", "c.db3", "notes.txt"], ["a.bag", "b.mcap", "c.db3"]),
        (["a/metadata.yaml", "a/a_0.db3", "a/deep/x.bag", "b.bag"], ["a", "b.bag"]),
        (["a/x_0.bag", "a/x_1.bag", "a/x_2.bag"], ["a"]),
        (["a/x_0.bag", "a/x_2.bag"], ["a/x_0.bag", "a/x_2.bag"]),
        (["a/x_0.bag", "a/x_1.mcap"], ["a/x_0.bag", "a/x_1.mcap"]),
        (["a/x_0.bag", "a/y_1.bag"], ["a/x_0.bag", "a/y_1.bag"]),
        (["a/x_0.bag", "a/x_1.bag", "a/more/y.bag"], ["a/more/y.bag", "a/x_0.bag", "a/x_1.bag"]),
        (["a/x_0.bag"], ["a/x_0.bag"]),
        ([".hidden/a.bag", "out/a.bag", "b/c/d/e.bag"], ["b/c/d/e.bag"]),
        (["frames/calib.json", "frames/a.bag", "b.bag"], ["b.bag", "frames"]),
        (["x_0.bag", "x_1.bag"], ["."]),
    ],
)
def test_bags_are_found_at_any_depth(files: list[str], bags: list[str], tmp_path: Path) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "loop").symlink_to(tmp_path)
    found = find_bags(
        tmp_path, leave_out=tmp_path / "out", also=lambda folder: (folder / "calib.json").exists()
    )
    assert [path.relative_to(tmp_path).as_posix() for path in found] == bags


# ---- results -----------------------------------------------------------------------------------


def test_each_bag_has_what_run_gives_of_it_alone(
    drives: Path, run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bit for bit, where they are in the folder; the damaged one is a line."""
    assert run(drives) == 1  # without --workers it is no single bag, so a folder of such
    out = tmp_path / "drives_depth"
    told = capsys.readouterr()
    assert "5 recordings, 1 without depth, depth for 12 of 12 images, held-out AbsRel 0.0" in told.out
    assert "metric_depth: city/damaged.mcap: bag " in told.err
    rows = summary(out)
    assert list(rows) == NAMES
    assert [row["error"] != "" for row in rows.values()] == [False, False, True, False, False]
    assert not (out / "city/damaged.mcap").exists() and not list(out.rglob(".*"))
    table = (out / "summary.md").read_text()
    assert table.count("\n") == 7 and "| city/night/c | 3 | 3 | 0.0" in table and "cannot be read" in table
    for name in ("city/a.mcap", "city/night/c"):
        row = rows[name]
        assert (row["images"], row["depth_images"]) == (3, 3) and row["seconds"] > row["median_ms"] / 1000
        assert row["held_out_abs_rel"] < 0.01 and row["held_out_coverage"] == 1
        assert run(drives / name, "--out", tmp_path / "alone", "--overwrite") == 0
        alone = results(tmp_path / "alone")
        assert set(alone) == {"depth.mcap", "preview_000000.png"}
        assert {f"{name}/{file}": data for file, data in alone.items()}.items() <= results(out).items()


def test_the_number_of_workers_changes_nothing(drives: Path, run: Callable[..., int], tmp_path: Path) -> None:
    shutil.rmtree(drives / "city/night")
    for workers in (1, 2):
        assert run(drives, "--workers", workers, "--out", tmp_path / str(workers)) == 1
    assert results(tmp_path / "1") == results(tmp_path / "2")
    assert len(results(tmp_path / "1")) == 1 + 2 * 2


def test_what_is_done_is_not_done_again(
    drives: Path, run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """But what is new, has changed, was cut short, lost a file, or failed."""
    out = tmp_path / "out"
    (drives / "city/damaged.mcap").rename(tmp_path / "damaged.mcap")
    assert run(drives, "--out", out) == 0
    before = results(out)
    numbers = {path: path.stat().st_ino for path in out.rglob("depth.mcap")}
    write_bag(drives / "new.mcap")
    (drives / "a.mcap").unlink()
    write_bag(drives / "a.mcap", images=2)
    (out / "city/a.mcap/depth.mcap").write_bytes(b"cut short")
    (out / "city/night/b.db3/preview_000000.png").unlink()
    for name in (".c.00000000.part", ".c.00000000.old"):  # of a worker that was killed
        (out / "city/night" / name).mkdir()
    shutil.rmtree(out / "city/night/c")
    capsys.readouterr()
    assert run(drives, "--out", out) == 0
    assert "5 recordings, 0 without depth, depth for 14 of 14 images" in capsys.readouterr().out
    after = results(out)
    assert summary(out)["a.mcap"]["images"] == 2 and not list(out.rglob(".*"))
    assert {name: after[name] for name in before if "/a.mcap" in name} == {
        name: data for name, data in before.items() if "/a.mcap" in name
    }
    numbers = {path: path.stat().st_ino for path in out.rglob("depth.mcap")}
    assert run(drives, "--out", out, "--threads", "2") == 0  # of which the results do not follow
    assert ", 5 of them done before; results in" in capsys.readouterr().out
    assert numbers == {path: path.stat().st_ino for path in out.rglob("depth.mcap")}
    assert results(out) == after


def test_what_a_worker_has_done_before_it_died_is_not_done_again(
    drives: Path, run: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It died between the results and its answer: whoever takes the job next finds them."""
    assert run(drives, "--out", tmp_path / "out", "--no-bag") == 1
    numbers = {path: path.stat().st_ino for path in tmp_path.rglob("result.json")}
    known, asked = run_folder.kept, set[Path]()

    def late(folder: Path, fingerprint: str) -> Any:
        return known(folder, fingerprint) if folder in asked else asked.add(folder)

    monkeypatch.setattr(run_folder, "kept", late)
    assert run(drives, "--out", tmp_path / "out", "--no-bag") == 1
    assert len(summary(tmp_path / "out")) == len(NAMES)
    assert numbers == {path: path.stat().st_ino for path in tmp_path.rglob("result.json")}


def test_progress_is_told_where_there_is_no_terminal(
    drives: Path, run: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_EVERY_S", 0.0)
    assert run(drives, "--no-bag") == 1
    told = capsys.readouterr().err
    assert re.search(r"metric_depth: 5 of 5 recordings, 1 failed, 00:00 left\n", told)
    assert re.search(r"metric_depth: 1 of 5 recordings, 0 failed, \d\d:\d\d left\n", told)


def test_a_bug_of_one_bag_is_told_whole_and_the_others_go_on(
    drives: Path, run: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrong(work: Any, jobs: list[Any], *_: Any, **__: Any) -> Any:
        for job in jobs:
            bug = UnexpectedError("Traceback:\n  line 1\nKeyError: 'x'") if job.name == "a.mcap" else None
            yield Ended(job, None if bug else Row(job.name, 1, 1), bug, 0.0, 1)

    monkeypatch.setattr(run_folder, "run_jobs", wrong)
    assert run(drives) == 1
    assert (
        "Traceback:\n  line 1\nKeyError: 'x'\nmetric_depth: a.mcap: KeyError: 'x'" in capsys.readouterr().err
    )


def test_the_folder_may_move_and_hold_the_results(
    drives: Path, run: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(drives)
    assert run(".", "--no-bag") == 1
    moved = drives.rename(drives.with_name("moved"))
    monkeypatch.chdir(moved)
    capsys.readouterr()
    assert run(".", "--no-bag", "--out", "drives_depth") == 1
    told = capsys.readouterr().out
    assert "5 recordings, 1 without depth" in told and "4 of them done before" in told


def test_results_of_other_settings_are_not_mixed(
    drives: Path, run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str], toy: Path
) -> None:
    out = tmp_path / "out"
    assert run(drives, "--out", out, "--no-bag") == 1
    assert run(drives, "--out", out, "--no-bag", "--set", "anchors.min_count=5") == 1
    assert "holds results of other settings (anchors.min_count); needed the same." in capsys.readouterr().err
    toy.write_text(toy.read_text() + "# another network\n")
    assert run(drives, "--out", out, "--no-bag") == 1
    assert "other settings (engine.manifest (content))" in capsys.readouterr().err
    assert run(drives, "--out", out, "--no-bag", "--overwrite") == 1
    told = capsys.readouterr().out
    assert "done before" not in told and "depth for 12 of 12 images" in told
    shutil.rmtree(out / "a.mcap")
    (out / "a.mcap").mkdir()
    (out / "a.mcap/notes.txt").write_text("not of this command")
    assert run(drives, "--out", out, "--no-bag", "--overwrite") == 1
    assert "a.mcap: exists already, and is no result of this command." in summary(out)["a.mcap"]["error"]
    assert (out / "a.mcap/notes.txt").read_text() == "not of this command"


def test_a_bag_without_any_depth_is_an_error_that_stays(
    tmp_path: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    write_bag(tmp_path / "drives/poor.mcap", points=1)
    for again in ("", ", 1 of them done before"):
        assert run(tmp_path) == 1
        told = capsys.readouterr().out
        assert f"1 recordings, 1 without depth, depth for 0 of 3 images{again}; results" in told
    row = summary(tmp_path / f"{tmp_path.name}_depth")["drives/poor.mcap"]
    assert row["error"].startswith("no image got depth: anchors: 1 usable") and row["median_ms"] is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["drives", "--workers", "0"], "--workers and --threads: needed 1 or more"),
        (["drives", "--gpus", "1"], "--gpus: for workers on Ray"),
        (["drives", "--retries", "-1"], "--retries and --gpus: needed 0 or more"),
        (["drives/a.mcap", "--workers", "2"], "run: --workers or --ray for drives/a.mcap; needed a folder"),
        (["empty"], "empty: no bags; needed .bag, .mcap or .db3 files, at any depth."),
        (["drives", "--view"], "run: --view shows one recording"),
        (["drives", "--previews", "-1"], "--previews not negative"),
        (["drives", "--set", "engine.model=absent.onnx"], "absent.onnx"),
        (["drives", "--set", "solver.prior=absent"], "absent"),
    ],
)
def test_what_no_bag_can_be_blamed_for_ends_the_run_at_once(
    options: list[str], words: str, drives: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("empty").mkdir()
    assert run(*options) == 1
    told = capsys.readouterr().err
    assert words in told and told.count("\n") == 1


def test_a_fleet_is_one_of_ray_only_where_ray_is(
    drives: Path, run: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert run(drives, "--ray", "auto") == 1
    assert "pip install 'metric_depth_ros[fleet]'" in capsys.readouterr().err


# ---- workers -----------------------------------------------------------------------------------


def test_killing_workers_loses_and_changes_nothing(
    tmp_path: Path, toy: Path, run: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of three are killed in the midst of a bag, whose results are then made by another."""
    bags = [write_bag(tmp_path / f"drives/{number}.mcap", images=9 - number) for number in range(6)]
    assert run(tmp_path / "drives", "--out", tmp_path / "right", "--workers", "1") == 0
    out, killed = tmp_path / "out", []
    jobs = run_folder.run_jobs

    def killing(*args: Any, **options: Any) -> Any:
        for number, ended in enumerate(jobs(*args, **options)):
            yield ended
            if number == 1:
                for path in list(out.glob(".*.part"))[:2]:
                    killed.append(path.name)
                for child in psutil.Process().children()[-2:]:
                    child.kill()

    monkeypatch.setattr(run_folder, "run_jobs", killing)
    assert run(tmp_path / "drives", "--out", out, "--workers", "3") == 0
    assert killed and results(out) == results(tmp_path / "right") and not list(out.rglob(".*"))
    assert len(summary(out)) == len(bags)


def test_ctrl_c_ends_workers_and_leaves_whole_results_alone(tmp_path: Path, toy: Path) -> None:
    for number in range(6):
        write_bag(tmp_path / f"drives/{number}.mcap", images=200 if number else 2)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "metric_depth_ros.cli", "run", tmp_path / "drives", "--out", out]
    paths = os.pathsep.join(filter(None, sys.path))
    process = subprocess.Popen(
        [*command, "--workers", "2", "--manifest", toy, *COMMON],
        env={**os.environ, "PYTHONPATH": paths},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while len(list(out.glob(".*.part/.depth.mcap.part"))) < 2:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    workers = psutil.Process(process.pid).children()
    os.killpg(process.pid, signal.SIGINT)  # a terminal tells them all
    assert process.wait(60) == 130
    assert process.stderr is not None and process.stderr.read() == "metric_depth: interrupted\n"
    psutil.wait_procs(workers, timeout=30)
    assert not any(worker.is_running() for worker in workers)
    assert not list(out.glob(".*"))
    assert set(summary(out)) == {path.parent.name for path in out.rglob("result.json")}
