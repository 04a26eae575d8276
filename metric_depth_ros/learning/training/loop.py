"""Training loop of all networks: steps, progress, validation, checkpoints."""

from __future__ import annotations

import copy
import dataclasses
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar

from torch import nn

from metric_depth_ros.learning.models.encoder import Encoder
from metric_depth_ros.learning.training import checkpoint
from metric_depth_ros.learning.training.curves import Curves
from metric_depth_ros.learning.training.muon import Muon
from metric_depth_ros.learning.training.optimizer import build_optimizer, descend, keep_average
from metric_depth_ros.learning.training.ranks import Rank, in_any
from metric_depth_ros.learning.training.settings import Progress, RunSettings, learning_rate
from metric_depth_ros.learning.training.stopping import Stopping

_LINE_EVERY_S = 15.0


class Trainer(ABC):
    """One training run of a network, new or resumed. Subclasses define batches, losses and scores.

    The learning rate rises briefly and falls to zero at the end of the budget, in time or in steps. A running
    average of the weights is validated, and its best state is kept. A run can be stopped at any step and
    resumed; with a budget in steps and unchanged data the result is equal to the bit.

    Attributes:
        scores: field of a score -> title of its curve.
        network, average: the trained weights, and their running average in eval mode.
    """

    scores: ClassVar[Mapping[str, str]]

    def __init__(
        self,
        settings: RunSettings,
        network: nn.Module,
        state: Mapping[str, Any] | None,
        *,
        threads: int = 1,
        rank: Rank = Rank(),  # noqa: B008 -- frozen
        pretrained: Encoder | None = None,
    ) -> None:
        """Continues from ``state``, whose weights ``network`` has; None starts a new run.

        ``pretrained``, a part of the network, is fixed for a part of the budget (``settings.frozen``): until
        the rest is good, gradients would only spoil it, and without them a step is four times as fast. Its
        batch statistics stay fixed.
        """
        self.settings, self.network, self.rank = settings, network, rank
        self.average = copy.deepcopy(network).eval()
        self._best: dict[str, Any] | None = None
        self._best_loss, self._finished = float("inf"), False
        self._stopping = Stopping()
        self._optimizer = build_optimizer(
            network, settings, threads, pretrained=pretrained, share=settings.encoder_rate
        )
        self._frozen = pretrained
        if pretrained is not None:
            pretrained.freeze()
        self.progress = Progress(settings)
        if state is not None:
            self.progress = Progress(settings, step=state["step"], elapsed_s=state["elapsed_s"])
            self.average.load_state_dict(state["average"])
            self._best_loss, self._finished = state["best_loss"], state["finished"]
            self._best = state["best"] if self._best_loss < float("inf") else None
            self._optimizer.load_state_dict(state["optimizer"])
        if rank.first:
            self._curves = Curves(settings.out, self.scores, before_step=self.progress.step)

    def run(self, *, until: int | None = None) -> None:
        """Trains to the end of the budget or to step ``until``; writes a checkpoint, also when interrupted.

        A finished run is not changed.

        Raises:
            InputError: the data are damaged, or the checkpoint cannot be written.
            KeyboardInterrupt: it was interrupted (SIGINT or SIGTERM), after saving.
        """
        progress, losses, spoken, looked = self.progress, list[float](), time.monotonic(), -1
        if self._finished:
            return
        asked = False
        with self._stopping as stopping, self._batches(progress.step) as batches:
            try:
                while not (progress.done or progress.step == until or asked):
                    losses.append(self._step(next(batches)))
                    if time.monotonic() - spoken >= _LINE_EVERY_S:
                        self._say(losses, time.monotonic() - spoken)
                        losses, spoken = [], time.monotonic()
                    if progress.step % self.settings.look_every == 0 and not progress.done:
                        self._look()
                        self._save()
                        looked = progress.step
                    asked = in_any(stopping.asked, self.rank)
                if losses:
                    self._say(losses, time.monotonic() - spoken)
                with stopping.whole():  # a run at its end is never resumed, so it must be finished
                    if progress.done or not asked:
                        if looked != progress.step:
                            self._look()
                        if progress.done and self.rank.first:
                            self._finish()
                        self._finished = progress.done
                    self._save()
            except KeyboardInterrupt:
                self._save()
                raise
        if asked and not progress.done:
            raise KeyboardInterrupt

    @property
    def best(self) -> dict[str, Any]:
        """Averaged weights at the validation with the lowest loss; the newest if validation gives no loss."""
        return self.average.state_dict() if self._best is None else self._best

    def close(self) -> None:
        """Stops the threads."""
        if isinstance(self._optimizer, Muon):
            self._optimizer.close()

    # ---- what is trained ---------------------------------------------------------------------

    @abstractmethod
    def _batches(self, first: int) -> AbstractContextManager[Iterator[Any]]:
        """Batches of step ``first``, ``first`` + 1, ..."""

    @abstractmethod
    def _backward(self, batch: Any) -> float:
        """Sets the gradient of every parameter; returns the loss."""

    @abstractmethod
    def _validated(self) -> tuple[Mapping[str, Any], float | None]:
        """Scores of the average by place, and the loss that selects the best; None selects the newest."""

    def _rate(self, progress: float) -> float:
        """Learning rate after a fraction of the budget."""
        return learning_rate(self.settings, progress)

    def _unfrozen(self) -> None:  # noqa: B027 -- most have nothing to do
        """Called when the pretrained part begins to be trained."""

    def _finish(self) -> None:  # noqa: B027 -- most have nothing to do
        """Called at the end of the budget, before the last checkpoint."""

    def _about(self) -> dict[str, Any]:
        """Further values for the checkpoint."""
        return {}

    # ---- one step, and its reports ------------------------------------------------------------

    def _step(self, batch: Any) -> float:
        progress = self.progress.at(self.progress.step)
        if self._frozen is not None and progress >= self.settings.frozen:
            self._frozen.unfreeze()
            self._frozen = None
            self._unfrozen()
        rate = self._rate(progress)
        loss = self._backward(batch)
        with self._stopping.whole():
            descend(self.network, self._optimizer, rate, self.settings.clip)
            self.progress.step += 1
            keep_average(self.average, self.network, self.progress.step, self.settings.average)
        return loss

    def _say(self, losses: list[float], seconds: float) -> None:
        if not self.rank.first:
            return
        step, mean = self.progress.step, sum(losses) / len(losses)
        rate = len(losses) * self.settings.batch / seconds
        self._curves.add_loss(step, self.progress.elapsed_s, mean, rate)
        part = self.progress.at(step)
        print(f"{part:6.1%}  step {step}  loss {mean:.4f}  {rate:.0f} images/s", flush=True)

    def _look(self) -> None:
        """Validates, keeps the best and draws the curves."""
        if not self.rank.first:
            return
        scores, loss = self._validated()
        self._curves.add_scores(self.progress.step, self.progress.elapsed_s, scores)
        for place, found in scores.items():
            told = "  ".join(f"{title} {getattr(found, name):.4f}" for name, title in self.scores.items())
            print(f"        {place}: {told}", flush=True)
        if loss is not None and loss < self._best_loss:
            self._best, self._best_loss = copy.deepcopy(self.average.state_dict()), loss
        self._curves.draw()

    def _save(self) -> None:
        if not self.rank.first:
            return
        state = {
            "step": self.progress.step,
            "elapsed_s": self.progress.elapsed_s,
            "settings": dataclasses.asdict(self.settings),
            "architecture": dataclasses.asdict(self.network.config),
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "best": self.best,
            "best_loss": self._best_loss,
            "optimizer": self._optimizer.state_dict(),
            "about": self._about(),
            "finished": self._finished,
        }
        checkpoint.save(self.settings.out, state)
