"""Scale-oriented contrast (paper 003) added to another network: its table 8, with Metric-Solver.

    python benchmarks/bench_contrast.py SHARDS TEST [--steps 600] [--seeds 3] [--out RUNS]

Trains Metric-Solver on the encoder "tiny" from scratch, with and without equation 8 on its encoder's
features, at equal steps; AbsRel and delta1 within a focus of 10 m, on the held-out pictures of SHARDS (the
paper's NYU columns) and on TEST, of other scenes (its zero-shot columns), mean and deviation over the seeds.
Paper: .090/.929 without and .089/.932 with it on NYU, .223/.541 and .210/.550 on iBims-1.
"""

from __future__ import annotations

import argparse
import copy
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from metric_depth_ros.learning.models.metric_solver import MetricSolver, MetricSolverConfig
from metric_depth_ros.learning.models.tr2m import Projector
from metric_depth_ros.learning.training.checkpoint import FILE
from metric_depth_ros.learning.training.loader import Samples
from metric_depth_ros.learning.training.metric_solver import trainer as module
from metric_depth_ros.learning.training.metric_solver.losses import outputs_loss
from metric_depth_ros.learning.training.metric_solver.settings import settings_of
from metric_depth_ros.learning.training.metric_solver.validation import FocusValidation
from metric_depth_ros.learning.training.tr2m.losses import CONTRAST_WEIGHT, contrast_loss, depth_classes
from metric_depth_ros.learning.training.workers import normalised

FOCUS_M, SIZE, MOMENTUM = 10.0, (192, 144), 0.99


class Projected(MetricSolver):
    """Metric-Solver with a projector for the encoder's map at 1/16."""

    def __init__(self, config: MetricSolverConfig | None = None) -> None:
        super().__init__(config)
        self.projector = Projector(self.encoder.channels[-2], 64, pools=0)

    def features(self, levels: list[Tensor]) -> Tensor:
        return self.projector(levels[-2])


class WithContrast(module.MetricSolverTrainer):
    """Its training with contrast: keys are the image itself and another one of the batch."""

    def __init__(self, *args: object, **more: object) -> None:
        super().__init__(*args, **more)
        self._keys = copy.deepcopy(self.network).requires_grad_(False)

    @torch.no_grad()
    def _backward(self, batch: object) -> float:
        for mine, other in zip(self._keys.parameters(), self.network.parameters(), strict=True):
            mine.lerp_(other, 1 - MOMENTUM)
        with torch.enable_grad():
            return super()._backward(batch)

    def _objective(self, network: nn.Module, batch: module.FocusedBatch) -> Tensor:
        image, focus_m = normalised(batch.image, "cpu"), torch.from_numpy(batch.focus_m)
        with torch.autocast("cpu", torch.bfloat16):
            levels = network.encode(image)
            outputs, query = network.decode(levels, focus_m), network.features(levels).float()
            with torch.no_grad():
                key = self._keys.features(self._keys.encode(image)).float()
        classes = depth_classes(torch.from_numpy(batch.depth)[:, None], key.shape[2:])
        keys = [key, key.roll(1, 0)]
        contrast = contrast_loss(query, keys, classes, [classes, classes.roll(1, 0)])
        return outputs_loss(self.network, outputs, batch.depth, focus_m) + CONTRAST_WEIGHT * contrast


def main() -> None:
    parser = argparse.ArgumentParser(description="Scale-oriented contrast with Metric-Solver.")
    parser.add_argument("shards", type=Path, nargs="?")
    parser.add_argument("test", type=Path, nargs="?")
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    if args.test is None:
        print("bench_contrast: skipped, no SHARDS and TEST given")
        return
    module.MetricSolver = Projected
    other = Samples([args.test])
    other.validation = [(0, index) for index in range(len(other) + len(other.validation))]
    zero_shot = FocusValidation(other, SIZE, (FOCUS_M,))
    found = defaultdict(list)
    for seed in range(args.seeds):
        for name, kind in (("plain", module.MetricSolverTrainer), ("contrast", WithContrast)):
            out = args.out / f"{name}_{seed}"
            settings = settings_of(
                "tiny", data=(str(args.shards),), out=str(out), size=SIZE, steps=args.steps, seed=seed,
                look_every=args.steps, threads=1, device="cpu", grows=False,
            )  # fmt: skip
            trainer = kind(settings, resume=(out / FILE).exists())
            trainer.run()
            held_out = FocusValidation(trainer._samples, SIZE, (FOCUS_M,))
            for place, validation in (("held out", held_out), ("other scenes", zero_shot)):
                (score,) = validation.scores(trainer.average.eval()).values()
                found[name, place].append((score.abs_rel, score.delta1))
            trainer.close()
    print("| AbsRel, delta1 | held out | other scenes |\n|---|---:|---:|")
    for name in ("plain", "contrast"):
        cells = []
        for place in ("held out", "other scenes"):
            mean, spread = (
                np.mean(found[name, place], 0),
                np.std(found[name, place], 0, ddof=min(args.seeds - 1, 1)),
            )
            cells.append(", ".join(f"{m:.3f}±{s:.3f}" for m, s in zip(mean, spread, strict=True)))
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
