"""Metric-Solver around each focus, and what its parts are worth: tables 3a, 3b, 5 and 6 of paper 004.

    python benchmarks/bench_metric_solver.py TEST... --run RUN [--flip] [--soft]
    python benchmarks/bench_metric_solver.py TEST... --ablation SHARDS --to FOLDER [--steps 600] [--seeds 3]

TEST are folders of shards that were not trained on (`metric_depth synthesize` with another seed). The first
form prints, for each, a row for every focus and a column for every depth at which truth and prediction are
cut, and the accuracy of the mask. The second trains four networks, equal but for what is taken away, with
every seed, and prints what each scores with the focus at the depth where it is cut; runs that FOLDER holds
already are not trained again.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from metric_depth_ros.datasets.synthetic.shards import ShardReader
from metric_depth_ros.evaluation.metrics import all_metrics
from metric_depth_ros.types import FloatArray, ImageArray

FOCUSES = (2.0, 4.0, 6.0, 10.0, 20.0, 40.0, 80.0, 120.0)
# What is taken away -> the settings that do it. The one focus is where the single head ends.
VARIANTS: dict[str, dict[str, Any]] = {
    "one head": {"heads": "one"},
    "no mask head": {"mask": False},
    "fixed focus": {"focuses": (80.0,)},
    "full": {},
}
# The paper evaluates indoors up to 10 m and outdoors up to 80 m, the focus alike.
CUTS = {"synthetic_indoor": 10.0, "synthetic_street": 80.0}
COLUMNS = ("delta1", "delta2", "abs_rel", "rmse", "log10")


class Predicted(NamedTuple):
    """Depth (H, W) in metres, and the probability (H, W) that it is within the focus."""

    depth: FloatArray
    mask: FloatArray


# Image (H, W, 3) uint8 RGB, focuses in metres -> what is predicted for each.
Predictor = Callable[[ImageArray, Sequence[float]], list[Predicted]]


def run_predictor(run: Path, *, soft: bool = False) -> Predictor:
    """The best network of a training."""
    import torch

    from metric_depth_ros.near_far import decode_far, decode_near, fuse
    from metric_depth_ros.training.metric_solver import load_metric_solver
    from metric_depth_ros.training.metric_solver_validation import shrunk
    from metric_depth_ros.training.workers import normalised

    network, state = load_metric_solver(run)
    size = tuple(state["settings"]["size"])

    def predict(image: ImageArray, focuses: Sequence[float]) -> list[Predicted]:
        told = torch.tensor(focuses, dtype=torch.float32)
        with torch.inference_mode():
            features = network.encode(normalised(shrunk(image, size)[None], "cpu"))
            near, far, logit = network.decode([f.expand(len(told), -1, -1, -1) for f in features], told)
        found = []
        for index, used in enumerate(network.used_focus(told).tolist()):
            n, f, m = (
                cv2.resize(map_[index, 0].numpy(), image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
                for map_ in (near, far, logit.sigmoid())
            )
            depth = fuse(decode_near(n, used), decode_far(f, used), m, soft=soft)
            found.append(Predicted(depth, m))
        return found

    return predict


def flip_averaged(predict: Predictor) -> Predictor:
    """The mean of a picture's depth and of its mirrored picture's (paper 004, section G)."""

    def both(image: ImageArray, focuses: Sequence[float]) -> list[Predicted]:
        mirrored = predict(np.ascontiguousarray(image[:, ::-1]), focuses)
        return [
            Predicted((p.depth + m.depth[:, ::-1]) / 2, (p.mask + m.mask[:, ::-1]) / 2)
            for p, m in zip(predict(image, focuses), mirrored, strict=True)
        ]

    return both


def pictures(folder: Path) -> Iterator[tuple[ImageArray, FloatArray]]:
    """Image and depth (H, W) in metres, inf sky, of every sample."""
    reader = ShardReader(folder)
    for index in range(len(reader)):
        sample = reader.read(index)
        yield sample["image"], sample["depth"]


def cut(depth: FloatArray, truth: FloatArray, cut_m: float) -> dict[str, float]:
    """Metrics where the truth is up to ``cut_m``, of depth that ends there too."""
    return all_metrics(np.minimum(depth, cut_m), np.where(np.isfinite(truth), truth, np.nan), cut_m)


def sliding(predict: Predictor, folder: Path) -> tuple[FloatArray, FloatArray]:
    """AbsRel and delta1 (2, focus, cut), means over pictures, and the mask's accuracy (focus,)."""
    errors, masks = [], []
    for image, truth in pictures(folder):
        found = predict(image, FOCUSES)
        rows = [[cut(p.depth, truth, cut_m) for cut_m in FOCUSES] for p in found]
        errors.append([[[m[name] for m in row] for row in rows] for name in ("abs_rel", "delta1")])
        right = [((p.mask >= 0.5) == (truth <= f)).mean() for p, f in zip(found, FOCUSES, strict=True)]
        masks.append(right)
    return np.nanmean(errors, axis=0), np.mean(masks, axis=0)


