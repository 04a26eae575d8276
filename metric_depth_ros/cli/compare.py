"""`metric_depth compare`: which of two runs, solvers or networks is better, with intervals."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metric_depth_ros.evaluation.comparison import Difference
    from metric_depth_ros.evaluation.runner import Record


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the verb ``compare``."""
    parser = verbs.add_parser(
        "compare",
        help="which of two evaluations is better, with intervals of the differences",
        description="Pairs the records of two runs of metric_depth evaluate --out by frame, case and draw, "
        "or those of two solvers or networks of one run, and prints the mean difference of each metric with "
        "its 95 %% interval from a paired bootstrap over sets and their frames.",
    )
    parser.add_argument("a", type=Path, metavar="A", help="folder of a run, or its records")
    parser.add_argument("b", type=Path, nargs="?", metavar="B", help="another run (default: A)")
    two = parser.add_mutually_exclusive_group()
    two.add_argument("--solvers", metavar="X,Y", help="X of A with Y of B; default: every solver of both")
    two.add_argument("--engines", metavar="X,Y", help="network X of A with network Y of B, by their labels")
    parser.add_argument("--metrics", default="", metavar="A,B", help="only these (default: all of both)")
    parser.add_argument("--resamples", type=int, default=2000, metavar="N", help="default 2000")
    parser.add_argument("--latex", action="store_true", help="the table in LaTeX")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Compares and prints the table. Raises MetricDepthError."""
    from metric_depth_ros.errors import ConfigError
    from metric_depth_ros.evaluation.comparison import compare, comparison_table
    from metric_depth_ros.evaluation.records import read_records
    from metric_depth_ros.evaluation.tables import latex, markdown

    if args.b is None and not (args.solvers or args.engines):
        raise ConfigError("compare: one run; needed a second one, or --solvers X,Y or --engines X,Y of it.")
    if args.resamples < 100:
        raise ConfigError(f"--resamples {args.resamples}: needed 100 or more.")
    a = read_records(args.a)
    b = a if args.b is None else read_records(args.b)
    names = args.solvers or args.engines
    what = "engine" if args.solvers else "solver"
    if names:
        a, b = _chosen(a, b, names, "solver" if args.solvers else "engine")
    found = compare(
        a, b, lambda record: str(getattr(record, what)), _metrics(args.metrics), resamples=args.resamples
    )
    title = f"A: {args.a}, B: {args.b or args.a}" if not names else "A: {}, B: {}".format(*names.split(","))
    print((latex if args.latex else markdown)(comparison_table(found, title)))
    if not args.latex:
        print("\n" + _words(found, title))
    return 0


def _chosen(
    a: Sequence[Record], b: Sequence[Record], names: str, field: str
) -> tuple[list[Record], list[Record]]:
    """Records of the two solvers or engines. Raises ConfigError if a run has none of that name."""
    from metric_depth_ros.errors import ConfigError

    wanted = names.split(",")
    if len(wanted) != 2:
        raise ConfigError(f"--{field}s {names}: needed two names, as X,Y.")
    found = []
    for name, records in zip(wanted, (a, b), strict=True):
        found.append([record for record in records if getattr(record, field) == name])
        if not found[-1]:
            known = ", ".join(dict.fromkeys(str(getattr(record, field)) for record in records))
            raise ConfigError(f"--{field}s {names}: no record of {name}; needed one of {known}.")
    return found[0], found[1]


def _metrics(text: str) -> tuple[str, ...]:
    from metric_depth_ros.evaluation.measures import chosen_metrics

    return chosen_metrics(text.split(","), sequences=True) if text else ()


def _words(found: Sequence[Difference], title: str) -> str:
    """What the table says, and what it cannot say."""
    from metric_depth_ros.evaluation.comparison import FEW_SETS

    a, b = (sum(each.better == side for each in found) for side in "AB")
    said = (
        f"{title}. Of {len(found)} differences B is better in {b} and A in {a}; the others are within chance."
    )
    said += f" With so many, {len(found) / 20:.1f} are expected to seem to differ by chance alone."
    if min(each.sets for each in found) < FEW_SETS:
        said += f" Fewer than {FEW_SETS} sets: the intervals say little about other sets."
    return said
