"""`metric_depth train scale` and `train scale-export`: networks that give a picture's scale (paper 002)."""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from metric_depth_ros.cli.parsing import size_of
from metric_depth_ros.cli.train_options import (
    add_encoder,
    add_run,
    encoder_weights,
    in_budget,
    must_be_written,
    need_torch,
    run_settings,
    run_to_end,
    show_progress,
)

# Epochs of training (ours), and between validations (paper 002).
_EPOCHS, _VALIDATION = 30.0, 5.0


def add_scale(networks: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `train scale`."""
    parser = networks.add_parser(
        "scale",
        help="train a scale network: the factor that makes a depth network's output metric",
        description="Runs the depth network over DATA once and keeps every picture's best factor in TARGETS "
        "(paper 002, algorithm 1), then trains a network to say it (algorithm 2), 30 epochs by default. RUN "
        "gets checkpoint.pt, loss.csv, validation.csv and curves.png; --resume goes on after a cut. "
        "Then: metric_depth train scale-export RUN --to FOLDER.",
    )
    add_run(
        parser, minutes="30 epochs", batch="32", learning_rate="0.001, halved every 10 epochs",
        threads="one per core", look_every="5 epochs",
    )  # fmt: skip
    data = parser.add_argument_group("data")
    data.add_argument(
        "--data", type=Path, nargs="+", metavar="DATA", help="shards, frames or NAME@SPLIT:PATH"
    )
    data.add_argument("--engine", metavar="MANIFEST", default="", help="or small, tiny (default: small)")
    data.add_argument("--targets", type=Path, help="written unless there (default: RUN/targets)")
    data.add_argument("--count", type=int, default=12000, help="most pictures (default 12000)")
    data.add_argument(
        "--no-filter", action="store_true", help="factors outside the 5th to 95th percentile as well"
    )
    data.add_argument(
        "--no-canonical",
        action="store_true",
        help="factors as they are, not those of one camera: as in the paper, for one camera",
    )
    what = parser.add_argument_group("network")
    what.add_argument("--encoder", default="lite0", help="lite0 (default), lite1, lite2, tiny or plain")
    what.add_argument(
        "--weights",
        metavar="FILE",
        help="of depth-export, to begin with (default: the package's of lite0 and tiny); none: at random",
    )
    what.add_argument("--size", default="192x144", help="of the pictures (default 192x144)")
    add_encoder(what)
    parser.set_defaults(run=run_scale)


def add_export(networks: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `train scale-export`."""
    parser = networks.add_parser(
        "scale-export",
        help="write a run's scale network as ONNX, with its manifest",
        description="Writes TO/NAME.onnx, checked against torch, and TO/NAME.yaml for solver.prior. Needs "
        "the package onnx.",
    )
    parser.add_argument("checkpoint", type=Path, metavar="RUN", help="folder of a run")
    parser.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="where to write")
    parser.add_argument("--name", default="scale", help="of the files (default scale)")
    parser.add_argument("--licence", default="Apache-2.0", help="of the weights (default Apache-2.0)")
    parser.set_defaults(run=run_export)


def run_scale(args: argparse.Namespace) -> int:
    """Runs ``train scale``. Raises MetricDepthError."""
    need_torch()
    from metric_depth_ros.learning.training.scale.settings import check_settings
    from metric_depth_ros.learning.training.scale.trainer import ScaleTrainer

    settings = _settings(args)
    check_settings(settings, args.resume)
    count = _targets(args, settings)
    settings = in_budget(settings, args, _EPOCHS, count)
    if args.look_every is None:
        settings = replace(settings, look_every=math.ceil(_VALIDATION * count / settings.batch))
    return run_to_end(ScaleTrainer(settings, resume=args.resume), "scale-export")


def run_export(args: argparse.Namespace) -> int:
    """Runs ``train scale-export``. Raises MetricDepthError."""
    need_torch()
    from metric_depth_ros.cli.export import report
    from metric_depth_ros.learning.export.files import Wanted
    from metric_depth_ros.learning.export.scale import export_scale
    from metric_depth_ros.learning.training.scale.trainer import load_scale_network

    network, state = load_scale_network(args.checkpoint)
    size = tuple(state["settings"]["size"])
    wanted = Wanted(args.to, args.name, [size], licence=args.licence)
    found = export_scale(network, wanted, state["about"])
    report([found], about=f", step {state['step']}", setting="solver.prior")
    return 0


def _settings(args: argparse.Namespace) -> Any:
    from metric_depth_ros.learning.training.scale.settings import ScaleSettings

    told = {"frozen": args.frozen, "encoder_rate": args.encoder_rate}
    return ScaleSettings(
        targets=str(args.targets or args.out / "targets"),
        filtered=not args.no_filter,
        encoder=args.encoder,
        size=size_of(args.size),
        weights=encoder_weights(args.weights, args.encoder),
        **{name: value for name, value in told.items() if value is not None},
        **run_settings(args),
    )


def _targets(args: argparse.Namespace, settings: Any) -> int:
    """Writes the targets unless they are there; returns the number of pictures to train on."""
    from metric_depth_ros.config import EngineConfig
    from metric_depth_ros.learning.training.scale.targets import FILE, ScaleTargets, write_targets

    folder = Path(settings.targets)
    if must_be_written(folder / FILE, "targets", args, ("data", "engine", "no-canonical")):
        written = write_targets(
            args.data, EngineConfig(manifest=args.engine), folder, count=args.count, seed=args.seed,
            canonical=not args.no_canonical, threads=settings.threads or 2,
        )  # fmt: skip
        show_progress(written, args.count, "targets")
    targets = ScaleTargets(folder, filtered=settings.filtered, families=settings.families)
    return len(targets.training)
