"""Trains basis generators (paper 001, section 3.4) on cached outputs of a frozen depth network.

AdamW; the learning rate rises briefly and falls to zero at the end of the budget, in time or in steps. What
is validated and kept is a running average of the weights, the one with the lowest validation loss. A run can
be cut off and resumed; in steps, the result is the same to the bit.
"""

from __future__ import annotations

import copy
import dataclasses
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metric_depth_ros.errors import ConfigError
from metric_depth_ros.learning.models.basis_generator import BasisGenerator, BasisGeneratorConfig
from metric_depth_ros.learning.training import checkpoint
from metric_depth_ros.learning.training.basis.batch import BasisBatch, make_basis_batch
from metric_depth_ros.learning.training.basis.cache import BasisCache
from metric_depth_ros.learning.training.basis.draw import MIXED, REGIME_NAMES
from metric_depth_ros.learning.training.basis.losses import (
    WEIGHTS,
    Solved,
    anchor_loss,
    decorrelation_loss,
    dense_loss,
    gate_loss,
    solve_faithfully,
    solve_robustly,
    spread_loss,
)
from metric_depth_ros.learning.training.curves import Curves
from metric_depth_ros.learning.training.running import (
    build_adamw,
    check_budget,
    check_folder,
    check_same,
    descend,
    keep_average,
)
from metric_depth_ros.learning.training.settings import Progress, learning_rate

_LINE_EVERY_S = 20.0
_MOST_VALIDATION, _STATISTICS = 400, 256
_SPREAD_WEIGHT = 0.02
# The largest norm of the gradient.
_CLIP = 1.0
# Of the errors, so many should lie within one stated sigma.
_ONE_SIGMA = 0.683
# Settings that a resumed run shares with what it was.
_SAME = ("maps", "blind", "regime", "start", "batch", "learning_rate", "seed", "threads", "families")
_KEYS = frozenset(
    {
        "step", "elapsed_s", "settings", "architecture", "engine",
        "network", "average", "best", "best_loss", "optimizer",
    }
)  # fmt: skip
_SCORES = {"loss": "validation loss", "abs_rel": "AbsRel", "covered": "within 1 sigma"}


@dataclass(frozen=True)
class BasisSettings:
    """One run. What is learnt follows from these and the cache, if ``steps`` is given.

    Attributes:
        cache: folder that ``write_cache`` made.
        out: folder of the run.
        maps: K.
        blind: F = 0, the variant for networks without features.
        regime: "low", "medium", "high" (the paper's: exact anchors, its solve and its losses alone) or
            "mixed" (ours).
        start: folder of a run to fine-tune; None begins at random.
        minutes, steps: the budget, of time over all resumed parts, or in steps.
        families: train, validate and calibrate on these kinds of scenes only; empty is all.
        look_every: steps between validations.
    """

    cache: str
    out: str
    maps: int = 8
    blind: bool = False
    regime: str = MIXED
    start: str | None = None
    minutes: float | None = 60.0
    steps: int | None = None
    batch: int = 16
    learning_rate: float = 5e-3
    weight_decay: float = 1e-3
    average: float = 0.99
    seed: int = 0
    threads: int = 1
    families: tuple[str, ...] = ()
    look_every: int = 200


@dataclass(frozen=True)
class BasisScore:
    """Means over the validation pictures. ``covered``: the part of the errors within one stated sigma."""

    loss: float
    abs_rel: float
    covered: float


