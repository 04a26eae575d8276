"""Connects the node's log with code that does not import ROS: health and core."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from metric_depth_ros.errors import shortened
from metric_depth_ros.health.status import ERROR, WARN

_CORE = logging.getLogger("metric_depth_ros")


def log_fault(logger: Any, level: int, text: str) -> None:
    """Writes a line to the node's ``logger`` at the level of a fault, or of none."""
    if level == ERROR:  # rclpy allows one severity per line of code
        logger.error(text)
    elif level == WARN:
        logger.warning(text)
    else:
        logger.info(text)


# Logger of the node that loads in this thread, and what is told each line.
_Node = tuple[Any, Callable[[str], None]]
_NODE: ContextVar[_Node | None] = ContextVar("node", default=None)


class _ToNode(logging.Handler):
    """Passes the lines of a thread, and of those that it starts with its context, to one node."""

    def __init__(self, node: _Node) -> None:
        super().__init__(logging.INFO)
        self._node = node
        self._logger, self._tell = node

    def emit(self, record: logging.LogRecord) -> None:
        if _NODE.get() is not self._node:
            return
        self._tell(shortened(record.getMessage()))
        if record.levelno >= logging.WARNING:
            self._logger.warning(shortened(self.format(record)))
        else:
            self._logger.info(shortened(self.format(record)))


@contextmanager
def core_log(logger: Any, tell: Callable[[str], None]) -> Iterator[None]:
    """Context in which the core's log lines of level info and above go to the node's ``logger`` and ``tell``.

    Several threads may do so at once, each for its own node. At the end ``tell`` gets an empty string.
    """
    node = logger, tell
    handler, token = _ToNode(node), _NODE.set(node)
    _CORE.addHandler(handler)
    _CORE.setLevel(logging.INFO)  # and it stays: another node may be loading
    try:
        yield
    finally:
        _CORE.removeHandler(handler)
        _NODE.reset(token)
        tell("")
