"""`metric_depth train metric-solver`: trains metric depth around a focus, from images alone."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from metric_depth_ros.cli.parsing import size_of
from metric_depth_ros.cli.train_options import (
    add_encoder,
    add_run,
    encoder_weights,
    in_steps,
    need_torch,
    run_settings,
    run_to_end,
)


def add_metric_solver(networks: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `train metric-solver`."""
    parser = networks.add_parser(
        "metric-solver",
        help="train Metric-Solver: metric depth from one picture, around a focus",
        description="Trains on folders of shards that `metric_depth synthesize` wrote, or of frames with "
        "depth images. RUN gets checkpoint.pt, loss.csv, validation.csv and curves.png; --resume goes on "
        "after a cut. lite0 and tiny begin with the package's depth networks and train 40 minutes by "
        "default; the others begin with what --weights names and train 205,000 steps at 5e-6 as "
        "in paper 004, on several GPUs by torchrun: torchrun --nproc-per-node 8 -m metric_depth_ros.cli "
        "train metric-solver ... Fine-tuning: --start RUN --epochs 70 --data ...",
    )
    add_run(
        parser,
        minutes="40; others: 205,000 steps",
        batch="16; others: 64, of all GPUs",
        learning_rate="0.001; others: 5e-6",
        threads="one per core",
        look_every="500; others: 5000",
    )
    data = parser.add_argument_group("data")
    data.add_argument(
        "--data",
        type=Path,
        nargs="+",
        required=True,
        metavar="DATA",
        help="shards, frames or NAME@SPLIT:PATH",
    )
    what = parser.add_argument_group("network")
    what.add_argument(
        "--config", default="lite0", help="lite0 (default), tiny, small, base or large: the encoder"
    )
    what.add_argument(
        "--focuses", metavar="M,M", help="of the pool, rising, in metres (default 2,4,6,10,20,40,80,120)"
    )
    what.add_argument(
        "--between",
        type=float,
        metavar="PART",
        help="of the focuses that are drawn anywhere between the ends of the pool, the others from it "
        "(default 0.5; others: 0, as in the paper)",
    )
    what.add_argument("--heads", default="two", help="two (default), or one of 80 m without focus")
    what.add_argument("--no-mask", action="store_true", help="without the head for the mask")
    what.add_argument(
        "--canonical",
        action=argparse.BooleanOptionalAction,
        help="metres of one camera, which the engine turns into those of any known one (default: yes; "
        "others: no, as in the paper)",
    )
    first = what.add_mutually_exclusive_group()
    first.add_argument("--start", type=Path, metavar="RUN", help="fine-tune the network of another run")
    first.add_argument(
        "--weights",
        metavar="PATH",
        help="to begin with: weights of depth-export for lite0 and tiny (default: the package's), the folder "
        "of a DINOv2 or Depth Anything V2 checkpoint for the others; none begins at random",
    )
    more = parser.add_argument_group("of the pictures and the processor")
    more.add_argument("--size", help="of the pictures, WIDTHxHEIGHT (default 256x192; others: 518x518)")
    more.add_argument("--optimizer", help="adamw (default) or muon")
    add_encoder(more)
    parser.set_defaults(run=run_metric_solver)


def run_metric_solver(args: argparse.Namespace) -> int:
    """Runs ``train metric-solver``. Raises MetricDepthError."""
    need_torch()
    from metric_depth_ros.learning.training.metric_solver.trainer import MetricSolverTrainer

    return run_to_end(MetricSolverTrainer(_settings(args), resume=args.resume), "metric-solver-export")


def _settings(args: argparse.Namespace) -> Any:
    """Training settings. Raises ConfigError for invalid settings, InputError for unreadable data."""
    from metric_depth_ros.learning.training.loader import Samples
    from metric_depth_ros.learning.training.metric_solver.settings import settings_of

    settings = settings_of(
        args.config,
        data=tuple(str(folder) for folder in args.data),
        focuses=_focuses(args.focuses),
        heads=args.heads,
        mask=not args.no_mask,
        canonical=args.canonical,
        between=args.between,
        start=None if args.start is None else str(args.start),
        weights=None if args.start is not None else encoder_weights(args.weights, args.config),
        size=size_of(args.size) if args.size else None,
        optimizer=args.optimizer,
        frozen=args.frozen,
        encoder_rate=args.encoder_rate,
        **run_settings(args),
    )
    return in_steps(settings, args.epochs, lambda: len(Samples(settings.data, families=settings.families)))


def _focuses(text: str | None) -> tuple[float, ...] | None:
    """Focuses in metres from text. Raises ConfigError."""
    from metric_depth_ros.errors import ConfigError

    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"focuses: {text!r}; needed metres, as 2,10,80.") from error
