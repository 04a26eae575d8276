"""Trains a depth network on images whose size grows with progress."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from metric_depth_ros.errors import ConfigError
from metric_depth_ros.learning.models.depth_network import check_size
from metric_depth_ros.learning.models.efficientnet_lite import SIZES
from metric_depth_ros.learning.models.own_depth import (
    NETWORKS,
    build_depth,
    check_own_size,
    imported_networks,
)
from metric_depth_ros.learning.models.pyramid import PyramidDepth
from metric_depth_ros.learning.models.small_depth import SmallDepth, SmallDepthConfig
from metric_depth_ros.learning.models.tiny_depth import TinyDepth, TinyDepthConfig
from metric_depth_ros.learning.training import checkpoint
from metric_depth_ros.learning.training.checks import check_run, check_same, choose_device
from metric_depth_ros.learning.training.depth.losses import LOSSES, resized_like
from metric_depth_ros.learning.training.depth.settings import DepthSettings, draw_size
from metric_depth_ros.learning.training.depth.validation import SCORES, Validation, predictor
from metric_depth_ros.learning.training.loader import Batch, BatchJobs, Samples, Stream
from metric_depth_ros.learning.training.loop import Trainer
from metric_depth_ros.learning.training.workers import Workers, normalised

if TYPE_CHECKING:
    from metric_depth_ros.learning.models.imported_depth import ImportedDepth

# Settings that must not change when a run is resumed.
_SAME = (
    "network", "encoder", "pretrained", "frozen", "encoder_rate", "loss", "optimizer", "learning_rate",
    "size", "batch", "seed", "families",
)  # fmt: skip


class DepthTrainer(Trainer):
    """Training run of a depth network. Keeps the newest average: validation gives no loss."""

    scores = SCORES
    settings: DepthSettings
    network: PyramidDepth | ImportedDepth
    average: PyramidDepth | ImportedDepth

    def __init__(self, settings: DepthSettings, *, resume: bool = False) -> None:
        """Raises ConfigError, InputError or ModelError if settings, data or checkpoint cannot be used."""
        _check(settings, resume)
        device = choose_device(settings.device)
        parts = 1 if device == "cuda" else settings.threads or os.cpu_count() or 1
        self._parts = min(parts, settings.batch)
        if device == "cpu":
            torch.set_num_threads(1 if self._parts > 1 else parts)
            torch.set_flush_denormal(True)
        cv2.setNumThreads(1)
        torch.manual_seed(settings.seed)
        self._samples = Samples(settings.data, families=settings.families)
        state = checkpoint.load(settings.out) if resume else None
        if state:
            check_same(settings, state["settings"], _SAME)
            network = build_depth_network(state, weights="network")
        else:
            network = _new_network(settings).to(memory_format=torch.channels_last)
        network.to(device)
        self._imported = not isinstance(network, PyramidDepth)
        published = None
        if self._imported:
            _check_imported(settings, network.facts.multiple_of)
        else:
            if settings.start and not state:
                checkpoint.load_weights(network, settings.start)
            if not state:
                check_own_size(settings.size)
            published = network.encoder.backbone if _begins_published(settings) else None
        super().__init__(settings, network, state, threads=self._parts, pretrained=published)
        self._loader_threads = 2 if device == "cpu" else max(2, (os.cpu_count() or 2) - 1)
        self._workers = Workers(network, partial(mean_loss, LOSSES[settings.loss][0]), self._parts)
        self._validation = Validation(self._samples, settings.real)

    def close(self) -> None:
        """Stops the threads."""
        self._workers.close()
        super().close()

    def _batches(self, first: int) -> Stream[Batch]:
        jobs = BatchJobs(
            self._samples, self._size, batch=self.settings.batch, parts=self._parts, seed=self.settings.seed
        )
        return Stream(jobs, first=first, threads=self._loader_threads)

    def _size(self, step: int, rng: np.random.Generator) -> tuple[int, int]:
        if self._imported:
            return self.settings.size
        return draw_size(self.settings.size, self.progress.at(step), rng)

    def _backward(self, batch: list[Batch]) -> float:
        return self._workers.backward(batch)

    def _unfrozen(self) -> None:
        self._workers.renew()

    def _validated(self) -> tuple[Mapping[str, Any], None]:
        return self._validation.scores(predictor(self.average, self.settings.size)), None


def mean_loss(loss: Callable[[Tensor, Tensor], Tensor], network: nn.Module, batch: Batch) -> Tensor:
    """Loss of a network on a batch, scalar."""
    image = normalised(batch.image, next(network.parameters()).device)
    depth = torch.from_numpy(batch.depth).to(image.device, non_blocking=True)[:, None]
    with torch.autocast(image.device.type, torch.bfloat16):
        value, _ = network(image)
    return loss(resized_like(value, depth), depth)


def load_depth_network(run: str | Path) -> tuple[PyramidDepth | ImportedDepth, dict[str, Any]]:
    """Network of a run, in eval mode, and the run's state. Raises ModelError."""
    state = checkpoint.load(run)
    return build_depth_network(state).eval(), state


def build_depth_network(state: dict[str, Any], *, weights: str = "best") -> PyramidDepth | ImportedDepth:
    """Network from a state. Raises ModelError if the weights do not fit the architecture."""
    return checkpoint.rebuilt(lambda: build_depth(state["architecture"]), state[weights], "network")


def _new_network(settings: DepthSettings) -> PyramidDepth | ImportedDepth:
    """Network with which a run starts. Raises ModelError if published weights are missing."""
    if settings.imports:
        network: ImportedDepth = imported_networks().import_depth(settings.start or "")
        return network
    _, output = LOSSES[settings.loss]
    if settings.network == "tiny":
        return TinyDepth(TinyDepthConfig(output=output))
    published = _begins_published(settings) and not settings.start
    return SmallDepth(SmallDepthConfig(output=output, encoder=settings.encoder), pretrained=published)


def _begins_published(settings: DepthSettings) -> bool:
    """Whether a part of the network has weights that are kept at first."""
    return settings.network == "small" and settings.pretrained


def _check_imported(settings: DepthSettings, step: int) -> None:
    """Raises ConfigError if size or loss do not fit an imported network, whose sides ``step`` divides."""
    check_size(settings.size, str(settings.start), step=step, least=step)
    if settings.loss != "trimmed":  # the only one that does not care for the scale of the output
        raise ConfigError(f"loss: {settings.loss!r}; an imported network needs trimmed.")


def _check(settings: DepthSettings, resume: bool) -> None:
    if settings.network not in NETWORKS:
        raise ConfigError(f"network: {settings.network!r}; known are {', '.join(NETWORKS)}.")
    if settings.encoder not in SIZES:
        raise ConfigError(f"encoder: {settings.encoder!r}; known are {', '.join(SIZES)}.")
    if settings.loss not in LOSSES:
        raise ConfigError(f"loss: {settings.loss!r}; known are {', '.join(LOSSES)}.")
    check_run(settings, resume=resume)
