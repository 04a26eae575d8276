"""A running node, a stream of a scene of known depth, and faults that disturb the stream for a moment.

After each fault the stream is right again; what the node published meanwhile is compared with the truth.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from conftest import write_toy_model
from fault_messages import clock_at, texts, transform_bytes, without_numbers
from peer import CAMERA, SCALE, Peer, scene
from rosgraph_msgs.msg import Clock

from metric_depth_ros import messages
from metric_depth_ros.cli.live import NODE, Graph, ros_arguments
from metric_depth_ros.config import SETTINGS
from metric_depth_ros.nodes.outputs import fill_camera_info, fill_cloud, fill_image

PERIOD_S = 0.05
HANG_S = 10.0
START_S = 60.0  # a process starts: long on a busy machine
# By which no fault may raise the node's memory: the clouds that wait, and the copies of a message at hand.
MOST_MIB = SETTINGS["sync.buffer_mb"].default + 150
MOST_LINES, LONGEST_LINE = 60, 4000  # of what the node says of one fault
_WRONG = 0.1  # relative error of a pixel; the scene itself changes by .03 within the age of a cloud
_FEW = 0.03  # of the pixels may be wrong: those at the border, where a picture of noise has no points around
_TRIES = 5  # of a fault that must not end depth: a busy machine may have dropped all of its few images
_FORGOTTEN_S = 6.0  # by then diagnostics tell no more of a fault that prevented nothing
_WAIT_S = 2.0  # for words that a fault must cause
_SETTINGS = {"anchors.grid_px": 0, "diagnostics.period_s": 0.1}

QUIET = ""  # nothing need be said: the node outlasts the fault or mends it, or cannot know of it

# What may be published for images sent during a fault.
NONE, RIGHT, NONE_OR_RIGHT = {"none"}, {"right"}, {"none", "right"}
# The input lies plausibly: wrong depth may come, if the words say why.
LIES = {"none", "right", "wrong"}


@dataclass(frozen=True)
class Fault:
    """One fault of a stream.

    Attributes:
        act: disturbs the stream; returns when it is to be right again.
        says: words that log or diagnostics must begin to say meanwhile, or ``QUIET``.
        published: what may be published for images sent meanwhile.
        within_s: time until the first right depth.
    """

    name: str
    act: Callable[[Stream], None]
    says: str
    published: set[str] = field(default_factory=lambda: NONE)
    within_s: float = HANG_S


@dataclass
class Sample:
    """Messages of one moment; None is not sent. ``moved``: the transform odom to base, or none."""

    image: Any
    info: Any
    cloud: Any
    stamp_ns: int
    moved: bytes | None = None
    regions: Any = None


@dataclass(frozen=True)
class Outcome:
    """What a fault did.

    Attributes:
        recovery_s: until the first right depth; None: it never came.
        published: the worst that was published for images sent meanwhile.
        wrong_after: stamps of wrong depths of all other images, from the fault's end.
        said: line with the words, if ``told``; of a quiet fault the gravest that was never said before.
        failed: the fault's own assertion, if that failed.
        bug: the log, if it has a traceback.
        lines, longest: of log and diagnostics.
    """

    group: str
    fault: Fault
    survived: bool
    recovery_s: float | None
    published: str
    wrong_after: list[str]
    said: str
    told: bool
    failed: str
    bug: str
    grown_mib: float
    lines: int
    longest: int


def scale_at(stamp_ns: int) -> float:
    """Metres by which the scene's gray value is multiplied: it changes by a tenth within 8 s."""
    return SCALE * (1 + 0.1 * float(np.sin(2 * np.pi * stamp_ns / 8e9)))