class BasisTrainer:
    """One training run, new or resumed."""

    def __init__(self, settings: BasisSettings, *, resume: bool = False) -> None:
        """Raises ConfigError, InputError or ModelError for what cannot be trained with or resumed from."""
        check_settings(settings, resume)
        self.settings = settings
        torch.set_num_threads(settings.threads)
        torch.manual_seed(settings.seed)
        self.cache = BasisCache(settings.cache)
        self._training, self._validation = self.cache.of_families(settings.families)
        state = checkpoint.load(settings.out, _KEYS) if resume else None
        if state:
            _check_same_run(settings, self.cache.info.sha256, state)
        self.network = self._network(state)
        self.average = copy.deepcopy(self.network).eval()
        self._best, self._best_loss = copy.deepcopy(self.network.state_dict()), float("inf")
        self._optimizer = build_adamw(self.network, settings.learning_rate, settings.weight_decay)
        spent = {"step": state["step"], "elapsed_s": state["elapsed_s"]} if state else {}
        self._progress = Progress(settings, **spent)
        if state:
            self.average.load_state_dict(state["average"])
            self._best, self._best_loss = state["best"], state["best_loss"]
            self._optimizer.load_state_dict(state["optimizer"])
        self._curves = Curves(settings.out, before_step=self._progress.step if resume else 0, scores=_SCORES)

    def run(self, *, until: int | None = None) -> None:
        """Trains to the end of the budget, or to step ``until``; leaves a checkpoint.

        A run that has come to its end stays what it is.
        """
        if self._progress.at(self._progress.step) >= 1:
            return
        spoken, losses, looked = time.monotonic(), [], -1
        with ThreadPoolExecutor(1, thread_name_prefix="loader") as pool:
            coming: deque[Future[BasisBatch]] = deque()
            ordered = self._progress.step
            while self._progress.at(self._progress.step) < 1 and self._progress.step != until:
                while len(coming) < 3:
                    coming.append(pool.submit(self._batch, ordered))
                    ordered += 1
                losses.append(self._step(coming.popleft().result()))
                now = time.monotonic()
                if now - spoken >= _LINE_EVERY_S:
                    self._say(losses, now - spoken)
                    losses, spoken = [], now
                if self._progress.step % self.settings.look_every == 0:
                    self._look()
                    looked = self._progress.step
                    if self._progress.at(looked) < 1:
                        self._save()
        if losses:
            self._say(losses, time.monotonic() - spoken)
        if looked != self._progress.step:
            self._look()
        if self._progress.at(self._progress.step) >= 1:
            self._calibrate()
        self._save()

    def _network(self, state: dict[str, Any] | None) -> BasisGenerator:
        if state:
            return build_generator(state, weights="network")
        if self.settings.start:
            before = checkpoint.load(self.settings.start, _KEYS)
            found = before["architecture"]["maps"]
            if before["engine"] != self.cache.info.sha256 or found != self.settings.maps:
                raise ConfigError(
                    f"start: {self.settings.start} has {found} maps, perhaps of another network; "
                    f"needed {self.settings.maps} for the same network."
                )
            return build_generator(before)
        channels = 0 if self.settings.blind else self.cache.info.channels
        network = BasisGenerator(BasisGeneratorConfig(maps=self.settings.maps, features=channels))
        if channels:
            some = self.cache.read(np.sort(self._training[:: max(1, len(self._training) // _STATISTICS)]))[0]
            network.mean.copy_(torch.from_numpy(some.mean((0, 2, 3))))
            network.deviation.copy_(torch.from_numpy(some.std((0, 2, 3)).clip(1e-3)))
        network.to(memory_format=torch.channels_last)
        return network

    def _batch(self, step: int) -> BasisBatch:
        rng = np.random.default_rng([self.settings.seed, step])
        index = np.sort(rng.choice(self._training, self.settings.batch))
        return make_basis_batch(self.cache, index, self.settings.regime, rng, blind=self.settings.blind)

    def _step(self, batch: BasisBatch) -> float:
        rate = learning_rate(self.settings, self._progress.at(self._progress.step))
        self.network.train()
        with torch.autocast("cpu", torch.bfloat16):
            outputs = outputs_at(self.network, batch)
        loss, _ = self._losses(batch, *outputs)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        descend(self.network, self._optimizer, rate, _CLIP)
        self._progress.step += 1
        keep_average(self.average, self.network, self._progress.step, self.settings.average)
        return float(loss.detach())

    def _losses(self, batch: BasisBatch, maps: Tensor, gates: Tensor, size: Tensor) -> tuple[Tensor, Solved]:
        """The overall loss (equation 28; ours adds that of the spread) and the solution."""
        known = batch.truth.isfinite() & (batch.anchor.sum(1, keepdim=True) > 0)
        mixed = self.settings.regime == MIXED
        if mixed:
            solved = solve_robustly(maps, batch.target, size.detach() ** 2 + batch.noise, batch.anchor)
        else:
            solved = solve_faithfully(maps, batch.target, batch.anchor)
        loss = dense_loss(solved.field, batch.truth, known, 0.1 if mixed else 1.0)
        # Wrong anchors are not to be met.
        right = (
            batch.anchor * (~known | ((batch.target - batch.truth).abs() < 0.15)) if mixed else batch.anchor
        )
        loss = loss + WEIGHTS["anchor"] * anchor_loss(solved.field, batch.target, right)
        loss = loss + WEIGHTS["decor"] * decorrelation_loss(maps) + WEIGHTS["gate"] * gate_loss(gates)
        if mixed:
            loss = loss + _SPREAD_WEIGHT * spread_loss(solved, size, batch.truth, known)
        return loss, solved

    def _look(self) -> None:
        """Validates, keeps the best and draws the curves."""
        score, _ = self._validate(self.average)
        self._curves.add_scores(self._progress.step, self._progress.elapsed_s, {self.settings.regime: score})
        print(
            f"        {self.settings.regime}: loss {score.loss:.4f}  AbsRel {score.abs_rel:.4f}  "
            f"within 1 sigma {score.covered:.2f}",
            flush=True,
        )
        if score.loss < self._best_loss:
            self._best, self._best_loss = copy.deepcopy(self.average.state_dict()), score.loss
        self._curves.draw()

    def _validate(self, network: BasisGenerator) -> tuple[BasisScore, float]:
        """On held-out pictures, always with the same anchors; and the median of |error| / spread."""
        losses, errors, ratios, inside = [], [], [], []
        for start in range(0, min(len(self._validation), _MOST_VALIDATION), self.settings.batch):
            index = self._validation[start : start + self.settings.batch]
            rng = np.random.default_rng([1, start])
            batch = make_basis_batch(self.cache, index, self.settings.regime, rng, blind=self.settings.blind)
            with torch.inference_mode():
                maps, gates, size = outputs_at(network, batch)
                loss, solved = self._losses(batch, maps, gates, size)
            known = batch.truth.isfinite() & (batch.anchor.sum(1, keepdim=True) > 0)
            error = solved.field - torch.where(known, batch.truth, solved.field)
            sigma = (solved.variance + size**2).sqrt()
            count = known.sum(1).clamp(min=1)
            losses.append(float(loss))
            errors += ((error.exp() - 1).abs().sum(1) / count).tolist()
            inside += (((error.abs() <= sigma) & known).sum(1) / count).tolist()
            ratios.append((error.abs() / sigma)[known][::17])
        ratio = float(torch.quantile(torch.cat(ratios)[:1_000_000], _ONE_SIGMA)) if ratios else 1.0
        score = BasisScore(float(np.mean(losses)), float(np.mean(errors)), float(np.mean(inside)))
        return score, ratio

    def _calibrate(self) -> None:
        """Scales the spread of the best weights so that 68 % of the held-out errors lie within one sigma."""
        best = copy.deepcopy(self.average)
        best.load_state_dict(self._best)
        for _ in range(4):
            best.gain *= self._validate(best)[1]
        self._best = best.state_dict()

    def _say(self, losses: Sequence[float], seconds: float) -> None:
        progress = self._progress.at(self._progress.step)
        rate, mean = len(losses) * self.settings.batch / seconds, sum(losses) / len(losses)
        self._curves.add_loss(self._progress.step, self._progress.elapsed_s, mean, rate)
        print(
            f"{progress:6.1%}  step {self._progress.step}  loss {mean:.4f}  {rate:.0f} images/s", flush=True
        )

    def _save(self) -> None:
        state = {
            "step": self._progress.step,
            "elapsed_s": self._progress.elapsed_s,
            "settings": dataclasses.asdict(self.settings),
            "architecture": dataclasses.asdict(self.network.config),
            "engine": self.cache.info.sha256,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "best": self._best,
            "best_loss": self._best_loss,
            "optimizer": self._optimizer.state_dict(),
        }
        checkpoint.save(self.settings.out, state)


def load_generator(run: str | Path) -> tuple[BasisGenerator, dict[str, Any]]:
    """The best generator of a run, and the run's state. Raises ModelError."""
    state = checkpoint.load(run, _KEYS)
    return build_generator(state).eval(), state


def build_generator(state: dict[str, Any], *, weights: str = "best") -> BasisGenerator:
    """The generator of a state. Raises ModelError when the weights do not fit the architecture."""
    return checkpoint.rebuilt(
        lambda: BasisGenerator(BasisGeneratorConfig(**state["architecture"])), state[weights], "generator"
    )


def outputs_at(network: BasisGenerator, batch: BasisBatch) -> tuple[Tensor, Tensor, Tensor]:
    """Maps E and gates (B, K, P), and spread (B, P), at the pixels of a batch."""
    shared = network.trunk(batch.features, batch.log_relative).flatten(2)
    shared = shared.gather(2, batch.pixel[:, None].expand(-1, shared.shape[1], -1))
    maps, gates, spread = network.maps(shared[:, :, None])
    return maps[:, :, 0], gates[:, :, 0], spread[:, 0, 0]


def _check_same_run(settings: BasisSettings, engine: str, state: dict[str, Any]) -> None:
    """Raises ConfigError for a run that is resumed with what it cannot go on with."""
    if state["engine"] != engine:
        raise ConfigError(
            f"cache: of network {engine[:12]}...; the run that is resumed has {state['engine'][:12]}.... "
            "Name the run's own cache, or begin anew."
        )
    check_same(settings, state["settings"], _SAME)


def check_settings(settings: BasisSettings, resume: bool) -> None:
    """Raises ConfigError for settings that cannot be, InputError for a folder that cannot be written."""
    if settings.regime not in REGIME_NAMES:
        raise ConfigError(f"regime: {settings.regime!r}; known are {', '.join(REGIME_NAMES)}.")
    if settings.maps < 2 or settings.batch < 1 or settings.threads < 1 or settings.seed < 0:
        raise ConfigError(
            f"maps {settings.maps}, batch {settings.batch}, threads {settings.threads}, "
            f"seed {settings.seed}; needed at least 2, 1, 1 and 0."
        )
    if settings.look_every < 1:
        raise ConfigError(f"look_every: {settings.look_every}; needed at least 1 step.")
    if not 0 < settings.learning_rate < float("inf"):
        raise ConfigError(f"learning_rate: {settings.learning_rate}; needed a positive number.")
    check_budget(settings)
    check_folder(settings.out, resume=resume)
