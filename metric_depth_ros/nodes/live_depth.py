"""What the node holds from configure to cleanup: outputs, networks and, while it is active, inputs."""

from __future__ import annotations

from functools import partial

from rclpy.node import Node

from metric_depth_ros import messages
from metric_depth_ros.config import Config, SourceConfig
from metric_depth_ros.engines.pool import EnginePool
from metric_depth_ros.health.status import WARN, Health
from metric_depth_ros.nodes.depth_worker import DepthWorker, Task
from metric_depth_ros.nodes.diagnostics import Diagnostics
from metric_depth_ros.nodes.ends import why_not_alone
from metric_depth_ros.nodes.image_input import Pair
from metric_depth_ros.nodes.inputs import Inputs
from metric_depth_ros.nodes.log import log_fault
from metric_depth_ros.nodes.outputs import TOPICS, Outputs
from metric_depth_ros.nodes.timers import steady_timer
from metric_depth_ros.nodes.worker import PATIENCE_S


class LiveDepth:
    """Publishes depth and diagnostics while it is active.

    The executor's thread only queues messages; the threads of ``worker`` do the work.

    Attributes:
        worker: loads the networks, and makes images depth.
        health: counters and faults.
        inputs: while it is active, else None.
    """

    def __init__(self, node: Node, config: Config, engines: EnginePool) -> None:
        self._node = node
        self.inputs: Inputs | None = None
        self.health = Health(partial(log_fault, node.get_logger()))
        self._diagnostics = Diagnostics(node, self.health)
        self._outputs = Outputs(node)
        self.worker = DepthWorker(
            config, engines, self._outputs, self.health, node.get_logger(), node.get_clock()
        )
        self._timer = steady_timer(node, config.diagnostics.period_s, self._tell)

    def activate(self) -> None:
        """Subscribes all inputs. Raises ConfigError if one is an output of this node."""
        self.health.begin()
        self.inputs = Inputs(self._node, self.worker.config, self.health, self._on_pair, self.worker.clear)

    def deactivate(self) -> None:
        """Ends all subscriptions; nothing is published from then on, and earlier images are forgotten."""
        if self.inputs is not None:
            self.inputs.destroy()
            self.inputs = None
            self.worker.rest(PATIENCE_S)

    def accept(self, config: Config) -> None:
        """Takes new settings, from the next image on. Raises ConfigError if a description cannot be read."""
        if self.worker.pipeline is not None:
            self.worker.pipeline.check_description(config.solver.description)
        if self.inputs is not None:
            self.inputs.configure(config)
        self.worker.config = config

    def reset(self) -> None:
        """Forgets all that came, as when time jumps back, but whatever its stamp."""
        if self.inputs is not None:
            self.inputs.forget()
        self.worker.forget()

    def destroy(self) -> bool:
        """Ends everything; False if a thread is stuck and has to be left."""
        if self.inputs is not None:
            self.inputs.destroy()
            self.inputs = None
        ended = self.worker.stop(PATIENCE_S)
        self._node.destroy_timer(self._timer)
        self._outputs.destroy()
        self._diagnostics.destroy()
        return ended

    def _on_pair(self, pair: Pair) -> None:
        self.worker.put(Task(pair.image, partial(self.inputs.sample, pair), pair.received_s))

    def _tell(self) -> None:
        """Publishes diagnostics, and looks for inputs that are missing."""
        config, pipeline = self.worker.config, self.worker.pipeline
        values = {
            "engine": self.worker.networks,
            "solver": config.solver.name,
            "focus_m": f"{config.solver.focus_m:g}",
            "description": config.solver.description,
        }
        if pipeline is not None:
            values |= {"runtime": pipeline.engine.label, "runtime why": pipeline.engine.why}
        values |= self.worker.told
        if (words := why_not_alone(self._node)) is not None:
            self.health.report("name", WARN, words)
        if self.inputs is not None:
            values |= self.inputs.values()
            if (fault := self.inputs.fault()) is not None:
                self.health.report(*fault)
        self._diagnostics.publish(values, active=self.inputs is not None)


def topic_ends(node: Node, config: Config) -> set[str]:
    """Ends of all topics whose QoS can be overridden, also those that come with the type of a sensor.

    Named as in parameters: ``TOPIC.publisher``, ``TOPIC.subscription``, ``TOPIC.subscription_latched``.
    """
    resolved = node.resolve_topic_name
    image = resolved("image")
    infos, inputs = {resolved("camera_info")}, {image, f"{image}/compressed"}
    inputs |= {resolved(name) for name in ("regions", "focus", "description")}
    for source in config.sources.values() or [SourceConfig(topic="anchors")]:
        topic = resolved(source.topic)
        inputs.add(topic)
        infos.add(resolved(source.camera_info or messages.camera_info_beside(topic)))
    ends = {f"{resolved(topic)}.publisher" for topic in (*TOPICS, "/diagnostics")}
    ends |= {f"{topic}.subscription" for topic in inputs | infos}
    return ends | {f"{topic}.subscription_latched" for topic in infos}
