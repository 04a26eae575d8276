"""Trains Metric-Solver (paper 004, section 3.3) on synthetic shards.

A focus is drawn for every picture. AdamW or Muon; the learning rate rises briefly and falls to zero at the
end of the budget, in time or in steps. What is validated and kept is a running average of the weights, the
one with the lowest validation loss. A run can be cut off and resumed; in steps, on unchanging data and a
processor, the result is the same to the bit. Under torchrun every GPU takes its part of the batch.
"""

from __future__ import annotations

import copy
import dataclasses
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from metric_depth_ros.errors import ConfigError
from metric_depth_ros.learning.models.metric_solver import PATCH, MetricSolver, MetricSolverConfig
from metric_depth_ros.learning.models.tiny_depth import TinyDepth
from metric_depth_ros.learning.training import checkpoint
from metric_depth_ros.learning.training.augment import mirrored
from metric_depth_ros.learning.training.curves import Curves
from metric_depth_ros.learning.training.loader import Batch, BatchStream, Samples
from metric_depth_ros.learning.training.metric_solver.losses import outputs_loss
from metric_depth_ros.learning.training.metric_solver.settings import MetricSolverSettings, draw_focus
from metric_depth_ros.learning.training.metric_solver.validation import SCORES, FocusValidation
from metric_depth_ros.learning.training.muon import Muon
from metric_depth_ros.learning.training.ranks import Rank, join_ranks, leave_ranks, spread_over
from metric_depth_ros.learning.training.running import (
    build_optimizer,
    check_budget,
    check_folder,
    check_optimizer,
    check_same,
    choose_device,
    descend,
    keep_average,
)
from metric_depth_ros.learning.training.settings import Progress, grown_size, learning_rate
from metric_depth_ros.learning.training.workers import Workers, normalised
from metric_depth_ros.near_far import is_pool
from metric_depth_ros.types import FloatArray

_LINE_EVERY_S = 20.0
# Settings that a resumed run shares with what it was.
_SAME = (
    "encoder", "focuses", "heads", "mask", "size", "grows", "batch", "optimizer", "learning_rate", "seed",
    "families",
)  # fmt: skip
_KEYS = frozenset(
    {"step", "elapsed_s", "settings", "architecture", "network", "average", "best", "best_loss", "optimizer"}
)
# A stream of random numbers of its own, beside those of the pictures.
_FOCUS = 7


@dataclass(frozen=True, eq=False)
class FocusedBatch(Batch):
    """Pictures, and for each a focus (B,) in metres."""

    focus_m: FloatArray


