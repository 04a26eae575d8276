"""Status of a node: counters, current faults, latencies. Thread safe."""

from __future__ import annotations

import re
import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from metric_depth_ros.errors import AnchorError, MetricDepthError, ModelError, TransformError, shortened
from metric_depth_ros.health.timings import Timings

_LOG_PERIOD_S = 5.0
_LOG_LINES = 5  # of one key in a period, whatever they say
_LONGEST_DETAILS = 10_000  # characters of a traceback
_VARIES = re.compile(r"(?<!\w)'[^']*'|[\d.]+")  # what differs in messages of one kind
_FORGET_S = 5.0  # a fault that has not occurred for this long is over
OK, WARN, ERROR = 0, 1, 2  # levels of diagnostic_msgs/DiagnosticStatus
# First words of the keys of faults without which others came in time, or previous settings were used.
_PREVENT_NOTHING = (
    *("cloud", "silence", "stamp", "clock", "transforms", "doubt", "memory", "name"),
    *("settings", "focus", "description"),
)
# Error class -> key of its fault; for all others the key is "input".
_KEYS = {TransformError: "tf", AnchorError: "anchors", ModelError: "engine"}


@dataclass(frozen=True)
class Fault:
    """Fault that prevents publishing: level, text with the fix, and when it last occurred."""

    level: int
    message: str
    met_s: float


class Health:
    """Counts events, and holds the current faults by key.

    Attributes:
        timings: durations of the stages; "latency" is from arrival to publication.
    """

    def __init__(self, log: Callable[[int, str], None] = lambda level, text: None) -> None:
        """``log`` gets level and text of faults, as ``log`` and ``report`` say."""
        self._lock, self._write = threading.Lock(), log
        self._counts: Counter[str] = Counter()
        self._began_s = time.monotonic()
        self._counted_s: dict[str, float] = {}
        self._faults: dict[str, Fault] = {}
        self._logged: dict[str, dict[str, float]] = {}  # by key and words
        self.timings = Timings()
        self._published: deque[float] = deque(maxlen=300)
        self._waits_for = ""

    def begin(self) -> None:
        """Forgets all counts and faults: the node subscribes anew."""
        with self._lock:
            self._began_s = time.monotonic()
            for kept in (self._counts, self._counted_s, self._faults, self._published):
                kept.clear()
        self.timings = Timings()

    def count(self, event: str, times: int = 1) -> None:
        """Adds to a counter."""
        with self._lock:
            self._counts[event] += times
            self._counted_s[event] = time.monotonic()

    def counted(self, event: str) -> int:
        """Value of a counter."""
        with self._lock:
            return self._counts[event]

    def since_s(self, event: str) -> float:
        """Seconds since an event was last counted, or since the start."""
        with self._lock:
            return time.monotonic() - self._counted_s.get(event, self._began_s)

    def report(self, key: str, level: int, message: str, *, details: str = "") -> bool:
        """Records a fault; True if it was logged, as ``log`` does. Only the log gets the details."""
        with self._lock:
            self._counts[f"failed: {key}"] += 1
            self._faults[key] = Fault(level, shortened(message), time.monotonic())
        return self.log(key, level, message, details=details)

    def log(self, key: str, level: int, message: str, *, details: str = "") -> bool:
        """Logs a message; True if it was logged: the same is not logged again for 5 s, nor many of one key.

        Messages that differ only in numbers or in what is quoted count as the same. Long ones are shortened.
        """
        now, words = time.monotonic(), _VARIES.sub("#", shortened(message))
        with self._lock:
            before = self._logged.get(key, {})
            before = {text: at for text, at in before.items() if now - at < _LOG_PERIOD_S}
            due = words not in before and len(before) < _LOG_LINES
            self._logged[key] = {**before, words: now} if due else before
        if due:
            self._write(level, shortened(details, _LONGEST_DETAILS) if details else shortened(message))
        return due

    @contextmanager
    def reporting_failures(self) -> Iterator[None]:
        """Context that reports an expected failure as a fault; a bug too, with its traceback in the log."""
        try:
            yield
        except MetricDepthError as error:
            key = next((key for kind, key in _KEYS.items() if isinstance(error, kind)), "input")
            self.report(key, ERROR, str(error))
        except Exception:
            message = f"internal error: {traceback.format_exc(limit=-1)}"
            self.report("bug", ERROR, message, details=traceback.format_exc())

    def doubt(self, *doubts: str | None) -> None:
        """Reports what may be wrong with an input though it gives depth."""
        for doubt in filter(None, doubts):
            self.report("doubt", WARN, doubt)

    def waits_for(self, what: str) -> None:
        """Sets what the first depth waits for; this is no fault. Empty: it waits for nothing."""
        with self._lock:
            self._waits_for = what

    def clear(self, key: str) -> None:
        """Ends a fault."""
        with self._lock:
            self._faults.pop(key, None)

    def published(self, latency_s: float) -> bool:
        """Records a published depth and ends the faults that prevented it; True if there were any.

        Those that prevented nothing stay until a good one comes, or for some seconds.
        """
        with self._lock:
            self._counts["published"] += 1
            self.timings.add({"latency": latency_s})
            self._published.append(time.monotonic())
            blocking = [key for key in self._faults if key.split()[0] not in _PREVENT_NOTHING]
            for key in blocking:
                del self._faults[key]
            return bool(blocking)

    def summary(self) -> tuple[int, str, dict[str, str]]:
        """Content of a diagnostics message: level, one line, and values by name.

        The line is that of the most severe fault, among equals of the newest.
        """
        timings = self.timings.values()  # has a lock of its own, and others are to count meanwhile
        with self._lock:
            now = time.monotonic()
            recent = [t for t in self._published if now - t < 5.0]
            rate = len(recent) / min(5.0, max(now - self._published[0], 1e-3)) if recent else 0.0
            values = {name: str(n) for name, n in sorted(self._counts.items())}
            values["rate_hz"] = f"{rate:.1f}"
            values |= timings
            if self._waits_for:
                return WARN, self._waits_for, values
            current = [fault for fault in self._faults.values() if now - fault.met_s < _FORGET_S]
            if current:
                worst = max(current, key=lambda fault: (fault.level, fault.met_s))
                return worst.level, worst.message, values
            if not self._counts["published"]:
                return WARN, "nothing published yet", values
            if not recent:
                return WARN, f"nothing published for {now - self._published[-1]:.0f} s", values
            return OK, f"publishing at {rate:.1f} Hz", values
