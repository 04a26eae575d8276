"""Services of the node: ``~/reset`` and ``~/save_sample``."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import Trigger

from metric_depth_ros.errors import InputError, MetricDepthError
from metric_depth_ros.nodes.capture import Capture, Captured, command, folder_of, write
from metric_depth_ros.nodes.inputs import Inputs
from metric_depth_ros.nodes.live_depth import LiveDepth
from metric_depth_ros.nodes.timers import steady_timer

_LOOK_PERIOD_S = 0.05
# No image for so long after all else has come is a failure.
_WITHOUT_IMAGE_S = 10.0


class Services:
    """Offers the services as long as the node exists. Use in the executor's thread.

    While a sample is captured and written, the node goes on: the callback waits as a coroutine, and a thread
    writes.
    """

    def __init__(self, node: Node, live: Callable[[], LiveDepth | None]) -> None:
        """``live``: what the node holds while it is configured."""
        self._node, self._live = node, live
        alone = MutuallyExclusiveCallbackGroup()  # the wait for a sample must not hold back other callbacks
        node.create_service(Trigger, "~/reset", self._on_reset)
        node.create_service(Trigger, "~/save_sample", self._on_save_sample, callback_group=alone)

    def _on_reset(self, _request: Any, response: Any) -> Any:
        live = self._live()
        response.success = live is not None
        response.message = "reset: the node is not configured; there is nothing to forget."
        if live is not None:
            live.reset()
            response.message = "queues, clouds, moving transforms and memory are cleared"
        return response

    async def _on_save_sample(self, _request: Any, response: Any) -> Any:
        try:
            live = self._live()
            if live is None or live.inputs is None:
                raise InputError("the node is not active; needed its inputs. Activate it.")
            saving = _Saving(self._node, live.inputs)
            try:
                response.message = await saving.done
            finally:
                saving.destroy()
            response.success = True
        except MetricDepthError as error:
            response.success, response.message = False, f"save_sample: {error}"
        return response


class _Saving:
    """One sample on its way: first captured, then written by a thread.

    Attributes:
        done: future of the path of its bag, with the command that computes its depth.
    """

    def __init__(self, node: Node, inputs: Inputs) -> None:
        self._node, self._inputs, self._folder = node, inputs, folder_of(inputs.config.save.folder)
        self._capture = Capture(node, inputs)
        self.done: Future = Future()
        self._topic, self._began_s = inputs.images.topic, time.monotonic()
        self._written: Path | MetricDepthError | None = None
        self._sample: Captured | None = None
        self._timer = steady_timer(node, _LOOK_PERIOD_S, self._look)

    def destroy(self) -> None:
        """Ends the timer and the subscriptions, and drops the sample: reference cycles would keep it long."""
        self._node.destroy_timer(self._timer)
        self._capture.destroy()
        self._sample = None

    def _look(self) -> None:
        """Goes on to the next step if the one before is done; all that is awaited is set in this thread."""
        try:
            if self._sample is None:
                if not self._inputs.active:
                    raise InputError("the node was deactivated meanwhile; needed an image. Activate it.")
                self._sample = self._captured()
            elif isinstance(self._written, MetricDepthError):
                raise self._written
            elif self._written is not None and not self.done.done():
                self.done.set_result(f"{self._written}: {command(self._sample, self._written)}")
        except Exception as error:
            self._timer.cancel()
            self.done.set_exception(_as_expected(error))

    def _captured(self) -> Captured | None:
        """The sample, whose writing begins, or None. Raises InputError if no image comes."""
        sample = self._capture.sample()
        if sample is not None:
            self._capture.destroy()
            threading.Thread(target=self._write, args=(sample,), name="save_sample").start()
        elif (
            not self._capture.has_image
            and time.monotonic() > self._began_s + self._capture.before_s + _WITHOUT_IMAGE_S
        ):
            raise InputError(f"no image with a camera_info came on {self._topic} for {_WITHOUT_IMAGE_S:g} s.")
        return sample

    def _write(self, sample: Captured) -> None:
        try:
            self._written = write(sample, self._folder)
        except Exception as error:
            self._written = _as_expected(error)


def _as_expected(error: Exception) -> MetricDepthError:
    """The error, or one that tells of a bug, which must be answered, too."""
    if isinstance(error, MetricDepthError):
        return error
    return MetricDepthError(f"internal error: {type(error).__name__}: {error}")
