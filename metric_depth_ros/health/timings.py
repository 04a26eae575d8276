"""Durations by stage, and their percentiles over the last images."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

_KEPT = 300
_PERCENTILES = (50, 95, 99)


class Timings:
    """The last durations of every stage. Thread safe."""

    def __init__(self, kept: int = _KEPT) -> None:
        """``kept``: durations of each stage, the newest."""
        self._lock = threading.Lock()
        self._seconds: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=kept))

    def add(self, seconds: Mapping[str, float]) -> None:
        """Adds a duration, in seconds, to each of some stages."""
        with self._lock:
            for stage, duration in seconds.items():
                self._seconds[stage].append(duration)

    @contextmanager
    def measuring(self, stage: str) -> Iterator[None]:
        """Adds the duration of the block, however it ends."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add({stage: time.perf_counter() - started})

    def percentiles(self) -> dict[str, tuple[float, float, float]]:
        """p50, p95 and p99 in milliseconds, by stage."""
        with self._lock:
            seconds = {stage: np.array(kept) for stage, kept in self._seconds.items()}
        return {stage: tuple(1e3 * np.percentile(s, _PERCENTILES)) for stage, s in seconds.items()}

    def values(self) -> dict[str, str]:
        """The percentiles as text, for diagnostics."""
        return {
            f"{stage}_ms p50/p95/p99": " / ".join(f"{ms:.1f}" for ms in found)
            for stage, found in self.percentiles().items()
        }
