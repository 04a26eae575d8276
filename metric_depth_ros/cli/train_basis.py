"""`metric_depth train basis` and `train basis-export`: generators of basis maps for any depth network."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from metric_depth_ros.cli.train_options import (
    add_run,
    in_budget,
    in_steps,
    need_torch,
    run_settings,
    run_to_end,
    show_progress,
)

if TYPE_CHECKING:
    from metric_depth_ros.learning.training.basis.cache import BasisCache
    from metric_depth_ros.learning.training.basis.settings import BasisSettings


def add_basis(networks: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `train basis`."""
    parser = networks.add_parser(
        "basis",
        help="train a generator of basis maps for a depth network",
        description="Runs the frozen network over DATA once and keeps what it says in CACHE (about 170 kB a "
        "picture with 32 features), then trains a generator of K basis maps for the solver basis, 60 minutes "
        "by default; --as-published trains as paper 001 does. RUN gets checkpoint.pt, loss.csv, "
        "validation.csv and curves.png; --resume goes on after a cut. "
        "Then: metric_depth train basis-export RUN --to FOLDER.",
    )
    add_run(parser, minutes="60", batch="16", learning_rate="0.005", threads="2", look_every="200")
    data = parser.add_argument_group("data")
    data.add_argument(
        "--data", type=Path, nargs="+", metavar="DATA", help="frames, shards or NAME@SPLIT:PATH"
    )
    data.add_argument(
        "--engine",
        type=Path,
        metavar="MANIFEST",
        help="or small, tiny (default: that of the cache, or small)",
    )
    data.add_argument("--cache", type=Path, help="written unless it is there (default: RUN/cache)")
    data.add_argument("--count", type=int, default=24000, help="most pictures of the cache (default 24000)")
    data.add_argument(
        "--validate",
        type=Path,
        nargs="+",
        default=[],
        metavar="DATA",
        help="folders to validate on (default: one scene in fifty of --data)",
    )
    data.add_argument("--no-augment", action="store_true", help="pictures as they are")
    what = parser.add_argument_group("generator")
    what.add_argument("--maps", type=int, default=30, metavar="K", help="basis maps (default 30)")
    what.add_argument("--blind", action="store_true", help="F = 0: without the network's features")
    what.add_argument("--regime", help="low, medium or high as in paper 001, or mixed (default): ours")
    what.add_argument("--start", type=Path, metavar="RUN", help="fine-tune the generator of another run")
    what.add_argument(
        "--gate-sum", action="store_true", help="gate loss summed over pixels, as equation 27 is printed"
    )
    what.add_argument(
        "--as-published",
        action="store_true",
        help="what paper 001 states: regime low for K = 8 and medium for more, 25 epochs, 5 with --start, "
        "validated after each; weights not averaged; pictures as they are, depth from 0.1 m to 10 or 80 m",
    )
    parser.set_defaults(run=run_basis)


