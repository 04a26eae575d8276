"""The node's work on images, in threads of its own: loads the networks, then turns images into depth."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metric_depth_ros.config import Config
from metric_depth_ros.engines import manifest_paths
from metric_depth_ros.engines.pool import EnginePool
from metric_depth_ros.errors import MetricDepthError, ModelError
from metric_depth_ros.health.backoff import Backoff, files_beside
from metric_depth_ros.health.status import WARN, Health
from metric_depth_ros.nodes.diagnostics import values_of
from metric_depth_ros.nodes.log import core_log
from metric_depth_ros.nodes.outputs import Outputs
from metric_depth_ros.nodes.worker import NewestWorker
from metric_depth_ros.pipeline import MetricDepthPipeline, Perceived, build_pipeline, engine_for
from metric_depth_ros.priors import prior_path
from metric_depth_ros.runtimes.stopping import StoppedError, stoppable_by
from metric_depth_ros.types import Sample

# The solver waits for a core if it has one for less than this part of its time.
_STARVED = 0.6
# Then it works after the network for so long, before both are tried at once again.
_APART_S = 5.0
# Stamps that are farther from the node's time are of another clock, as those of a bag.
_SAME_CLOCK_S = 60.0


@dataclass(frozen=True, eq=False)
class Task:
    """Image to be made depth.

    Attributes:
        image: its message.
        read: all inputs of it, for the pipeline that is to use them; raises MetricDepthError.
        received_s: its time of arrival, monotonic.
    """

    image: Any
    read: Callable[[MetricDepthPipeline], Sample]
    received_s: float


@dataclass(frozen=True, eq=False)
class _Unsolved:
    """Task after the network and before the solver; ``beside``: the network may work on the next image."""

    task: Task
    pipeline: MetricDepthPipeline
    perceived: Perceived
    beside: bool


class DepthWorker:
    """Publishes depth of the newest image.

    One thread loads the networks, then reads images and runs the network; a second one solves and publishes
    while the network processes the next image, unless there are no cores for both.

    Attributes:
        config: the settings; new ones hold from the next image on.
        pipeline: None until the networks are loaded.
        networks: paths of their manifests, in words.
        told: diagnostic values of the newest image that has depth; the image itself is not kept.
    """

    def __init__(
        self, config: Config, engines: EnginePool, outputs: Outputs, health: Health, logger: Any, clock: Any
    ) -> None:
        """``clock``: that of the images' stamps."""
        self.config, self.networks = config, ""
        self.pipeline: MetricDepthPipeline | None = None
        self.told: dict[str, str] = {}
        self._engines, self._outputs, self._health = engines, outputs, health
        self._logger, self._clock = logger, clock
        self._refused: tuple[Config, str] | None = None  # settings that cannot be used, and why
        self._renewals = Backoff()  # a success of the load is none yet of the network
        self._ending, self._forgetting = threading.Event(), threading.Event()
        self._apart_until_s = 0.0  # no overlap until then, as the solver had to wait for a core
        self._rested_s = 0.0  # images from before that are not published
        self._perceiving = NewestWorker(self._perceive, name="perceive", prepare=self._load)
        self._solving = NewestWorker(self._solve, name="solve")

    def start(self) -> None:
        """Starts the threads; networks that are not loaded yet are, again and again if that fails."""
        self._perceiving.start()
        self._solving.start()

    def load(self) -> None:
        """Loads the networks, once. Raises ConfigError and ModelError as ``build_pipeline`` does."""
        self.pipeline = self._built(Backoff())

    def put(self, task: Task) -> None:
        """Gives the newest image to the threads; an older one that still waits is dropped and counted."""
        if self._perceiving.put(task):
            self._health.count("images dropped for newer ones")

    def clear(self) -> None:
        """Drops the image that waits."""
        self._perceiving.clear()

    def forget(self) -> None:
        """Drops the image that waits; the next one is worked on as if there had been none before it."""
        self._perceiving.clear()
        self._forgetting.set()

    def rest(self, timeout_s: float) -> None:
        """As ``forget``, and lets an image in work end; one that takes longer is not published."""
        self.forget()
        self._perceiving.wait_until_idle(timeout_s)
        self._solving.wait_until_idle(timeout_s)
        self._rested_s, self.told = time.monotonic(), {}

    def interrupt(self) -> None:
        """Ends what is loaded or computed, as far as that can be; nothing is done from then on."""
        self._ending.set()

    def stop(self, timeout_s: float) -> bool:
        """Stops the threads after the image in work, and frees the networks; False if that takes longer."""
        self._ending.set()
        ended = [each.stop(timeout_s) for each in (self._perceiving, self._solving)]
        if all(ended):
            self.pipeline = None
        return all(ended)

    def _load(self) -> bool:
        """Loads the networks; retries at growing intervals if that fails. False: the node is ending."""
        backoff = Backoff()
        while self.pipeline is None and not self._ending.is_set():
            with self._health.reporting_failures(), suppress(StoppedError):
                self.pipeline = self._built(backoff)
                break
            self._ending.wait(self.config.diagnostics.period_s)
        return not self._ending.is_set()

    def _built(self, backoff: Backoff) -> MetricDepthPipeline:
        config = self.config
        started, manifests = time.monotonic(), manifest_paths(engine_for(config))
        self.networks = " and ".join(map(str, manifests))
        named = config.engine.model, config.regions.manifest, config.solver.refined.network
        further = [Path(path).expanduser() for path in named if path]
        prior = prior_path(config.solver.chosen_prior)
        further += [] if prior is None else [prior]
        with (
            backoff((config, files_beside([*manifests, *further]))),
            core_log(self._logger, self._health.waits_for),
            stoppable_by(self._ending),
        ):
            pipeline = build_pipeline(config, self._engines.build)
        self._logger.info(
            f"engine ready in {time.monotonic() - started:.1f} s: {self.networks}; "
            f"{pipeline.engine.label}, {pipeline.engine.why}; solver {config.solver.name}"
        )
        return pipeline

    def _perceive(self, task: Task) -> None:
        """First half of the work on an image, up to and with the network."""
        timings = self._health.timings
        timings.add({"waiting": time.monotonic() - task.received_s})
        with stoppable_by(self._ending), self._health.reporting_failures(), suppress(StoppedError):
            pipeline = self._pipeline_as_configured()
            if self._forgetting.is_set():
                self._forgetting.clear()
                self._solving.wait_until_idle()  # it would remember an image from before
                pipeline.reset()
            with self._outputs.saying_nothing(task.image):
                with timings.measuring("read"):
                    sample = task.read(pipeline)
                with self._renewing():
                    perceived = pipeline.perceive(sample)
            unsolved = _Unsolved(task, pipeline, perceived, self._overlaps(pipeline))
            self._solving.wait_until_idle()
            if unsolved.beside:
                self._solving.put(unsolved)
            else:
                self._solve(unsolved)

    def _overlaps(self, pipeline: MetricDepthPipeline) -> bool:
        """Whether a second thread solves: not if it would take a core from the network, and come later."""
        overlap = self.config.engine.overlap
        starved = time.monotonic() < self._apart_until_s
        short_of_cores = pipeline.engine.on_cpu and (starved or _cores() < 2)
        return overlap == "always" or (overlap == "auto" and not short_of_cores)

    @contextmanager
    def _renewing(self) -> Iterator[None]:
        """Context of networks that run: if one cannot any more, all are loaded anew for the next image.

        The GPU may be lost, or its driver restarted; another runtime may serve.
        """
        try:
            yield
        except StoppedError:
            raise
        except ModelError as error:
            # Renewals back off on the error of the run, whatever the load gives: it may go on failing.
            with suppress(ModelError), self._renewals("network"):
                self._logger.warning("the network failed while it ran; it is loaded anew")
                self.pipeline = self._built(Backoff())
                raise error
            raise

    def _solve(self, unsolved: _Unsolved) -> None:
        """Second half of the work on an image: computes metric depth and publishes it."""
        with stoppable_by(self._ending), self._health.reporting_failures(), suppress(StoppedError):
            with self._outputs.saying_nothing(unsolved.task.image):
                started, spent = time.perf_counter(), time.thread_time()
                with self._renewing():
                    result = unsolved.pipeline.solve(unsolved.perceived)
                self._renewals.reset()
                had_core_s, took_s = time.thread_time() - spent, time.perf_counter() - started
                if unsolved.beside and had_core_s < _STARVED * took_s:
                    self._apart_until_s = time.monotonic() + _APART_S
            if unsolved.task.received_s < self._rested_s:
                return
            with self._health.timings.measuring("publish"):
                self._outputs.publish(result, self.config)
            if not self._clock.ros_time_is_active:  # /clock steps, by more than what is to be measured
                age_s = (self._clock.now().nanoseconds - result.stamp_ns) / 1e9
                if abs(age_s) < _SAME_CLOCK_S:
                    self._health.timings.add({"stamp_to_publication": age_s})
            self._health.timings.add(result.timings)
            self.told = values_of(result)
            self._health.doubt(*result.doubts)
            if self._health.published(time.monotonic() - unsolved.task.received_s):
                self._logger.info("publishing depth", throttle_duration_sec=5.0)

    def _pipeline_as_configured(self) -> MetricDepthPipeline:
        """Pipeline with the newest settings, or with the previous ones if the newest cannot be used."""
        config, pipeline = self.config, self.pipeline
        if pipeline.config is config:
            return pipeline
        if self._refused is None or self._refused[0] is not config:
            self._solving.wait_until_idle()  # the new pipeline goes on with what the solver remembers
            try:
                self.pipeline = pipeline.with_config(config)
            except MetricDepthError as error:
                self._refused = config, f"the new settings cannot be used, those before them stay: {error}"
            else:
                self._health.clear("settings")
                return self.pipeline
        self._health.report("settings", WARN, self._refused[1])
        return pipeline


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))
