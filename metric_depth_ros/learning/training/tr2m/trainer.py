"""Trains TR2M (paper 003, section 3.4) on examples.

Under torchrun every GPU processes a part of the batch.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from metric_depth_ros.evaluation.metrics import abs_rel, delta
from metric_depth_ros.learning.models.metric_solver import DINO, DinoEncoder
from metric_depth_ros.learning.models.tr2m import PAPER, TR2M, TR2MConfig, metric_depth
from metric_depth_ros.learning.training import checkpoint
from metric_depth_ros.learning.training.augment import relit, stretched
from metric_depth_ros.learning.training.checks import check_same, choose_device
from metric_depth_ros.learning.training.chosen import check_same_about
from metric_depth_ros.learning.training.loader import Stream, evenly
from metric_depth_ros.learning.training.loop import Trainer
from metric_depth_ros.learning.training.ranks import join_ranks, leave_ranks
from metric_depth_ros.learning.training.tr2m import losses
from metric_depth_ros.learning.training.tr2m.examples import TR2MExamples
from metric_depth_ros.learning.training.tr2m.settings import TR2MSettings, check_settings
from metric_depth_ros.learning.training.workers import Workers, normalised, settle_threads
from metric_depth_ros.types import FloatArray, ImageArray, IntArray

# Settings that must not change when a run is resumed.
_SAME = (
    "encoder", "size", "inputs", "maps", "per_pixel", "pseudo", "pseudo_space", "contrast", "classes",
    "momentum", "neutral", "dropped", "decay", "batch", "optimizer", "learning_rate", "seed", "families",
)  # fmt: skip
# Most images to validate on, and how many at once.
_MOST, _TOGETHER = 400, 16


@dataclass(frozen=True)
class TR2MScore:
    """Scores on validation pictures: means over pictures.

    Attributes:
        loss: scale-invariant log loss (equation 4).
        abs_rel, delta1: of metric depth.
        scale: root mean square over pictures of the median log error.
    """

    loss: float
    abs_rel: float
    delta1: float
    scale: float


@dataclass(frozen=True, eq=False)
class TR2MBatch:
    """Batch of B pictures.

    Attributes:
        image: (B, H, W, 3) uint8 RGB.
        relative, depth: (B, h, w) relative inverse depth, and metres with inf sky, NaN unknown.
        tokens, mask: (B, 32, width) and (B, 32) of one sentence each.
        limits_m: (B, 2) nearest and farthest pseudo depth.
    """

    image: ImageArray
    relative: FloatArray
    depth: FloatArray
    tokens: FloatArray
    mask: FloatArray
    limits_m: FloatArray


class KeyBranch(nn.Module):  # type: ignore[misc]  # torch carries no types here
    """Momentum branch for contrast: slowly follows the trained fusion and projector."""

    def __init__(self, network: TR2M) -> None:
        super().__init__()
        self.fusion: nn.Module = copy.deepcopy(network.fusion)
        self.projector: nn.Module = copy.deepcopy(network.projector)
        self.requires_grad_(False)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def follow(self, network: TR2M, momentum: float) -> None:
        """Moves the weights by 1 - ``momentum`` of the way to the network's."""
        for name in ("fusion", "projector"):
            theirs = getattr(network, name).parameters()
            for mine, other in zip(getattr(self, name).parameters(), theirs, strict=True):
                mine.lerp_(other, 1 - momentum)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def forward(self, levels: list[Tensor], tokens: Tensor, mask: Tensor) -> Tensor:
        """Features for contrast (B, C, h, w)."""
        features: Tensor = self.projector(self.fusion(levels, tokens, mask))
        return features


