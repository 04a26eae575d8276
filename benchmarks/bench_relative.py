"""Depth network alone on real frames: rank correlation, and AbsRel after a fit to 200 pixels.

    METRIC_DEPTH_DATA=... python benchmarks/bench_relative.py [--half develop|report] [--manifest YAML]

The default network, and beside it tiny_depth, METER-XXS (trained on NYU indoors, on KITTI outdoors), rows
only, and a constant map: the same frames, the same pixels, the same fit; see
metric_depth_ros/evaluation/relative.py. The "report" half is for one run at the end. Skips without the data.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
from real_sets import SETS, folders_of

from metric_depth_ros.config import EngineConfig
from metric_depth_ros.depth import positive_depth
from metric_depth_ros.engines import build_engine
from metric_depth_ros.evaluation.relative import (
    Predictor,
    Score,
    constant,
    inverse_values,
    median_score,
    read_truths,
    rows_only,
    scaled_error,
    score,
)
from metric_depth_ros.share import share_path

METER = {"indoor": ("nyu", "192x256"), "outdoor": ("kitti", "192x640")}
NETWORK, TINY = "ours", "tiny_depth"
TEACHER, ROWS, CONSTANT = "METER-XXS", "rows only", "constant"

# Place -> set -> name of a predictor -> score of every frame.
Found = dict[str, dict[str, dict[str, list[Score]]]]


def engine_predictor(manifest: str | Path, model: Path | None = None) -> Predictor:
    """What an engine says, as inverse depth."""
    engine = build_engine(EngineConfig(manifest=str(manifest), model=str(model or "")))
    return lambda image: inverse_values(engine.predict(image))


def build_predictors(data: Path, manifest: str) -> dict[str, dict[str, Predictor]]:
    """Every row, for indoors and outdoors; METER has none where it is not there."""
    ours = {NETWORK: engine_predictor(manifest), TINY: engine_predictor("tiny")}
    predictors: dict[str, dict[str, Predictor]] = {}
    for place, (name, size) in METER.items():
        model = data.parent / f"models/meter_xxs/meter_xxs_{name}_{size}.onnx"
        described = share_path(f"config/models/meter_xxs_{name}.yaml")
        teacher = {TEACHER: engine_predictor(described, model)} if model.is_file() else {}
        predictors[place] = {**ours, **teacher, ROWS: rows_only, CONSTANT: constant}
    return predictors


def score_sets(data: Path, half: str, predictors: dict[str, dict[str, Predictor]]) -> Found:
    """Scores of every frame of one half; sets that are not there are left out.

    Args:
        data: folder of the sets.
        half: "develop" or "report".
        predictors: place ("indoor", "outdoor") -> name -> predictor.
    """
    found: Found = {}
    for place, folders in folders_of(data, half).items():
        for folder in folders:
            rows = found.setdefault(place, {}).setdefault(folder.name, {key: [] for key in predictors[place]})
            for truth in read_truths(folder):
                for key, predict in predictors[place].items():
                    rows[key].append(score(predict(truth.image), truth))
    return found


def report(found: Found) -> str:
    """Markdown: a row for every set, medians over all frames of a place, and the summary."""
    names = list(next(iter(next(iter(found.values())).values())))
    lines = [f"| rank / AbsRel, medians | frames | {' | '.join(names)} |", f"|{'---|' * (len(names) + 2)}"]
    notes = []
    for place, sets in found.items():
        together: dict[str, list[Score]] = {name: [] for name in names}
        for set_name, scores in sets.items():
            lines.append(f"| {set_name} | {len(scores[ROWS])} | {cells(scores)} |")
            for name in names:
                together[name] += scores[name]
        lines.append(f"| **{place}** | {len(together[ROWS])} | {cells(together)} |")
        notes += summary(place, together)
    return "\n".join([*lines, "", *notes])


def cells(scores: dict[str, list[Score]]) -> str:
    """Median rank / AbsRel of every row."""
    medians = [median_score(of_row) for of_row in scores.values()]
    return " | ".join(f"{m.rank:.3f} / {m.abs_rel:.3f}" for m in medians)


def summary(place: str, scores: dict[str, list[Score]]) -> list[str]:
    """Where our network stands between rows only and METER."""
    if NETWORK not in scores:
        return []
    ours, rows = (np.array([(s.rank, s.abs_rel) for s in scores[name]]) for name in (NETWORK, ROWS))
    lines = [
        f"- {place}: better than rows only in rank on {np.mean(ours[:, 0] > rows[:, 0]):.0%} of "
        f"{len(ours)} frames, in AbsRel on {np.mean(ours[:, 1] < rows[:, 1]):.0%}"
    ]
    if TEACHER in scores:
        us, them, teacher = (median_score(scores[name]) for name in (NETWORK, ROWS, TEACHER))
        rank = (us.rank - them.rank) / (teacher.rank - them.rank)
        error = (us.abs_rel - them.abs_rel) / (teacher.abs_rel - them.abs_rel)
        lines.append(
            f"- {place}: {rank:.0%} of the way from rows only to METER in rank, {error:.0%} in AbsRel"
        )
    return lines


def positive_depth_costs(data: Path, half: str, manifest: str) -> str:
    """What the conversion to positive depth costs our network: one scale instead of scale and shift."""
    engine = build_engine(EngineConfig(manifest=manifest))
    lines = ["Positive depth (depth.py) with one scale, beside inverse depth with scale and shift:"]
    for place, folders in folders_of(data, half).items():
        pairs = []
        for truth in (t for folder in folders for t in read_truths(folder)):
            relative = engine.predict(truth.image)
            one = scaled_error(positive_depth(relative), truth)
            pairs.append((one, score(inverse_values(relative), truth).abs_rel))
        one, two = np.median(pairs, axis=0)
        lines.append(f"- {place}: AbsRel {one:.3f} against {two:.3f}, medians of {len(pairs)} frames")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="The depth network on real frames, by itself.")
    parser.add_argument("--half", choices=tuple(SETS), default="develop")
    parser.add_argument("--manifest", default="", help="of the network; default: the package's")
    args = parser.parse_args()
    if not os.environ.get("METRIC_DEPTH_DATA"):
        print("bench_relative: skipped, METRIC_DEPTH_DATA is not set")
        return
    data = Path(os.environ["METRIC_DEPTH_DATA"])
    predictors = build_predictors(data, args.manifest)
    print(f"\n{args.half} half\n\n{report(score_sets(data, args.half, predictors))}")
    print(f"\n{positive_depth_costs(data, args.half, args.manifest)}")


if __name__ == "__main__":
    main()
