"""Finds a solver's class by its name."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from metric_depth_ros.config import SOLVERS, WITHOUT_ANCHORS
from metric_depth_ros.errors import ConfigError
from metric_depth_ros.solvers.solver import Solver

_PACKAGE = __name__.rpartition(".")[0]


def solver_class(name: str) -> type[Solver]:
    """The class of a solver. Raises ConfigError if no solver has that name."""
    known = SOLVERS | WITHOUT_ANCHORS
    if name not in known:
        raise ConfigError(f"solver.name: {name!r}; needed one of auto, {', '.join(known)}.")
    module, _, found = known[name].rpartition(".")
    return cast("type[Solver]", getattr(import_module(f"{_PACKAGE}.{module}"), found))
