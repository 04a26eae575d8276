"""Comparison of two runs, solvers or networks, and the verb."""

import dataclasses

import numpy as np
import pytest

from metric_depth_ros.cli.main import main
from metric_depth_ros.errors import InputError
from metric_depth_ros.evaluation.comparison import compare
from metric_depth_ros.evaluation.records import write_records
from metric_depth_ros.evaluation.runner import Record


def records(solver="a", shift=0.0, *, noise=0.01, sets=8, frames=4, seed=0, **changes):
    """Records whose AbsRel is that of the frame, of a size of its own, and a shift with noise."""
    of_frames = np.random.default_rng(7).uniform(0.05, 0.5, (sets, frames))
    added = shift + np.random.default_rng(seed).normal(0, noise, (sets, frames, 2))
    fields = dict(
        solver=solver, control=False, place="indoor", protocol="random", count=50, noisy=False, anchors=50,
        evaluated=400, coverage=1.0, engine="net",
    )  # fmt: skip
    return [
        Record(
            **{**fields, **changes}, set_name=f"s{s}", frame=str(f), seed=draw,
            errors={"abs_rel": of_frames[s, f] + added[s, f, draw], "delta1": 1 - of_frames[s, f]},
        )
        for s in range(sets)
        for f in range(frames)
        for draw in range(2)
    ]  # fmt: skip


def by_solver(record):
    return record.solver


def test_a_small_difference_of_pairs_is_seen_among_large_ones_of_frames():
    """Frames differ by .13 and runs by .01: paired, that is more than chance; unpaired it would be none."""
    abs_rel, delta1 = compare(records(), records(shift=0.01, seed=1), by_solver)
    assert (abs_rel.metric, abs_rel.frames, abs_rel.sets, abs_rel.left_out) == ("abs_rel", 32, 8, 0)
    assert abs_rel.b - abs_rel.a == pytest.approx(0.01, abs=0.004)
    assert 0 < abs_rel.low < abs_rel.high < 0.02
    assert abs_rel.better == "A" and abs_rel.differs
    assert delta1.better == "" and not delta1.differs and (delta1.low, delta1.high) == (0, 0)


def test_higher_is_better_where_it_is():
    better = [dataclasses.replace(r, errors={"delta1": r.errors["delta1"] + 0.05}) for r in records()]
    (found,) = compare(records(), better, by_solver)
    assert found.better == "B"


def test_only_pairs_count():
    """A frame that one has not, a draw of one alone, and an undefined value."""
    a, b = records(sets=2, frames=2), records(sets=2, frames=2, shift=1.0, noise=0.0)
    b = [r for r in b if r.frame != "1" or r.set_name != "s1"]
    b[0] = dataclasses.replace(b[0], seed=9)
    b[2] = dataclasses.replace(b[2], errors={"abs_rel": float("nan"), "delta1": 0.5})
    abs_rel = compare(a, b, by_solver, ["abs_rel"])[0]
    assert abs_rel.frames == 3 and abs_rel.left_out == 1
    assert abs_rel.b - abs_rel.a == pytest.approx(1.0, abs=0.03)


def test_cases_are_apart_and_nothing_in_common_is_said():
    found = compare(records(), [*records(seed=1), *records(count=5)], by_solver, ["abs_rel"])
    assert [each.case.count for each in found] == [50]
    with pytest.raises(InputError, match="no frame, case and draw with a metric is in both"):
        compare(records(), records(count=5), by_solver)
    with pytest.raises(InputError, match=r"draw with tae or mae is in both; needed .* metrics"):
        compare(records(), records(), by_solver, ["tae", "mae"])


@pytest.fixture
def runs(tmp_path):
    for name, shift in (("before", 0.0), ("after", -0.02)):
        (tmp_path / name).mkdir()
        both = records(shift=shift, seed=1) + records("b", shift + 0.1, seed=2)
        write_records(tmp_path / name / "records.jsonl", both)
    return tmp_path


def compared(*argv):
    return main(["compare", *map(str, argv), "--resamples", "200"])


def test_the_verb_compares_runs(runs, capsys):
    assert compared(runs / "before", runs / "after", "--metrics", "abs_rel") == 0
    out = capsys.readouterr().out
    rows = [line.split(" | ") for line in out.splitlines() if line.startswith(("| a ", "| b "))]
    assert [row[0] for row in rows] == ["| a", "| b"] and all(row[-1] == "B |" for row in rows)
    assert rows[0][3] == "32 in 8 sets" and float(rows[0][6]) == pytest.approx(-0.02)
    assert "Of 2 differences B is better in 2 and A in 0" in out


def test_and_solvers_of_one_run(runs, capsys):
    assert compared(runs / "before", "--solvers", "a,b") == 0
    out = capsys.readouterr().out
    assert "| net | 50 | AbsRel | 32 in 8 sets |" in out and "A: a, B: b." in out
    assert compared(runs / "before", "--solvers", "a,b", "--latex") == 0
    assert r"\begin{tabular}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["{}/before"], "one run; needed a second one"),
        (["{}/before", "--solvers", "a"], "needed two names"),
        (["{}/before", "--solvers", "a,c"], "no record of c; needed one of a, b"),
        (["{}/before", "--engines", "net,other"], "no record of other; needed one of net"),
        (["{}/before", "{}/nowhere"], "nowhere"),
        (["{}", "{}/after"], "no records.jsonl and no records.parquet"),
        (["{}/before", "{}/after", "--metrics", "magic"], "magic"),
    ],
)
def test_what_cannot_be_compared(runs, argv, message, capsys):
    assert compared(*(text.format(runs) for text in argv)) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_a_root_mean_square_over_images_has_no_difference_by_image():
    both = [dataclasses.replace(r, errors={"scale_mae": 0.1, "scale_rmse": 0.1}) for r in records()]
    assert [found.metric for found in compare(both, both, by_solver)] == ["scale_mae"]
