"""The node's work on images, in threads of its own: loads the networks, then turns images into depth."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metric_depth_ros.config import Config
from metric_depth_ros.engines import manifest_paths
from metric_depth_ros.engines.pool import EnginePool
from metric_depth_ros.errors import MetricDepthError
from metric_depth_ros.health.backoff import Backoff, files_beside
from metric_depth_ros.health.status import WARN, Health
from metric_depth_ros.nodes.log import core_log
from metric_depth_ros.nodes.outputs import Outputs
from metric_depth_ros.nodes.worker import NewestWorker
from metric_depth_ros.pipeline import MetricDepthPipeline, Perceived, Result, build_pipeline, engine_for
from metric_depth_ros.priors import prior_path
from metric_depth_ros.runtimes.stopping import stoppable_by
from metric_depth_ros.types import Sample


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
    """Task after the network and before the solver."""

    task: Task
    pipeline: MetricDepthPipeline
    perceived: Perceived


class DepthWorker:
    """Publishes depth of the newest image.

    One thread loads the networks and then does everything, unless the network runs on a GPU: then a second
    one solves and publishes while the network processes the next image.

    Attributes:
        config: the settings; new ones hold from the next image on.
        pipeline: None until the networks are loaded.
        networks: paths of their manifests, in words.
        last_result: of the newest image that has depth.
    """

    def __init__(
        self, config: Config, engines: EnginePool, outputs: Outputs, health: Health, logger: Any
    ) -> None:
        self.config, self.networks = config, ""
        self.pipeline: MetricDepthPipeline | None = None
        self.last_result: Result | None = None
        self._engines, self._outputs, self._health, self._logger = engines, outputs, health, logger
        self._refused: tuple[Config, str] | None = None  # settings that cannot be used, and why
        self._ending = threading.Event()
        self._perceiver = NewestWorker(self._perceive, name="perceive", prepare=self._load)
        self._solver = NewestWorker(self._solve, name="solve")

    def start(self) -> None:
        """Starts the threads; networks that are not loaded yet are, again and again if that fails."""
        self._perceiver.start()
        self._solver.start()

    def load(self) -> None:
        """Loads the networks, once. Raises ConfigError and ModelError as ``build_pipeline`` does."""
        self.pipeline = self._built(Backoff())

    def put(self, task: Task) -> None:
        """Gives the newest image to the threads; an older one that still waits is dropped and counted."""
        if self._perceiver.put(task):
            self._health.count("images dropped for newer ones")

    def clear(self) -> None:
        """Drops the image that waits."""
        self._perceiver.clear()

    def rest(self, timeout_s: float) -> None:
        """Drops the image that waits, lets one in work end, and forgets earlier images."""
        self._perceiver.clear()
        self._perceiver.wait_until_idle(timeout_s)
        self._solver.wait_until_idle(timeout_s)
        self.last_result = None
        if self.pipeline is not None:
            self.pipeline.reset()

    def stop(self, timeout_s: float) -> bool:
        """Stops the threads after the image in work; False if that takes longer."""
        self._ending.set()
        ended = [each.stop(timeout_s) for each in (self._perceiver, self._solver)]
        return all(ended)

    def _load(self) -> bool:
        """Loads the networks; retries at growing intervals if that fails. False: the node is ending."""
        backoff = Backoff()
        while self.pipeline is None and not self._ending.is_set():
            with self._health.reporting_failures():
                self.pipeline = self._built(backoff)
                break
            self._ending.wait(self.config.diagnostics.period_s)
        return not self._ending.is_set()

    def _built(self, backoff: Backoff) -> MetricDepthPipeline:
        config = self.config
        started, manifests = time.monotonic(), manifest_paths(engine_for(config))
        self.networks = " and ".join(map(str, manifests))
        further = [Path(path).expanduser() for path in (config.engine.model, config.regions.manifest) if path]
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
        with stoppable_by(self._ending), self._health.reporting_failures():
            pipeline = self._pipeline_as_configured()
            with self._outputs.saying_nothing(task.image):
                perceived = pipeline.perceive(task.read(pipeline))
            unsolved = _Unsolved(task, pipeline, perceived)
            # A second thread helps only if the network does not use the CPU.
            overlap = self.config.engine.overlap
            if overlap == "always" or (overlap == "auto" and not pipeline.engine.on_cpu):
                self._solver.wait_until_idle()
                self._solver.put(unsolved)
            else:
                self._solve(unsolved)

    def _solve(self, unsolved: _Unsolved) -> None:
        """Second half of the work on an image: computes metric depth and publishes it."""
        with stoppable_by(self._ending), self._health.reporting_failures():
            with self._outputs.saying_nothing(unsolved.task.image):
                result = unsolved.pipeline.solve(unsolved.perceived)
            self._outputs.publish(result, self.config)
            self.last_result = result
            self._health.doubt(*result.doubts)
            if self._health.published(time.monotonic() - unsolved.task.received_s):
                self._logger.info("publishing depth", throttle_duration_sec=5.0)

    def _pipeline_as_configured(self) -> MetricDepthPipeline:
        """Pipeline with the newest settings, or with the previous ones if the newest cannot be used."""
        config, pipeline = self.config, self.pipeline
        if pipeline.config is config:
            return pipeline
        if self._refused is None or self._refused[0] is not config:
            try:
                self.pipeline = pipeline.with_config(config)
            except MetricDepthError as error:
                self._refused = config, f"the new settings cannot be used, those before them stay: {error}"
            else:
                self._health.clear("settings")
                return self.pipeline
        self._health.report("settings", WARN, self._refused[1])
        return pipeline
