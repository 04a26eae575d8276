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
    from metric_depth_ros.learning.export.files import Exported, Wanted
    from metric_depth_ros.learning.models.checkpoint_folder import CheckpointFolder

# Architectures, as named in config.json.
SUPPORTED = (
    "DepthAnythingForDepthEstimation (V1, V2; S, B, L), DPTForDepthEstimation (MiDaS: large, hybrid, BEiT, "
    "Swin2), DepthProForDepthEstimation, ZoeDepthForDepthEstimation, SamModel, Sam2Model"
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
    parser.add_argument("checkpoint", type=Path, nargs="?", metavar="CHECKPOINT", help="local folder")
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="where to write")
    parser.add_argument("--name", help="of the files (default: of the network)")
    parser.add_argument(
        "--size",
        nargs="+",
        default=[],
        metavar="WxH",
        help="sizes of the input, a file each (default: usual one)",
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
    if args.checkpoint is None or args.to is None:
        raise ConfigError("export: needed CHECKPOINT and --to FOLDER, or --manifest-for ONNX.")
    _need("torch", "onnx")
    sizes = [size_of(text) for text in args.size]
    if _is_run(args.checkpoint):
        raise ConfigError(
            f"export: {args.checkpoint} is a run of metric_depth train; needed a checkpoint. Export it: "
            f"metric_depth train depth-export {args.checkpoint} --to {args.to} (or basis-export, ...)"
        )
    _need("transformers", "safetensors")
    # Local files only: no downloads.
    os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"
    from metric_depth_ros.learning.export.segmenter import is_sam
    from metric_depth_ros.learning.models.checkpoint_folder import open_checkpoint

    folder = open_checkpoint(args.checkpoint)
    if is_sam(folder):
        report(_sam(args, folder), setting="regions.manifest")
    else:
        report(_depth(args, folder, sizes))
    return 0


def _draft(path: Path) -> int:
    """Writes a manifest for the user to complete."""
    _need("onnx")
    from metric_depth_ros.learning.export.inspection import write_draft

    to = path.with_suffix(".yaml")
    for note in write_draft(path, to):
        print(note)
    print(f"{to}: to be completed")
    return 0


def _is_run(folder: Path) -> bool:
    """Whether the folder is a run of metric_depth train, with its checkpoint and curves."""
    files = {"checkpoint.pt", "loss.csv"}
    return all((folder / name).is_file() for name in files) and not (folder / "config.json").exists()


def _depth(
    args: argparse.Namespace, folder: CheckpointFolder, sizes: list[tuple[int, int]]
) -> list[Exported]:
    from metric_depth_ros.learning.export.depth import export_depth
    from metric_depth_ros.learning.models.published_depth import facts_of, load_published

    network = load_published(folder, args.features or "coarse")
    if network is None:
        raise ModelError(
            f"{folder.path}: {folder.architecture or 'no architecture named'}; needed one of {SUPPORTED}. "
            "Other networks come as ONNX: metric_depth export --manifest-for ONNX."
        )
    facts = facts_of(folder, network.facts)
    wanted = _wanted(args, re.sub(r"\W+", "_", facts.title.lower()), sizes or [facts.size])
    return export_depth(network, facts, wanted, comment=f"Written by metric_depth export: {facts.title}.")


def _sam(args: argparse.Namespace, folder: CheckpointFolder) -> list[Exported]:
    from metric_depth_ros.learning.export.segmenter import export_sam

    if args.size or args.dynamic or args.features or args.precision != "fp32":
        raise ConfigError(
            "export: SAM has one size and float32; leave out --size, --dynamic, --precision and --features."
        )
    return export_sam(folder, _wanted(args, folder.model_type.removesuffix("_video"), []))


def _wanted(args: argparse.Namespace, name: str, sizes: list[tuple[int, int]]) -> Wanted:
    from metric_depth_ros.learning.export.files import Wanted

    return Wanted(
        folder=args.to,
        name=args.name or name,
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
