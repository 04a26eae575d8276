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

import numpy as np

from metric_depth_ros.errors import AnchorError, MetricDepthError, ModelError, TransformError

_LOG_PERIOD_S = 5.0
_FORGET_S = 5.0  # a fault that has not occurred for this long is over
OK, WARN, ERROR = 0, 1, 2  # levels of diagnostic_msgs/DiagnosticStatus
# Error class -> key of its fault; for all others the key is "input".
_KEYS = {TransformError: "tf", AnchorError: "anchors", ModelError: "engine"}


@dataclass(frozen=True)
class Fault:
    """Fault that prevents publishing: level, text with the fix, and when it last occurred."""

    level: int
    message: str
    met_s: float


class Health:
    """Counts events, and holds the current faults by key."""

    def __init__(self, log: Callable[[int, str], None] = lambda level, text: None) -> None:
        """``log`` gets level and text of every fault; the same fault again only after 5 s."""
        self._lock, self._log = threading.Lock(), log
        self._counts: Counter[str] = Counter()
        self._began_s = time.monotonic()
        self._counted_s: dict[str, float] = {}
        self._faults: dict[str, Fault] = {}
        self._logged: dict[str, float] = {}
        self._latencies: deque[float] = deque(maxlen=300)
        self._published: deque[float] = deque(maxlen=300)
        self._waits_for = ""

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
        """Records a fault; True if it was logged: the same fault is not logged again for some seconds.

        Messages that differ only in numbers count as the same. Only the log gets the details.
        """
        now, words = time.monotonic(), re.sub(r"[\d.]+", "#", message)
        with self._lock:
            self._counts[f"failed: {key}"] += 1
            self._faults[key] = Fault(level, message, now)
            self._logged = {text: at for text, at in self._logged.items() if now - at < _LOG_PERIOD_S}
            due = words not in self._logged
            self._logged.setdefault(words, now)
        if due:
            self._log(level, details or message)
        return due

    @contextmanager
    def reporting_failures(self) -> Iterator[None]:
        """Context that reports an expected failure as a fault; a bug too, with its traceback in the log."""
        try:
            yield
        except MetricDepthError as error:
            self.report(_KEYS.get(type(error), "input"), ERROR, str(error))
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

        Faults of refused clouds ("cloud", "cloud NAME" of a source), silent sources, stamps, settings,
        focuses and descriptions stay until a good one comes, and doubts for some seconds: they did not
        prevent the depth, as others came in time and the previous settings were used.
        """
        with self._lock:
            self._counts["published"] += 1
            self._latencies.append(latency_s)
            self._published.append(time.monotonic())
            stays = {"cloud", "silence", "stamp", "settings", "focus", "description", "doubt"}
            blocking = [key for key in self._faults if key.split()[0] not in stays]
            for key in blocking:
                del self._faults[key]
            return bool(blocking)

    def summary(self) -> tuple[int, str, dict[str, str]]:
        """Content of a diagnostics message: level, one line, and values by name.

        The line is that of the most severe fault, among equals of the newest.
        """
        with self._lock:
            now = time.monotonic()
            recent = [t for t in self._published if now - t < 5.0]
            rate = len(recent) / min(5.0, max(now - self._published[0], 1e-3)) if recent else 0.0
            values = {name: str(n) for name, n in sorted(self._counts.items())}
            values["rate_hz"] = f"{rate:.1f}"
            if self._latencies:
                p50, p95, p99 = np.percentile(self._latencies, [50, 95, 99]) * 1e3
                values["latency_ms p50/p95/p99"] = f"{p50:.1f} / {p95:.1f} / {p99:.1f}"
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
