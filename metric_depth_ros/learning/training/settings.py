"""What a training run is told, and how far along it is."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np

# Until this part of the budget, pictures of this part of the size: most is learnt at a quarter of the cost.
_PHASES = ((0.3, 0.5), (0.55, 0.7), (1.0, 1.0))
_WARM_UP = 0.03
_MULTIPLE = 32


@dataclass(frozen=True)
class TrainingSettings:
    """One run. What is learnt follows from these, if ``steps`` is given and the data do not change.

    Attributes:
        data: folders of shards.
        out: folder of the run.
        minutes: budget of time, over all its resumed parts; the learning rate ends at zero with it.
        steps: budget in steps instead.
        size: width and height that the network is for.
        loss: a name in ``losses.LOSSES``.
        optimizer: "muon" or "adamw".
        learning_rate: the highest, for Adam; matrices move at five times that under Muon.
        average: of the weights, that part which one step keeps.
        clip: the largest norm of the gradient.
        threads: parts of a batch that are computed side by side on a processor; 0 is one per core.
        device: "auto", "cpu" or "cuda".
        start: weights to begin with, as depth-export writes them; None begins at random.
        families: only these; empty is all.
        real: folder of real data sets to look at, never to train on.
        look_every: seconds between validations; a checkpoint is written with each.
    """

    data: tuple[str, ...]
    out: str
    minutes: float | None = 60.0
    steps: int | None = None
    batch: int = 16
    size: tuple[int, int] = (320, 240)
    loss: str = "normalised"
    optimizer: str = "muon"
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    average: float = 0.998
    clip: float = 1.0
    seed: int = 0
    threads: int = 0
    device: str = "auto"
    start: str | None = None
    families: tuple[str, ...] = ()
    real: str | None = None
    look_every: float = 300.0


class Budget(Protocol):
    """What a run may spend, of time or of steps, and its highest learning rate."""

    @property
    def minutes(self) -> float | None: ...

    @property
    def steps(self) -> int | None: ...

    @property
    def learning_rate(self) -> float: ...


class Progress:
    """How much of the budget is spent, of time or of steps, with what earlier parts of the run spent."""

    def __init__(self, settings: Budget, *, step: int = 0, elapsed_s: float = 0.0) -> None:
        self._settings = settings
        self.step = step
        self._started = time.monotonic() - elapsed_s

    @property
    def elapsed_s(self) -> float:
        """Seconds of training so far."""
        return time.monotonic() - self._started

    def at(self, step: int) -> float:
        """The part of the budget that is spent when ``step`` begins, 0 to 1; by the clock, now."""
        if self._settings.steps is not None:
            return min(step / max(self._settings.steps, 1), 1.0)
        return min(self.elapsed_s / (60 * (self._settings.minutes or 60.0)), 1.0)


def learning_rate(settings: Budget, progress: float) -> float:
    """Rises for the first 3 % of the budget, then falls as a half cosine to zero at its end."""
    if progress < _WARM_UP:
        return settings.learning_rate * (progress + 1e-3) / _WARM_UP
    falling = (progress - _WARM_UP) / (1 - _WARM_UP)
    return settings.learning_rate * (1 + math.cos(math.pi * falling)) / 2


def draw_size(size: tuple[int, int], progress: float, rng: np.random.Generator) -> tuple[int, int]:
    """Width and height of one batch: ``grown_size``, half of the time of another shape."""
    return grown_size(size, progress, (1.0, 1.0, 1.0, 1.25, 0.8, 1.5)[int(rng.integers(6))])


def grown_size(size: tuple[int, int], progress: float, stretch: float = 1.0) -> tuple[int, int]:
    """Width and height that grow with progress to ``size``, wider and lower by ``stretch``.

    Few shapes, since each is prepared for once.
    """
    scale = next(scale for end, scale in _PHASES if progress <= end)
    if stretch == 1.0 and scale == 1.0:
        return size  # what it is deployed at, multiple or not
    width, height = (side * scale for side in size)
    return _rounded(width * stretch), _rounded(height / stretch)


def _rounded(side: float) -> int:
    return max(_MULTIPLE, _MULTIPLE * round(side / _MULTIPLE))
