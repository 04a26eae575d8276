"""Trains Metric-Solver (paper 004, section 3.3) on datasets with depth.

Under torchrun every GPU processes a part of the batch.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from metric_depth_ros.errors import ConfigError
from metric_depth_ros.learning.models.metric_solver import DINO, PATCH, MetricSolver, MetricSolverConfig
from metric_depth_ros.learning.models.named_encoders import depth_network_with
from metric_depth_ros.learning.models.small_depth import SmallEncoder
from metric_depth_ros.learning.training import checkpoint
from metric_depth_ros.learning.training.augment import mirrored
from metric_depth_ros.learning.training.checks import check_run, check_same, choose_device
from metric_depth_ros.learning.training.loader import Batch, BatchJobs, Samples, Stream
from metric_depth_ros.learning.training.loop import Trainer
from metric_depth_ros.learning.training.metric_solver.losses import outputs_loss
from metric_depth_ros.learning.training.metric_solver.settings import MetricSolverSettings, draw_focus
from metric_depth_ros.learning.training.metric_solver.validation import SCORES, FocusScore, FocusValidation
from metric_depth_ros.learning.training.ranks import Rank, join_ranks, leave_ranks
from metric_depth_ros.learning.training.settings import grown_size
from metric_depth_ros.learning.training.workers import Workers, normalised, settle_threads
from metric_depth_ros.near_far import is_pool
from metric_depth_ros.types import FloatArray

# Settings that must not change when a run is resumed.
_SAME = (
    "encoder", "focuses", "heads", "mask", "canonical", "between", "size", "grows", "batch", "optimizer",
    "learning_rate", "frozen", "encoder_rate", "seed", "families",
)  # fmt: skip
# A stream of random numbers separate from that of the images.
_FOCUS = 7


@dataclass(frozen=True, eq=False)
class FocusedBatch(Batch):
    """Batch of images with one focus each, (B,) in metres."""

    focus_m: FloatArray


class MetricSolverTrainer(Trainer):
    """Training run of Metric-Solver; a random focus is drawn for every image."""

    scores = SCORES
    settings: MetricSolverSettings
    network: MetricSolver
    average: MetricSolver

    def __init__(self, settings: MetricSolverSettings, *, resume: bool = False) -> None:
        """Raises ConfigError, InputError or ModelError if settings, data or checkpoint cannot be used."""
        self._device = choose_device(settings.device)
        rank = join_ranks(self._device)
        _check(settings, rank, resume)
        self._parts = settle_threads(self._device, rank, settings.threads, settings.batch)
        torch.manual_seed(settings.seed)
        self._samples = Samples(settings.data, families=settings.families, canonical=settings.canonical)
        state = checkpoint.load(settings.out) if resume else None
        if state:
            check_same(settings, state["settings"], _SAME)
        network = _network(settings, state).to(self._device)
        begun = state["settings"] if state else dataclasses.asdict(settings)
        good = (begun["weights"] or begun["start"]) and isinstance(network.encoder, SmallEncoder)
        published = network.encoder.backbone if good else None
        super().__init__(settings, network, state, threads=self._parts, rank=rank, pretrained=published)
        self._workers = Workers(network, self._objective, self._parts, rank)
        if rank.first:
            self._validation = FocusValidation(self._samples, settings.size, settings.focuses)

    def close(self) -> None:
        """Stops the threads, and disconnects from the other processes."""
        self._workers.close()
        super().close()
        leave_ranks()

    def _unfrozen(self) -> None:
        self._workers.renew()

    def _batches(self, first: int) -> Stream[Batch]:
        count = self.rank.count
        jobs = BatchJobs(
            self._samples,
            self._size,
            batch=self.settings.batch // count,
            parts=self._parts,
            seed=self.settings.seed * count + self.rank.number,
            reframe=mirrored,
        )
        threads = 2 if self._device == "cpu" else max(2, (os.cpu_count() or 2) // count - 1)
        return Stream(jobs, first=first, threads=threads)

    def _size(self, step: int, _: np.random.Generator) -> tuple[int, int]:
        size = self.settings.size
        return grown_size(size, self.progress.at(step)) if self.settings.grows else size

    def _backward(self, batch: Sequence[Batch]) -> float:
        rng = np.random.default_rng([self.settings.seed, self.progress.step, _FOCUS, self.rank.number])
        pool, between = self.settings.focuses, self.settings.between
        drawn = [draw_focus(pool, len(part.image), rng, between) for part in batch]
        return self._workers.backward(
            [FocusedBatch(p.image, p.depth, focus_m) for p, focus_m in zip(batch, drawn, strict=True)]
        )

    def _validated(self) -> tuple[Mapping[str, FocusScore], float | None]:
        scores = self._validation.scores(self.average)
        return scores, float(np.mean([found.loss for found in scores.values()])) if scores else None

    def _objective(self, network: nn.Module, batch: FocusedBatch) -> Tensor:
        image = normalised(batch.image, self._device)
        focus_m = torch.from_numpy(batch.focus_m).to(self._device)
        with torch.autocast(self._device, torch.bfloat16):
            outputs = network(image, focus_m)
        return outputs_loss(self.network, outputs, batch.depth, focus_m)


def load_metric_solver(run: str | Path) -> tuple[MetricSolver, dict[str, Any]]:
    """Best network of a run, in eval mode, and the run's state. Raises ModelError."""
    state = checkpoint.load(run)
    return build_metric_solver(state).eval(), state


