"""Connects the node's log with code that does not import ROS: health and core."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from metric_depth_ros.health.status import ERROR, WARN, shortened

_CORE = logging.getLogger("metric_depth_ros")


def log_fault(logger: Any, level: int, text: str) -> None:
    """Writes a line to the node's ``logger`` at the level of a fault, or of none."""
    if level == ERROR:  # rclpy allows one severity per line of code
        logger.error(text)
    elif level == WARN:
        logger.warning(text)
    else:
        logger.info(text)


class _ToNode(logging.Handler):
    def __init__(self, logger: Any, tell: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self._logger, self._tell = logger, tell

    def emit(self, record: logging.LogRecord) -> None:
        self._tell(shortened(record.getMessage()))
        if record.levelno >= logging.WARNING:
            self._logger.warning(shortened(self.format(record)))
        else:
            self._logger.info(shortened(self.format(record)))


@contextmanager
def core_log(logger: Any, tell: Callable[[str], None]) -> Iterator[None]:
    """Context in which the core's log lines of level info and above go to the node's ``logger`` and ``tell``.

    At the end ``tell`` gets an empty string.
    """
    handler, level = _ToNode(logger, tell), _CORE.level
    _CORE.addHandler(handler)
    _CORE.setLevel(logging.INFO)
    try:
        yield
    finally:
        _CORE.removeHandler(handler)
        _CORE.setLevel(level)
        tell("")
