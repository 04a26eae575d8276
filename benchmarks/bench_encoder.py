"""What makes the depth network good: published weights, freezing, the encoder's size, the amount of pictures.

    METRIC_DEPTH_DATA=... python benchmarks/bench_encoder.py SHARDS --out RUNS --steps 700
    METRIC_DEPTH_DATA=... python benchmarks/bench_encoder.py SHARDS --out RUNS --minutes 2

Short trainings that differ in one thing, each with two seeds, at equal steps or at equal time; rank
correlation and AbsRel (bench_relative.py) on the develop half of the real frames alone, beside rows only.
Runs that are done in RUNS stay; a run that was cut goes on.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from real_sets import folders_of

from metric_depth_ros.cli.parsing import size_of
from metric_depth_ros.evaluation.relative import Score, rows_only
from metric_depth_ros.learning.training.checkpoint import FILE
from metric_depth_ros.learning.training.depth.settings import DepthSettings
from metric_depth_ros.learning.training.depth.trainer import DepthTrainer
from metric_depth_ros.learning.training.depth.validation import Validation, predictor
from metric_depth_ros.learning.training.loader import Samples

# Row -> what differs from the default settings. "shards": how many of all.
ARMS: dict[str, dict[str, Any]] = {
    "tiny, from scratch": {"network": "tiny"},
    "lite0, from scratch": {"pretrained": False},
    "lite0, frozen": {"frozen": 1.0},
    "lite0, frozen for 60 %": {},
    "lite0, never frozen": {"frozen": 0.0},
    "lite0, never frozen, full rate": {"frozen": 0.0, "encoder_rate": 1.0},
    "lite1, frozen for 60 %": {"encoder": "lite1"},
    "lite2, frozen for 60 %": {"encoder": "lite2"},
    "lite0, frozen for 60 %, an eighth of the pictures": {"shards": 1 / 8},
}


def part_of(shards: Path, part: float, to: Path) -> Path:
    """Folder with links to the first of the shards; ends the program if they are fewer than one."""
    files = sorted(shards.glob("shard_*.zip"))
    if part * len(files) < 1:
        raise SystemExit(f"{shards}: {len(files)} shards; needed {round(1 / part)} for a part of {part:g}.")
    to.mkdir(parents=True, exist_ok=True)
    for file in (shards / "dataset.json", *files[: max(1, round(part * len(files)))]):
        if not (to / file.name).exists():
            (to / file.name).symlink_to(file.resolve())
    return to


def trained(settings: DepthSettings, validation: Validation) -> Mapping[str, Score]:
    """Scores by place of the network that a run gives."""
    trainer = DepthTrainer(settings, resume=(Path(settings.out) / FILE).exists())
    try:
        trainer.run()
    finally:
        trainer.close()
    return validation.scores(predictor(trainer.average.eval(), settings.size))


def cell(scores: list[Score]) -> str:
    rank, error = np.array([(score.rank, score.abs_rel) for score in scores]).T
    return f"{rank.mean():.3f} +- {np.ptp(rank) / 2:.3f} / {error.mean():.3f} +- {np.ptp(error) / 2:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description="The depth network's training, one thing changed at a time.")
    parser.add_argument("shards", type=Path, nargs="?")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of the runs")
    parser.add_argument("--steps", type=int, default=700, help="of each run (default 700)")
    parser.add_argument("--minutes", type=float, help="of each run, instead of steps")
    parser.add_argument("--size", default="192x144")
    parser.add_argument("--threads", type=int, default=0, help="of each run (default: one per core)")
    parser.add_argument(
        "--seeds", default="0,1", help="0 and 1 may run side by side; then both for the table"
    )
    args = parser.parse_args()
    data = os.environ.get("METRIC_DEPTH_DATA")
    if args.shards is None or not data:
        print("bench_encoder: skipped; needed SHARDS, and METRIC_DEPTH_DATA")
        return
    real = [str(folder) for folders in folders_of(Path(data), "develop").values() for folder in folders]
    validation = Validation(Samples([args.shards]), real)
    length = f"{args.steps}-steps" if args.minutes is None else f"{args.minutes:g}-minutes"
    budget = {"steps": args.steps, "minutes": None} if args.minutes is None else {"minutes": args.minutes}
    rows = {"rows only": {place: [score] for place, score in validation.scores(rows_only).items()}}
    for name, changes in ARMS.items():
        part = changes.get("shards", 1.0)
        shards = part_of(args.shards, part, args.out / f"data_{part:g}") if part < 1 else args.shards
        told = {key: value for key, value in changes.items() if key != "shards"}
        found = []
        for seed in map(int, args.seeds.split(",")):
            words = name.replace("%", "").replace(",", "").split()
            out = args.out / f"{length}-{args.size}" / f"{'-'.join(words)}-{seed}"
            settings = DepthSettings(
                data=(str(shards),), out=str(out), size=size_of(args.size), seed=seed, threads=args.threads,
                look_every=10**9,
                **budget, **told,
            )  # fmt: skip
            found.append(trained(settings, validation))
        rows[name] = {place: [scores[place] for scores in found] for place in found[0]}
    places = list(next(iter(rows.values())))
    print(f"\n| rank / AbsRel, medians, two seeds | {' | '.join(places)} |\n|{'---|' * (len(places) + 1)}")
    for name, by_place in rows.items():
        print(f"| {name} | {' | '.join(cell(by_place[place]) for place in places)} |")


if __name__ == "__main__":
    main()
