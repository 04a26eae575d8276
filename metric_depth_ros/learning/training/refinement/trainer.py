"""Trains the network of ``refined`` on stored fits and their true errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from metric_depth_ros.learning.models.refinement import Refinement, RefinementConfig
from metric_depth_ros.learning.training import checkpoint
from metric_depth_ros.learning.training.augment import estranged, relit
from metric_depth_ros.learning.training.checks import check_same, choose_device
from metric_depth_ros.learning.training.chosen import check_same_about
from metric_depth_ros.learning.training.loader import Stream, evenly
from metric_depth_ros.learning.training.loop import Trainer
from metric_depth_ros.learning.training.ranks import Rank
from metric_depth_ros.learning.training.refinement.examples import RefinementExamples
from metric_depth_ros.learning.training.refinement.losses import objective
from metric_depth_ros.learning.training.refinement.settings import RefinementSettings, check_settings
from metric_depth_ros.learning.training.workers import Workers, settle_threads
from metric_depth_ros.solvers.refined.inputs import Look, channels_of
from metric_depth_ros.types import FloatArray, IntArray

# Settings that must not change when a run is resumed.
_SAME = ("batch", "learning_rate", "optimizer", "seed", "families", "without", "start")
# Until this part of the budget of a new network examples are cut to squares of so many pixels: three times as
# fast.
_CUT, _CUT_PX = 0.6, 96
# Part of the examples whose image is of another kind.
_STRANGE = 0.15
# Most examples to validate on, and how many at once.
_MOST, _TOGETHER = 160, 16
# Examples are scored by their number of anchors: up to each of these, and more.
_COUNTS = (3, 30, 300)


@dataclass(frozen=True)
class RefinementScore:
    """Scores on validation examples.

    Attributes:
        loss: as trained.
        fit, refined: mean |log error| of the fit and of the refined depth.
        within: part of the pixels within one new sigma of the truth.
    """

    loss: float
    fit: float
    refined: float
    within: float


@dataclass(frozen=True, eq=False)
class RefinementBatch:
    """Batch: input (B, C, h, w), the fit's relative sigma and its log error (B, h, w), float32."""

    image: Any
    sigma: FloatArray
    error: FloatArray


class RefinementTrainer(Trainer):
    """Training run of a refinement network. The averaged weights with the lowest validation loss are kept."""

    scores: ClassVar = {
        "loss": "loss", "fit": "error of the fit", "refined": "refined", "within": "within one sigma",
    }  # fmt: skip
    settings: RefinementSettings
    network: Refinement
    average: Refinement

    def __init__(self, settings: RefinementSettings, *, resume: bool = False) -> None:
        """Raises ConfigError, InputError or ModelError if settings, data or checkpoint cannot be used."""
        check_settings(settings, resume)
        self.examples = RefinementExamples(settings.examples, families=settings.families)
        self._device = device = choose_device(settings.device)
        self._parts = settle_threads(device, Rank(), settings.threads, settings.batch)
        torch.manual_seed(settings.seed)
        state = checkpoint.load(settings.out) if resume else None
        if state:
            check_same_about(
                "examples", self.examples.about, state["about"]["examples"], ("solver", "width", "height")
            )
            check_same(settings, state["settings"], _SAME)
        network = _network(settings, state).to(device)
        super().__init__(settings, network, state, threads=self._parts)
        self._workers: Workers[RefinementBatch] = Workers(
            network, partial(_objective, device=device), self._parts
        )

    def close(self) -> None:
        """Stops the threads."""
        self._workers.close()
        super().close()

    def _batches(self, first: int) -> Stream[RefinementBatch]:
        return Stream(self._jobs, first=first, threads=1)

    def _jobs(self, step: int) -> list[partial[RefinementBatch]]:
        rng = np.random.default_rng([self.settings.seed, step])
        chosen = rng.choice(self.examples.training, self.settings.batch)
        parts = np.array_split(chosen, self._parts)
        cut = self.settings.start is None and self.progress.at(step) < _CUT
        return [partial(self._batch, index, (step, part), cut=cut) for part, index in enumerate(parts)]

    def _batch(self, index: IntArray, seed: tuple[int, int] | None, *, cut: bool = False) -> RefinementBatch:
        """Examples, for training (with a ``seed``) in other light, some of them mirrored, and ``cut``.

        What is pooled is pooled over the whole.
        """
        rows = []
        for number in index.tolist():
            look, error = self.examples[number]
            if seed is not None:
                rng = np.random.default_rng([self.settings.seed, number, *seed])
                look, error = _varied(look, error, rng)
            row = (channels_of(look), np.exp(look.maps[1]), error)
            rows.append(_cut_out(row, rng) if cut and seed is not None else row)
        return RefinementBatch(*(np.stack(part) for part in zip(*rows, strict=True)))

    def _backward(self, batch: Sequence[RefinementBatch]) -> float:
        self.network.train()
        return self._workers.backward(batch)

    def _validated(self) -> tuple[Mapping[str, RefinementScore], float]:
        """Scores on held-out examples, all and by their number of anchors."""
        index = self.examples.validation[evenly(len(self.examples.validation), _MOST)]
        rows, counts = [], []
        for begin in range(0, len(index), _TOGETHER):
            part = index[begin : begin + _TOGETHER]
            rows += self._scored(self._batch(part, None))
            counts += [len(self.examples[number][0].uv) for number in part.tolist()]
        table, size = np.array(rows), np.array(counts)
        found = {"held out": _score(table)}
        low = 0
        for high in (*_COUNTS, 10**9):
            of_these = table[(size > low) & (size <= high)]
            if len(of_these):
                found[f"above {low} anchors"] = _score(of_these)
            low = high
        return found, found["held out"].loss

    def _scored(self, batch: RefinementBatch) -> list[tuple[float, ...]]:
        """The fields of ``RefinementScore`` of each example."""
        x, sigma, error = (torch.from_numpy(a).to(self._device) for a in vars(batch).values())
        with torch.inference_mode():
            found = self.average(x)
            new_sigma = sigma * found[:, 1].exp()
        rows = []
        for i, off in enumerate(error):
            known = off.isfinite()
            left = (off - found[i, 0])[known].abs()
            loss = objective(found[i : i + 1], sigma[i : i + 1], off[None])
            fields = loss, off[known].abs().mean(), left.mean(), (left <= new_sigma[i][known]).float().mean()
            rows.append(tuple(map(float, fields)))
        return rows

    def _about(self) -> dict[str, Any]:
        return {"examples": asdict(self.examples.about)}