class TR2MTrainer(Trainer):
    """Training run of TR2M. The averaged weights with the lowest validation loss are kept."""

    scores: ClassVar = {
        "loss": "validation loss", "abs_rel": "AbsRel", "delta1": "delta1", "scale": "log scale error"
    }  # fmt: skip
    settings: TR2MSettings
    network: TR2M
    average: TR2M

    def __init__(self, settings: TR2MSettings, *, resume: bool = False) -> None:
        """Raises ConfigError, InputError or ModelError if settings, data or checkpoint cannot be used."""
        self._device = choose_device(settings.device)
        rank = join_ranks(self._device)
        check_settings(settings, rank, resume)
        self.examples = TR2MExamples(settings.examples, families=settings.families)
        least = 2 if settings.contrast else 1  # contrast compares a picture with another one of its part
        self._parts = settle_threads(self._device, rank, settings.threads, settings.batch // least)
        torch.manual_seed(settings.seed)
        state = checkpoint.load(settings.out) if resume else None
        if state:
            _check_same_run(settings, self.examples, state)
        network = _network(settings, self.examples, state).to(self._device)
        self._keys = KeyBranch(network) if settings.contrast else None
        if state and self._keys is not None:
            self._keys.load_state_dict(state["about"]["keys"])
        self._sigma: tuple[float, float] | None = state["about"]["sigma"] if state else None
        super().__init__(settings, network, state, threads=self._parts, rank=rank, pretrained=network.encoder)
        self._workers: Workers[TR2MBatch] = Workers(network, self._objective, self._parts, rank)

    def close(self) -> None:
        """Stops the threads, and disconnects from the other processes."""
        self._workers.close()
        super().close()
        leave_ranks()

    def _rate(self, progress: float) -> float:
        """The learning rate, lower with every epoch."""
        epoch = self.progress.step * self.settings.batch // len(self.examples.training)
        return float(self.settings.learning_rate * self.settings.decay**epoch)

    def _batches(self, first: int) -> Stream[TR2MBatch]:
        return Stream(self._jobs, first=first, threads=2)

    def _jobs(self, step: int) -> list[partial[TR2MBatch]]:
        count, number = self.rank.count, self.rank.number
        rng = np.random.default_rng([self.settings.seed, step, number])
        chosen = rng.choice(self.examples.training, self.settings.batch // count)
        return [
            partial(self._batch, index, (step, number, part))
            for part, index in enumerate(np.array_split(chosen, self._parts))
        ]

    def _batch(self, index: IntArray, seed: tuple[int, int, int]) -> TR2MBatch:
        """Pictures in other light, half of them mirrored, each with one of its sentences."""
        rng = np.random.default_rng([self.settings.seed, *seed])
        images: list[ImageArray] = []
        parts = []
        for number in index.tolist():
            relative, depth = self.examples.maps(number)
            image = self.examples.image(number)
            if rng.random() < 0.5:
                image, relative, depth = image[:, ::-1], relative[:, ::-1], depth[:, ::-1]
            image = stretched(image, self.settings.size)
            images.append(relit(image, images[-1] if images else image, rng))
            said = -1 if rng.random() < self.settings.neutral else int(rng.integers(1 << 16))
            tokens, mask = self.examples.sentence(number, said)
            mask[1:] *= rng.random(len(mask) - 1) >= self.settings.dropped  # the start of a sentence stays
            parts.append((relative, depth, tokens, mask, self.examples.limits_m(number)))
        return TR2MBatch(np.stack(images), *map(np.stack, zip(*parts, strict=True)))

    def _backward(self, batch: Sequence[TR2MBatch]) -> float:
        if self._keys is not None:
            self._keys.follow(self.network, self.settings.momentum)
        return self._workers.backward(batch)

    def _objective(self, network: nn.Module, batch: TR2MBatch) -> Tensor:
        return self._losses(network, batch).total()

    def _losses(self, network: nn.Module, batch: TR2MBatch) -> losses.Losses:
        """The four losses of a part of a batch."""
        image = normalised(batch.image, self._device)
        tokens, mask, relative, depth, limits = (
            torch.from_numpy(a).to(self._device)
            for a in (batch.tokens, batch.mask, batch.relative, batch.depth, batch.limits_m)
        )
        relative, depth = relative[:, None], depth[:, None]
        with torch.autocast(self._device, torch.bfloat16):
            scale, shift, levels, query = network(image, tokens, mask)
        filled, depth = losses.known_maps(relative, depth)
        found = metric_depth(scale, shift, filled)
        zero = found.new_zeros(())
        pseudo = zero
        if self.settings.pseudo:
            pseudo = losses.pseudo_loss(found, relative, depth, self.settings.pseudo_space, limits).mean()
        return losses.Losses(
            losses.scale_invariant_loss(found, depth).mean(),
            pseudo,
            zero if query is None else self._contrast(query.float(), levels, tokens, mask, depth),
            self._smoothness(scale, shift, batch.image),
        )

    def _contrast(
        self, query: Tensor, levels: list[Tensor], tokens: Tensor, mask: Tensor, depth: Tensor
    ) -> Tensor:
        """Contrast with two keys: the image itself, and another one of the batch."""
        assert self._keys is not None
        with torch.autocast(self._device, torch.bfloat16):
            key = self._keys(levels, tokens, mask).float()
        classes = losses.depth_classes(depth, key.shape[2:], self.settings.classes)
        others = [key, key.roll(1, 0)]
        return losses.contrast_loss(query, others, classes, [classes, classes.roll(1, 0)])

    def _smoothness(self, scale: Tensor, shift: Tensor, image: ImageArray) -> Tensor:
        """Smoothness of the maps that the network has."""
        pixels = torch.from_numpy(image).to(self._device).permute(0, 3, 1, 2).float() / 255
        pixels = functional.interpolate(pixels, size=scale.shape[2:], mode="area")
        return sum(losses.smoothness_loss(map_, pixels) for map_ in (scale, shift))

    def _validated(self) -> tuple[Mapping[str, TR2MScore], float | None]:
        """Scores with sentences as in training, in other words, and without one."""
        scores = {
            "words": self._score(0),
            "other words": self._score(0, held_out=True),
            "no words": self._score(-1),
        }
        loss = scores["words"].loss
        if loss < self._best_loss:
            self._sigma = (scores["words"].scale, scores["no words"].scale)
        return scores, loss

    def _score(self, said: int, *, held_out: bool = False) -> TR2MScore:
        """Score with sentence ``said`` of each picture. Raises InputError if a picture is damaged."""
        chosen = self.examples.validation[evenly(len(self.examples.validation), _MOST)]
        found: list[tuple[float, ...]] = []
        for begin in range(0, len(chosen), _TOGETHER):
            found += self._errors_of(chosen[begin : begin + _TOGETHER].tolist(), said, held_out)
        loss, error, within, scale = np.transpose(found)
        means = loss.mean(), np.nanmean(error), np.nanmean(within), np.nanmean(np.square(scale)) ** 0.5
        return TR2MScore(*map(float, means))

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def _errors_of(self, numbers: list[int], said: int, held_out: bool) -> list[tuple[float, ...]]:
        """Loss, AbsRel, delta1 and median log error of each picture."""
        examples = self.examples
        images = np.stack([stretched(examples.image(n), self.settings.size) for n in numbers])
        read = [(*examples.maps(n), *examples.sentence(n, said, held_out=held_out)) for n in numbers]
        relative, depth, tokens, mask = (
            torch.from_numpy(np.stack(part)).to(self._device) for part in zip(*read, strict=True)
        )
        output = self.average(normalised(images, self._device), tokens, mask)
        relative, depth = losses.known_maps(relative[:, None], depth[:, None])
        found = metric_depth(output.scale, output.shift, relative)
        loss = losses.scale_invariant_loss(found, depth)
        pairs = zip(*(maps[:, 0].cpu().numpy() for maps in (found, depth)), strict=True)
        return [(one, *_errors(*pair)) for one, pair in zip(loss.tolist(), pairs, strict=True)]

    def _about(self) -> dict[str, Any]:
        """What the examples are of, the key branch, and the log scale's deviation with words and without."""
        keys = None if self._keys is None else self._keys.state_dict()
        return {"examples": asdict(self.examples.about), "keys": keys, "sigma": self._sigma}


def _errors(predicted: FloatArray, truth: FloatArray) -> tuple[float, float, float]:
    """AbsRel, delta1 and median log error of a depth map where the truth is known; NaN where it is not."""
    truth = np.where(np.isfinite(truth), truth, np.nan)
    if np.isnan(truth).all():
        return (float("nan"),) * 3
    apart = float(np.nanmedian(np.log(predicted / truth)))
    return abs_rel(predicted, truth), delta(predicted, truth), apart


def load_tr2m(run: str | Path) -> tuple[TR2M, dict[str, Any]]:
    """Best network of a run, in eval mode, and the run's state. Raises ModelError."""
    state = checkpoint.load(run)
    return build_tr2m(state).eval(), state


def build_tr2m(state: dict[str, Any], *, weights: str = "best") -> TR2M:
    """Network from a state. Raises ModelError if the weights do not fit the architecture."""
    told = {**state["architecture"], "head": tuple(state["architecture"]["head"])}
    return checkpoint.rebuilt(lambda: TR2M(TR2MConfig(**told)), state[weights], "network")


def _network(settings: TR2MSettings, examples: TR2MExamples, state: dict[str, Any] | None) -> TR2M:
    """Network with which a run continues or starts. Raises ConfigError or ModelError."""
    if state:
        return build_tr2m(state, weights="network")
    base = PAPER if settings.encoder == PAPER.encoder else TR2MConfig(settings.encoder)
    if settings.encoder in DINO:
        base = replace(base, width=0)
    config = replace(
        base,
        text_width=examples.about.width,
        inputs=settings.inputs,
        maps=settings.maps,
        per_pixel=settings.per_pixel,
        projector=base.projector if settings.contrast else 0,
        canonical=examples.about.canonical,
    )
    network = TR2M(config)
    # The depth network's map is 1 at the usual depth, or says metres.
    usual = -examples.mean_log_depth if examples.about.metric else 0.0
    network.start(examples.mean_log_depth, usual)
    if settings.weights:
        _begin_with(network, settings.encoder, settings.weights)
    network.to(memory_format=torch.channels_last)
    return network


def _begin_with(network: TR2M, encoder: str, weights: str) -> None:
    """Loads the image encoder's weights. Raises ModelError if they do not fit."""
    if isinstance(network.encoder, DinoEncoder):
        from metric_depth_ros.learning.models.dinov2_weights import load_encoder

        load_encoder(network.encoder, weights)
        return
    checkpoint.load_depth_encoder(network.encoder, encoder, weights)


def _check_same_run(settings: TR2MSettings, examples: TR2MExamples, state: dict[str, Any]) -> None:
    """Raises ConfigError if a run is resumed with other settings or other examples."""
    names = ("engine", "metric", "canonical", "text_digest", "digest")
    check_same_about("examples", examples.about, state["about"]["examples"], names)
    check_same(settings, state["settings"], _SAME)
