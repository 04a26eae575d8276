"""Ending, from another thread, what takes minutes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from metric_depth_ros.errors import ModelError

_NEVER = threading.Event()
_STOP: ContextVar[threading.Event] = ContextVar("stop", default=_NEVER)


class StoppedError(ModelError):
    """A build was ended before it was done."""


@contextmanager
def stoppable_by(event: threading.Event) -> Iterator[None]:
    """What this thread builds meanwhile ends with StoppedError soon after the event is set."""
    token = _STOP.set(event)
    try:
        yield
    finally:
        _STOP.reset(token)


def stop_event() -> threading.Event:
    """The event that ends what this thread builds."""
    return _STOP.get()


def go_on() -> None:
    """Raises StoppedError once this thread's building is to end."""
    if _STOP.get().is_set():
        raise StoppedError("engine: building was stopped.")
