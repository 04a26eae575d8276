"""How far jobs are: a bar on a terminal, elsewhere a line a minute."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from tqdm import tqdm

_EVERY_S = 60.0


class Progress:
    """Progress over jobs of different sizes, with the time left; use as a context manager."""

    def __init__(self, jobs: int, size: float, what: str, unit: str) -> None:
        """``what``: the jobs, in words; ``unit``: of ``size``, which is that of all jobs together."""
        self._jobs, self._size, self._what = jobs, size, what
        self._bar = tqdm(total=size, unit=unit, unit_scale=True, disable=None)
        self._started = self._told = time.monotonic()
        self._done = self._failed = 0
        self._part = 0.0

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def add(self, part: float) -> None:
        """A part of the size is done, or less than 0: must be done again."""
        self._part += part
        self._bar.update(part)

    def end(self, name: str, error: str = "") -> None:
        """A job has ended; an error is told at once."""
        self._done += 1
        if error:
            self._failed += 1
            self.say(f"metric_depth: {name}: {error}")
        counts = f"{self._done} of {self._jobs} {self._what}, {self._failed} failed"
        self._bar.set_postfix_str(counts)
        now = time.monotonic()
        if self._bar.disable and now - self._told >= _EVERY_S:
            self._told = now
            left_s = (now - self._started) * max(self._size / max(self._part, 1e-9) - 1, 0)
            self.say(f"metric_depth: {counts}, {tqdm.format_interval(left_s)} left")

    @staticmethod
    def say(text: str) -> None:
        """Tells something beside the bar."""
        tqdm.write(text, file=sys.stderr)
