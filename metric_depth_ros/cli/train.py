"""`metric_depth train`: trains the networks that the package ships, and exports them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from metric_depth_ros.cli import (
    metric_solver_export,
    train_basis,
    train_metric_solver,
    train_refinement,
    train_scale,
    train_tr2m,
)
from metric_depth_ros.cli.parsing import size_of
from metric_depth_ros.cli.train_options import (
    add_encoder,
    add_run,
    in_steps,
    need_torch,
    run_settings,
    run_to_end,
)

# Settings that a resumed run keeps if they are not told.
_KEPT = ("network", "encoder", "pretrained", "frozen", "encoder_rate", "loss", "optimizer", "learning_rate")


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the verb ``train``."""
    parser = verbs.add_parser(
        "train", help="train networks for depth, basis maps, priors and the solver refined, and export them"
    )
    networks = parser.add_subparsers(metavar="NETWORK", required=True)
    _add_depth(networks)
    _add_export(networks)
    train_basis.add_basis(networks)
    train_basis.add_export(networks)
    train_metric_solver.add_metric_solver(networks)
    metric_solver_export.add_export(networks)
    train_scale.add_scale(networks)
    train_scale.add_export(networks)
    train_tr2m.add_tr2m(networks)
    train_tr2m.add_export(networks)
    train_refinement.add_refinement(networks)
    train_refinement.add_export(networks)


