"""How damaged and large inputs are borne: results, errors with a name, other exceptions, memory, time.

    python benchmarks/fuzz.py --messages 100000 --bags 3000 --files 3000

Each kind of case in `test/fuzz/campaign.py` has an option. Cases run in processes of their own, a thousand in
each; a seed gives the same cases everywhere. What is neither result nor named error stands below the table.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1] / "test" / part) for part in ("fuzz", "")]

from campaign import CASES, campaign  # noqa: E402

_BATCH = 1000
_HEAD = ("kind", "cases", "results", "named errors", "plain exceptions", "peak memory, MB", "longest, s")


def main() -> None:
    """Prints a table in Markdown."""
    parser = argparse.ArgumentParser(description="Reads damaged inputs.")
    for kind in CASES:
        parser.add_argument(f"--{kind}", type=int, default=0, metavar="N", help=f"number of cases: {kind}")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    cases: list[dict[str, Any]] = []
    for kind in CASES:
        for done in range(0, getattr(args, kind), _BATCH):
            count = min(_BATCH, getattr(args, kind) - done)
            cases += [{**case, "of": kind} for case in campaign(kind, count, args.seed + done)]
    print(_table(cases))
    for case in cases:
        if case["came"] not in ("result", "error"):
            print(f"\n{case['kind']}: {case['came']}: {case['says']}")


def _table(cases: list[dict[str, Any]]) -> str:
    rows: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for case in cases:
        rows[f"{case['of']}: {case['kind'].split(',')[0]}"].append(case)
        rows[f"zz all {case['of']}"].append(case)
    lines = [_HEAD, ("---",) * len(_HEAD)]
    lines += [(name.removeprefix("zz "), *_row(rows[name])) for name in sorted(rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _row(cases: list[dict[str, Any]]) -> tuple[str, ...]:
    came = [case["came"] for case in cases]
    results, errors = came.count("result"), came.count("error")
    counts = (len(cases), results, errors, len(cases) - results - errors)
    peak, longest = (max(case[name] for case in cases) for name in ("bytes", "seconds"))
    return (*map(str, counts), f"{peak / 1e6:.0f}", f"{longest:.2f}")


if __name__ == "__main__":
    main()
