"""Runs a bag through the live graph: replayer, node and recorder, each in its own process."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from metric_depth_ros.errors import MetricDepthError
from metric_depth_ros.share import fastdds_profile, on_this_machine

NODE = (sys.executable, "-m", "metric_depth_ros.nodes")
VERB = (sys.executable, "-m", "metric_depth_ros.cli")
OUTPUTS = ("/depth/image_rect", "/depth/camera_info", "/depth/points", "/diagnostics")


def own_domain() -> tuple[int, socket.socket]:
    """A random ROS domain that nobody else on this machine has from here until the socket is closed.

    Raises MetricDepthError if none is left.
    """
    for domain in random.SystemRandom().sample(range(1, 101), 100):
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0metric_depth_ros/domain/{domain}")
        except OSError:
            name.close()
            continue
        return domain, name
    raise MetricDepthError(
        "ROS: domains 1 to 100 are all in use on this machine; needed a free one. Stop "
        "other demos, benchmarks or tests."
    )


class Graph(AbstractContextManager["Graph"]):
    """Processes on a separate ROS graph, each with a log file; all are stopped when the block ends."""

    def __init__(self, logs: Path, *, apart: bool = True) -> None:
        """``logs``: folder for the log files.

        ``apart``: in a ROS domain of its own on this machine, whatever the environment says: what is replayed
        must not reach a robot. False: in that of the environment.
        """
        logs.mkdir(parents=True, exist_ok=True)
        self._logs = logs
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._domain: socket.socket | None = None
        own: dict[str, str] = {}
        if apart:
            domain, self._domain = own_domain()
            own = {**on_this_machine(), "ROS_DOMAIN_ID": str(domain)}
        self.env = {**fastdds_profile(os.environ), **os.environ, **own, "PYTHONUNBUFFERED": "1"}

    def start(self, name: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
        """Starts a process; its output goes to NAME.log."""
        with self._log_path(name).open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=self.env)
        self._processes[name] = process
        return process

    def log(self, name: str) -> str:
        """What a process has printed so far."""
        return self._log_path(name).read_text(errors="replace")

    def wait_for(self, name: str, text: str, timeout_s: float) -> None:
        """Waits until a process has printed ``text``. Raises MetricDepthError with its log if not."""
        deadline = time.monotonic() + timeout_s
        while text not in self.log(name):
            ended = self._processes[name].poll() is not None
            if ended or time.monotonic() > deadline:
                what = "ended" if ended else f"did not say {text!r} within {timeout_s:g} s"
                raise MetricDepthError(f"{name}: {what}. It printed:\n{self.log(name)[-2000:]}")
            time.sleep(0.05)

    def finish(self, name: str, timeout_s: float) -> int:
        """Waits until a process ends; returns its exit code. Raises MetricDepthError if it does not."""
        try:
            return self._processes[name].wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise MetricDepthError(f"{name}: still running after {timeout_s:g} s.") from error

    def stop(self, name: str, timeout_s: float = 10.0) -> int:
        """Interrupts a process as Ctrl-C does, kills it if that is not enough; returns its exit code."""
        process = self._processes[name]
        # Processes of a shell's background job ignore SIGINT.
        for kind in (signal.SIGINT, signal.SIGTERM):
            if process.poll() is None:
                process.send_signal(kind)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout_s / 2)
        if process.poll() is None:
            process.kill()
        return process.wait()

    def __exit__(self, *_: object) -> None:
        for name in reversed(self._processes):
            self.stop(name)
        if self._domain is not None:
            self._domain.close()

    def _log_path(self, name: str) -> Path:
        return self._logs / f"{name}.log"


def ros_arguments(settings: Mapping[str, Any], remappings: Mapping[str, str]) -> list[str]:
    """Command-line arguments (--ros-args) of a node: parameters and remappings."""
    arguments = ["--ros-args"]
    for name, value in settings.items():
        arguments += ["-p", f"{name}:={value}"]
    for ours, theirs in remappings.items():
        arguments += ["-r", f"{ours}:={theirs}"]
    return arguments


def replay_live(
    bag: Path,
    out: Path,
    settings: Mapping[str, Any],
    remappings: Mapping[str, str],
    *,
    rate: float = 1.0,
    timeout_s: float = 120.0,
    also: Sequence[str] = (),
    watching: Callable[[int], AbstractContextManager[object]] = contextlib.nullcontext,
) -> Path:
    """Replays ``bag`` through a metric_depth_node and records what it publishes.

    ``also``: topics that are recorded beside depth, camera_info, points and diagnostics.
    ``watching``: context for the time of the replay, made with the node's process id.

    Returns the recorded bag, ``out``/live. The logs lie beside it. Raises MetricDepthError when a
    process fails or ``timeout_s`` passes.
    """
    recorded = out / "live"
    with Graph(out) as graph:
        node = graph.start("node", [*NODE, *ros_arguments(settings, remappings)])
        graph.start("record", [*VERB, "record", str(recorded), *OUTPUTS, *also])
        graph.wait_for("node", "engine ready", timeout_s)
        for topic in OUTPUTS:
            graph.wait_for("record", f"subscribed to {topic}", timeout_s)
        with watching(node.pid):
            graph.start("replay", [*VERB, "replay", str(bag), "--rate", str(rate)])
            if graph.finish("replay", timeout_s):
                raise MetricDepthError(f"replay failed:\n{graph.log('replay')}")
            time.sleep(1.0)  # the last images are still being processed
        graph.stop("node")
        if graph.stop("record"):
            raise MetricDepthError(f"nothing was published. The node's log:\n{graph.log('node')[-3000:]}")
    return recorded