def _add_depth(networks: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = networks.add_parser(
        "depth",
        help="train the small depth network",
        description="Trains on folders of shards that `metric_depth synthesize` wrote (shards that come "
        "while it runs join in) or of frames with depth images (calib.json), 60 minutes by default. RUN gets "
        "checkpoint.pt, loss.csv, validation.csv and curves.png. A run that was cut off goes on with "
        "--resume. Then: metric_depth train depth-export RUN --to FOLDER.",
    )
    parser.add_argument(
        "--data",
        type=Path,
        nargs="+",
        required=True,
        metavar="DATA",
        help="shards, frames or NAME@SPLIT:PATH",
    )
    add_run(
        parser,
        minutes="60",
        batch="16",
        learning_rate="0.001; an imported network: 1e-5",
        threads="one per core",
        look_every="2000",
    )
    parser.add_argument(
        "--size", help="the network's input, WIDTHxHEIGHT (default 320x240; an imported network: 322x238)"
    )
    parser.add_argument("--network", help="small (default) or tiny")
    parser.add_argument("--encoder", help="of small: lite0 (default), lite1 or lite2, trained on photographs")
    parser.add_argument(
        "--from-scratch",
        action="store_true",
        help="without the encoder's weights from photographs: all is trained from the first step",
    )
    add_encoder(parser)
    parser.add_argument(
        "--loss", help="normalised (default), trimmed (an imported network), log or log_invariant"
    )
    parser.add_argument("--optimizer", help="muon (default) or adamw (an imported network)")
    parser.add_argument(
        "--start",
        type=Path,
        metavar="PATH",
        help="begin with the weights of an export (NPZ), or fine-tune a published network: its checkpoint "
        "folder, config.json and model.safetensors",
    )
    parser.add_argument(
        "--real",
        nargs="+",
        default=[],
        metavar="FOLDER",
        help="real data sets to validate on, or folders of such; never trained on",
    )
    parser.set_defaults(run=run_depth)


def _add_export(networks: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = networks.add_parser(
        "depth-export",
        help="write a run's network as ONNX with its manifest",
        description="Writes TO/NAME.onnx, checked against torch, TO/NAME.yaml for engine.manifest, and "
        "TO/NAME.npz to train on from.",
    )
    parser.add_argument("checkpoint", type=Path, metavar="RUN", help="folder of a run")
    parser.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="where to write")
    parser.add_argument("--name", help="of the files (default small_depth, tiny_depth or imported_depth)")
    parser.add_argument(
        "--size",
        nargs="+",
        default=[],
        metavar="WxH",
        help="sizes of the input, a file each, multiples of 16 (default: the run's own)",
    )
    parser.add_argument(
        "--precision", choices=("fp32", "fp16"), default="fp32", help="fp16 adds a float16 file"
    )
    parser.add_argument("--licence", default="", help="of the weights (default: Apache-2.0)")
    parser.add_argument("--source", default="", help="where the weights are from")
    parser.set_defaults(run=run_export)


def run_depth(args: argparse.Namespace) -> int:
    """Runs ``train depth``. Raises MetricDepthError."""
    need_torch()
    from metric_depth_ros.learning.training.depth.settings import DepthSettings
    from metric_depth_ros.learning.training.depth.trainer import DepthTrainer
    from metric_depth_ros.learning.training.loader import Samples

    settings = DepthSettings(
        data=tuple(str(folder) for folder in args.data),
        start=None if args.start is None else str(args.start),
        real=tuple(args.real),
        out=str(args.out),
        **_depth_settings(args),
    )
    settings = in_steps(
        settings, args.epochs, lambda: len(Samples(settings.data, families=settings.families))
    )
    return run_to_end(DepthTrainer(settings, resume=args.resume), "depth-export")


def _depth_settings(args: argparse.Namespace) -> dict[str, Any]:
    """Settings of a run that is resumed, or the usual ones of its network, changed as told.

    Raises:
        ConfigError: an option has no effect on an imported network.
        ModelError: there is no run to resume.
    """
    from metric_depth_ros.errors import ConfigError
    from metric_depth_ros.learning.training import checkpoint
    from metric_depth_ros.learning.training.depth.settings import IMPORTED

    own = {"network": args.network, "encoder": args.encoder, "frozen": args.frozen}
    own |= {"encoder_rate": args.encoder_rate, "pretrained": False if args.from_scratch else None}
    own = {name: value for name, value in own.items() if value is not None}
    usual: dict[str, Any] = {}
    if args.resume:
        before = checkpoint.load(args.out)["settings"]
        usual = {name: before[name] for name in _KEPT} | {"size": tuple(before["size"])}
    elif args.start is not None and args.start.is_dir():
        if own:
            raise ConfigError(
                f"{next(iter(own))}: of our own networks; {args.start} is another. Leave it out."
            )
        usual = IMPORTED
    told = {
        "loss": args.loss,
        "optimizer": args.optimizer,
        "size": size_of(args.size) if args.size else None,
        **run_settings(args),
    }
    del told["out"]
    return usual | own | {name: value for name, value in told.items() if value is not None}


def run_export(args: argparse.Namespace) -> int:
    """Runs ``train depth-export``. Raises MetricDepthError."""
    need_torch()
    from metric_depth_ros.cli.export import report
    from metric_depth_ros.learning.export.files import Wanted
    from metric_depth_ros.learning.export.own_depth import export_trained
    from metric_depth_ros.learning.models.own_depth import check_own_size, name_of
    from metric_depth_ros.learning.training import checkpoint
    from metric_depth_ros.learning.training.depth.trainer import load_depth_network

    network, state = load_depth_network(args.checkpoint)
    sizes = [size_of(text) for text in args.size] or [tuple(state["settings"]["size"])]
    kind = name_of(state["architecture"])
    if kind != "imported":
        for size in sizes:
            check_own_size(size)
    name = args.name or f"{kind}_depth"
    half, told = args.precision == "fp16", {"licence": args.licence, "source": args.source}
    found = export_trained(network, Wanted(args.to, name, sizes, half=half, **told))
    weights = args.to / (name if kind == "imported" else f"{name}.npz")
    if kind == "imported":
        network.save(weights)
    else:
        checkpoint.save_weights(network, weights)
    each = " ".join(f"{width}x{height}" for width, height in sizes)
    report(found, about=f", {each}, step {state['step']}")
    print(f"{weights}: its weights, for train depth --start")
    return 0
