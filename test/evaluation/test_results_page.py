"""What benchmarks/results.py says of the papers' claims."""

import importlib.util
from pathlib import Path

import pytest

from metric_depth_ros.evaluation.runner import Record

PROGRAM = Path(__file__).parents[2] / "benchmarks/results.py"


@pytest.fixture
def results():
    if not PROGRAM.is_file():
        pytest.skip("no benchmarks beside an installed package")
    spec = importlib.util.spec_from_file_location("results", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def records(sets):
    """Everywhere SSF has half the error of all others."""
    others = dict.fromkeys(
        ("paper_slf", "paper_global", "paper_median", "paper_region_median", "control: interpolation"), 0.2
    )
    return [
        Record(solver, False, "indoor", str(number), "0", "random", 250, False, 0, 250, {"abs_rel": error})
        for number in range(sets)
        for solver, error in {**others, "paper_ssf": 0.1}.items()
    ]


def test_few_sets_have_no_verdict(results):
    (few, *_), (enough, *_) = (results.verdicts(records(n), records(4)).splitlines() for n in (4, 5))
    assert "on real frames fewer than 5 sets: the intervals say little about other sets" in few
    assert "on real frames better in 1 and worse in 0 of 1 cells" in enough
    first, second = (results.claims(records(n)).rows[0].cells for n in (4, 5))
    assert first == ["0.200 0.100"] and second == ["0.200 0.100 better"]
