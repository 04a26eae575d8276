"""Stops builds that take minutes, from another thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from metric_depth_ros.errors import ModelError

_NEVER = threading.Event()
_STOP: ContextVar[threading.Event] = ContextVar("stop", default=_NEVER)


class StoppedError(ModelError):
    """Raised if a build was stopped before its end."""


@contextmanager
def stoppable_by(event: threading.Event) -> Iterator[None]:
    """Context in which builds of this thread end with StoppedError soon after the event is set."""
    token = _STOP.set(event)
    try:
        yield
    finally:
        _STOP.reset(token)


def stop_event() -> threading.Event:
    """Event that stops the builds of this thread."""
    return _STOP.get()


def go_on() -> None:
    """Raises StoppedError if this thread's build is to stop."""
    if _STOP.get().is_set():
        raise StoppedError("engine: building was stopped.")
