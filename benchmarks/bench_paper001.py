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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bench_basis import on_positive_depth, run_candidates

from metric_depth_ros.config import EngineConfig, from_flat
from metric_depth_ros.evaluation import runner
from metric_depth_ros.evaluation.candidates import CONSTANT, INTERPOLATION, Candidate, build_candidates
from metric_depth_ros.evaluation.frames import KnownView, build_source, read_views
from metric_depth_ros.evaluation.given_regions import region_source
from metric_depth_ros.evaluation.groups import case_name, grouped, mean_error
from metric_depth_ros.evaluation.known_depth import TruthRules
from metric_depth_ros.evaluation.protocols import Case
from metric_depth_ros.evaluation.published import rows_of
from metric_depth_ros.evaluation.records import read_records, write_records
from metric_depth_ros.evaluation.tables import Column, Row, Table, markdown
from metric_depth_ros.pipeline import engine_for

REGIMES, DROPS = ("low", "medium", "high"), (1, 3, 5, 7, 9)
CASES = [*(Case(name, 1) for name in REGIMES), *(Case("drop", count) for count in DROPS)]
METRICS = ("abs_rel", "delta1")
# The paper's depth mask of its outdoor and indoor sets, and pixels with an anchor count.
RULES = {
    "street": TruthRules(limits_m=(0.1, 80.0), anchor_pixels=True),
    "indoor": TruthRules(limits_m=(0.1, 10.0), anchor_pixels=True),
}
PAPER = {"Global": "paper_global", "Grid": "paper_grid", "LWLR": "paper_lwlr", "Piecewise": "paper_piecewise"}
REGION = {"Region": "paper_ssf"}
# Row -> the run of each regime.
GENERATORS = {
    "Basis": {"low": "k8_low", "medium": "k8_low_medium", "high": "k8_low_high"},
    "Basis*": {"medium": "k30_medium", "high": "k30_medium_high"},
    "Basis**": {"medium": "k50_medium", "high": "k50_medium_high"},
}
K_OF = {"Basis (K = 8)": "Basis", "Basis (K = 30)": "Basis*", "Basis (K = 50)": "Basis**"}
OURS = ("basis (ours)", "auto (ours)")


def others() -> list[Candidate]:
    """The paper's other methods on positive depth, Region on the sets' own masks; ours; controls."""
    config = from_flat({"regions.source": "topic"})
    found = [
        replace(on_positive_depth(each), label=each.label)
        for each in build_candidates(config, [*(PAPER | REGION).values()], {}, constant_map=False)
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
    """Markdown of the three tables from the records of a folder. Raises InputError without any."""
    records = [record for path in sorted(folder.glob("*.jsonl")) for record in read_records(path)]
    street = [record for record in records if record.set_name == "street"]
    count = {name: len({r.frame for r in records if r.set_name == name}) for name in RULES}
    heads = (
        f"Table 1: {count['street']} streets",
        f"Table 2: {count['street']} streets and {count['indoor']} rooms, corridors and tabletops",
    )
    parts = [
        f"{heads[0]}\n\n{_regimes(street, '1', [*PAPER, *GENERATORS])}",
        f"{heads[1]}\n\n{_regimes(records, '2', [*PAPER, *REGION, *GENERATORS])}",
        f"Table 3: both, K = 8\n\n{_drops(records)}",
    ]
    return "\n\n".join(parts)


def _regimes(records: Sequence[runner.Record], number: str, methods: Sequence[str]) -> str:
    """Table 1 or 2: AbsRel / delta1 of ours, then the published figures of both networks, of other data."""
    ours = grouped(records, lambda r: (r.solver, case_name(r)))
    theirs = {
        (row.network, K_OF.get(row.method, row.method), row.case): row.errors
        for row in rows_of("001", number)
    }
    networks = list(dict.fromkeys(network for network, _, _ in theirs))
    body = []
    for method in (*methods, *OURS, CONSTANT, INTERPOLATION):
        label = (PAPER | REGION).get(method, method)
        runs = GENERATORS.get(method, dict.fromkeys(REGIMES, label))
        cells = [_both(_means(ours.get((runs.get(case, ""), case), []))) for case in REGIMES]
        cells += [_both(theirs.get((network, method, case), {})) for network in networks for case in REGIMES]
        body.append(Row((method,), cells))
    heads = ["small_depth", *(f"{network} (OTHER DATA)" for network in networks)]
    columns = [Column(f"{head}, {case}") for head in heads for case in REGIMES]
    return markdown(Table(("AbsRel / delta1",), columns, body))


def _drops(records: Sequence[runner.Record]) -> str:
    """Table 3: AbsRel / delta1 for each number of anchors, the published figures last."""
    ours = grouped(records, lambda r: (r.solver, case_name(r)))
    shown = {"Basis": "k8_low", "Global": "paper_global", **{n: n for n in (*OURS, CONSTANT, INTERPOLATION)}}
    theirs = {(row.network, row.case): row.errors for row in rows_of("001", "3")}
    networks = list(dict.fromkeys(network for network, _ in theirs))
    body = []
    for case in (f"drop {count}" for count in DROPS):
        cells = [_both(_means(ours.get((label, case), []))) for label in shown.values()]
        cells += [_both(theirs[network, case]) for network in networks]
        body.append(Row((case.split()[1],), cells))
    heads = [*shown, *(f"Basis, {network} (OTHER DATA)" for network in networks)]
    return markdown(Table(("anchors",), [Column(head) for head in heads], body))


def _means(records: Sequence[runner.Record]) -> dict[str, float]:
    """Means over pictures, each as often as another, so sets weigh by their size; empty without records."""
    return {name: mean_error(records, name) for name in METRICS} if records else {}


def _both(errors: Mapping[str, float]) -> str | None:
    """AbsRel and delta1 in one cell; None if there are none."""
    return f"{errors['abs_rel']:.3f} / {errors['delta1']:.2f}" if errors else None


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
