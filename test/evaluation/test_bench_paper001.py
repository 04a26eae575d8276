"""Tables of benchmarks/bench_paper001.py: which record fills which cell."""

import importlib.util
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


def cells(table, row):
    line = next(line for line in table.splitlines() if line.startswith(f"| {row} |"))
    return [cell.strip() for cell in line.split("|")[2:-1]]


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
    write_records(tmp_path / "made.jsonl", records)
    one, two, three = bench.tables(tmp_path).split("Table ")[1:]
    assert one.startswith("1: 1 streets") and two.startswith("2: 1 streets and 2 rooms")
    assert cells(one, "Basis")[:3] == ["0.300 / 0.70", "0.200 / 0.80", "0.100 / 0.90"]
    assert cells(one, "Basis*")[:3] == ["-", "0.150 / 0.85", "-"] and cells(one, "Grid")[:3] == ["-"] * 3
    assert cells(one, "Global")[0] == "0.400 / 0.60" and cells(one, "basis (ours)") == ["-"] * 9
    assert cells(two, "Basis")[0] == "0.320 / 0.68" and "Region" in two and "Region" not in one
    # The published figures of DA3 and MiDaS.
    assert cells(one, "Basis**")[3:] == [
        "-",
        "0.100 / 0.88",
        "0.100 / 0.88",
        "-",
        "0.090 / 0.89",
        "0.090 / 0.90",
    ]
    assert cells(two, "Region")[3] == "0.320 / 0.74" and cells(two, "Basis")[8] == "0.110 / 0.92"
    assert [cells(three, n)[0][:5] for n in bench.DROPS] == ["0.500", "0.167", "0.100", "0.071", "0.056"]
    assert cells(three, 1)[-2:] == ["0.180 / 0.74", "0.160 / 0.78"]
