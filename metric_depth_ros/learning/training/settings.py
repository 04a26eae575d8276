"""Settings and progress of training runs."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

# Until this fraction of the budget, images have this fraction of their size: most is learnt at a quarter of
# the cost.
_PHASES = ((0.3, 0.5), (0.55, 0.7), (1.0, 1.0))
_WARM_UP = 0.03
_MULTIPLE = 32


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """Settings of one training run. With ``steps``, settings and data determine the weights to the bit.

    Attributes:
        out: folder of the run.
        minutes: time budget over all resumed parts; the learning rate is zero at its end.
        steps: budget in steps instead.
        batch: images per step.
        optimizer: "muon" or "adamw".
        learning_rate: the highest, for Adam; with Muon, matrices use five times as much.
        weight_decay: of matrices; biases and norms have none.
        frozen: fraction of the budget during which a pretrained encoder is fixed.
        encoder_rate: its learning rate afterwards, as a fraction of that of the others.
        average: fraction of the running average of the weights that one step keeps.
        clip: largest norm of the gradient.
        seed: random seed.
        threads: CPU threads; 0 is one per core.
        device: "auto", "cpu" or "cuda".
        families: kinds of scenes for training and validation; empty means all.
        look_every: steps between two validations; a checkpoint is written with each.
    """

    out: str
    minutes: float | None = 60.0
    steps: int | None = None
    batch: int = 16
    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    frozen: float = 0.6
    encoder_rate: float = 0.1
    average: float = 0.998
    clip: float = 1.0
    seed: int = 0
    threads: int = 0
    device: str = "auto"
    families: tuple[str, ...] = ()
    look_every: int = 500


class Progress:
    """Progress of a run: used part of the budget in time or steps, with the earlier parts of the run."""

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
        """Whether the budget is used up."""
        return self.at(self.step) >= 1

    def at(self, step: int) -> float:
        """Fraction of the budget used when ``step`` begins, 0 to 1; with a time budget, used by now."""
        if self._settings.steps is not None:
            return min(step / max(self._settings.steps, 1), 1.0)
        return min(self.elapsed_s / (60 * (self._settings.minutes or 60.0)), 1.0)


def learning_rate(settings: RunSettings, progress: float) -> float:
    """Learning rate: rises for 3 % of the budget, then falls as a half cosine to zero at its end."""
    if progress < _WARM_UP:
        return settings.learning_rate * (progress + 1e-3) / _WARM_UP
    falling = (progress - _WARM_UP) / (1 - _WARM_UP)
    return settings.learning_rate * (1 + math.cos(math.pi * falling)) / 2


def grown_size(size: tuple[int, int], progress: float, stretch: float = 1.0) -> tuple[int, int]:
    """Image width and height that grow to ``size`` with progress, wider and lower by ``stretch``.

    Only a few shapes, since each must be prepared once.
    """
    scale = next(scale for end, scale in _PHASES if progress <= end)
    if stretch == 1.0 and scale == 1.0:
        return size  # the size of use, even if it is not a multiple
    width, height = (side * scale for side in size)
    return _rounded(width * stretch), _rounded(height / stretch)


def _rounded(side: float) -> int:
    return max(_MULTIPLE, _MULTIPLE * round(side / _MULTIPLE))
