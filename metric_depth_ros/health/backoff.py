"""Retries of failed jobs at growing intervals."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_FIRST_S, _LONGEST_S = 1.0, 60.0


class Backoff:
    """Retries a failing job after 1 s, then after twice the previous interval, up to a minute."""

    def __init__(self) -> None:
        self._state: object = None
        self._error: Exception | None = None
        self._wait_s, self._next_s = _FIRST_S, 0.0

    def reset(self) -> None:
        """Begins anew with the shortest interval."""
        self._error, self._wait_s = None, _FIRST_S

    @contextmanager
    def __call__(self, state: object) -> Iterator[None]:
        """Context for the job; if it is too early for a retry, raises the last error instead.

        Args:
            state: what the job depends on; if it has changed, the job is retried at once.
        """
        if state != self._state:
            self._state, self._wait_s = state, _FIRST_S
        elif self._error is not None and time.monotonic() < self._next_s:
            raise self._error.with_traceback(None)
        try:
            yield
        except Exception as error:
            self._error, self._next_s = error, time.monotonic() + self._wait_s
            self._wait_s = min(2 * self._wait_s, _LONGEST_S)
            raise


def files_beside(paths: Iterable[Path]) -> frozenset[tuple[str, int, int]]:
    """Name, time and size of every file in the folders of these paths, to detect changes."""
    found = set()
    for folder in {path.parent for path in paths}:
        with suppress(OSError):
            for name in os.listdir(folder):
                with suppress(OSError):
                    about = os.stat(folder / name)
                    found.add((str(folder / name), about.st_mtime_ns, about.st_size))
    return frozenset(found)
