"""`metric_depth train refinement` and `train refinement-export`: the network of the solver ``refined``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from metric_depth_ros.cli.parsing import size_of
from metric_depth_ros.cli.train_options import (
    add_run,
    in_steps,
    must_be_written,
    need_torch,
    run_settings,
    run_to_end,
    show_progress,
)

# What examples are of unless told, by flag.
_USUAL = {"count": 8000, "draws": 2, "solver": "gaussian_process", "size": "192x144"}


def add_refinement(networks: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `train refinement`."""
    parser = networks.add_parser(
        "refinement",
        help="train the network of the solver refined: a correction of another solver's depth",
        description="Fits a solver to simulated anchors on DATA once and keeps what it says and how it is "
        "off in EXAMPLES (about 300 kB each), then trains a network to correct it, 60 minutes by default. "
        "RUN gets checkpoint.pt, loss.csv, validation.csv and curves.png; --resume goes on after a cut. "
        "Then: metric_depth train refinement-export RUN --to FOLDER.",
    )
    add_run(parser, minutes="60", batch="16", learning_rate="0.001", threads="1", look_every="500")
    data = parser.add_argument_group("data")
    data.add_argument(
        "--data", type=Path, nargs="+", metavar="DATA", help="shards, frames or NAME@SPLIT:PATH"
    )
    data.add_argument("--examples", type=Path, help="written unless there (default: RUN/examples)")
    data.add_argument("--count", type=int, help="most pictures (default 8000)")
    data.add_argument("--draws", type=int, help="of maps and anchors per picture (default 2)")
    data.add_argument("--solver", help="whose depth to correct (default gaussian_process)")
    data.add_argument("--size", help="of what the network sees, multiples of 48 (default 192x144)")
    parser.add_argument("--start", metavar="FILE", help="begin with the weights of an export (NPZ)")
    parser.add_argument(
        "--without",
        default="",
        metavar="A,B",
        help="inputs that the network does not see, to learn what they are worth: image, fit, sigma, "
        "relative, residuals, distance, count",
    )
    parser.set_defaults(run=run_refinement)


def add_export(networks: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `train refinement-export`."""
    parser = networks.add_parser(
        "refinement-export",
        help="write a run's refinement network as ONNX, with its manifest",
        description="Writes TO/NAME.onnx, checked against torch, and TO/NAME.yaml for "
        "solver.refined.network, and TO/NAME.npz to train on from. Needs the package onnx.",
    )
    parser.add_argument("checkpoint", type=Path, metavar="RUN", help="folder of a run")
    parser.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="where to write")
    parser.add_argument("--name", default="refinement", help="of the files (default refinement)")
    parser.add_argument("--licence", default="Apache-2.0", help="of the weights (default Apache-2.0)")
    parser.set_defaults(run=run_export)


def run_refinement(args: argparse.Namespace) -> int:
    """Runs ``train refinement``. Raises MetricDepthError."""
    need_torch()
    from metric_depth_ros.learning.training.refinement.examples import RefinementExamples
    from metric_depth_ros.learning.training.refinement.settings import RefinementSettings, check_settings
    from metric_depth_ros.learning.training.refinement.trainer import RefinementTrainer

    folder = args.examples or args.out / "examples"
    without = tuple(name for name in args.without.split(",") if name)
    settings: Any = RefinementSettings(
        examples=str(folder), start=args.start, without=without, **run_settings(args)
    )
    check_settings(settings, args.resume)
    _write(args, folder)
    settings = in_steps(
        settings, args.epochs, lambda: len(RefinementExamples(folder, families=settings.families).training)
    )
    return run_to_end(RefinementTrainer(settings, resume=args.resume), "refinement-export")


def run_export(args: argparse.Namespace) -> int:
    """Runs ``train refinement-export``. Raises MetricDepthError."""
    need_torch()
    from metric_depth_ros.cli.export import report
    from metric_depth_ros.learning.export.refinement import export_refinement
    from metric_depth_ros.learning.training import checkpoint
    from metric_depth_ros.learning.training.refinement.trainer import load_refinement

    network, state = load_refinement(args.checkpoint)
    found = export_refinement(network, args.to, args.name, state["about"], licence=args.licence)
    checkpoint.save_weights(network, args.to / f"{args.name}.npz")
    report([found], about=f", step {state['step']}", setting="solver.refined.network")
    return 0


def _write(args: argparse.Namespace, folder: Path) -> None:
    """Writes the examples unless they are there."""
    from metric_depth_ros.learning.training.refinement.examples import FILE, write_examples

    if must_be_written(folder / FILE, "examples", args, ("data", *_USUAL)):
        told = {name: value for name in _USUAL if (value := getattr(args, name)) is not None}
        of: dict[str, Any] = {**_USUAL, **told}
        of["size"] = size_of(of["size"])
        show_progress(write_examples(args.data, folder, seed=args.seed, **of), of["count"], "examples")
