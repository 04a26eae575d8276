"""Error of Metric-Solver by focus, and ablation of its parts: tables 3a, 3b, 5 and 6 of paper 004.

    python benchmarks/bench_metric_solver.py TEST... [--manifest YAML | --run RUN] [--bands] [--flip]
    python benchmarks/bench_metric_solver.py --real $METRIC_DEPTH_DATA
    python benchmarks/bench_metric_solver.py TEST... --ablation SHARDS --to FOLDER [--steps 600] [--seeds 3]

TEST are folders of shards that were not trained on (`metric_depth synthesize` with another seed). The first
form prints, for each, a row for every focus and a column for every depth at which truth and prediction are
cut (--bands: for the depths between one and the next), and the accuracy of the mask, which ends the output in
the form of table 5. The last trains four networks, equal but for what is taken away, with every seed, and
prints what each scores with the focus at the depth where it is cut; runs that FOLDER holds already are not
trained again.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from real_sets import folders_of

from metric_depth_ros.config import EngineConfig
from metric_depth_ros.datasets.dataset import Picture
from metric_depth_ros.datasets.shard_frames import ShardFrames
from metric_depth_ros.engines import build_engine
from metric_depth_ros.evaluation.metrics import abs_rel, all_metrics, delta
from metric_depth_ros.evaluation.relative import read_truths
from metric_depth_ros.near_far import FOCUSES, mask_accuracy
from metric_depth_ros.share import share_path
from metric_depth_ros.types import Camera, FloatArray, ImageArray

BUNDLED = "config/models/metric_solver.yaml"
# Pixels that are compared: of every second row and column.
EVERY = (slice(None, None, 2), slice(None, None, 2))
# What is taken away -> the settings that do it. The one focus is where the single head ends.
VARIANTS: dict[str, dict[str, Any]] = {
    "one head": {"heads": "one"},
    "no mask head": {"mask": False},
    "fixed focus": {"focuses": (80.0,)},
    "full": {},
}
# The paper evaluates indoors up to 10 m and outdoors up to 80 m, the focus alike.
CUTS = {"synthetic_indoor": 10.0, "synthetic_street": 80.0}
REAL_CUTS = {"indoor": 10.0, "outdoor": 80.0}
COLUMNS = ("delta1", "delta2", "abs_rel", "rmse", "log10")


# Image (H, W, 3) uint8 RGB, camera, focuses in metres -> depth (H, W) in metres for each; infinite is NaN.
Predictor = Callable[[ImageArray, Camera | None, Sequence[float]], list[FloatArray]]
# Depth, truth, where a column ends -> those of them that it is about.
Column = Callable[[FloatArray, FloatArray, float], tuple[FloatArray, FloatArray]]


def engine_predictor(manifest: Path, fusion: str, together: str = "") -> Predictor:
    """What the exported network says; with ``together`` at those focuses fused, whatever is asked for."""
    engine = build_engine(EngineConfig(manifest=str(manifest), focuses=together, fusion=fusion))

    def predict(image: ImageArray, camera: Camera | None, focuses: Sequence[float]) -> list[FloatArray]:
        if together:
            return [engine.predict(image, camera=camera).values] * len(focuses)
        return [engine.predict(image, focus_m=focus, camera=camera).values for focus in focuses]

    return predict


def run_predictor(run: Path) -> Predictor:
    """The best network of a training."""
    import torch

    from metric_depth_ros.learning.training.augment import stretched
    from metric_depth_ros.learning.training.metric_solver.trainer import load_metric_solver
    from metric_depth_ros.learning.training.metric_solver.validation import fused_depth
    from metric_depth_ros.learning.training.workers import normalised

    network, state = load_metric_solver(run)

    def predict(image: ImageArray, camera: Camera | None, focuses: Sequence[float]) -> list[FloatArray]:
        zoom = camera.relative_focal if camera is not None and network.config.canonical else 1.0
        told = torch.tensor(focuses, dtype=torch.float32) / zoom
        with torch.inference_mode():
            features = network.encode(normalised(stretched(image, state["settings"]["size"])[None], "cpu"))
            near, far, logit = network.decode(features, told)
        used = network.used_focus(told).tolist()
        depths = [zoom * fused_depth(*maps) for maps in zip(near, far, logit, used, strict=True)]
        return [cv2.resize(d[0], image.shape[1::-1], interpolation=cv2.INTER_LINEAR) for d in depths]

    return predict


def flip_averaged(predict: Predictor) -> Predictor:
    """The mean of a picture's depth and of its mirrored picture's (paper 004, section G)."""

    def both(image: ImageArray, camera: Camera | None, focuses: Sequence[float]) -> list[FloatArray]:
        mirrored = predict(np.ascontiguousarray(image[:, ::-1]), camera, focuses)
        return [(p + m[:, ::-1]) / 2 for p, m in zip(predict(image, camera, focuses), mirrored, strict=True)]

    return both


def pictures(folder: Path) -> Iterator[Picture]:
    """Every picture of a folder of shards."""
    shards = ShardFrames(folder)
    yield from (shards.picture(index) for index in range(len(shards)))


def cut(depth: FloatArray, truth: FloatArray, cut_m: float) -> tuple[FloatArray, FloatArray]:
    """Both up to ``cut_m``: what is truly farther is unknown, what is said to be is there."""
    return np.fmin(depth, cut_m), np.where(truth <= cut_m, truth, np.nan)


def band(depth: FloatArray, truth: FloatArray, cut_m: float) -> tuple[FloatArray, FloatArray]:
    """What truly lies between the next smaller focus and ``cut_m``, and all that is said of it."""
    nearest = max((focus for focus in FOCUSES if focus < cut_m), default=0.0)
    return depth, np.where((truth > nearest) & (truth <= cut_m), truth, np.nan)


def sliding(
    predict: Predictor, folder: Path, focuses: Sequence[float] = FOCUSES, column: Column = cut
) -> tuple[FloatArray, FloatArray]:
    """AbsRel and delta1 (2, focus, column), means over pictures, and the mask's accuracy (focus,).

    Near depth never exceeds the focus and far depth never falls below it, so that depth tells the mask.
    """
    errors, masks = [], []
    for image, truth, camera in pictures(folder):
        depths, truth = [depth[EVERY] for depth in predict(image, camera, focuses)], truth[EVERY]
        pairs = [[column(depth, truth, cut_m) for cut_m in FOCUSES] for depth in depths]
        errors.append([[[score(*pair) for pair in row] for row in pairs] for score in (abs_rel, delta)])
        masks.append([mask_accuracy(d <= f, truth, f) for d, f in zip(depths, focuses, strict=True)])
    return np.nanmean(errors, axis=0), np.nanmean(masks, axis=0)


def control(folder: Path, column: Column) -> FloatArray:
    """AbsRel and delta1 (2, 1, column) of one depth for all pictures: the truth's median in each column."""
    truths = [picture.depth[EVERY] for picture in pictures(folder)]
    scores = []
    for cut_m in FOCUSES:
        wanted = [column(truth, truth, cut_m)[1] for truth in truths]
        usual = np.nanmedian(np.concatenate([w.ravel()[::7] for w in wanted]))
        scores.append([[score(np.full_like(w, usual), w) for w in wanted] for score in (abs_rel, delta)])
    return np.nanmean(scores, axis=2).T[:, None]


