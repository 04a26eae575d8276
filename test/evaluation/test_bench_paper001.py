"""Tables of benchmarks/bench_paper001.py: which record fills which cell."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest

from metric_depth_ros.evaluation.records import write_records
from metric_depth_ros.evaluation.runner import Record

PROGRAM = Path(__file__).parents[2] / "benchmarks/bench_paper001.py"


@pytest.fixture
def bench(monkeypatch):
    if not PROGRAM.is_file():
        pytest.skip("no benchmarks beside an installed package")
    monkeypatch.syspath_prepend(PROGRAM.parent)  # as when it is run
    spec = importlib.util.spec_from_file_location("bench_paper001", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def record(solver, place, frame, protocol, count, error):
    name = "street" if place == "outdoor" else "indoor"
    return Record(
        solver, False, place, name, frame, protocol, count, False, 0, 10,
        errors={"abs_rel": error, "delta1": 1 - error}, evaluated=500, coverage=1.0,
    )  # fmt: skip


def cells(table, method):
    line = next(line for line in table.splitlines() if f" | {method} | ours |" in line)
    return [cell.strip(" *_") for cell in line.split("|")[4:-1]]


def test_each_regime_of_a_row_is_of_the_run_tuned_for_it(bench, tmp_path):
    """Table 1: streets; 2: both, each picture as often as another; 3: the first run of K = 8."""
    runs = {"k8_low": 0.3, "k8_low_medium": 0.2, "k8_low_high": 0.1, "k30_medium": 0.15, "paper_global": 0.4}
    records = [
        record(name, place, frame, regime, 1, error + apart)
        for name, error in runs.items()
        for regime in bench.REGIMES
        for place, frame, apart in (("outdoor", "a", 0.0), ("indoor", "a", 0.03), ("indoor", "b", 0.03))
    ]
    records += [record("k8_low", "outdoor", "a", "drop", n, 0.5 / n) for n in bench.DROPS]
    # A street whose depth looks like that of a room is a street.
    records = [replace(each, place="indoor") if each.set_name == "street" else each for each in records]
    write_records(tmp_path / "made.jsonl", records)
    one, two, three = bench.tables(tmp_path).split("## Paper 001, table ")[1:]
    assert one.startswith("1 (kitti_raw") and "on outdoor" in one and "OTHER DATA" in one
    assert "on outdoor, clean, truth to 80 m (1 frames) and indoor, clean, truth to 10 m (2 frames)" in two
    assert cells(one, "Basis (K = 8)") == ["0.300", "0.700", "0.200", "0.800", "0.100", "0.900"]
    assert cells(one, "Basis (K = 30)")[:4] == ["-", "-", "0.150", "0.850"] and "paper_grid" not in one
    assert cells(one, "paper_global")[:2] == ["0.400", "0.600"] and cells(one, "k8_low")[2:4] == [
        "0.300",
        "0.700",
    ]
    assert cells(two, "Basis (K = 8)")[:2] == ["0.320", "0.680"] and "Region" in two and "Region" not in one
    assert "| DA3 | Region | paper 001, table 2; OTHER DATA or protocol | 0.320 | 0.740 |" in two
    assert cells(three, "Basis (K = 8)")[::2] == ["0.500", "0.167", "0.100", "0.071", "0.056"]
    assert "| MiDaS | Basis (K = 8) | paper 001, table 3; OTHER DATA or protocol | 0.160 | 0.780 |" in three