class Stream:
    """The other side of one node, which it starts: camera, sensor and subscribers, and the judge.

    Attributes:
        peer: its ROS node.
        folder: of the network's files, ``manifest`` and ``model``, which belong to this stream alone.
        period_s: between two samples.
    """

    command: Sequence[str] = NODE  # of the node

    def __init__(
        self,
        group: str,
        folder: Path,
        settings: dict[str, Any],
        *,
        moving: bool = False,
        clock: bool = False,
        network: Callable[[Path], None] = lambda manifest: None,
    ) -> None:
        """``moving``: the camera moves in odom by tf; ``clock``: time is simulated.

        ``network``: changes the network whose manifest it is given.
        """
        self.group, self.folder, self.settings = group, folder, settings
        self.peer, self.graph = Peer(), Graph(folder / "logs", apart=False)
        self.manifest = write_toy_model(folder / "model")
        self.model = self.manifest.with_suffix(".onnx")
        network(self.manifest)
        self.moving, self.period_s = moving, PERIOD_S
        self._clock = self.peer.create_publisher(Clock, "/clock", 10) if clock else None
        self._began_s, self._offset_ns, self._next_s = time.monotonic(), 10**14, 0.0
        self._sent: set[int] = set()
        self.answers: list[str] = []  # of the node's services, to the present fault
        self.runs = 0  # of the node

    # ---- the node ----------------------------------------------------------------------------

    def start(self, *, wait: bool = True, **settings: Any) -> None:
        """Starts the node; with ``wait`` until it gives right depth."""
        settings = {"engine.manifest": self.manifest, **_SETTINGS, **self.settings, **settings}
        self.runs += 1
        self.graph.start(self.name, [*self.command, *ros_arguments(settings, {})])
        self.peer.mount("base", "camera") if self.moving else None
        self.peer.mount("base" if self.moving else "camera", "lidar")
        if wait:
            assert self.recover(START_S) is not None, self.log()[-3000:]

    @property
    def name(self) -> str:
        """Of the node's present process in the graph."""
        return f"node{self.runs}"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        return self.graph._processes[self.name]

    def log(self) -> str:
        return self.graph.log(self.name)

    def alive(self) -> bool:
        return self.process.poll() is None

    def stop(self, kind: int = signal.SIGINT, timeout_s: float = HANG_S) -> None:
        """Ends the node by a signal; it must end in time, with status 0 and without a traceback."""
        self.process.send_signal(kind)
        try:
            status = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"still running after {timeout_s:g} s:\n{self.log()[-2000:]}") from None
        assert status == 0 and "Traceback" not in self.log(), (status, self.log()[-3000:])

    def peak_mib(self) -> float:
        """Most memory that the node ever had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    def close(self) -> None:
        if self.runs:
            self.graph.stop(self.name)
        self.peer.close()

    # ---- the stream --------------------------------------------------------------------------

    def now_ns(self) -> int:
        """The stream's time: that of a clock with an offset that faults may change."""
        return round((time.monotonic() - self._began_s) * 1e9) + self._offset_ns

    def jump(self, seconds: float) -> None:
        """Sets the stream's time forward or back."""
        self._offset_ns += round(seconds * 1e9)

    def sample(self, stamp_ns: int | None = None) -> Sample:
        """A good sample of now."""
        stamp_ns = self.now_ns() if stamp_ns is None else stamp_ns
        image, _, points = scene()
        self._sent.add(stamp_ns)
        at = {"stamp_ns": stamp_ns, "frame_id": "camera"}
        return Sample(
            fill_image(messages.image_fields(image), **at),
            fill_camera_info(messages.camera_info_fields(CAMERA), **at),
            self.cloud(points * (scale_at(stamp_ns) / SCALE), stamp_ns),
            stamp_ns,
            transform_bytes("odom", "base", stamp_ns, x=0.1 * stamp_ns / 1e9) if self.moving else None,
        )

    def cloud(self, points: Any, stamp_ns: int) -> Any:
        return fill_cloud(messages.points_fields(points), stamp_ns=stamp_ns, frame_id="lidar")

    def send(self, sample: Sample) -> None:
        """Publishes a sample at its turn, one period after the last one."""
        time.sleep(max(0.0, self._next_s - time.monotonic()))
        self._next_s = max(self._next_s + self.period_s, time.monotonic())
        if self._clock is not None:
            self._clock.publish(clock_at(sample.stamp_ns))
        if sample.moved is not None:
            self.peer.moving_tf.pub_tf.publish(sample.moved)
        self.peer.send(sample.image, sample.info, sample.cloud)

    def go_on(self, seconds: float) -> None:
        """Sends good samples for a while."""
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            self.send(self.sample())

    def recover(self, timeout_s: float) -> float | None:
        """Seconds until the first right depth of a sample sent from now on; None: not in time."""
        began_s, first, stamps = time.monotonic(), len(self.peer.depths), set()

        def right() -> bool:
            new = [d for d in self.peer.depths[first:] if messages.stamp_ns(d) in stamps]
            return any(self.judge(depth) == "right" for depth in new)

        while time.monotonic() < began_s + timeout_s and self.alive():
            sample = self.sample()
            stamps.add(sample.stamp_ns)
            self.send(sample)
            if self.peer.wait(right, self.period_s):
                return time.monotonic() - began_s
        return None

    # ---- the judge ---------------------------------------------------------------------------

    def judge(self, depth: Any) -> str:
        """Whether a depth message is "right", "wrong", or says nothing: "none"."""
        if (stamp_ns := messages.stamp_ns(depth)) not in self._sent:
            return "wrong"
        found = messages.read_depth(depth)
        truth = scene()[1] * (scale_at(stamp_ns) / SCALE)
        truth = cv2.resize(truth, found.shape[::-1], interpolation=cv2.INTER_AREA)
        off = np.abs(found / truth - 1)[np.isfinite(found)]
        if not off.size:
            return "none"
        return "wrong" if np.mean(off > _WRONG) > _FEW else "right"

    def run(self, fault: Fault) -> Outcome:
        """Lets a fault happen to a stream that is right, and looks what comes of it."""
        if not self.runs or not self.alive() or self.recover(HANG_S) is None:
            self.renew()
        stale = self._settled(fault.says)
        peer, first, told = self.peer, len(self.peer.depths), len(self.peer.statuses)
        run, log, peak, sent = self.runs, len(self.log()), self.peak_mib(), set(self._sent)
        failed = self._act(fault, first)
        meanwhile, ended_ns = self._sent - sent, self.now_ns()
        recovery_s = self.recover(max(fault.within_s, HANG_S))
        log = log if run == self.runs else 0  # a new node
        said = self._said(fault.says, log, told, stale)
        time.sleep(2 * self.period_s)
        judged = [(messages.stamp_ns(depth), self.judge(depth)) for depth in peer.depths[first:]]
        during = {verdict for stamp_ns, verdict in judged if stamp_ns in meanwhile}
        text, alive = self.log()[log:], self.alive()
        grown_mib = self.peak_mib() - peak if run == self.runs and alive else 0.0
        if recovery_s is None:
            self.process.kill()
            self.process.wait()
        return Outcome(
            self.group,
            fault,
            alive,
            recovery_s,
            next((each for each in ("wrong", "right") if each in during), "none"),
            [
                f"{(stamp_ns - ended_ns) / 1e9:+.3f} s{'' if stamp_ns in self._sent else ', never sent'}"
                for stamp_ns, verdict in judged
                if verdict == "wrong" and stamp_ns not in meanwhile
            ],
            said,
            not fault.says or not said.startswith("(not said)"),
            failed,
            text if "internal error" in text or "Traceback" in text else "",
            grown_mib,
            text.count("\n"),
            max(map(len, [*text.splitlines(), *(s.message for s in peer.statuses[told:])]), default=0),
        )

    def renew(self) -> None:
        """Starts another node in place of one that has died or hangs."""
        if self.runs:
            self.process.kill()
            self.process.wait()
        self.start()

    def _act(self, fault: Fault, first: int) -> str:
        """Lets a fault happen, again if it must not end depth and none came; returns what it found wrong."""
        self.answers.clear()
        try:
            for _ in range(_TRIES if fault.published == RIGHT else 1):
                fault.act(self)
                if any(self.judge(depth) == "right" for depth in self.peer.depths[first:]):
                    break
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return ""

    def _settled(self, words: str) -> set[str]:
        """Goes on until diagnostics tell of now, without the words; returns what was said before."""
        peer, until_s = self.peer, time.monotonic() + _FORGOTTEN_S
        while True:
            told = len(peer.statuses)
            self.go_on(2.5 * _SETTINGS["diagnostics.period_s"])
            last = texts(peer.statuses[told:])
            if not words or not any(words in text for text in last) or time.monotonic() > until_s:
                break
        before = last if words else [*texts(peer.statuses), *self.log().splitlines()]
        return {without_numbers(text) for text in before}

    def _said(self, words: str, log: int, told: int, stale: set[str]) -> str:
        """New line of log or diagnostics with the words; of a quiet fault, the gravest of the diagnostics."""

        def lines() -> list[str]:
            said = [*self.answers, *texts(self.peer.statuses[told:]), *self.log()[log:].splitlines()]
            return [text for text in said if without_numbers(text) not in stale]

        if not words:
            new = [s for s in self.peer.statuses[told:] if without_numbers(s.message) not in stale]
            bad = [s for s in new if s.level != b"\x00"]
            return max(bad, key=lambda s: s.level).message if bad else ""
        deadline_s = time.monotonic() + _WAIT_S
        while not (found := [line for line in lines() if words in line]) and time.monotonic() < deadline_s:
            self.send(self.sample())
        return found[0] if found else f"(not said) {' / '.join(lines()[:3])}"


@contextmanager
def streaming(stream: Stream) -> Iterator[Stream]:
    """A stream whose node must end well when the block does."""
    try:
        yield stream
        if stream.runs and stream.alive():
            stream.stop()
            assert "internal error" not in stream.log(), stream.log()
    finally:
        stream.close()


# ---- what faults are made of ---------------------------------------------------------------------


def broken(change: Callable[[Sample], None], count: int = 7) -> Callable[[Stream], None]:
    """A fault that changes some samples in a row."""

    def act(stream: Stream) -> None:
        for _ in range(count):
            sample = stream.sample()
            change(sample)
            stream.send(sample)

    return act


def within(do: Callable[[Stream], None], seconds: float = 0.3) -> Callable[[Stream], None]:
    """A fault that happens once, while good samples go on for a while."""

    def act(stream: Stream) -> None:
        do(stream)
        stream.go_on(seconds)

    return act