def add_export(networks: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `train basis-export`."""
    parser = networks.add_parser(
        "basis-export",
        help="write a depth network with a run's generator behind it as ONNX, with its manifest",
        description="Writes TO/NAME.onnx, whose own outputs stay what they were to the bit, and TO/NAME.yaml "
        "for engine.manifest. Needs the package onnx.",
    )
    parser.add_argument("checkpoint", type=Path, metavar="RUN", help="folder of a run")
    parser.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="where to write")
    parser.add_argument("--engine", type=Path, metavar="MANIFEST", help="or small, tiny (default: small)")
    parser.add_argument("--name", default=None, help="of the files (default: the network's, and _basis)")
    parser.set_defaults(run=run_export)


def run_basis(args: argparse.Namespace) -> int:
    """Runs ``train basis``. Raises MetricDepthError."""
    need_torch()
    from metric_depth_ros.learning.training.basis.settings import check_settings
    from metric_depth_ros.learning.training.basis.trainer import BasisTrainer

    settings = _settings(args)
    check_settings(settings, args.resume)
    count = len(_cache(args, settings.threads).of_families(settings.families)[0])
    if args.as_published:
        settings = _in_epochs(settings, args, count)
    else:
        settings = in_steps(settings, args.epochs, lambda: count)
    return run_to_end(BasisTrainer(settings, resume=args.resume), "basis-export")


def run_export(args: argparse.Namespace) -> int:
    """Runs ``train basis-export``. Raises MetricDepthError."""
    need_torch()
    from metric_depth_ros.cli.export import report
    from metric_depth_ros.config import EngineConfig
    from metric_depth_ros.engines import manifest_path
    from metric_depth_ros.learning.export.basis import export_basis
    from metric_depth_ros.learning.export.files import Wanted
    from metric_depth_ros.learning.training.basis.trainer import load_generator

    engine = manifest_path(EngineConfig(manifest=str(args.engine or "")))
    generator, state = load_generator(args.checkpoint)
    name = args.name or f"{engine.stem}_basis"
    found = export_basis(generator, engine, Wanted(args.to, name), trained_on=state["about"]["engine"])
    report(found, about=f", {generator.config.maps} maps, step {state['step']}")
    return 0


def _settings(args: argparse.Namespace) -> BasisSettings:
    """Settings told, and the paper's with ``--as-published``. Raises ConfigError."""
    from metric_depth_ros.learning.training.basis.draw import MIXED
    from metric_depth_ros.learning.training.basis.settings import (
        PUBLISHED,
        BasisSettings,
        published_regime,
    )

    usual = published_regime(args.maps) if args.as_published else MIXED
    return BasisSettings(
        cache=str(args.cache or args.out / "cache"),
        maps=args.maps,
        blind=args.blind,
        gate_sum=args.gate_sum,
        regime=args.regime or usual,
        start=None if args.start is None else str(args.start),
        **{"threads": 2, **(PUBLISHED if args.as_published else {}), **run_settings(args)},
    )


def _in_epochs(settings: BasisSettings, args: argparse.Namespace, count: int) -> BasisSettings:
    """Settings with the paper's budget unless another is told, and a validation after each epoch."""
    from dataclasses import replace

    from metric_depth_ros.learning.training.basis.settings import PUBLISHED_EPOCHS, PUBLISHED_TUNING_EPOCHS

    epochs = PUBLISHED_TUNING_EPOCHS if settings.start else PUBLISHED_EPOCHS
    found: BasisSettings = in_budget(settings, args, epochs, count)
    return replace(found, look_every=args.look_every or math.ceil(count / settings.batch))


def _cache(args: argparse.Namespace, threads: int) -> BasisCache:
    """Cache of network outputs, written first if needed. Raises MetricDepthError."""
    from metric_depth_ros.config import EngineConfig
    from metric_depth_ros.engines import manifest_path
    from metric_depth_ros.errors import ConfigError
    from metric_depth_ros.learning.training.basis.cache import BasisCache, write_cache

    folder = args.cache or args.out / "cache"
    if not (folder / "cache.json").is_file():
        if not args.data:
            raise ConfigError(
                f"{folder}: no cache yet, and no --data to make it of. Name folders of pictures."
            )
        engine = EngineConfig(manifest=str(args.engine or ""))
        written = write_cache(
            args.data, engine, folder, count=args.count, seed=args.seed, threads=threads,
            augment=not (args.no_augment or args.as_published),
            validate=args.validate, masked=args.as_published,
        )  # fmt: skip
        show_progress(written, args.count, "cache")
    cache = BasisCache(folder)
    if args.as_published and (cache.info.augmented or not cache.info.masked):
        raise ConfigError(
            f"{folder}: made without --as-published; needed pictures as they are and the paper's depth mask. "
            "Name another --cache, which is then written."
        )
    if args.engine is not None:
        _check_engine(manifest_path(EngineConfig(manifest=str(args.engine))), cache)
    return cache


def _check_engine(engine: Path, cache: BasisCache) -> None:
    """Raises ConfigError if the cache is from another network."""
    from metric_depth_ros.engines.manifest import load_manifest, model_file
    from metric_depth_ros.errors import ConfigError
    from metric_depth_ros.learning.export.basis import network_digest

    manifest, found = load_manifest(engine), cache.info.sha256
    if found == manifest.sha256:
        return
    source = engine.parent / manifest.file
    model_file(source, manifest.sha256, manifest.data).verify()
    if found != network_digest(source):
        raise ConfigError(
            f"{cache.folder}: of network {cache.info.engine} ({found[:12]}...), {engine} is "
            f"{manifest.sha256[:12]}...; needed the same. Name another --cache, which is then written."
        )
