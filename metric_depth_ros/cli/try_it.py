"""`metric_depth try`: depth of a small rendered bag that comes with the package, in one picture."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from metric_depth_ros.pipeline import Result
    from metric_depth_ros.types import FloatArray

# Made by `metric_depth synthesize data/street.mcap --bag --compact --family street --seed 4 --size 480x360
# --seconds 3 --rate 2 --workers 1`.
_BAG, TRUTH = "data/street.mcap", "/camera/depth_gt/image_rect/compressedDepth"


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the verb."""
    parser = verbs.add_parser(
        "try",
        help="see what it does: depth of a small bag that comes with the package, in one picture",
        description="Runs the pipeline on six rendered images of a street with LiDAR points and true depth, "
        "draws one of them (image and anchors, depth, true depth, error, sigma, the cloud from above) and "
        "prints the error beside two controls. Needs neither ROS nor a renderer.",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("metric_depth_try.png"), metavar="PNG", help="the picture"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing picture")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the verb. Raises MetricDepthError."""
    import numpy as np

    from metric_depth_ros.bags import BagReader
    from metric_depth_ros.cli.offline import Samples, results
    from metric_depth_ros.cli.outputs import check_picture, save_picture
    from metric_depth_ros.cli.previews import sheet_of
    from metric_depth_ros.cli.tally import Tally
    from metric_depth_ros.config import Config
    from metric_depth_ros.evaluation.held_out import error_at, held_out

    check_picture(args.out, overwrite=args.overwrite)
    config, tally, errors = Config(), Tally(), []
    with BagReader(path := packaged_bag(), anchors_held_out=TRUTH) as reader:
        source = Samples(reader.image_count, reader.samples(config), reader.skipped, reader.notes)
        for index, result in results(source, source.count, config, tally):
            truth = held_out(result.sample, result.camera, config.anchors)
            assert truth is not None  # of every image in this bag
            errors.append([error_at(depth, truth)[0] for depth in _with_controls(result)])
            if index == source.count // 2:
                save_picture(args.out, sheet_of(result, truth))
    _report(path, args.out, tally.summary(), np.mean(errors, axis=0))
    return 0


def packaged_bag() -> Path:
    """The bag. Raises InputError if the installation lacks it."""
    from metric_depth_ros.errors import InputError
    from metric_depth_ros.share import share_path

    try:
        return share_path(_BAG)
    except FileNotFoundError as error:
        raise InputError(f"{error}; needed the bag that comes with the package. Install it again.") from error


def _with_controls(result: Result) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Depth (H, W), that of the same solver on a map of ones, and the anchors interpolated."""
    import numpy as np

    from metric_depth_ros import solve
    from metric_depth_ros.evaluation.interpolation import interpolate_anchors

    anchors, depth = result.anchors, result.metric.depth
    ones = np.ones(depth.shape, np.float32)
    constant = solve(ones, anchors.uv, anchors.depth, sigma=anchors.sigma, image=result.image)
    return depth, constant.depth, interpolate_anchors(anchors, *depth.shape[::-1])


def _report(bag: Path, picture: Path, summary: str, errors: FloatArray) -> None:
    """Prints the errors, and what to do next."""
    print(f"{bag.name}: {summary}")
    print("AbsRel at all pixels of known depth up to 200 m, mean of the images:")
    for name, error in zip(
        ("metric depth", "control: constant map", "control: interpolation"), errors, strict=True
    ):
        print(f"  {name:24}{error:.3f}")
    print(
        "  (rendered, as what the network has learned from; on real pictures: docs/benchmarks.md)\n"
        f"{picture}: image and anchors, depth, true depth, error, sigma, the cloud from above\n"
        "Next:\n"
        f"  metric_depth run {bag} --held-out {TRUTH}\n"
        "      this bag, every image, into a bag of depth\n"
        "  metric_depth doctor YOUR.mcap\n"
        "      what your own bag lacks, and the command that makes its depth\n"
        "  metric_depth demo\n"
        "      live, through ROS 2: source a distribution, or pip install '.[ros]'"
    )
