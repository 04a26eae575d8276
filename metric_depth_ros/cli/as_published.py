"""Options of `metric_depth evaluate` that stand for others: a paper's table, and a folder of networks."""

from __future__ import annotations

import argparse
import logging
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from metric_depth_ros.datasets import open_dataset
from metric_depth_ros.engines.manifest import (
    ImageManifest,
    Manifest,
    MetricSolverManifest,
    SamManifest,
    TextManifest,
    load_any_manifest,
)
from metric_depth_ros.errors import ConfigError, InputError
from metric_depth_ros.evaluation.frames import find_sets, published_name
from metric_depth_ros.evaluation.table_protocols import protocol_of

_LOG = logging.getLogger(__name__)
# Options of which those of a table and the user's count; of all others the user's alone.
_ADD_UP = ("changes", "variant", "table")
# Of ``--fit-on``: no training set, where a table has one.
_NONE = "none"


def filled_in(args: argparse.Namespace) -> argparse.Namespace:
    """The options with what ``--as-published`` and ``--networks`` stand for. Raises MetricDepthError."""
    if args.as_published is not None:
        args = _as_published(args)
    if args.networks is not None:
        args = _with_networks(args)
    if any(each == _NONE or each.startswith("@") for each in args.fit_on):
        args = argparse.Namespace(**{**vars(args), "fit_on": _training_sets(args.fit_on, args.data)})
    return _with_known_regions(args)


def _training_sets(fit_on: Sequence[str], data: Sequence[Path]) -> list[str]:
    """Addresses of training sets; @SPLIT is that of each published dataset of ``data``. Raises InputError."""
    found = []
    for each in fit_on:
        if each == _NONE:
            continue
        if not each.startswith("@"):
            found.append(each)
            continue
        for evaluated in map(open_dataset, find_sets(data)):
            name = published_name(evaluated).partition("@")[0]
            if not name:
                raise InputError(
                    f"--fit-on {each}: {evaluated.path} has no splits; needed a dataset that has some."
                )
            found.append(f"{name}{each}:{evaluated.path}")
    return found


def _as_published(args: argparse.Namespace) -> argparse.Namespace:
    """The options of a paper's table, below those that the user gave."""
    paper, _, table = args.as_published.partition(":")
    words, note = protocol_of(paper, table)
    _LOG.info("--as-published %s: %s", args.as_published, shlex.join(words))
    if note:
        _LOG.info("--as-published %s: %s", args.as_published, note)
    unset = argparse.Namespace(**dict.fromkeys(vars(args)))
    given = vars(args.parser.parse_args(args.command_line[1:], unset))
    told = vars(args.parser.parse_args([*map(str, args.data), *words]))
    merged = {**vars(args), **told, **{name: value for name, value in given.items() if value is not None}}
    for name in _ADD_UP:
        merged[name] = told[name] + (given[name] or [])
    if told["fit_on"] and given["fit_on"] is None:
        merged["fit_on"] = _at_hand(told["fit_on"], args)
    return argparse.Namespace(**merged)


def _at_hand(fit_on: Sequence[str], args: argparse.Namespace) -> list[str]:
    """Training sets of a paper's table; none, with a warning, if one of them is not there."""
    try:
        found = _training_sets(fit_on, args.data)
        for path in find_sets(found):
            open_dataset(path)
    except InputError as error:
        _LOG.warning("--as-published %s: without Global, Image and RSA: %s", args.as_published, error)
        return []
    return found


def _with_networks(args: argparse.Namespace) -> argparse.Namespace:
    """The options with the networks of a folder, where none of their kind is given."""
    found = _networks_in(args.networks)
    engines = [path for path, one in found if isinstance(one, (Manifest, MetricSolverManifest))]
    if not (engines or args.engine):
        raise InputError(
            f"{args.networks}: no manifest of a depth network; needed one of metric_depth export."
        )
    changes = list(args.changes)
    sam = _one(found, SamManifest, args.networks)
    if sam is not None and args.regions is None:
        changes = [f"regions.manifest={sam}", "regions.source=sam", *changes]
    return argparse.Namespace(
        **{
            **vars(args),
            "engine": args.engine or engines,
            "changes": changes,
            "image_encoder": args.image_encoder or _one(found, ImageManifest, args.networks),
            "text_encoder": args.text_encoder or _one(found, TextManifest, args.networks),
        }
    )


def _networks_in(folder: Path) -> list[tuple[Path, Any]]:
    """Paths and manifests of a folder, by name. Raises InputError, or ModelError for one that is none."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; needed one of metric_depth export.")
    return [(path, load_any_manifest(path)) for path in sorted(folder.glob("*.yaml"))]


def _one(found: Sequence[tuple[Path, Any]], kind: type, folder: Path) -> Path | None:
    """Path of the only manifest of a kind; None if there is none. Raises ConfigError for several."""
    paths = [path for path, manifest in found if isinstance(manifest, kind)]
    if len(paths) > 1:
        names = ", ".join(path.name for path in paths)
        raise ConfigError(f"{folder}: {names}; needed one of their kind. Name it by an option of its own.")
    return paths[0] if paths else None


def _with_known_regions(args: argparse.Namespace) -> argparse.Namespace:
    """The options without SAM's regions of a paper where there are others, or no SAM."""
    sam = "regions.source=sam"
    ready = args.regions is None and (args.config or _is_set(args.changes, "regions.manifest"))
    if args.as_published is None or sam not in args.changes or ready:
        return args
    _LOG.warning(
        "--as-published %s: rows by region are of another protocol, as the regions are not SAM's; needed its "
        "manifest (--networks, regions.manifest).",
        args.as_published,
    )
    return argparse.Namespace(**{**vars(args), "changes": [each for each in args.changes if each != sam]})


def _is_set(changes: Sequence[str], name: str) -> bool:
    return any(each.partition("=")[0].strip() == name for each in changes)