class MetricSolverTrainer:
    """One training run, new or resumed."""

    def __init__(self, settings: MetricSolverSettings, *, resume: bool = False) -> None:
        """Raises ConfigError, InputError or ModelError for what cannot be trained with or resumed from."""
        self.settings = settings
        self._device = choose_device(settings.device)
        self._rank = join_ranks(self._device)
        _check(settings, self._rank, resume)
        alone_on_processor = self._device == "cpu" and self._rank.count == 1
        self._parts = (
            min(settings.threads or os.cpu_count() or 1, settings.batch) if alone_on_processor else 1
        )
        if self._device == "cpu":
            torch.set_num_threads(1 if self._parts > 1 else settings.threads or 1)
            torch.set_flush_denormal(True)
        cv2.setNumThreads(1)
        torch.manual_seed(settings.seed)
        self._samples = Samples(settings.data, families=settings.families)
        state = checkpoint.load(settings.out, _KEYS) if resume else None
        if state:
            check_same(settings, state["settings"], _SAME)
        self.network = _network(settings, state).to(self._device)
        self.average = copy.deepcopy(self.network).eval()
        self._best, self._best_loss = copy.deepcopy(self.average.state_dict()), float("inf")
        self._optimizer = build_optimizer(self.network, settings, self._parts)
        spent = {"step": state["step"], "elapsed_s": state["elapsed_s"]} if state else {}
        self._progress = Progress(settings, **spent)
        if state:
            self.average.load_state_dict(state["average"])
            self._best, self._best_loss = state["best"], state["best_loss"]
            self._optimizer.load_state_dict(state["optimizer"])
        self._workers = Workers(spread_over(self.network, self._rank), self._objective, self._parts)
        if self._rank.first:
            self._validation = FocusValidation(self._samples, settings.size, settings.focuses)
            before = self._progress.step if resume else 0
            self._curves = Curves(settings.out, before_step=before, scores=SCORES)

    def run(self, *, until: int | None = None) -> None:
        """Trains to the end of the budget, or to step ``until``; leaves a checkpoint.

        Raises:
            InputError: a shard is damaged.
        """
        batches = BatchStream(
            self._samples,
            self._size,
            batch=self.settings.batch // self._rank.count,
            parts=self._parts,
            seed=self.settings.seed * self._rank.count + self._rank.number,
            first=self._progress.step,
            threads=2 if self._device == "cpu" else max(2, (os.cpu_count() or 2) // self._rank.count - 1),
            reframe=mirrored,
        )
        spoken, losses, looked = time.monotonic(), [], -1
        try:
            while self._progress.at(self._progress.step) < 1 and self._progress.step != until:
                losses.append(self._step(next(batches)))
                now = time.monotonic()
                if now - spoken >= _LINE_EVERY_S:
                    self._say(losses, now - spoken)
                    losses, spoken = [], now
                if self._progress.step % self.settings.look_every == 0:
                    self._look()
                    looked = self._progress.step
        except KeyboardInterrupt:
            self._save()
            raise
        finally:
            batches.close()
        if losses:
            self._say(losses, time.monotonic() - spoken)
        if looked != self._progress.step:
            self._look()

    def close(self) -> None:
        """Ends the threads, and leaves the other processes."""
        self._workers.close()
        if isinstance(self._optimizer, Muon):
            self._optimizer.close()
        leave_ranks()

    def _size(self, step: int, _: np.random.Generator) -> tuple[int, int]:
        size = self.settings.size
        return grown_size(size, self._progress.at(step)) if self.settings.grows else size

    def _step(self, parts: Sequence[Batch]) -> float:
        step, seed = self._progress.step, self.settings.seed
        rate = learning_rate(self.settings, self._progress.at(step))
        rng = np.random.default_rng([seed, step, _FOCUS, self._rank.number])
        drawn = [draw_focus(self.settings.focuses, len(part.image), rng) for part in parts]
        loss = self._workers.backward(
            [FocusedBatch(p.image, p.depth, focus_m) for p, focus_m in zip(parts, drawn, strict=True)]
        )
        descend(self.network, self._optimizer, rate, self.settings.clip)
        self._progress.step += 1
        keep_average(self.average, self.network, self._progress.step, self.settings.average)
        return loss

    def _objective(self, network: nn.Module, batch: FocusedBatch) -> Tensor:
        image = normalised(batch.image, self._device)
        focus_m = torch.from_numpy(batch.focus_m).to(self._device)
        with torch.autocast(self._device, torch.bfloat16):
            outputs = network(image, focus_m)
        return outputs_loss(self.network, outputs, batch.depth, focus_m)

    def _say(self, losses: Sequence[float], seconds: float) -> None:
        if not self._rank.first:
            return
        progress, mean = self._progress.at(self._progress.step), sum(losses) / len(losses)
        rate = len(losses) * self.settings.batch / seconds
        self._curves.add_loss(self._progress.step, self._progress.elapsed_s, mean, rate)
        print(
            f"{progress:6.1%}  step {self._progress.step}  loss {mean:.5f}  {rate:.0f} images/s", flush=True
        )

    def _look(self) -> None:
        """Validates, keeps the best, writes the checkpoint and draws the curves."""
        if not self._rank.first:
            return
        scores = self._validation.scores(self.average)
        self._curves.add_scores(self._progress.step, self._progress.elapsed_s, scores)
        for place, found in scores.items():
            print(
                f"        focus {place}: loss {found.loss:.5f}  AbsRel {found.abs_rel:.3f}  "
                f"delta1 {found.delta1:.3f}  mask {found.mask:.3f}",
                flush=True,
            )
        loss = float(np.mean([found.loss for found in scores.values()])) if scores else 0.0
        if loss <= self._best_loss:
            self._best, self._best_loss = copy.deepcopy(self.average.state_dict()), loss
        self._save()
        self._curves.draw()

    def _save(self) -> None:
        if not self._rank.first:
            return
        state = {
            "step": self._progress.step,
            "elapsed_s": self._progress.elapsed_s,
            "settings": dataclasses.asdict(self.settings),
            "architecture": dataclasses.asdict(self.network.config),
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "best": self._best,
            "best_loss": self._best_loss,
            "optimizer": self._optimizer.state_dict(),
        }
        checkpoint.save(self.settings.out, state)


def load_metric_solver(run: str | Path) -> tuple[MetricSolver, dict[str, Any]]:
    """The best network of a run, in eval mode, and the run's state. Raises ModelError."""
    state = checkpoint.load(run, _KEYS)
    return build_metric_solver(state).eval(), state


def build_metric_solver(state: dict[str, Any], *, weights: str = "best") -> MetricSolver:
    """The network of a state. Raises ModelError when the weights do not fit the architecture."""
    return checkpoint.rebuilt(
        lambda: MetricSolver(MetricSolverConfig(**state["architecture"])), state[weights], "network"
    )


def _network(settings: MetricSolverSettings, state: dict[str, Any] | None) -> MetricSolver:
    """The network that a run goes on with, or begins with. Raises ConfigError or ModelError."""
    if state:
        return build_metric_solver(state, weights="network")
    config = MetricSolverConfig(settings.encoder, settings.focuses, heads=settings.heads, mask=settings.mask)
    if settings.start:
        before = load_metric_solver(settings.start)[0]
        if before.config != config:
            raise ConfigError(f"start: {settings.start} is {before.config}; needed {config}.")
        before.train()
        return before
    network = MetricSolver(config)
    if settings.weights:
        _begin_with(network, settings.weights)
    network.to(memory_format=torch.channels_last)
    return network


def _begin_with(network: MetricSolver, weights: str) -> None:
    """Takes over what stored weights hold. Raises ModelError when they are missing or do not fit."""
    if network.config.encoder == "tiny":
        tiny = TinyDepth()
        checkpoint.load_weights(tiny, weights)
        network.start_from(tiny.state_dict())
    else:
        from metric_depth_ros.learning.models.dinov2_weights import load_encoder

        load_encoder(network.encoder, weights)


def _check(settings: MetricSolverSettings, rank: Rank, resume: bool) -> None:
    """Raises ConfigError for settings that cannot be, InputError for a folder that cannot be written."""
    check_optimizer(settings.optimizer)
    multiple = 1 if settings.encoder == "tiny" else PATCH
    if min(settings.size) < 32 or any(side % multiple for side in settings.size):
        raise ConfigError(
            f"size: {settings.size[0]}x{settings.size[1]}; needed at least 32x32, multiples of {multiple}."
        )
    if settings.batch < 1 or settings.batch % rank.count:
        raise ConfigError(f"batch: {settings.batch}; needed a multiple of the {rank.count} processes.")
    if settings.threads < 0 or settings.seed < 0 or settings.look_every < 1:
        raise ConfigError(
            f"threads {settings.threads}, seed {settings.seed}, look_every {settings.look_every}; needed at "
            "least 0, 0 and 1."
        )
    if not 0 < settings.learning_rate < float("inf"):
        raise ConfigError(f"learning_rate: {settings.learning_rate}; needed a positive number.")
    if not is_pool(settings.focuses):
        raise ConfigError(f"focuses: {settings.focuses}; needed positive metres, rising.")
    if settings.heads not in ("one", "two"):
        raise ConfigError(f"heads: {settings.heads!r}; known are one, two.")
    if rank.count > 1 and settings.steps is None:
        raise ConfigError("minutes: several processes must stop at one step; needed steps or epochs.")
    check_budget(settings)
    check_folder(settings.out, resume=resume)