def sliding_table(name: str, errors: FloatArray, masks: FloatArray) -> str:
    """Markdown: AbsRel / delta1, the best of each column in bold."""
    best = errors[0].argmin(axis=0), errors[1].argmax(axis=0)
    lines = [f"| {name}, focus | {' | '.join(f'{c:g} m' for c in FOCUSES)} | mask |", "|---" * 10 + "|"]
    for row, focus in enumerate(FOCUSES):
        cells = [
            f"{bold(f'{errors[0, row, column]:.3f}', best[0][column] == row)} / "
            f"{bold(f'{errors[1, row, column]:.3f}', best[1][column] == row)}"
            for column in range(len(FOCUSES))
        ]
        lines.append(f"| {focus:g} m | {' | '.join(cells)} | {masks[row]:.3f} |")
    steps = np.abs(np.array(best) - np.arange(len(FOCUSES)))
    on, near = (steps == 0).sum(axis=1), (steps <= 1).sum(axis=1)
    lines.append(
        f"\nBest cell on the diagonal, on or next to it: AbsRel {on[0]} and {near[0]}, delta1 {on[1]} and "
        f"{near[1]} of {len(FOCUSES)} columns."
    )
    return "\n".join(lines)


def bold(text: str, best: bool) -> str:
    return f"**{text}**" if best else text


def train_variants(shards: Path, to: Path, steps: int, seeds: int, size: tuple[int, int]) -> None:
    """A run of every variant and seed, TO/VARIANT_SEED, unless it is there."""
    from metric_depth_ros.share import share_path
    from metric_depth_ros.training.metric_solver import MetricSolverTrainer
    from metric_depth_ros.training.metric_solver_settings import settings_of

    for seed in range(seeds):
        for variant, different in VARIANTS.items():
            out = folder_of(to, variant, seed)
            if (out / "done").exists():
                continue
            settings = settings_of(
                "tiny",
                data=(str(shards),),
                out=str(out),
                steps=steps,
                seed=seed,
                size=size,
                grows=False,
                weights=str(share_path("config/models/tiny_depth.npz")),
                look_every=steps,
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
            found = [cut(predict(image, [cut_m])[0].depth, truth, cut_m) for image, truth in pictures(folder)]
            scores.append(np.nanmean([[m[name] for name in COLUMNS] for m in found], axis=0))
        mean, spread = np.mean(scores, axis=0), np.std(scores, axis=0, ddof=1 if seeds > 1 else 0)
        cells = [f"{m:.3f} ± {s:.3f}" for m, s in zip(mean, spread, strict=True)]
        lines.append(f"| {variant} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Metric-Solver around each focus; its ablation.")
    parser.add_argument("test", type=Path, nargs="*", help="folders of held-out shards")
    parser.add_argument("--run", type=Path, help="of metric_depth train metric-solver")
    parser.add_argument("--flip", action="store_true", help="average with the mirrored picture")
    parser.add_argument("--soft", action="store_true", help="soft instead of hard fusion")
    parser.add_argument("--ablation", type=Path, metavar="SHARDS", help="train the variants on these")
    parser.add_argument("--to", type=Path, help="where their runs go")
    parser.add_argument("--steps", type=int, default=600, help="of each of them (default 600)")
    parser.add_argument("--seeds", type=int, default=3, help="of each of them (default 3)")
    parser.add_argument("--size", type=int, nargs=2, default=(160, 128), help="of theirs (default 160 128)")
    args = parser.parse_args()
    if not args.test:
        print("bench_metric_solver: skipped, no TEST given")
        return
    wrap = flip_averaged if args.flip else lambda predict: predict
    if args.ablation:
        if args.to is None:
            parser.error("--ablation needs --to")
        train_variants(args.ablation, args.to, args.steps, args.seeds, tuple(args.size))
        for folder in args.test:
            print(f"\n{ablation_table(folder, args.to, args.seeds, wrap)}")
        return
    if args.run is None:
        parser.error("needs --run or --ablation")
    predict = wrap(run_predictor(args.run, soft=args.soft))
    for folder in args.test:
        print(f"\n{sliding_table(folder.name, *sliding(predict, folder))}")


if __name__ == "__main__":
    main()