def build_metric_solver(state: dict[str, Any], *, weights: str = "best") -> MetricSolver:
    """Network from a state. Raises ModelError if the weights do not fit the architecture."""
    return checkpoint.rebuilt(
        lambda: MetricSolver(MetricSolverConfig(**state["architecture"])), state[weights], "network"
    )


def _network(settings: MetricSolverSettings, state: dict[str, Any] | None) -> MetricSolver:
    """Network with which a run continues or starts. Raises ConfigError or ModelError."""
    if state:
        return build_metric_solver(state, weights="network")
    config = MetricSolverConfig(
        settings.encoder,
        settings.focuses,
        heads=settings.heads,
        mask=settings.mask,
        canonical=settings.canonical,
    )
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
    """Loads initial weights into the network. Raises ModelError if they are missing or do not fit."""
    encoder = network.config.encoder
    if encoder not in DINO:
        depth = depth_network_with(encoder)
        checkpoint.load_weights(depth, weights)
        network.start_from(depth.state_dict())
    else:
        from metric_depth_ros.learning.models.dinov2_weights import load_encoder

        load_encoder(network.encoder, weights)


def _check(settings: MetricSolverSettings, rank: Rank, resume: bool) -> None:
    """Raises ConfigError for invalid settings, InputError for a folder that cannot be written."""
    multiple = PATCH if settings.encoder in DINO else 1
    if min(settings.size) < 32 or any(side % multiple for side in settings.size):
        raise ConfigError(
            f"size: {settings.size[0]}x{settings.size[1]}; needed at least 32x32, multiples of {multiple}."
        )
    if settings.batch % rank.count:
        raise ConfigError(f"batch: {settings.batch}; needed a multiple of the {rank.count} processes.")
    if not is_pool(settings.focuses):
        raise ConfigError(f"focuses: {settings.focuses}; needed positive metres, rising.")
    if not 0 <= settings.between <= 1:
        raise ConfigError(f"between: {settings.between}; needed 0 to 1.")
    if settings.heads not in ("one", "two"):
        raise ConfigError(f"heads: {settings.heads!r}; known are one, two.")
    if rank.count > 1 and settings.steps is None:
        raise ConfigError("minutes: several processes must stop at one step; needed steps or epochs.")
    check_run(settings, resume=resume)
