"""Solvers at several focuses, as `metric_depth evaluate --focuses` asks for them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from metric_depth_ros.config import Config, updated
from metric_depth_ros.errors import ConfigError
from metric_depth_ros.near_far import focus_of
from metric_depth_ros.priors.metric_network import NETWORK


def at_focuses(
    names: Sequence[str], variants: Mapping[str, Mapping[str, Any]], text: str
) -> dict[str, dict[str, Any]]:
    """Each solver and variant once with each focus, as variants. Raises ConfigError for a wrong focus."""
    given = {**{name: {"solver.name": name} for name in names}, **variants}
    return {
        f"{label}, focus {focus_m:g} m": {**settings, "solver.focus_m": focus_m}
        for label, settings in given.items()
        for focus_m in map(focus_of, text.split(","))
    }


def check_focus(args: argparse.Namespace, config: Config, variants: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises ConfigError where a focus is needed that there is not, or several that a network has not."""
    solvers = [config.solver, *(updated(config, changes).solver for changes in variants.values())]
    if args.focuses is not None and any(solver.chosen_prior == NETWORK for solver in solvers[1:]):
        raise ConfigError(
            "--focuses: a network's own metres are of one focus for all solvers; needed a prior, as "
            "solver.prior=metric_solver, or one run for each --set solver.focus_m."
        )
    if "mask_accuracy" in (args.metrics or "").split(",") and not any(each.focus_m for each in solvers):
        raise ConfigError(
            "metrics: mask_accuracy of no solver with a focus; needed one. Add --focuses M,M or --set "
            "solver.focus_m=M."
        )
