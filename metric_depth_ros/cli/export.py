"""`metric_depth export`: networks to ONNX and manifest."""

from __future__ import annotations

import argparse
import os
import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from metric_depth_ros.cli.parsing import size_of
from metric_depth_ros.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metric_depth_ros.learning.export.files import Exported, Wanted
    from metric_depth_ros.learning.models.checkpoint_folder import CheckpointFolder

# Architectures, as named in config.json.
SUPPORTED = (
    "DepthAnythingForDepthEstimation (V1, V2; S, B, L), DPTForDepthEstimation (MiDaS: large, hybrid, BEiT, "
    "Swin2), DepthProForDepthEstimation, ZoeDepthForDepthEstimation, SamModel, Sam2Model, CLIPModel"
)


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the verb ``export``."""
    parser = verbs.add_parser(
        "export",
        help="turn a checkpoint into ONNX and manifest, or write a manifest for an ONNX file",
        description=f"CHECKPOINT is a local folder with config.json and model.safetensors of {SUPPORTED}. "
        "Every file is checked against torch. Where to get checkpoints: docs/engines.md. Any other network: "
        "--manifest-for.",
    )
    parser.add_argument("checkpoint", type=Path, nargs="*", metavar="CHECKPOINT", help="local folders")
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="where to write")
    parser.add_argument("--name", help="of the files (default: of the network, else of its folder)")
    parser.add_argument(
        "--size",
        nargs="+",
        default=[],
        metavar="WxH",
        help="sizes of the input, a file each (default: usual one)",
    )
    parser.add_argument(
        "--pictures",
        metavar="WxH",
        help="size of your pictures: the input keeps their aspect ratio where the checkpoint's own does",
    )
    parser.add_argument(
        "--dynamic", action="store_true", help="one file for all sizes; slower on most runtimes"
    )
    parser.add_argument(
        "--precision", choices=("fp32", "fp16"), default="fp32", help="fp16 adds a float16 file"
    )
    parser.add_argument(
        "--features",
        choices=("coarse", "fine", "none"),
        help="which feature map F(x) is given out beside the depth (default coarse)",
    )
    parser.add_argument(
        "--licence", default="", help="of the weights (default: their card's; ours: Apache-2.0)"
    )
    parser.add_argument("--source", default="", help="where the weights are from")
    parser.add_argument(
        "--manifest-for", type=Path, metavar="ONNX", help="write ONNX's manifest, to be completed, beside it"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs ``export``. Raises MetricDepthError."""
    if args.manifest_for is not None:
        return _draft(args.manifest_for)
    if not args.checkpoint or args.to is None:
        raise ConfigError("export: needed CHECKPOINT and --to FOLDER, or --manifest-for ONNX.")
    if len(args.checkpoint) > 1 and (args.name or args.size):
        raise ConfigError("export: --name and --size are of one checkpoint; several are given.")
    _need("torch", "onnx")
    for path in args.checkpoint:
        _refuse_run(path, args.to)
    _need("transformers", "safetensors")
    # Local files only: no downloads.
    os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"
    from metric_depth_ros.learning.models.checkpoint_folder import open_checkpoint

    for folder in [open_checkpoint(path) for path in args.checkpoint]:
        _export(args, folder)
    return 0


def _export(args: argparse.Namespace, folder: CheckpointFolder) -> None:
    """Exports one checkpoint and prints what was written."""
    from metric_depth_ros.learning.export.clip import export_clip, is_clip
    from metric_depth_ros.learning.export.segmenter import export_sam, is_sam

    alone = len(args.checkpoint) == 1
    if is_sam(folder):
        _refuse_options(args, "SAM", alone=alone)
        wanted = _wanted(args, folder, folder.model_type.removesuffix("_video"))
        report(export_sam(folder, wanted), setting="regions.manifest")
    elif is_clip(folder):
        _refuse_options(args, "CLIP", alone=alone)
        files = export_clip(folder, _wanted(args, folder, "clip"))
        for file, option in zip(files, ("--image-encoder", "--text-encoder"), strict=True):
            report([file], setting=f"evaluate {option}")
    else:
        report(_depth(args, folder))


def _refuse_options(args: argparse.Namespace, title: str, *, alone: bool) -> None:
    """Raises ConfigError for options of depth networks, unless there may be some beside it."""
    if alone and (args.size or args.pictures or args.dynamic or args.features or args.precision != "fp32"):
        raise ConfigError(
            f"export: {title} has one size and float32; leave out --size, --pictures, --dynamic, --precision "
            "and --features."
        )


def _refuse_run(path: Path, to: Path) -> None:
    """Raises ConfigError for a folder of a run of metric_depth train, with its checkpoint and curves."""
    files = {"checkpoint.pt", "loss.csv"}
    if all((path / name).is_file() for name in files) and not (path / "config.json").exists():
        raise ConfigError(
            f"export: {path} is a run of metric_depth train; needed a checkpoint. Export it: "
            f"metric_depth train depth-export {path} --to {to} (or basis-export, ...)"
        )


def _draft(path: Path) -> int:
    """Writes a manifest for the user to complete."""
    _need("onnx")
    from metric_depth_ros.learning.export.inspection import write_draft

    to = path.with_suffix(".yaml")
    for note in write_draft(path, to):
        print(note)
    print(f"{to}: to be completed")
    return 0


def _depth(args: argparse.Namespace, folder: CheckpointFolder) -> list[Exported]:
    from metric_depth_ros.learning.export.depth import export_depth
    from metric_depth_ros.learning.models.published_depth import facts_of, load_published

    sizes = [size_of(text) for text in args.size]
    network = load_published(folder, args.features or "coarse")
    if network is None:
        raise ModelError(
            f"{folder.path}: {folder.architecture or 'no architecture named'}; needed one of {SUPPORTED}. "
            "Other networks come as ONNX: metric_depth export --manifest-for ONNX."
        )
    pictures = None if args.pictures is None else size_of(args.pictures)
    facts = facts_of(folder, network.facts, pictures)
    wanted = _wanted(args, folder, facts.title, sizes or [facts.size])
    return export_depth(network, facts, wanted, comment=f"Written by metric_depth export: {facts.title}.")


def _wanted(
    args: argparse.Namespace, folder: CheckpointFolder, title: str, sizes: Sequence[tuple[int, int]] = ()
) -> Wanted:
    """Request for a checkpoint's files; of several checkpoints they are named by folder, not by title."""
    from metric_depth_ros.learning.export.files import Wanted

    named = title if len(args.checkpoint) == 1 else folder.path.resolve().name
    return Wanted(
        folder=args.to,
        name=args.name or re.sub(r"\W+", "_", named.lower()),
        sizes=sizes,
        dynamic=args.dynamic,
        half=args.precision == "fp16",
        licence=args.licence,
        source=args.source,
    )


def report(exported: list[Exported], *, about: str = "", setting: str = "engine.manifest") -> None:
    """Prints what was written, a note, and how to set the manifest."""
    for item in exported:
        half = item.half
        also = f" (float16 file: {half.largest:.1e}, rms {half.rms:.1e})" if half else ""
        print(
            f"{', '.join(map(str, item.models))}: {item.bytes / 1e6:.2f} MB{about}; "
            f"at most {item.difference.largest:.1e} from torch{also}, in standard deviations\n"
            f"{item.manifest}: the manifest, for {setting}"
        )


def _need(*modules: str) -> None:
    """Raises ConfigError if a package is not installed."""
    for module in modules:
        if find_spec(module) is None:
            raise ConfigError(
                f"export: {module} is not installed. Install it: pip install 'metric_depth_ros[export]'"
            )
