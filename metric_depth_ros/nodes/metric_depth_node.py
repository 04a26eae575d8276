"""ROS node: subscribes images, camera_info and points; publishes metric depth, camera_info and a cloud."""

from __future__ import annotations

import signal
import sys
import threading
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from metric_depth_ros import messages
from metric_depth_ros.config import Config
from metric_depth_ros.engines import manifest_paths
from metric_depth_ros.errors import ConfigError, MetricDepthError
from metric_depth_ros.health import findings
from metric_depth_ros.health.backoff import Backoff, files_beside
from metric_depth_ros.health.status import WARN, Health
from metric_depth_ros.nodes.anchor_input import AnchorInput
from metric_depth_ros.nodes.diagnostics import Diagnostics, values_of
from metric_depth_ros.nodes.ends import why_not_alone
from metric_depth_ros.nodes.image_input import ImageInput, Pair, read_any_image
from metric_depth_ros.nodes.log import core_log, log_fault
from metric_depth_ros.nodes.outputs import Outputs
from metric_depth_ros.nodes.parameter_topic import description_topic, focus_topic
from metric_depth_ros.nodes.parameters import declare_config, on_set
from metric_depth_ros.nodes.transform_input import TransformInput
from metric_depth_ros.nodes.worker import NewestWorker
from metric_depth_ros.pipeline import MetricDepthPipeline, Perceived, build_pipeline, engine_for
from metric_depth_ros.priors import prior_path
from metric_depth_ros.runtimes.stopping import stoppable_by
from metric_depth_ros.share import use_fastdds_profile
from metric_depth_ros.sync import T_fixed_camera, all_points, gather_sources, points_up
from metric_depth_ros.types import Sample

# Signals are seen between two callbacks, or after so long.
_LOOK_FOR_SIGNALS_S = 0.2


@dataclass(frozen=True, eq=False)
class _Unsolved:
    """Image after the network and before the solver, its message, and its time of arrival (monotonic)."""

    pipeline: MetricDepthPipeline
    perceived: Perceived
    image: Any
    received_s: float


