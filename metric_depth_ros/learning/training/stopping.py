"""Ctrl-C and SIGTERM while a run trains: what is saved is always a whole step."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any


class Stopping:
    """Context that handles SIGINT and SIGTERM.

    The first one sets ``asked``. The second raises KeyboardInterrupt, inside ``whole`` at its end. Others
    do nothing, so that there is time to save.
    """

    def __init__(self) -> None:
        self.asked = False
        self._urgent = self._held = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stopping:
        self.asked = self._urgent = False
        if threading.current_thread() is threading.main_thread():  # others may not listen
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def whole(self) -> Iterator[None]:
        """A block that no signal cuts short."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._urgent:
            raise KeyboardInterrupt

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if not self.asked:
            self.asked = True
            os.write(2, b"stopping after this step; once more stops at once\n")  # print may be under way
        elif not self._urgent:
            self._urgent = True
            if not self._held:
                raise KeyboardInterrupt
