"""The node: images, camera_info and points in; metric depth, its camera_info and a cloud out."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

from metric_depth_ros import messages
from metric_depth_ros.config import Config
from metric_depth_ros.engines import manifest_path
from metric_depth_ros.errors import (
    AnchorError,
    ConfigError,
    InputError,
    MetricDepthError,
    ModelError,
    TransformError,
)
from metric_depth_ros.health.backoff import Backoff, files_beside
from metric_depth_ros.health.input_watch import InputWatch
from metric_depth_ros.health.record import ERROR, WARN, Health
from metric_depth_ros.nodes.focus_topic import FocusTopic
from metric_depth_ros.nodes.incoming import read_any_image
from metric_depth_ros.nodes.log import core_log
from metric_depth_ros.nodes.outgoing import fill_diagnostics
from metric_depth_ros.nodes.outputs import Outputs
from metric_depth_ros.nodes.parameters import declare_config, on_set
from metric_depth_ros.nodes.qos import overridable
from metric_depth_ros.nodes.ros import cv_bridge, forget_after, message_filters
from metric_depth_ros.nodes.transforms import Tf2Source
from metric_depth_ros.nodes.worker import NewestWorker
from metric_depth_ros.pipeline import MetricDepthPipeline, Perceived, Result, build_pipeline, engine_for
from metric_depth_ros.runtimes.stopping import stoppable_by
from metric_depth_ros.share import use_fastdds_profile
from metric_depth_ros.sync import CloudRing, gather_points, jumps_back
from metric_depth_ros.types import Cloud, Sample

_PROBLEM_KEYS = {
    InputError: "input",
    TransformError: "tf",
    AnchorError: "anchors",
    ModelError: "engine",
}


@dataclass(frozen=True, eq=False)
class _Pair:
    """An image with its camera_info and, if they come by topic, its regions; when it arrived (monotonic)."""

    image: Any
    camera_info: Any
    regions: Any
    received_s: float


_LOAD = _Pair(None, None, None, 0.0)  # asks the worker for the engine


class MetricDepthNode(Node):
    """Subscribes image, camera_info, anchors and focus; publishes depth/image_rect, depth/camera_info,
    depth/sigma and depth/points with the image's stamp and frame, and /diagnostics.

    The executor's thread only sorts messages in; one worker thread does everything else, for the
    newest image. Where the network runs on a GPU a second one solves and publishes, so that the network
    can look at the next image meanwhile.
    """

    def __init__(self, **node_options: Any) -> None:
        """Raises ConfigError when a parameter is unknown or wrong; ``node_options`` go to rclpy."""
        super().__init__("metric_depth_node", **node_options)
        self._config = declare_config(self)
        self._health = Health()
        self._transforms = Tf2Source(self, self._config.extrinsics.tf_timeout_s)
        self._bridge = cv_bridge.CvBridge()
        self._pipeline: MetricDepthPipeline | None = None
        self._refused: tuple[Config, str] | None = None  # settings that no pipeline could be made of, and why
        self._backoff, self._ending = Backoff(), threading.Event()
        self._clouds = CloudRing(self._config.sync)
        self._cloud_came = threading.Condition()
        self._refused_cloud = ""
        self._last_image_ns = 0
        self._last_result: Result | None = None
        self._worker = NewestWorker(self._work, name="metric_depth")
        self._solver = NewestWorker(lambda rest: rest(), name="solver")
        self._outputs = Outputs(self)
        self._diagnostics_out = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._subscribe()
        self._focus = FocusTopic(self, lambda why: self._complain("focus", WARN, why))
        self.add_on_set_parameters_callback(on_set(lambda: self._config, self._accept))
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # simulated time may stand still
        self.create_timer(self._config.diagnostics.period_s, self._on_timer, clock=steady)
        self._worker.start()
        self._solver.start()
        self._worker.put(_LOAD)

    def destroy_node(self) -> None:
        """Ends the worker, then the node."""
        if hasattr(self, "_worker"):  # else the parameters were refused
            self._ending.set()
            with self._cloud_came:
                self._cloud_came.notify_all()
            self._transforms.timeout_s = 0.0
            self._worker.stop()
            self._solver.stop()
        super().destroy_node()

    # ---- topics ------------------------------------------------------------------------------

    def _subscribe(self) -> None:
        image_type, topic = Image, "image"
        if self._config.input.image_transport == "compressed":
            # As image_transport does: a remapping of the base topic holds for the transport too.
            image_type, topic = CompressedImage, f"{self.resolve_topic_name('image')}/compressed"
        best_effort = ReliabilityPolicy.BEST_EFFORT
        images = message_filters.Subscriber(self, image_type, topic, **overridable(best_effort))
        infos = message_filters.Subscriber(self, CameraInfo, "camera_info", **overridable(best_effort))
        companions = {"camera_info": infos}
        if self._config.regions.source == "topic":
            companions["regions"] = message_filters.Subscriber(
                self, Image, "regions", **overridable(best_effort)
            )
        images.registerCallback(self._on_image)
        self._good_images, *good = (message_filters.SimpleFilter() for _ in range(1 + len(companions)))
        for (name, subscriber), passed_on in zip(companions.items(), good, strict=True):
            subscriber.registerCallback(self._on_companion, name, passed_on)
        self._pairing = message_filters.ApproximateTimeSynchronizer(
            [self._good_images, *good],
            self._config.input.queue_size,
            self._config.input.pairing_slop_s,
        )
        self._pairing.registerCallback(self._on_pair)
        topics = {name: subscriber.sub.topic_name for name, subscriber in companions.items()}
        self._watch = InputWatch(self._health, images.sub.topic_name, topics, self.count_publishers)
        self._anchors_in = self.create_subscription(
            PointCloud2, "anchors", self._on_cloud, **overridable(best_effort)
        )

    def _on_image(self, msg: Any) -> None:
        """Passes an image on to the pairing."""
        self._health.count("images in")
        self._watch.image_came()
        try:
            stamp_ns = messages.stamp_ns(msg)
        except InputError as error:
            self._complain("input", ERROR, f"image: {error}")
            return
        if jumps_back(self._last_image_ns, stamp_ns):
            self._time_jumped_back(stamp_ns)
        self._last_image_ns = stamp_ns
        self._good_images.signalMessage(msg)

    def _on_companion(self, msg: Any, what: str, passed_on: Any) -> None:
        """Passes on to the pairing what belongs to an image."""
        self._health.count(f"{what} in")
        try:
            messages.stamp_ns(msg)
        except InputError as error:
            self._complain("input", ERROR, f"{what}: {error}")
            return
        passed_on.signalMessage(msg)

    def _on_pair(self, image: Any, camera_info: Any, regions: Any = None) -> None:
        self._health.count("pairs in")
        if self._worker.put(_Pair(image, camera_info, regions, time.monotonic())):
            self._health.count("images dropped for newer ones")

    def _on_cloud(self, msg: Any) -> None:
        self._health.count("clouds in")
        try:
            cloud = Cloud(messages.read_points(msg), messages.frame_id(msg), messages.stamp_ns(msg))
        except MetricDepthError as error:
            self._refused_cloud = f" The last cloud was refused: {error}"
            self._complain("cloud", ERROR, str(error))
            return
        self._health.solved("cloud")
        with self._cloud_came:
            self._refused_cloud = ""
            self._clouds.add(cloud)
            self._cloud_came.notify()

    def _time_jumped_back(self, stamp_ns: int) -> None:
        """A bag loops or a simulation restarts: forget what is from later than now."""
        self._health.count("time jumps")
        self.get_logger().warning(
            f"time jumped back by {(self._last_image_ns - stamp_ns) / 1e9:.3f} s; queues are cleared"
        )
        with self._cloud_came:
            self._clouds.forget_after(stamp_ns)
        forget_after(self._pairing, stamp_ns)
        self._transforms.clear()
        self._worker.clear()

    def _accept(self, config: Config) -> None:
        """A validated change of parameters; the worker takes it up with its next image."""
        with self._cloud_came:
            self._clouds.config = config.sync
        self._transforms.timeout_s = config.extrinsics.tf_timeout_s
        if config.solver.focus_m != self._config.solver.focus_m:
            self._focus.source = "parameter"
            self._health.solved("focus")
        self._config = config

    # ---- worker ------------------------------------------------------------------------------

    def _work(self, pair: _Pair) -> None:
        with self._reported():
            if pair is _LOAD:
                self._load()
            elif self._pipeline is not None:
                pipeline = self._pipeline_as_configured()
                perceived = pipeline.perceive(self._sample(pair))
                rest = partial(self._solve, pipeline, perceived, pair.received_s)
                if self._overlaps(pipeline):
                    self._solver.wait_until_idle()
                    self._solver.put(rest)
                else:
                    rest()

    def _overlaps(self, pipeline: MetricDepthPipeline) -> bool:
        """Whether solving takes a thread of its own: it pays where the network leaves the processor free."""
        wanted = self._config.engine.overlap
        return wanted == "always" or (wanted == "auto" and not pipeline.engine.on_cpu)

    def _solve(self, pipeline: MetricDepthPipeline, perceived: Perceived, received_s: float) -> None:
        with self._reported():
            self._publish(pipeline.solve(perceived), received_s)

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Ends an expected failure here, in log and diagnostics; a bug too, with its traceback."""
        try:
            yield
        except MetricDepthError as error:
            self._complain(_PROBLEM_KEYS.get(type(error), "input"), ERROR, str(error))
        except Exception:
            if self._health.report("bug", ERROR, f"internal error: {traceback.format_exc(limit=-1)}"):
                self.get_logger().error(traceback.format_exc())

    def _load(self) -> None:
        if self._pipeline is None:
            config = self._config
            started, manifest = time.monotonic(), manifest_path(engine_for(config))
            further = [path for path in (config.engine.model, config.regions.manifest) if path]
            files = files_beside([manifest, *(Path(path).expanduser() for path in further)])
            with (
                self._backoff((config, files)),
                core_log(self.get_logger(), self._health.waits_for),
                stoppable_by(self._ending),
            ):
                self._pipeline = build_pipeline(config)
            engine = self._pipeline.engine
            self.get_logger().info(
                f"engine ready in {time.monotonic() - started:.1f} s: {manifest}; "
                f"{engine.label}, {engine.why}; solver {self._config.solver.name}"
            )

    def _pipeline_as_configured(self) -> MetricDepthPipeline:
        """The pipeline with the newest settings, or with those before if the newest cannot be used."""
        config, pipeline = self._config, self._pipeline
        if pipeline.config is config:
            return pipeline
        if self._refused is None or self._refused[0] is not config:
            try:
                self._pipeline = pipeline.with_config(config)
            except MetricDepthError as error:
                self._refused = config, f"the new settings cannot be used, those before them stay: {error}"
            else:
                self._health.solved("settings")
                return self._pipeline
        self._complain("settings", WARN, self._refused[1])
        return pipeline

    def _sample(self, pair: _Pair) -> Sample:
        """All inputs of one image. Raises MetricDepthError when one is missing or unusable."""
        config = self._config
        stamp_ns, frame_id = messages.stamp_ns(pair.image), messages.frame_id(pair.image)
        rectified = config.input.rectification == "rectified"
        camera = messages.read_camera(pair.camera_info, rectified=rectified)
        image = read_any_image(pair.image, self._bridge)
        clouds = self._clouds_for(stamp_ns, pair.received_s + config.sync.max_wait_s)
        points = gather_points(clouds, frame_id, stamp_ns, self._transforms, config)
        return Sample(
            image,
            camera,
            points,
            stamp_ns,
            frame_id,
            tuple(cloud.stamp_ns for cloud in clouds),
            rectification=None if rectified else messages.read_rectification(pair.camera_info),
            regions=None if pair.regions is None else messages.read_labels(pair.regions),
        )

    def _clouds_for(self, stamp_ns: int, deadline_s: float) -> list[Cloud]:
        """The image's clouds, after waiting for one that is due. Raises AnchorError when none fits."""
        optional = self._pipeline is not None and self._pipeline.needs_no_points
        with self._cloud_came:
            while (
                self._clouds.awaits(stamp_ns)
                and (len(self._clouds) or not optional)  # there may be no sensor at all
                and not self._ending.is_set()
                and (left := deadline_s - time.monotonic()) > 0
            ):
                self._cloud_came.wait(left)
            clouds = self._clouds.select(stamp_ns)
        if not clouds and not optional:
            topic = self._anchors_in.topic_name
            raise AnchorError(
                f"anchors: no cloud for the image at {stamp_ns / 1e9:.3f} s among {len(self._clouds)} kept "
                f"of {self._health.counted('clouds in')} received on {topic} "
                f"({self.count_publishers(topic)} publishers). Remap anchors, compare the clocks of camera "
                f"and sensor, or raise sync.max_cloud_age_s.{self._refused_cloud}"
            )
        return clouds

    def _publish(self, result: Result, received_s: float) -> None:
        self._outputs.publish(result, self._config)
        self._last_result = result
        if self._health.published(time.monotonic() - received_s):
            self.get_logger().info("publishing depth", throttle_duration_sec=5.0)

    # ---- health ------------------------------------------------------------------------------

    def _complain(self, key: str, level: int, message: str) -> None:
        """Notes a problem, and logs it unless the same one was logged just now."""
        if not self._health.report(key, level, message):
            return
        if level == ERROR:  # rclpy wants one severity per line of code
            self.get_logger().error(message)
        else:
            self.get_logger().warning(message)

    def _on_timer(self) -> None:
        if self._pipeline is None:
            self._worker.put(_LOAD)
        if (problem := self._watch.problem()) is not None:
            self._complain(*problem)
        self._publish_diagnostics()

    def _publish_diagnostics(self) -> None:
        level, message, values = self._health.summary()
        config, result = self._config, self._last_result
        values |= {"engine": str(manifest_path(config.engine)), "solver": config.solver.name}
        values |= {"focus_m": f"{config.solver.focus_m:g}", "focus from": self._focus.source}
        if self._pipeline is not None:
            values |= {"runtime": self._pipeline.engine.label, "runtime why": self._pipeline.engine.why}
        if result is not None:
            values["anchors"] = str(len(result.anchors))
            for newest_ns in result.sample.cloud_stamps_ns[-1:]:  # a solver may go on without a cloud
                values["cloud age_ms"] = f"{(result.stamp_ns - newest_ns) / 1e6:.1f}"
            values |= {f"{stage}_ms": f"{1e3 * s:.1f}" for stage, s in result.timings.items()}
            values |= {f"solver {name}": str(value) for name, value in result.metric.info.items()}
        self._diagnostics_out.publish(fill_diagnostics(self, level, message, values))


def main(args: list[str] | None = None) -> int:
    """Runs the node until it is told to stop; 1 when its parameters are wrong."""
    use_fastdds_profile()
    try:
        rclpy.init(args=args)
    except RuntimeError as error:  # wrong --ros-args, a malformed topic for example
        print(f"metric_depth_node: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    executor = SingleThreadedExecutor()
    node = None
    try:
        node = MetricDepthNode()
        executor.add_node(node)
        executor.spin()
    except (ConfigError, ParameterException) as error:
        print(f"metric_depth_node: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        executor.shutdown()
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
