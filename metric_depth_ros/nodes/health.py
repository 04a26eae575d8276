"""What a node knows about how it fares: counters, current problem, latencies. Thread safe."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass

import numpy as np

_LOG_PERIOD_S = 5.0
OK, WARN, ERROR = 0, 1, 2  # levels of diagnostic_msgs/DiagnosticStatus


@dataclass(frozen=True)
class Problem:
    """Something that keeps the node from publishing: a short key, a level, and words with the fix."""

    key: str
    level: int
    message: str
    since: float


class Health:
    """Counts events, holds the problem of the moment, and says when to log it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._problem: Problem | None = None
        self._logged: dict[str, float] = {}
        self._latencies: deque[float] = deque(maxlen=300)
        self._published: deque[float] = deque(maxlen=300)

    def count(self, event: str, times: int = 1) -> None:
        """Adds to a counter."""
        with self._lock:
            self._counts[event] += times

    def counted(self, event: str) -> int:
        """A counter's value."""
        with self._lock:
            return self._counts[event]

    def report(self, key: str, level: int, message: str) -> bool:
        """Notes a problem; True when it is time to log it (new, or unlogged for some seconds).

        Messages that differ in their numbers only count as one.
        """
        now, words = time.monotonic(), re.sub(r"[\d.]+", "#", message)
        with self._lock:
            self._counts[f"failed: {key}"] += 1
            self._problem = Problem(key, level, message, now)
            self._logged = {text: at for text, at in self._logged.items() if now - at < _LOG_PERIOD_S}
            return self._logged.setdefault(words, now) == now

    def published(self, latency_s: float) -> bool:
        """Notes a published depth; True when this ends a problem."""
        with self._lock:
            self._counts["published"] += 1
            self._latencies.append(latency_s)
            self._published.append(time.monotonic())
            resumed, self._problem = self._problem is not None, None
            return resumed

    def summary(self) -> tuple[int, str, dict[str, str]]:
        """Level, one line, and values by name: what goes into a diagnostics message."""
        with self._lock:
            now = time.monotonic()
            recent = [t for t in self._published if now - t < 5.0]
            rate = len(recent) / min(5.0, max(now - self._published[0], 1e-3)) if recent else 0.0
            values = {name: str(n) for name, n in sorted(self._counts.items())}
            values["rate_hz"] = f"{rate:.1f}"
            if self._latencies:
                p50, p95, p99 = np.percentile(self._latencies, [50, 95, 99]) * 1e3
                values["latency_ms p50/p95/p99"] = f"{p50:.1f} / {p95:.1f} / {p99:.1f}"
            if self._problem is not None:
                return self._problem.level, self._problem.message, values
            if not self._counts["published"]:
                return WARN, "nothing published yet", values
            if not recent:
                return WARN, f"nothing published for {now - self._published[-1]:.0f} s", values
            return OK, f"publishing at {rate:.1f} Hz", values