def _score(rows: FloatArray) -> RefinementScore:
    return RefinementScore(*rows.mean(axis=0).tolist())


def _varied(look: Look, error: FloatArray, rng: np.random.Generator) -> tuple[Look, FloatArray]:
    """An example in other light; half of them mirrored."""
    image, maps, uv = relit(look.image, look.image, rng), look.maps, look.uv
    if rng.random() < _STRANGE:
        image = estranged(image, rng)
    if rng.random() < 0.5:
        image, maps, error = image[:, ::-1], maps[..., ::-1], error[:, ::-1]
        uv = np.column_stack([maps.shape[2] - 1 - uv[:, 0], uv[:, 1]])
    return Look(image, maps, uv, look.residual, look.sigma), error


def _cut_out(row: tuple[FloatArray, ...], rng: np.random.Generator) -> tuple[FloatArray, ...]:
    """The same random square of all maps (..., h, w), as far as they reach."""
    height, width = row[-1].shape
    top, left = (int(rng.integers(0, max(side - _CUT_PX, 0) + 1)) for side in (height, width))
    return tuple(part[..., top : top + _CUT_PX, left : left + _CUT_PX] for part in row)


def _objective(network: nn.Module, batch: RefinementBatch, device: str = "cpu") -> Tensor:
    x, sigma, error = (torch.from_numpy(a).to(device) for a in vars(batch).values())
    with torch.autocast(device, torch.bfloat16):
        found = network(x.contiguous(memory_format=torch.channels_last))
    return objective(found, sigma, error)


def _network(settings: RefinementSettings, state: dict[str, Any] | None) -> Refinement:
    """Network with which a run continues or starts."""
    if state:
        return build_refinement(state, weights="network")
    network = Refinement(RefinementConfig(without=settings.without))
    if settings.start:
        checkpoint.load_weights(network, settings.start)
    network.to(memory_format=torch.channels_last)
    return network


def load_refinement(run: str | Path) -> tuple[Refinement, dict[str, Any]]:
    """Best network of a run, in eval mode, and the run's state. Raises ModelError."""
    state = checkpoint.load(run)
    return build_refinement(state).eval(), state


def build_refinement(state: dict[str, Any], *, weights: str = "best") -> Refinement:
    """Network from a state. Raises ModelError if the weights do not fit the architecture."""
    return checkpoint.rebuilt(
        lambda: Refinement(RefinementConfig(**state["architecture"])), state[weights], "network"
    )