class MetricDepthNode(Node):
    """Publishes metric depth of each image.

    Subscribes image, camera_info, anchors, focus and description; publishes depth/image_rect,
    depth/camera_info, depth/sigma, depth/points and depth/info with the image's stamp and frame, and
    /diagnostics.

    The executor's thread only queues messages; a worker thread loads the network and then does everything
    else, for the newest image. If the network runs on a GPU, a second worker solves and publishes while
    the network processes the next image.
    """

    def __init__(self, **node_options: Any) -> None:
        """Raises ConfigError if a parameter is unknown or wrong; ``node_options`` are passed to rclpy."""
        self._started, self._ending = False, threading.Event()
        super().__init__("metric_depth_node", **node_options)
        self._config = declare_config(self)
        self._pipeline: MetricDepthPipeline | None = None
        self._networks = ""  # their manifests
        self._refused: tuple[Config, str] | None = None  # settings that cannot be used, and why
        self._last_values: dict[str, str] = {}  # of the last depth; no image is kept for them
        self._stretch = messages.Stretch()

        self._health = Health(partial(log_fault, self.get_logger()))
        self._diagnostics = Diagnostics(self, self._health)
        self._outputs = Outputs(self)  # first: no input may be one of these
        self._transforms = TransformInput(self, self._health, self._config.extrinsics.tf_timeout_s)
        self._anchors = AnchorInput(self, self._config, self._health)
        self._images = ImageInput(
            self, self._config, self._health, on_pair=self._on_pair, on_jump=self._on_jump
        )
        note = findings.taken_as_rectified(self._config.input.rectification, self._images.topic)
        if note is not None:
            self.get_logger().info(note)
        self._focus = focus_topic(self, refused=partial(self._health.report, "focus", WARN))
        self._description = description_topic(self, refused=partial(self._health.report, "description", WARN))
        self.add_on_set_parameters_callback(on_set(lambda: self._config, self._accept))
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # simulated time may stand still
        self.create_timer(self._config.diagnostics.period_s, self._on_timer, clock=steady)

        self._perceiver = NewestWorker(self._perceive, name="perceive", prepare=self._load)
        self._solver = NewestWorker(self._solve, name="solve")
        self._perceiver.start()
        self._solver.start()
        self._started = True

    def destroy_node(self) -> None:
        """Stops the workers if the start came as far, then destroys the node."""
        self._ending.set()
        if self._started:
            self._anchors.stop()
            self._transforms.timeout_s = 0.0
            self._perceiver.stop()
            self._solver.stop()
        super().destroy_node()

    # ---- the executor's thread ---------------------------------------------------------------

    def _on_pair(self, pair: Pair) -> None:
        if self._perceiver.put(pair):
            self._health.count("images dropped for newer ones")

    def _on_jump(self, stamp_ns: int) -> None:
        """Forgets newer data when time jumps back: a bag loops, or a simulation restarts."""
        self._anchors.forget_after(stamp_ns)
        self._transforms.forget_after(stamp_ns)
        self._perceiver.clear()

    def _accept(self, config: Config) -> None:
        """Takes validated parameters; the worker uses them from its next image on.

        Raises ConfigError for a description that cannot be read.
        """
        if self._pipeline is not None:
            self._pipeline.check_description(config.solver.description)
        self._anchors.configure(config)
        self._transforms.timeout_s = config.extrinsics.tf_timeout_s
        if config.solver.focus_m != self._config.solver.focus_m:
            self._focus.source = "parameter"
            self._health.clear("focus")
        if config.solver.description != self._config.solver.description:
            self._description.source = "parameter"
            self._health.clear("description")
        self._config = config

    def _on_timer(self) -> None:
        if (fault := self._images.watch.fault()) is not None:
            self._health.report(*fault)
        if (words := why_not_alone(self)) is not None:
            self._health.report("name", WARN, words)
        config, pipeline = self._config, self._pipeline
        values = {
            "engine": self._networks,
            "solver": config.solver.name,
            "focus_m": f"{config.solver.focus_m:g}",
            "focus from": self._focus.source,
            "description": config.solver.description,
            "description from": self._description.source,
        }
        if pipeline is not None:
            values |= {"runtime": pipeline.engine.label, "runtime why": pipeline.engine.why}
        values |= self._last_values
        values |= self._anchors.values()
        self._diagnostics.publish(values)

    # ---- the workers' threads ----------------------------------------------------------------

    def _load(self) -> bool:
        """Builds the pipeline; retries at growing intervals if that fails. False: the node is ending."""
        backoff = Backoff()
        while not self._ending.is_set():
            with self._health.reporting_failures():
                self._pipeline = self._built(backoff)
                return True
            self._ending.wait(self._config.diagnostics.period_s)
        return False

    def _built(self, backoff: Backoff) -> MetricDepthPipeline:
        config = self._config
        started, manifests = time.monotonic(), manifest_paths(engine_for(config))
        self._networks = " and ".join(map(str, manifests))
        further = [Path(path).expanduser() for path in (config.engine.model, config.regions.manifest) if path]
        prior = prior_path(config.solver.chosen_prior)
        further += [] if prior is None else [prior]
        with (
            backoff((config, files_beside([*manifests, *further]))),
            core_log(self.get_logger(), self._health.waits_for),
            stoppable_by(self._ending),
        ):
            pipeline = build_pipeline(config)
        self.get_logger().info(
            f"engine ready in {time.monotonic() - started:.1f} s: {self._networks}; "
            f"{pipeline.engine.label}, {pipeline.engine.why}; solver {config.solver.name}"
        )
        return pipeline

    def _perceive(self, pair: Pair) -> None:
        """First half of the work on an image, up to and with the network."""
        with self._health.reporting_failures():
            pipeline = self._pipeline_as_configured()
            with self._outputs.saying_nothing(pair.image):
                perceived = pipeline.perceive(self._sample(pair, pipeline))
            unsolved = _Unsolved(pipeline, perceived, pair.image, pair.received_s)
            # A second thread helps only if the network does not use the CPU.
            overlap = self._config.engine.overlap
            if overlap == "always" or (overlap == "auto" and not pipeline.engine.on_cpu):
                self._solver.wait_until_idle()
                self._solver.put(unsolved)
            else:
                self._solve(unsolved)

    def _solve(self, unsolved: _Unsolved) -> None:
        """Second half of the work on an image: computes metric depth and publishes it."""
        with self._health.reporting_failures():
            with self._outputs.saying_nothing(unsolved.image):
                result = unsolved.pipeline.solve(unsolved.perceived)
            self._outputs.publish(result, self._config)
            self._last_values = values_of(result)
            self._doubt(*result.doubts)
            if self._health.published(time.monotonic() - unsolved.received_s):
                self.get_logger().info("publishing depth", throttle_duration_sec=5.0)

    def _pipeline_as_configured(self) -> MetricDepthPipeline:
        """Pipeline with the newest settings, or with the previous ones if the newest cannot be used."""
        config, pipeline = self._config, self._pipeline
        if pipeline.config is config:
            return pipeline
        if self._refused is None or self._refused[0] is not config:
            try:
                self._pipeline = pipeline.with_config(config)
            except MetricDepthError as error:
                self._refused = config, f"the new settings cannot be used, those before them stay: {error}"
            else:
                self._health.clear("settings")
                return self._pipeline
        self._health.report("settings", WARN, self._refused[1])
        return pipeline

    def _sample(self, pair: Pair, pipeline: MetricDepthPipeline) -> Sample:
        """All inputs of one image. Raises MetricDepthError if one is missing or unusable."""
        config = self._config
        stamp_ns, frame_id = messages.stamp_ns(pair.image), messages.frame_id(pair.image)
        self._stretch.clip_percent = config.input.clip_percent
        image = read_any_image(pair.image, self._stretch)
        rectified = messages.is_rectified(config.input.rectification, self._images.topic)
        told = {
            "image_size": (image.shape[1], image.shape[0]),
            "stereo_offset": config.input.stereo_offset,
        }
        camera = messages.read_camera(pair.camera_info, rectified=rectified, **told)
        if note := messages.offset_left_out(pair.camera_info, config.input.stereo_offset):
            self.get_logger().info(note, once=True)
        self._doubt(findings.rectified_twice(config.input.rectification, self._images.topic, camera))
        came_s, optional = pair.received_s, pipeline.needs_no_points
        chosen = self._anchors.clouds_for(stamp_ns, came_s, optional=optional)
        sources = gather_sources(chosen, frame_id, stamp_ns, self._transforms, config, self._anchors.refuse)
        return Sample(
            image,
            camera,
            all_points(sources),
            stamp_ns,
            frame_id,
            tuple(sorted(cloud.stamp_ns for _, clouds in chosen for cloud in clouds)),
            rectification=None if rectified else messages.read_rectification(pair.camera_info, **told),
            regions=None if pair.regions is None else messages.read_labels(pair.regions),
            T_fixed_camera=T_fixed_camera(frame_id, stamp_ns, self._transforms, config),
            points_up=points_up(chosen, frame_id, stamp_ns, self._transforms, config),
            sources=sources,
        )

    def _doubt(self, *doubts: str | None) -> None:
        """Reports what may be wrong with the input though it gives depth."""
        for doubt in filter(None, doubts):
            self._health.report("doubt", WARN, doubt)


def main(args: list[str] | None = None) -> int:
    """Runs the node until it is stopped; returns 1 if its parameters are wrong.

    Signals are not left to ROS, which ends publishers and the graph while workers still use them.
    """
    use_fastdds_profile()
    stopped = threading.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(sign) is not signal.SIG_IGN:
            signal.signal(sign, lambda *_: stopped.set())
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:  # wrong --ros-args, for example a malformed topic
        print(f"metric_depth_node: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    executor = SingleThreadedExecutor()
    node = None
    try:
        node = MetricDepthNode()
        executor.add_node(node)
        while rclpy.ok() and not stopped.is_set():
            executor.spin_once(timeout_sec=_LOOK_FOR_SIGNALS_S)
    except (ConfigError, ParameterException) as error:
        print(f"metric_depth_node: {error}", file=sys.stderr)
        return 1
    except ExternalShutdownException:
        pass
    finally:
        executor.shutdown()
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
    return 0
