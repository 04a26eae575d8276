"""What every training run is told, and how far along it is."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

# Until this part of the budget, pictures of this part of the size: most is learnt at a quarter of the cost.
_PHASES = ((0.3, 0.5), (0.55, 0.7), (1.0, 1.0))
_WARM_UP = 0.03
_MULTIPLE = 32


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """One training run. With ``steps`` its weights follow from the settings and the data, to the bit.

    Attributes:
        out: folder of the run.
        minutes: budget of time, over all resumed parts; the learning rate ends at zero with it.
        steps: budget in steps instead.
        batch: pictures a step.
        optimizer: "muon" or "adamw".
        learning_rate: the highest, for Adam; matrices move at five times that under Muon.
        weight_decay: of matrices; biases and norms do not decay.
        average: the part of the running average of the weights that one step keeps.
        clip: the largest norm of the gradient.
        seed: of everything random.
        threads: of the processor; 0 is one per core.
        families: train and validate on these kinds of scenes only; empty is all.
        look_every: steps between two validations; a checkpoint is written with each.
    """

    out: str
    minutes: float | None = 60.0
    steps: int | None = None
    batch: int = 16
    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    average: float = 0.998
    clip: float = 1.0
    seed: int = 0
    threads: int = 0
    families: tuple[str, ...] = ()
    look_every: int = 500


class Progress:
    """How much of the budget is spent, of time or of steps, with what earlier parts of the run spent."""

    def __init__(self, settings: RunSettings, *, step: int = 0, elapsed_s: float = 0.0) -> None:
        self._settings = settings
        self.step = step
        self._started = time.monotonic() - elapsed_s

    @property
    def elapsed_s(self) -> float:
        """Seconds of training so far."""
        return time.monotonic() - self._started

    @property
    def done(self) -> bool:
        """Whether the budget is spent."""
        return self.at(self.step) >= 1

    def at(self, step: int) -> float:
        """The part of the budget that is spent when ``step`` begins, 0 to 1; by the clock, now."""
        if self._settings.steps is not None:
            return min(step / max(self._settings.steps, 1), 1.0)
        return min(self.elapsed_s / (60 * (self._settings.minutes or 60.0)), 1.0)


def learning_rate(settings: RunSettings, progress: float) -> float:
    """Rises for the first 3 % of the budget, then falls as a half cosine to zero at its end."""
    if progress < _WARM_UP:
        return settings.learning_rate * (progress + 1e-3) / _WARM_UP
    falling = (progress - _WARM_UP) / (1 - _WARM_UP)
    return settings.learning_rate * (1 + math.cos(math.pi * falling)) / 2


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
