"""Depth that a run stored and its data, as `metric_depth evaluate --of` takes them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from metric_depth_ros.bags import is_bag
from metric_depth_ros.bags.folder import METADATA
from metric_depth_ros.bags.search import find_bags
from metric_depth_ros.datasets import is_dataset
from metric_depth_ros.errors import ConfigError
from metric_depth_ros.evaluation.run_outputs import bag_of

# Options of networks, solvers and anchors.
_OF_SOLVERS = (
    "engine", "flip", "solvers", "variant", "focuses", "constant_map", "protocol", "anchors", "noisy",
    "seeds", "regions", "whole_truth", "cache", "fit_on",
)  # fmt: skip


def check_of(args: argparse.Namespace) -> None:
    """Raises ConfigError for options of networks, solvers and anchors with stored depth."""
    if given := [name for name in _OF_SOLVERS if getattr(args, name) not in (None, [], False)]:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise ConfigError(f"evaluate: {names} with --of, whose depth is there already; needed one of them.")


def data_of(runs: Sequence[Path], data: Sequence[Path]) -> list[Path]:
    """What the runs are of: the data or, of runs of folders of bags, the bags in them."""
    several = any(bag_of(run) is None for run in runs)
    paths = [bag for path in data for bag in _bags_in(path, runs)] if several else data
    return list(map(_named, paths))


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
