"""`metric_depth train metric-solver-export`: exports a run of Metric-Solver to ONNX and manifest."""

from __future__ import annotations

import argparse
from pathlib import Path

from metric_depth_ros.cli.export import report
from metric_depth_ros.cli.parsing import size_of
from metric_depth_ros.cli.train_options import need_torch


def add_export(networks: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `train metric-solver-export`."""
    parser = networks.add_parser(
        "metric-solver-export",
        help="write a run's network as ONNX, encoder and decoders, with its manifest",
        description="Writes TO/NAME_encoder.onnx, TO/NAME_decoders.onnx, each checked against torch, and "
        "TO/NAME.yaml for engine.manifest. Needs the package onnx.",
    )
    parser.add_argument("checkpoint", type=Path, metavar="RUN", help="folder of a run")
    parser.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="where to write")
    parser.add_argument("--name", default="metric_solver", help="of the files (default metric_solver)")
    parser.add_argument(
        "--size", nargs="+", default=[], metavar="WxH", help="sizes of the input (default: the run's own)"
    )
    parser.add_argument(
        "--dynamic", action="store_true", help="one set of files for all sizes; not for the tiny encoder"
    )
    parser.add_argument(
        "--focus", default="indoor", help="where none is asked for: metres or a preset (default indoor)"
    )
    parser.add_argument("--licence", default="Apache-2.0", help="of the weights (default Apache-2.0)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs ``train metric-solver-export``. Raises MetricDepthError."""
    need_torch()
    from metric_depth_ros.learning.export.files import Wanted
    from metric_depth_ros.learning.export.metric_solver import export_metric_solver
    from metric_depth_ros.learning.training.metric_solver.trainer import load_metric_solver
    from metric_depth_ros.near_far import focus_of

    network, state = load_metric_solver(args.checkpoint)
    sizes = [size_of(text) for text in args.size] or [tuple(state["settings"]["size"])]
    wanted = Wanted(args.to, args.name, sizes, dynamic=args.dynamic, licence=args.licence)
    found = export_metric_solver(network, wanted, focus_m=focus_of(args.focus))
    report(found, about=f", step {state['step']}")
    return 0
