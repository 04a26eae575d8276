"""ROS node: subscribes images, camera_info and points; publishes metric depth, camera_info and a cloud."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from metric_depth_ros.config import Config
from metric_depth_ros.engines.pool import EnginePool
from metric_depth_ros.errors import MetricDepthError
from metric_depth_ros.nodes.live_depth import LiveDepth, topic_ends
from metric_depth_ros.nodes.parameters import declare_config, on_set
from metric_depth_ros.nodes.services import Services

_SUCCESS, _FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
_ERROR = TransitionCallbackReturn.ERROR


class MetricDepthNode(LifecycleNode):
    """Publishes metric depth of each image.

    Subscribes image, camera_info, anchors, focus and description; publishes depth/image_rect,
    depth/camera_info, depth/sigma, depth/points and depth/info with the image's stamp and frame, and
    /diagnostics.

    A managed node: configure loads the networks, activate subscribes, deactivate ends that and keeps the
    networks, cleanup frees everything. With ``lifecycle.autostart`` it does the first two itself, and loads
    its networks in the background, again and again until that succeeds.

    Attributes:
        live: what it holds from configure to cleanup; None before and after.
    """

    def __init__(self, engines: EnginePool | None = None, **node_options: Any) -> None:
        """Starts the node, in the background.

        Args:
            engines: networks that nodes of this process share.
            node_options: passed to rclpy.

        Raises:
            ConfigError: a parameter is unknown or wrong, or, if it starts itself, a topic.
        """
        self.live: LiveDepth | None = None
        self._failure: Exception | None = None
        self._started = self._stuck = False
        super().__init__("metric_depth_node", **node_options)
        self._engines = engines or EnginePool()
        self._config = declare_config(self)
        self.add_on_set_parameters_callback(
            on_set(lambda: self._config, self._accept, in_use=lambda: self.live is not None)
        )
        self._calls = Services(self, lambda: self.live)
        if self._config.lifecycle.autostart:
            for transition in (self.trigger_configure, self.trigger_activate):
                if transition() != _SUCCESS:
                    self.destroy_node()
                    raise self._failure
        self._started = True

    def topic_ends(self) -> set[str]:
        """Ends of its topics whose QoS can be overridden, as ``live_depth.topic_ends`` says."""
        return topic_ends(self, self._config)

    def interrupt(self) -> None:
        """Ends what is being loaded, as the process is to end. May be called by a handler of signals."""
        if self.live is not None:
            self.live.worker.interrupt()

    def destroy_node(self) -> bool:
        """Ends everything; False if a thread is stuck and has to be left."""
        ended = self._end()
        # rclpy leaves this to the garbage collector: until then its services would be found by clients.
        self._state_machine.destroy_when_not_in_use()
        super().destroy_node()
        return ended

    # ---- transitions -------------------------------------------------------------------------

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Advertises the outputs and loads the networks; if that fails, the node stays unconfigured."""
        return self._transition("configure", self._configure, _FAILURE, undo=self._end)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribes the inputs."""
        return self._transition("activate", self.live.activate, _FAILURE, undo=self.live.deactivate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Ends the subscriptions. Nothing is published from then on."""
        return self._transition("deactivate", self.live.deactivate, _ERROR)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Frees networks and outputs."""
        return self._transition("clean up", self._end, _ERROR)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Frees everything, for good."""
        return self._transition("shut down", self._end, _ERROR)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Frees everything; the node may be configured again, unless a thread of it is stuck."""
        done = self._transition("clean up after an error", self._end, _FAILURE)
        return _FAILURE if self._stuck else done

    def _transition(
        self,
        what: str,
        work: Callable[[], Any],
        failed: TransitionCallbackReturn,
        undo: Callable[[], Any] = lambda: None,
    ) -> TransitionCallbackReturn:
        """Does the work of a transition; if it fails, says why, undoes it and returns ``failed``."""
        try:
            work()
        except Exception as error:
            expected = isinstance(error, MetricDepthError)
            why = str(error) if expected else f"internal error: {traceback.format_exc()}"
            self._failure = error
            if self._started or not self._config.lifecycle.autostart:  # else it is raised
                self.get_logger().error(f"cannot {what}: {why}")
            undo()
            return failed
        return _ERROR if self._stuck else _SUCCESS

    def _configure(self) -> None:
        self.live = LiveDepth(self, self._config, self._engines)
        if not self._config.lifecycle.autostart:
            self.live.worker.load()
        self.live.worker.start()

    def _end(self) -> bool:
        """Ends what configure began; False if a thread is stuck and has to be left."""
        live, self.live = self.live, None
        if live is not None and not live.destroy():
            self._stuck = True
            self.get_logger().error("the network does not end; the process has to be started anew")
        return not self._stuck

    def _accept(self, config: Config) -> None:
        """Takes validated parameters, from the next image on.

        Raises ConfigError for a description that cannot be read.
        """
        if self.live is not None:
            self.live.accept(config)
        self._config = config