def sliding_table(name: str, errors: FloatArray, masks: FloatArray, others: dict[str, FloatArray]) -> str:
    """Markdown: AbsRel / delta1, the best focus of each column in bold; ``others`` (2, 1, column) below."""
    best = errors[0].argmin(axis=0), errors[1].argmax(axis=0)
    lines = [f"| {name}, focus | {' | '.join(f'{c:g} m' for c in FOCUSES)} | mask |", "|---" * 10 + "|"]
    for row, focus in enumerate(FOCUSES):
        cells = [
            f"{bold(f'{errors[0, row, column]:.3f}', best[0][column] == row)} / "
            f"{bold(f'{errors[1, row, column]:.3f}', best[1][column] == row)}"
            for column in range(len(FOCUSES))
        ]
        lines.append(f"| {focus:g} m | {' | '.join(cells)} | {masks[row]:.3f} |")
    for other, scores in others.items():
        cells = [f"{error:.3f} / {delta1:.3f}" for error, delta1 in scores[:, 0].T]
        lines.append(f"| {other} | {' | '.join(cells)} | |")
    steps = np.abs(np.array(best) - np.arange(len(FOCUSES)))
    on, near = (steps == 0).sum(axis=1), (steps <= 1).sum(axis=1)
    lines.append(
        f"\nBest cell on the diagonal, on or next to it: AbsRel {on[0]} and {near[0]}, delta1 {on[1]} and "
        f"{near[1]} of {len(FOCUSES)} columns."
    )
    return "\n".join(lines)


def mask_table(masks: dict[str, FloatArray]) -> str:
    """Markdown in the form of paper 004's table 5: accuracy (focus,) of each set's masks, without sky."""
    heads = [f"{name} {focus:g}m" for name in masks for focus in FOCUSES]
    cells = [f"{value:.4f}" for found in masks.values() for value in found]
    return f"| | {' | '.join(heads)} |\n|---{'|---:' * len(heads)}|\n| Accuracy | {' | '.join(cells)} |"


def bold(text: str, best: bool) -> str:
    return f"**{text}**" if best else text


def train_variants(shards: Path, to: Path, args: argparse.Namespace) -> None:
    """A run of every variant and seed, TO/VARIANT_SEED, unless it is there."""
    from metric_depth_ros.learning.training.metric_solver.settings import settings_of
    from metric_depth_ros.learning.training.metric_solver.trainer import MetricSolverTrainer

    for seed in range(args.seeds):
        for variant, different in VARIANTS.items():
            out = folder_of(to, variant, seed)
            if (out / "done").exists():
                continue
            settings = settings_of(
                "tiny",
                data=(str(shards),),
                out=str(out),
                steps=args.steps,
                seed=seed,
                size=tuple(args.size),
                grows=False,
                weights=str(share_path("config/models/tiny_depth.npz")),
                threads=args.threads,
                look_every=args.steps,
                **different,
            )
            trainer = MetricSolverTrainer(settings, resume=(out / "checkpoint.pt").exists())
            trainer.run()
            trainer.close()
            (out / "done").touch()


