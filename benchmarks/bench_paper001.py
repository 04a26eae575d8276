"""Tables 1 to 3 of paper 001 in their own form, on rendered scenes: its solvers, its generators.

    python benchmarks/bench_paper001.py TEST --out DIR [--runs RUNS] [--every N]
    python benchmarks/bench_paper001.py --tables DIR

TEST is a folder of two sets of shards with masks (`metric_depth synthesize --everything`), ``street`` and
``indoor``, which nobody trained on. RUNS holds runs of `metric_depth train basis --as-published`, named
kK_REGIME or, fine-tuned, kK_REGIME_REGIME; without it all other rows are measured. The second form reads what
the first wrote and prints the tables, the published figures beside ours.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bench_basis import on_positive_depth, run_candidates

from metric_depth_ros.config import EngineConfig, from_flat
from metric_depth_ros.evaluation import runner
from metric_depth_ros.evaluation.candidates import Candidate, build_candidates
from metric_depth_ros.evaluation.frames import KnownView, build_source, read_views
from metric_depth_ros.evaluation.given_regions import region_source
from metric_depth_ros.evaluation.groups import case_name
from metric_depth_ros.evaluation.known_depth import TruthRules
from metric_depth_ros.evaluation.paper_tables import in_form_of
from metric_depth_ros.evaluation.places import Place
from metric_depth_ros.evaluation.protocols import Case
from metric_depth_ros.evaluation.records import read_records, write_records
from metric_depth_ros.evaluation.report import as_markdown
from metric_depth_ros.pipeline import engine_for

REGIMES, DROPS = ("low", "medium", "high"), (1, 3, 5, 7, 9)
CASES = [*(Case(name, 1) for name in REGIMES), *(Case("drop", count) for count in DROPS)]
METRICS = ("abs_rel", "delta1")
# The paper's depth mask of its outdoor and indoor sets, and pixels with an anchor count.
RULES = {
    "street": TruthRules(limits_m=(0.1, 80.0), anchor_pixels=True),
    "indoor": TruthRules(limits_m=(0.1, 10.0), anchor_pixels=True),
}
PAPER = ("paper_global", "paper_grid", "paper_lwlr", "paper_piecewise", "paper_ssf")
PLACES: dict[str, Place] = {"street": "outdoor", "indoor": "indoor"}
# Row -> the run of each regime; other runs have rows of their own.
GENERATORS = {
    "Basis (K = 8)": {"low": "k8_low", "medium": "k8_low_medium", "high": "k8_low_high"},
    "Basis (K = 30)": {"medium": "k30_medium", "high": "k30_medium_high"},
    "Basis (K = 50)": {"medium": "k50_medium", "high": "k50_medium_high"},
}
DROPPED = "Basis (K = 8)"
OURS = ("basis (ours)", "auto (ours)")


def others() -> list[Candidate]:
    """The paper's other methods on positive depth, Region on the sets' own masks; ours; controls."""
    config = from_flat({"regions.source": "topic"})
    found = [
        replace(on_positive_depth(each), label=each.label)
        for each in build_candidates(config, PAPER, {}, constant_map=False)
        if not each.control
    ]
    ours = {label: {"solver.name": label.split()[0]} for label in OURS}
    return found + build_candidates(config, (), ours, constant_map=False)


def generators(runs: Path, engine: EngineConfig) -> Iterator[Candidate]:
    """Every run of a folder, under its name."""
    names = sorted(path.name for path in runs.iterdir() if (path / "checkpoint.pt").is_file())
    for name, each in zip(names, run_candidates(runs, engine, blind_alone=False), strict=True):
        yield replace(each, label=name)


def views(test: Path, engine: EngineConfig, every: int) -> Iterator[KnownView]:
    """Every Nth picture of both sets, with their own masks."""
    source, masks = build_source(engine), region_source("dataset")
    for name, rules in RULES.items():
        found = read_views(test / name, source, every=True, rules=rules, regions=masks)
        yield from (view for index, view in enumerate(found) if index % every == 0)


def tables(folder: Path) -> str:
    """Markdown of the three tables in their form, from a folder's records. Raises InputError without any."""
    found = (record for path in sorted(folder.glob("*.jsonl")) for record in read_records(path))
    records = [replace(named(each), place=PLACES[each.set_name]) for each in found]
    street = [record for record in records if record.set_name == "street"]
    of_table = {"1": street, "2": records, "3": records}
    return as_markdown(
        [part for number, those in of_table.items() for part in in_form_of("001", number, those)]
    )


def named(record: runner.Record) -> runner.Record:
    """A record, of a run that is tuned to the regime under the paper's name of the method."""
    tuned = {(run, case): method for method, runs in GENERATORS.items() for case, run in runs.items()}
    drops = {(GENERATORS[DROPPED]["low"], f"drop {count}"): DROPPED for count in DROPS}
    return replace(record, solver=(tuned | drops).get((record.solver, case_name(record)), record.solver))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("test", nargs="?", type=Path, help="folder with street and indoor")
    parser.add_argument("--out", type=Path, help="folder for the records")
    parser.add_argument("--runs", type=Path, help="folder of runs, instead of all other rows")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every Nth picture (default all)")
    parser.add_argument("--tables", type=Path, metavar="DIR", help="print the tables of what is there")
    args = parser.parse_args()
    if args.tables is not None:
        print(tables(args.tables))
        return
    if args.test is None or args.out is None:
        parser.error("needed TEST and --out, or --tables DIR")
    engine = engine_for(from_flat({"solver.name": "basis"}))
    candidates = others() if args.runs is None else list(generators(args.runs, engine))
    records = list(runner.run(candidates, views(args.test, engine, args.every), CASES, 1, METRICS))
    args.out.mkdir(parents=True, exist_ok=True)
    write_records(args.out / ("others.jsonl" if args.runs is None else "generators.jsonl"), records)


if __name__ == "__main__":
    main()
