"""Handles Ctrl-C and SIGTERM during training: the step is finished first, so the saved state is complete."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Stopping:
    """Context that handles SIGINT and SIGTERM.

    The first signal sets ``asked``; a second raises KeyboardInterrupt at once. With ``deferred=False``
    (several processes, which must stop at the same step or not at all) the first does so too.
    """

    def __init__(self, *, deferred: bool = True) -> None:
        self.asked = False
        self._deferred = deferred
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stopping:
        if threading.current_thread() is threading.main_thread():  # other threads may not handle signals
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.asked or not self._deferred:
            raise KeyboardInterrupt
        self.asked = True
        print("stopping after this step; once more stops at once", flush=True)
