"""Scores of the small depth network on a kind of scene that was left out of its training.

    python benchmarks/bench_families.py SHARDS [--minutes 10]

One short training on all families and one without each; scores on held-out samples of the family that was
left out (rank correlation, and AbsRel after the fit of bench_relative.py), beside rows only. Same seed, same
time; SHARDS as `metric_depth synthesize SHARDS --count N --size any` writes them.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from metric_depth_ros.evaluation.relative import Predictor, Score, rows_only
from metric_depth_ros.learning.training.depth.settings import DepthSettings
from metric_depth_ros.learning.training.depth.trainer import DepthTrainer
from metric_depth_ros.learning.training.depth.validation import Validation, predictor
from metric_depth_ros.learning.training.loader import Samples
from metric_depth_synthetic.scenes import FAMILIES


def trained(shards: Path, families: tuple[str, ...], minutes: float, out: Path) -> Predictor:
    """A network that has seen these families."""
    settings = DepthSettings(
        data=(str(shards),), out=str(out), minutes=minutes, families=families, look_every=10**9
    )
    trainer = DepthTrainer(settings)
    try:
        trainer.run()
    finally:
        trainer.close()
    return predictor(trainer.average.eval(), settings.size)


def cell(score: Score) -> str:
    return f"{score.rank:.3f} / {score.abs_rel:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Training without one family, tested on it.")
    parser.add_argument("shards", type=Path, nargs="?")
    parser.add_argument("--minutes", type=float, default=10.0, help="of each training (default 10)")
    args = parser.parse_args()
    if args.shards is None:
        print("bench_families: skipped, no SHARDS given")
        return
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        everything = trained(args.shards, (), args.minutes, Path(folder) / "all")
        for family in FAMILIES:
            others = tuple(name for name in FAMILIES if name != family)
            without = trained(args.shards, others, args.minutes, Path(folder) / family)
            held_out = Validation(Samples([args.shards], families=[family]))
            scores = [held_out.scores(p)["synthetic"] for p in (everything, without, rows_only)]
            lines.append(f"| {family} | {' | '.join(map(cell, scores))} |")
    print("\n| rank / AbsRel, medians | trained on all | without it | rows only |\n|---|---|---|---|")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
