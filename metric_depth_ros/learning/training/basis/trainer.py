"""Trains basis generators (paper 001, section 3.4) on cached outputs of a frozen depth network."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
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
from metric_depth_ros.learning.training.basis.draw import MIXED
from metric_depth_ros.learning.training.basis.losses import (
    WEIGHTS,
    Solved,
    anchor_loss,
    decorrelation_loss,
    dense_loss,
    gate_loss,
    misfit_loss,
    solve_faithfully,
    solve_robustly,
    without_outliers,
)
from metric_depth_ros.learning.training.basis.settings import BasisSettings, check_settings
from metric_depth_ros.learning.training.checks import check_same, choose_device
from metric_depth_ros.learning.training.loader import Stream
from metric_depth_ros.learning.training.loop import Trainer
from metric_depth_ros.types import IntArray

# Most images to validate on, and images from which the features' mean and deviation are computed.
_MOST_VALIDATION = 400
_STATISTICS = 256
_MISFIT_WEIGHT = 0.02
# Fraction of the errors that should be within one stated sigma.
_ONE_SIGMA = 0.683
# A stream of random numbers separate from that of the anchors.
_ORDER = 3
# Settings that must not change when a run is resumed.
_SAME = (
    "maps", "blind", "regime", "start", "batch", "learning_rate", "average", "gate_sum", "seed", "threads",
    "families",
)  # fmt: skip
_SCORES = {"loss": "validation loss", "abs_rel": "AbsRel", "covered": "within 1 sigma"}


@dataclass(frozen=True)
class BasisScore:
    """Means over the validation images. ``covered``: fraction of the errors within one stated sigma."""

    loss: float
    abs_rel: float
    covered: float


class BasisTrainer(Trainer):
    """Training run of a basis generator. At its end the spread of the best weights is calibrated."""

    scores = _SCORES
    settings: BasisSettings
    network: BasisGenerator
    average: BasisGenerator

    def __init__(self, settings: BasisSettings, *, resume: bool = False) -> None:
        """Raises ConfigError, InputError or ModelError if settings, data or checkpoint cannot be used."""
        check_settings(settings, resume)
        self.settings, self._device = settings, choose_device(settings.device)
        torch.set_num_threads(settings.threads)
        torch.manual_seed(settings.seed)
        self.cache = BasisCache(settings.cache)
        self._training, self._validation = self.cache.of_families(settings.families)
        state = checkpoint.load(settings.out) if resume else None
        if state:
            _check_same_run(settings, self.cache.info.sha256, state)
        super().__init__(settings, self._network(state).to(self._device), state)

    def _batches(self, first: int) -> Stream[BasisBatch]:
        return Stream(lambda step: [partial(self._batch, step)], first=first, threads=1)

    def _backward(self, batch: list[BasisBatch]) -> float:
        self.network.train()
        part = batch[0].to(self._device)
        with torch.autocast(self._device, torch.bfloat16):
            outputs = outputs_at(self.network, part)
        loss, _ = self._losses(part, *outputs)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        return float(loss.detach())

    def _validated(self) -> tuple[Mapping[str, BasisScore], float]:
        score, _ = self._validate(self.average)
        return {self.settings.regime: score}, score.loss

    def _about(self) -> dict[str, Any]:
        return {"engine": self.cache.info.sha256}

    def _network(self, state: dict[str, Any] | None) -> BasisGenerator:
        if state:
            return build_generator(state, weights="network")
        if self.settings.start:
            before = checkpoint.load(self.settings.start)
            found = before["architecture"]["maps"]
            if before["about"].get("engine") != self.cache.info.sha256 or found != self.settings.maps:
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
        index = np.sort(self._training[self._turns(step)])
        return make_basis_batch(self.cache, index, self.settings.regime, rng, blind=self.settings.blind)

    def _turns(self, step: int) -> IntArray:
        """Places (batch,) in the training images: each image once an epoch, in the epoch's own order."""
        count, size = len(self._training), self.settings.batch
        epochs, places = np.divmod(np.arange(step * size, (step + 1) * size), count)
        orders = {
            epoch: np.random.default_rng([self.settings.seed, epoch, _ORDER]).permutation(count)
            for epoch in np.unique(epochs).tolist()
        }
        return np.array([orders[epoch][place] for epoch, place in zip(epochs.tolist(), places, strict=True)])

    def _losses(self, batch: BasisBatch, maps: Tensor, gates: Tensor, size: Tensor) -> tuple[Tensor, Solved]:
        """Overall loss (equation 28; ours adds the misfit loss) and the solution."""
        known = batch.truth.isfinite() & (batch.anchor.sum(1, keepdim=True) > 0)
        mixed = self.settings.regime == MIXED
        if mixed:
            solved = solve_robustly(maps, batch.target, size.detach() ** 2 + batch.noise, batch.anchor)
        else:
            solved = solve_faithfully(maps, batch.target, batch.anchor)
        loss = dense_loss(solved.field, batch.truth, known, 0.1 if mixed else 1.0)
        right = without_outliers(batch.anchor, batch.target, batch.truth, known) if mixed else batch.anchor
        loss = loss + WEIGHTS["anchor"] * anchor_loss(solved.field, batch.target, right)
        pixels = batch.log_relative[0].numel() if self.settings.gate_sum else 1
        loss = loss + WEIGHTS["decor"] * decorrelation_loss(maps) + WEIGHTS["gate"] * gate_loss(gates, pixels)
        if mixed:
            loss = loss + _MISFIT_WEIGHT * misfit_loss(solved, size, batch.truth, known)
        return loss, solved

    def _validate(self, network: BasisGenerator) -> tuple[BasisScore, float]:
        """Scores on held-out images, always with the same anchors, and the median of |error| / sigma."""
        losses, errors, ratios, inside = [], [], [], []
        for start in range(0, min(len(self._validation), _MOST_VALIDATION), self.settings.batch):
            index = self._validation[start : start + self.settings.batch]
            rng = np.random.default_rng([1, start])
            batch = make_basis_batch(self.cache, index, self.settings.regime, rng, blind=self.settings.blind)
            batch = batch.to(self._device)
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

    def _finish(self) -> None:
        """Scales the spread of the best weights so that 68 % of the held-out errors lie within one sigma."""
        best = copy.deepcopy(self.average)
        best.load_state_dict(self.best)
        for _ in range(4):
            best.gain *= self._validate(best)[1]
        self._best = best.state_dict()


def load_generator(run: str | Path) -> tuple[BasisGenerator, dict[str, Any]]:
    """Best generator of a run, and the run's state. Raises ModelError."""
    state = checkpoint.load(run)
    return build_generator(state).eval(), state


def build_generator(state: dict[str, Any], *, weights: str = "best") -> BasisGenerator:
    """Generator from a state. Raises ModelError if the weights do not fit the architecture."""
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
    """Raises ConfigError if a run is resumed with other settings or another network."""
    before = str(state["about"].get("engine"))
    if before != engine:
        raise ConfigError(
            f"cache: of network {engine[:12]}...; the run that is resumed has {before[:12]}.... "
            "Name the run's own cache, or begin anew."
        )
    check_same(settings, state["settings"], _SAME)
