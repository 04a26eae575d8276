"""What the tables of benchmarks/results.py say of the papers' claims, and of solvers beside ``auto``."""

import importlib.util
from pathlib import Path

import pytest

from metric_depth_ros.evaluation.runner import Record

PROGRAM = Path(__file__).parents[2] / "benchmarks/results_tables.py"
OTHERS = ("paper_slf", "paper_global", "paper_median", "paper_region_median", "control: interpolation")


@pytest.fixture
def tables():
    if not PROGRAM.is_file():
        pytest.skip("no benchmarks beside an installed package")
    spec = importlib.util.spec_from_file_location("results_tables", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def records(sets, count=250, coverage=1.0, **errors):
    """Everywhere SSF has half the error of all others."""
    errors = errors or {**dict.fromkeys(OTHERS, 0.2), "paper_ssf": 0.1}
    protocol = "random" if count else "none"
    return [
        Record(
            solver, False, "indoor", str(number), "0", protocol, count, False, 0, count, {"abs_rel": error},
            coverage=coverage, seconds=0.002, engine="small",
        )
        for number in range(sets)
        for solver, error in errors.items()
    ]  # fmt: skip


def test_few_sets_have_no_verdict(tables):
    table = tables.verdicts({"real": records(4), "rendered": records(5)})
    assert [column.name for column in table.columns][:3:2] == ["real, indoor", "rendered, indoor"]
    assert table.rows[0].cells == ["few sets", "few sets", "1 / 0 / 0", "few sets", "yes"]
    first, second = (tables.claims(records(n)).rows[0].cells for n in (4, 5))
    assert first == ["-.100 (-.100 to -.100)"] and second == ["**-.100 (-.100 to -.100)**"]


def test_the_verdict_is_of_the_paper_s_numbers_of_anchors(tables):
    found = [*records(5), *records(5, count=100, paper_slf=0.1, paper_ssf=0.3)]
    row = tables.verdicts({"real": found, "rendered": found}).rows[0]
    assert row.cells[0] == "1 / 0 / 0" and row.cells[-1] == "yes"


def test_what_does_not_differ_is_neither(tables):
    errors = {**dict.fromkeys(OTHERS, 0.1), "paper_ssf": 0.1}
    same = {source: records(5, **errors) for source in ("real", "rendered")}
    assert tables.verdicts(same).rows[0].cells[::4] == ["0 / 0 / 1", "open"]
    assert tables.claims(same["real"]).rows[0].cells == ["+.000 (+.000 to +.000)"]


@pytest.mark.parametrize(
    ("ssf", "verdict"),
    [((0.1, 0.1), "yes"), ((0.1, 0.2), "yes"), ((0.1, 0.3), "in part"), ((0.3, 0.3), "no")],
)
def test_a_claim_holds_where_the_second_is_never_worse(tables, ssf, verdict):
    of_source = dict(zip(("real", "rendered"), ssf, strict=True))
    found = {
        source: records(5, paper_slf=0.2, paper_ssf=error, paper_global=0.2)
        for source, error in of_source.items()
    }
    assert tables.verdicts(found).rows[0].cells[-1] == verdict


def test_solvers_are_beside_auto(tables):
    found = records(5, count=100, gaussian_process=0.1, median=0.3)
    table = tables.all_solvers({"real": found, "rendered": found[:2]})
    auto, median = (dict(zip((c.name for c in table.columns), row.cells, strict=True)) for row in table.rows)
    assert auto["real, indoor"] == pytest.approx(0.1) and median["rendered, indoor"] == pytest.approx(0.3)
    assert [row.cells[1] for row in table.rows] == ["", "0 / 1 / 0"] and median["ms, real"] == "2"


def test_what_failed_without_anchors_has_no_figure(tables):
    failed = records(1, count=0, coverage=0.0, gaussian_process=1.0)
    (row,) = tables.few_anchors([*failed, *records(1, count=1, gaussian_process=0.3)]).rows
    assert row.cells[:2] == [None, pytest.approx(0.3)]
