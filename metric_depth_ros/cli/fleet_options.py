"""Options that say where the jobs of a verb run."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from metric_depth_ros.config import Config
    from metric_depth_ros.fleet import Fleet

# Settings that name files.
_FILES = ("engine.manifest", "engine.second", "engine.model", "regions.manifest", "solver.prior")


def add_fleet(parser: argparse.ArgumentParser, *, default: str) -> None:
    """Adds the options that ``fleet_of`` reads. ``default``: of --workers, in words."""
    group = parser.add_argument_group("where it runs (docs/fleet.md)")
    group.add_argument("--workers", type=int, metavar="N", help=f"processes (default {default})")
    group.add_argument(
        "--ray", metavar="ADDRESS", help="workers of a Ray cluster: auto, HOST:6379, ray://HOST:10001, local"
    )
    group.add_argument("--threads", type=int, default=1, metavar="N", help="of each worker (default 1)")
    group.add_argument(
        "--gpus", type=float, default=0.0, metavar="F", help="of each worker on Ray (default 0)"
    )
    group.add_argument(
        "--retries", type=int, default=2, metavar="N", help="if a worker dies or a disk fails (default 2)"
    )


def fleet_of(args: argparse.Namespace, workers: int | None = None) -> Fleet:
    """The fleet of a command line; ``workers`` processes by default, None: as many as there are cores.

    Raises ConfigError.
    """
    from metric_depth_ros.errors import ConfigError
    from metric_depth_ros.fleet import Fleet

    if (args.workers is not None and args.workers < 1) or args.threads < 1:
        raise ConfigError("--workers and --threads: needed 1 or more.")
    if args.retries < 0 or not 0 <= args.gpus < float("inf"):
        raise ConfigError("--retries and --gpus: needed 0 or more.")
    if args.gpus and not args.ray:
        raise ConfigError("--gpus: for workers on Ray; without --ray every process sees all GPUs.")
    count = args.workers or (0 if args.ray else len(os.sched_getaffinity(0)) if workers is None else workers)
    return Fleet(count, args.ray or "", args.threads, args.gpus, args.retries)


def for_workers(config: Config, fleet: Fleet) -> Config:
    """The settings for workers: with their threads for networks, and full paths; else unchanged."""
    from metric_depth_ros.config import updated

    if not (fleet.workers or fleet.ray):
        return config
    paths = {name: str(path) for name, path in named_files(config).items()}
    return updated(config, {"engine.threads": fleet.threads, **paths})


def named_files(config: Config) -> dict[str, Path]:
    """Full paths of the files that settings name, by setting."""
    from metric_depth_ros.config import to_flat

    flat = to_flat(config)
    return {name: path for name in _FILES if (path := full_path(flat[name])) is not None}


def full_path(name: str) -> Path | None:
    """Full path of a file; None if the name is that of none, or of something that is bundled."""
    from metric_depth_ros.files import user_path

    path = Path(os.path.abspath(user_path(name)))
    return path if (path.suffix or "/" in name) and path.is_file() else None
