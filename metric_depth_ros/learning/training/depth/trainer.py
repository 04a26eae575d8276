"""Trains the small depth network on synthetic shards.

Muon or AdamW; the learning rate rises briefly and falls to zero at the end of the budget, in time or in
steps. Pictures grow with progress. What is kept is a running average of the weights. A run can be cut off at
any moment and resumed; in steps, and on unchanging data, the result is the same to the bit.
"""

from __future__ import annotations

import copy
import dataclasses
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import torch
from torch import Tensor, nn

from metric_depth_ros.errors import ConfigError
from metric_depth_ros.learning.models.tiny_depth import TinyDepth, TinyDepthConfig
from metric_depth_ros.learning.training import checkpoint
from metric_depth_ros.learning.training.curves import Curves
from metric_depth_ros.learning.training.depth.losses import LOSSES, resized_like
from metric_depth_ros.learning.training.depth.validation import Validation, predictor
from metric_depth_ros.learning.training.loader import Batch, BatchStream, Samples
from metric_depth_ros.learning.training.muon import Muon
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
from metric_depth_ros.learning.training.settings import Progress, TrainingSettings, draw_size, learning_rate
from metric_depth_ros.learning.training.workers import Workers, normalised

_LINE_EVERY_S = 15.0
# Settings that a resumed run shares with what it was.
_SAME = ("loss", "optimizer", "size", "batch", "seed", "families")


class Trainer:
    """One training run, new or resumed."""

    def __init__(self, settings: TrainingSettings, *, resume: bool = False) -> None:
        """Raises ConfigError, InputError or ModelError for what cannot be trained with or resumed from."""
        _check(settings, resume)
        self.settings = settings
        self._device = choose_device(settings.device)
        parts = 1 if self._device == "cuda" else settings.threads or os.cpu_count() or 1
        self._parts = min(parts, settings.batch)
        if self._device == "cpu":
            torch.set_num_threads(1 if self._parts > 1 else parts)
            torch.set_flush_denormal(True)
        cv2.setNumThreads(1)
        torch.manual_seed(settings.seed)
        loss, output = LOSSES[settings.loss]
        self._samples = Samples(settings.data, families=settings.families)
        state = checkpoint.load(settings.out) if resume else None
        if state:
            check_same(settings, state["settings"], _SAME)
        self.network = (
            checkpoint.build_network(state, weights="network")
            if state
            else TinyDepth(TinyDepthConfig(output=output)).to(memory_format=torch.channels_last)
        ).to(self._device)
        if settings.start and not state:
            checkpoint.load_weights(self.network, settings.start)
        self.average = copy.deepcopy(self.network).eval()
        self._optimizer = build_optimizer(self.network, settings, self._parts)
        spent = {"step": state["step"], "elapsed_s": state["elapsed_s"]} if state else {}
        self._progress = Progress(settings, **spent)
        if state:
            self.average.load_state_dict(state["average"])
            self._optimizer.load_state_dict(state["optimizer"])
        self._workers = Workers(self.network, partial(_mean_loss, loss), self._parts)
        self._validation = Validation(self._samples, settings.real)
        self._curves = Curves(settings.out, before_step=self._progress.step if resume else 0)

    def run(self, *, until: int | None = None) -> None:
        """Trains to the end of the budget, or to step ``until``; leaves a checkpoint.

        Raises:
            InputError: a shard is damaged.
        """
        batches = BatchStream(
            self._samples,
            lambda step, rng: draw_size(self.settings.size, self._progress.at(step), rng),
            batch=self.settings.batch,
            parts=self._parts,
            seed=self.settings.seed,
            first=self._progress.step,
            threads=2 if self._device == "cpu" else max(2, (os.cpu_count() or 2) - 1),
        )
        spoken = looked = time.monotonic()
        losses: list[float] = []
        try:
            while self._progress.at(self._progress.step) < 1 and self._progress.step != until:
                losses.append(self._step(next(batches)))
                now = time.monotonic()
                if now - spoken >= _LINE_EVERY_S:
                    self._say(losses, now - spoken)
                    losses, spoken = [], now
                if now - looked >= self.settings.look_every:
                    self._look()
                    looked = time.monotonic()
        except KeyboardInterrupt:
            self._save()
            raise
        finally:
            batches.close()
        if losses:
            self._say(losses, time.monotonic() - spoken)
        self._look()

    def close(self) -> None:
        """Ends the threads."""
        self._workers.close()
        if isinstance(self._optimizer, Muon):
            self._optimizer.close()

    def _step(self, parts: list[Any]) -> float:
        rate = learning_rate(self.settings, self._progress.at(self._progress.step))
        loss = self._workers.backward(parts)
        descend(self.network, self._optimizer, rate, self.settings.clip)
        self._progress.step += 1
        keep_average(self.average, self.network, self._progress.step, self.settings.average)
        return loss

    def _say(self, losses: list[float], seconds: float) -> None:
        progress = self._progress.at(self._progress.step)
        rate = len(losses) * self.settings.batch / seconds
        mean = sum(losses) / len(losses)
        self._curves.add_loss(self._progress.step, self._progress.elapsed_s, mean, rate)
        print(
            f"{progress:6.1%}  step {self._progress.step}  loss {mean:.4f}  {rate:.0f} images/s  "
            f"of {len(self._samples)} samples",
            flush=True,
        )

    def _look(self) -> None:
        """Validates, writes the checkpoint and draws the curves."""
        scores = self._validation.scores(predictor(self.average, self.settings.size))
        self._curves.add_scores(self._progress.step, self._progress.elapsed_s, scores)
        for place, found in scores.items():
            print(f"        {place}: rank {found.rank:.3f}  AbsRel {found.abs_rel:.3f}", flush=True)
        self._save()
        self._curves.draw()

    def _save(self) -> None:
        state = {
            "step": self._progress.step,
            "elapsed_s": self._progress.elapsed_s,
            "settings": dataclasses.asdict(self.settings),
            "architecture": checkpoint.architecture(self.network),
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }
        checkpoint.save(self.settings.out, state)


def _mean_loss(loss: Callable[[Tensor, Tensor], Tensor], network: nn.Module, batch: Batch) -> Tensor:
    image = normalised(batch.image, next(network.parameters()).device)
    depth = torch.from_numpy(batch.depth).to(image.device, non_blocking=True)[:, None]
    with torch.autocast(image.device.type, torch.bfloat16):
        value, _ = network(image)
    return loss(resized_like(value, depth), depth)


def _check(settings: TrainingSettings, resume: bool) -> None:
    if settings.loss not in LOSSES:
        raise ConfigError(f"loss: {settings.loss!r}; known are {', '.join(LOSSES)}.")
    check_optimizer(settings.optimizer)
    if settings.batch < 1 or min(settings.size) < 32:
        raise ConfigError(
            f"batch {settings.batch}, size {settings.size[0]}x{settings.size[1]}; needed at least 1, 32x32."
        )
    if settings.threads < 0 or settings.seed < 0:
        raise ConfigError(f"threads {settings.threads}, seed {settings.seed}; needed 0 or more.")
    check_budget(settings)
    check_folder(settings.out, resume=resume)
