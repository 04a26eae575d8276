"""The papers' tables as options: what is printed with them is of the paper's protocol."""

from __future__ import annotations

import re
from dataclasses import replace

import driving_sets
import made_published
import pytest

from metric_depth_ros.cli import as_published
from metric_depth_ros.cli.evaluate import build_study
from metric_depth_ros.cli.main import build_parser, main
from metric_depth_ros.datasets import open_dataset
from metric_depth_ros.errors import InputError
from metric_depth_ros.evaluation import paper_tables, published, table_protocols
from metric_depth_ros.evaluation.measures import METRICS
from metric_depth_ros.evaluation.published import published_rows
from metric_depth_ros.share import share_path

TABLES = list(dict.fromkeys((row.paper, row.table) for row in published_rows()))
MEASURED = [
    (paper, table)
    for paper, table in TABLES
    if any(name in METRICS for row in published.rows_of(paper, table) for name in row.errors)
]


def arguments(*words):
    words = ["evaluate", *map(str, words)]
    args = build_parser().parse_args(words)
    args.command_line = words
    return args


def name_of(case):
    """Name of a case as published.yaml has it."""
    return case.protocol if case.count in (0, 1) and case.protocol not in ("drop", "beams") else (
        f"{case.protocol} {case.count}"
    )  # fmt: skip


@pytest.mark.parametrize(("paper", "table"), MEASURED)
def test_the_options_of_a_table_are_its_cases_metrics_and_rules(tmp_path, paper, table):
    made_published.void(tmp_path / "set")
    data = f"void@test:{tmp_path / 'set'}"
    words = (data, "--as-published", f"{paper}:{table}", "--set", "solver.focus_m=10")
    args = as_published.filled_in(arguments(*words))
    study, rows = build_study(args), published.rows_of(paper, table)
    assert set(study.metrics) == {name for row in rows for name in row.errors if name in METRICS}
    drawn = {row.case for row in rows} - {"whole", "none"}
    assert {name_of(case) for case in study.cases} == (drawn or {"none"})
    assert study.rules.anchor_pixels and study.seeds == 1
    assert {study.flip} == {row.data.flip for row in rows}
    assert (study.whole_truth is not None) == any(row.case == "whole" for row in rows)
    assert args.table == [f"{paper}:{table}"]
    ours = set(study.solvers) | {changes["solver.name"] for changes in study.variants.values()}
    wanted = {row.solver for row in rows if row.case not in ("whole", "none")}
    assert wanted <= ours


def test_every_entry_is_of_a_table():
    assert set(table_protocols._entries()) <= {f"{paper}:{table}" for paper, table in TABLES}
    missing = set(MEASURED) - {tuple(key.split(":")) for key in table_protocols._entries()}
    assert not missing
    for table, message in (("000:9", "000:9: unknown"), ("004:4", "parameters_m, ms, mb alone")):
        with pytest.raises(InputError, match=message):
            table_protocols.protocol_of(*table.split(":"))


# Dataset and split, maker, tables, and what the user adds.
SOLVER = ["--engine", share_path("config/models/metric_solver.yaml")]
RUNS = [
    ("nyuv2@test", made_published.nyuv2, ["000:1", "003:1", "003:8"], []),
    ("void@test", made_published.void, ["000:2", "003:7"], []),
    ("kitti_raw@all", driving_sets.write_kitti_raw, ["001:1", "003:2"], []),
    ("sun_rgbd@test", made_published.sun_rgbd, ["003:3"], []),
    ("ibims@test", made_published.ibims, ["003:3", "003:4", "003:12"], []),
    ("hypersim@test", made_published.hypersim, ["003:3"], []),
    ("diode@val_outdoor", made_published.diode, ["003:3", "003:5"], []),
    ("simcol@test", made_published.simcol, ["003:3"], []),
    ("c3vd@all", made_published.c3vd, ["003:7", "003:10"], []),
    ("ibims@test", made_published.ibims, ["004:1"], SOLVER),
    ("diode@val_indoors", made_published.diode, ["004:1"], SOLVER),
    ("synthia@all", driving_sets.write_synthia, ["004:1"], SOLVER),
    ("nyuv2@test", made_published.nyuv2, ["004:2a"], SOLVER),
    ("kitti_raw@all", driving_sets.write_kitti_raw, ["004:2b"], SOLVER),
    ("vkitti2@all", driving_sets.write_vkitti2, ["004:3b"], [*SOLVER, "--limits", ".001,80"]),
    ("hypersim@test", made_published.hypersim, ["004:6"], [*SOLVER, "--limits", ".001,4"]),
]


@pytest.mark.parametrize(
    ("named", "make", "table", "more"),
    [(named, make, table, more) for named, make, tables, more in RUNS for table in tables],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_paper_s_rows_are_of_the_same_protocol(tmp_path, named, make, table, more, capsys, monkeypatch):
    """On small files in the real format, as if the paper had evaluated those."""
    monkeypatch.setattr(driving_sets, "CODES", driving_sets.CODES // 8)  # all within 80 m
    address = f"{named}:{make(tmp_path / 'set').path}"
    name, split = named.split("@")
    regions = "built-in" if table.startswith("000") else ""
    told = published.rows_of

    def of_these_files(paper, number):
        return [
            replace(
                row,
                data=replace(
                    row.data,
                    split=split,
                    frames=len(open_dataset(address)),
                    regions=regions or row.data.regions,
                ),
            )
            for row in told(paper, number)
            if row.data.dataset == name
        ]

    monkeypatch.setattr(paper_tables, "rows_of", of_these_files)
    assert main(["evaluate", address, *map(str, more), "--as-published", table]) == 0
    paper, number = table.split(":")
    parts = re.split(r"^## ", capsys.readouterr().out, flags=re.M)
    (same, *_) = [
        part for part in parts if part.startswith(f"Paper {paper}, table {number} (") and "OTHER" not in part
    ]
    rows = [line.strip("| ").split(" | ") for line in same.splitlines() if line.startswith("| ")]
    source = f"paper {paper}, table {number}"
    assert any(source in row for row in rows[1:])
    assert any("ours" in row and any(re.search(r"\d\.\d{3}", cell) for cell in row) for row in rows[1:])
