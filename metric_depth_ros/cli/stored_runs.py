"""Depth that a run stored and its data, as `metric_depth evaluate --of` takes them."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from metric_depth_ros.bags import is_bag
from metric_depth_ros.bags.folder import METADATA
from metric_depth_ros.bags.search import find_bags
from metric_depth_ros.datasets import is_dataset
from metric_depth_ros.errors import ConfigError, InputError
from metric_depth_ros.evaluation.run_outputs import bag_of, depth_of

_LOG = logging.getLogger(__name__)

# Options of networks, solvers and anchors.
_OF_SOLVERS = (
    "engine", "flip", "solvers", "variant", "focuses", "constant_map", "protocol", "anchors", "noisy",
    "seeds", "regions", "whole_truth", "cache", "fit_on",
)  # fmt: skip


def check_of(args: argparse.Namespace) -> None:
    """Raises ConfigError for options of networks, solvers and anchors, InputError if a run is not there."""
    if given := [name for name in _OF_SOLVERS if getattr(args, name) not in (None, [], False)]:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise ConfigError(f"evaluate: {names} with --of, whose depth is there already; needed one of them.")
    for run in args.of:
        if not run.exists():
            raise InputError(f"--of {run}: does not exist; needed what metric_depth run wrote.")


def data_of(runs: Sequence[Path], data: Sequence[Path]) -> list[Path]:
    """What the runs are of: the data or, of runs of folders of bags, the bags in them.

    Bags in a folder of which a run has no depth, such as broken ones, are left out, and it is said.
    """
    of_folders = [run for run in runs if bag_of(run) is None]
    if not of_folders:
        return list(map(_named, data))
    found = [bag for path in data for bag in _bags_in(path, runs)]
    lacking = {
        bag: run for bag in found if bag not in data for run in of_folders if depth_of(run, bag) is None
    }
    if len(lacking) == len(found):  # the runs are of other data, which is told when they are opened
        lacking = {}
    for bag, run in lacking.items():
        _LOG.warning("--of %s: no depth of %s, left out", run, bag)
    return [_named(bag) for bag in found if bag not in lacking]


def _bags_in(path: Path, runs: Sequence[Path]) -> Iterator[Path]:
    """Bags and datasets in a folder and below it, as `metric_depth run` finds them; else the path itself."""

    def is_whole(folder: Path) -> bool:
        return is_dataset(folder) and not is_bag(folder)

    found = list(find_bags(path, also=is_whole)) if path.is_dir() else [path]
    outs = [run.resolve() for run in runs]
    yield from [each for each in found if not set(outs) & {each.resolve(), *each.resolve().parents}] or [path]


def _named(path: Path) -> Path:
    """The path of a dataset; that of a bag without depth images by name: its points are the truth then."""
    one = path.is_file() or (path / METADATA).is_file()
    return Path(f"bag:{path}") if one and is_bag(path) and not is_dataset(path) else path
