"""`metric_depth datasets`: formats of published datasets that are read, and where to get the data."""

from __future__ import annotations

import argparse
import inspect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from metric_depth_ros.datasets.published import PublishedDataset

_COLUMNS = ("NAME", "Dataset", "Frames", "PATH holds", "SPLIT, the default first", "Range", "Licence")


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the verb ``datasets``."""
    parser = verbs.add_parser(
        "datasets",
        help="published datasets that are read: layouts, splits, licences, where to get them",
        description="Prints, as a Markdown table, the formats of published datasets that evaluate, train, "
        "run and frames-to-bag take as NAME:PATH or NAME@SPLIT:PATH.",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the table of published datasets."""
    print(datasets_table())
    return 0


def datasets_table() -> str:
    """Markdown table of the published datasets, by name."""
    from metric_depth_ros.datasets import DATASETS
    from metric_depth_ros.datasets.published import PublishedDataset

    kinds = {name: kind for name, kind in DATASETS.items() if issubclass(kind, PublishedDataset)}
    rows = [_COLUMNS, ("---",) * len(_COLUMNS), *(_row(name, kinds[name]) for name in sorted(kinds))]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(name: str, kind: type[PublishedDataset]) -> tuple[str, ...]:
    limits = "by the place" if kind.limits_m is None else "{:g} to {:g} m".format(*kind.limits_m)
    frames = (inspect.getdoc(kind) or "").split("\n\n")[0].replace("\n", " ")
    dataset = f"[{kind.title}]({kind.url})"
    layout = kind.layout.replace("*", r"\*")  # not emphasis
    splits = ", ".join(kind.splits) + (", or a file with a list" if kind.takes_lists else "")
    return f"`{name}`", dataset, frames, layout, splits, limits, kind.licence