def folder_of(to: Path, variant: str, seed: int) -> Path:
    return to / f"{variant.replace(' ', '_')}_{seed}"


def ablation_table(folder: Path, to: Path, seeds: int, wrap: Callable[[Predictor], Predictor]) -> str:
    """Markdown: mean and spread over the seeds, the focus at the depth where it is cut."""
    cut_m = CUTS.get(folder.name, 80.0)
    lines = [f"| {folder.name}, up to {cut_m:g} m | {' | '.join(COLUMNS)} |", "|---" * 6 + "|"]
    for variant in VARIANTS:
        scores = []
        for seed in range(seeds):
            predict = wrap(run_predictor(folder_of(to, variant, seed)))
            found = [
                all_metrics(*cut(predict(image, camera, [cut_m])[0], truth, cut_m))
                for image, truth, camera in pictures(folder)
            ]
            scores.append(np.nanmean([[m[name] for name in COLUMNS] for m in found], axis=0))
        mean, spread = np.mean(scores, axis=0), np.std(scores, axis=0, ddof=1 if seeds > 1 else 0)
        cells = [f"{m:.3f} ± {s:.3f}" for m, s in zip(mean, spread, strict=True)]
        lines.append(f"| {variant} | {' | '.join(cells)} |")
    return "\n".join(lines)


def real_table(predict: Predictor, data: Path) -> str:
    """Markdown: medians over frames of the develop half, nothing fitted, beside one depth for all of them."""
    lines = ["| real, develop half | frames | AbsRel | control: one depth |", "|---" * 4 + "|"]
    for place, folders in folders_of(data, "develop").items():
        cut_m = REAL_CUTS[place]
        truths = [truth for folder in folders for truth in read_truths(folder)]
        wanted = [np.where(t.depth <= cut_m, t.depth, np.nan) for t in truths]
        usual = np.median([np.nanmedian(w) for w in wanted])
        found = [predict(t.image, t.camera, [cut_m])[0][t.uv[:, 1], t.uv[:, 0]] for t in truths]
        ours = np.nanmedian([abs_rel(f, w) for f, w in zip(found, wanted, strict=True)])
        constant = np.nanmedian([abs_rel(np.full_like(w, usual), w) for w in wanted])
        lines.append(f"| {place}, up to {cut_m:g} m | {len(truths)} | {ours:.3f} | {constant:.3f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Metric-Solver around each focus; its ablation.")
    parser.add_argument("test", type=Path, nargs="*", help="folders of held-out shards")
    parser.add_argument("--flip", action="store_true", help="average with the mirrored picture")
    parser.add_argument(
        "--bands", action="store_true", help="columns reach from one focus to the next, not all up to it"
    )
    parser.add_argument("--manifest", type=Path, help="default: the one that comes with the package")
    parser.add_argument("--fusion", default="hard", help="of near and far: hard (default) or soft")
    parser.add_argument("--run", type=Path, help="of metric_depth train metric-solver, instead of a manifest")
    parser.add_argument("--real", type=Path, metavar="FOLDER", help="real frames to measure on as well")
    parser.add_argument("--ablation", type=Path, metavar="SHARDS", help="train the variants on these")
    parser.add_argument("--to", type=Path, help="where their runs go")
    parser.add_argument("--steps", type=int, default=600, help="of each of them (default 600)")
    parser.add_argument("--seeds", type=int, default=3, help="of each of them (default 3)")
    parser.add_argument("--size", type=int, nargs=2, default=(160, 128), help="of theirs (default 160 128)")
    parser.add_argument("--threads", type=int, default=0, help="of theirs (default: one per core)")
    args = parser.parse_args()
    if not args.test and args.real is None:
        print("bench_metric_solver: skipped, no TEST given")
        return
    wrap = flip_averaged if args.flip else lambda predict: predict
    if args.ablation:
        if args.to is None:
            parser.error("--ablation needs --to")
        train_variants(args.ablation, args.to, args)
        for folder in args.test:
            print(f"\n{ablation_table(folder, args.to, args.seeds, wrap)}")
        return
    together, column = None, band if args.bands else cut
    if args.run:
        predict = wrap(run_predictor(args.run))
    else:
        manifest = args.manifest or share_path(BUNDLED)
        predict = wrap(engine_predictor(manifest, args.fusion))
        together = wrap(engine_predictor(manifest, args.fusion, ",".join(f"{f:g}" for f in FOCUSES)))
    accuracy = {}
    for folder in args.test:
        others = {} if together is None else {"all, fused": sliding(together, folder, (0.0,), column)[0]}
        others["control: one depth"] = control(folder, column)
        errors, accuracy[folder.name] = sliding(predict, folder, FOCUSES, column)
        print(f"\n{sliding_table(folder.name, errors, accuracy[folder.name], others)}")
    print(f"\n{mask_table(accuracy)}")
    if args.real:
        print(f"\n{real_table(predict, args.real)}")


if __name__ == "__main__":
    main()
