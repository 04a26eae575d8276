"""What the package's core logs, which knows no ROS, in a node's log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_CORE = logging.getLogger("metric_depth_ros")


class _ToNode(logging.Handler):
    def __init__(self, logger: Any, tell: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self._logger, self._tell = logger, tell

    def emit(self, record: logging.LogRecord) -> None:
        self._tell(record.getMessage())
        if record.levelno >= logging.WARNING:  # rclpy wants one severity per line of code
            self._logger.warning(self.format(record))
        else:
            self._logger.info(self.format(record))


@contextmanager
def core_log(logger: Any, tell: Callable[[str], None]) -> Iterator[None]:
    """While it lasts, the node's ``logger`` and ``tell`` get every line of information or graver.

    At the end ``tell`` gets an empty line.
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
