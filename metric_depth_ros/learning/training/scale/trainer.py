"""Trains scale networks (paper 002, algorithm 2) on the best scales of pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from metric_depth_ros.learning.models.scale_network import ScaleNetwork, ScaleNetworkConfig
from metric_depth_ros.learning.training import checkpoint
from metric_depth_ros.learning.training.augment import relit, stretched
from metric_depth_ros.learning.training.checks import check_same, choose_device
from metric_depth_ros.learning.training.chosen import check_same_about
from metric_depth_ros.learning.training.loader import Stream, evenly
from metric_depth_ros.learning.training.loop import Trainer
from metric_depth_ros.learning.training.ranks import Rank
from metric_depth_ros.learning.training.scale.settings import ScaleSettings, check_settings
from metric_depth_ros.learning.training.scale.targets import ScaleTargets
from metric_depth_ros.learning.training.workers import Workers, normalised, settle_threads
from metric_depth_ros.types import FloatArray, ImageArray, IntArray

# Settings that must not change when a run is resumed.
_SAME = (
    "filtered", "encoder", "size", "batch", "learning_rate", "halved_every", "frozen", "encoder_rate", "seed",
    "families",
)  # fmt: skip
# Most images to validate on, and how many at once.
_MOST, _TOGETHER = 600, 32


@dataclass(frozen=True)
class ScaleScore:
    """Scores on validation pictures.

    Attributes:
        loss: mean squared error of the log factor (equation 2).
        mae, rmse: of the factor itself (table I).
    """

    loss: float
    mae: float
    rmse: float


@dataclass(frozen=True, eq=False)
class ScaleBatch:
    """Batch: image (B, H, W, 3) uint8 RGB, and the logarithm of its best scale (B,) float32."""

    image: ImageArray
    log_scale: FloatArray


class ScaleTrainer(Trainer):
    """Training run of a scale network. The averaged weights with the lowest validation loss are kept."""

    scores: ClassVar = {"loss": "validation loss", "mae": "MAE of the factor", "rmse": "RMSE of the factor"}
    settings: ScaleSettings
    network: ScaleNetwork
    average: ScaleNetwork

    def __init__(self, settings: ScaleSettings, *, resume: bool = False) -> None:
        """Raises ConfigError, InputError or ModelError if settings, data or checkpoint cannot be used."""
        check_settings(settings, resume)
        self.targets = ScaleTargets(settings.targets, filtered=settings.filtered, families=settings.families)
        device = choose_device(settings.device)
        self._parts = settle_threads(device, Rank(), settings.threads, settings.batch)
        torch.manual_seed(settings.seed)
        state = checkpoint.load(settings.out) if resume else None
        if state:
            _check_same_run(settings, self.targets, state)
        network = self._network(settings, state).to(device)
        begun = state["settings"] if state else asdict(settings)
        pretrained = network.encoder if begun["weights"] else None
        self._sigma: float | None = state["about"]["sigma"] if state else None
        super().__init__(settings, network, state, threads=self._parts, pretrained=pretrained)
        self._workers: Workers[ScaleBatch] = Workers(network, partial(_objective, device=device), self._parts)

    def close(self) -> None:
        """Stops the threads."""
        self._workers.close()
        super().close()

    def _unfrozen(self) -> None:
        self._workers.renew()

    def _rate(self, progress: float) -> float:
        """Halved every few epochs."""
        epoch = self.progress.step * self.settings.batch / len(self.targets.training)
        return float(self.settings.learning_rate * 0.5 ** (epoch // self.settings.halved_every))

    def _batches(self, first: int) -> Stream[ScaleBatch]:
        return Stream(self._jobs, first=first, threads=2)

    def _jobs(self, step: int) -> list[partial[ScaleBatch]]:
        rng = np.random.default_rng([self.settings.seed, step])
        chosen = rng.choice(self.targets.training, self.settings.batch)
        parts = np.array_split(chosen, self._parts)
        return [partial(self._batch, index, (step, part)) for part, index in enumerate(parts)]

    def _batch(self, index: IntArray, seed: tuple[int, int]) -> ScaleBatch:
        """Pictures in other light, half of them mirrored: neither changes their scale."""
        rng = np.random.default_rng([self.settings.seed, *seed])
        images: list[ImageArray] = []
        for number in index.tolist():
            image = self.targets.image(number)
            image = stretched(image[:, ::-1] if rng.random() < 0.5 else image, self.settings.size)
            images.append(relit(image, images[-1] if images else image, rng))
        return ScaleBatch(np.stack(images), self.targets.log_scale[index])

    def _backward(self, batch: Sequence[ScaleBatch]) -> float:
        self.network.train()
        return self._workers.backward(batch)

    def _validated(self) -> tuple[Mapping[str, ScaleScore], float]:
        """Scores on held-out pictures and, to compare, on pictures of training."""
        held_out, trained = map(self._score, (self.targets.validation, self.targets.training))
        if held_out.loss < self._best_loss:
            self._sigma = self._score(self.targets.held_out).loss ** 0.5
        return {"held out": held_out, "training": trained}, held_out.loss

    def _score(self, index: IntArray) -> ScaleScore:
        return score_of(self.average, self.targets, index, self.settings.size)

    def _about(self) -> dict[str, Any]:
        """What the targets are of, and the deviation of the log factor on all held-out pictures."""
        return {"targets": asdict(self.targets.about), "sigma": self._sigma}

    def _network(self, settings: ScaleSettings, state: dict[str, Any] | None) -> ScaleNetwork:
        """Network with which a run continues or starts."""
        if state:
            return build_scale_network(state, weights="network")
        canonical = self.targets.about.canonical
        network = ScaleNetwork(ScaleNetworkConfig(settings.encoder, canonical=canonical))
        # The output starts at the mean, which is all that a picture's scale is without the picture.
        nn.init.constant_(network.layers[-1].bias, float(self.targets.log_scale.mean()))
        if settings.weights:
            checkpoint.load_depth_encoder(network.encoder, settings.encoder, settings.weights)
        network.to(memory_format=torch.channels_last)
        return network


def _objective(network: nn.Module, batch: ScaleBatch, device: str = "cpu") -> Tensor:
    with torch.autocast(device, torch.bfloat16):
        found = network(normalised(batch.image, device))
    return functional.mse_loss(found.float(), torch.from_numpy(batch.log_scale).to(device))


def score_of(
    network: ScaleNetwork, targets: ScaleTargets, index: IntArray, size: tuple[int, int]
) -> ScaleScore:
    """Scores on up to 600 of the pictures, evenly. Raises InputError if one is damaged."""
    index = index[evenly(len(index), _MOST)]
    found = log_scales(network, (targets.image(int(number)) for number in index), size)
    wanted = targets.log_scale[index]
    apart = np.exp(found) - np.exp(wanted)
    loss = float(np.square(found - wanted).mean())
    return ScaleScore(loss, float(np.abs(apart).mean()), float(np.sqrt(np.square(apart).mean())))


def log_scales(network: ScaleNetwork, images: Iterable[ImageArray], size: tuple[int, int]) -> FloatArray:
    """Estimated log factors (N,) of images, stretched to ``size`` (width, height)."""
    small = np.stack([stretched(image, size) for image in images])
    device = next(network.parameters()).device
    with torch.inference_mode():
        parts = [network(normalised(part, device)).cpu().numpy() for part in _split(small)]
    return np.concatenate(parts)


def _split(images: ImageArray) -> Iterator[ImageArray]:
    yield from (images[begin : begin + _TOGETHER] for begin in range(0, len(images), _TOGETHER))


def load_scale_network(run: str | Path) -> tuple[ScaleNetwork, dict[str, Any]]:
    """Best network of a run, in eval mode, and the run's state. Raises ModelError."""
    state = checkpoint.load(run)
    return build_scale_network(state).eval(), state


def build_scale_network(state: dict[str, Any], *, weights: str = "best") -> ScaleNetwork:
    """Network from a state. Raises ModelError if the weights do not fit the architecture."""
    return checkpoint.rebuilt(
        lambda: ScaleNetwork(ScaleNetworkConfig(**state["architecture"])), state[weights], "network"
    )


def _check_same_run(settings: ScaleSettings, targets: ScaleTargets, state: dict[str, Any]) -> None:
    """Raises ConfigError if a run is resumed with other settings or other targets."""
    names = ("engine", "metric", "canonical", "digest")
    check_same_about("targets", targets.about, state["about"]["targets"], names)
    check_same(settings, state["settings"], _SAME)
