"""`metric_depth synthesize`: renders synthetic scenes into shards, contact sheets, or a bag."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metric_depth_ros.cli.fleet_options import add_fleet

if TYPE_CHECKING:
    from metric_depth_synthetic.dataset import SyntheticDataset
    from metric_depth_synthetic.textures import TextureBank

# Not read from the registry, since importing a verb must be fast.
_FAMILIES = "room,corridor,street,tabletop"


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the verb ``synthesize``."""
    parser = verbs.add_parser(
        "synthesize",
        help="render synthetic scenes with exact depth: a data set, contact sheets or a bag",
        description="Renders random scenes. OUT becomes a folder of shards; what is there already stays, so "
        "that a run that was cut short goes on and a data set can grow. With --bag it becomes a bag: a drive "
        "or walk with camera, 16-line LiDAR, transforms and true depth. The same seed gives the same result.",
    )
    parser.add_argument("out", type=Path, nargs="?", help="folder of shards, or with --bag the bag's name")
    parser.add_argument(
        "--families", "--family", default=None, metavar="A,B", help=f"kinds of scenes (default {_FAMILIES})"
    )
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default 0)")
    parser.add_argument("--size", default="320x240", help="of the pictures; any: aspect ratios vary")
    parser.add_argument("--textures", type=int, default=400, metavar="N", help="made by rule (default 400)")
    parser.add_argument("--photos", type=Path, metavar="FOLDER", help="your own pictures join the textures")
    add_fleet(parser, default="2")
    data = parser.add_argument_group("data set")
    data.add_argument("--count", type=int, default=1000, metavar="N", help="samples in all (default 1000)")
    data.add_argument(
        "--shard-size", type=int, default=500, metavar="N", help="samples a shard (default 500)"
    )
    data.add_argument("--views", type=int, default=4, metavar="N", help="samples a scene (default 4)")
    data.add_argument("--everything", action="store_true", help="labels, instances, normals, sensors too")
    data.add_argument(
        "--contact-sheet",
        type=Path,
        metavar="PNG",
        help="draw up to 12 scenes of each family: NAME_FAMILY.png. Without OUT nothing else is made",
    )
    bag = parser.add_argument_group("bag")
    bag.add_argument("--bag", action="store_true", help="write a bag of one scene")
    bag.add_argument("--seconds", type=float, default=30.0, help="its length (default 30)")
    bag.add_argument("--rate", type=float, default=10.0, metavar="HZ", help="images a second (default 10)")
    bag.add_argument(
        "--sensors",
        default="lidar",
        metavar="A,B",
        help="beside the camera: lidar, radar, range_finder, scan_2d, vio, depth_camera (default lidar)",
    )
    bag.add_argument(
        "--compact", action="store_true", help="JPEG images, PNG depth, LiDAR points of the image alone"
    )
    bag.add_argument("--overwrite", action="store_true", help="replace an existing bag or contact sheet")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs ``synthesize``. Raises MetricDepthError."""
    from metric_depth_ros.cli.fleet_options import fleet_of
    from metric_depth_ros.cli.outputs import check_picture, own_folder
    from metric_depth_ros.cli.synthetic_bag import write_drive
    from metric_depth_ros.errors import InputError
    from metric_depth_synthetic.make_shards import write_shards

    if args.out is None and args.contact_sheet is None:
        raise InputError("synthesize: nothing to make; needed OUT, --contact-sheet or both.")
    if min(args.count, args.shard_size, args.views) < 1:
        raise InputError("synthesize: --count, --shard-size and --views must be at least 1.")
    fleet = fleet_of(args, 2) if args.workers != 1 or args.ray else None
    if args.seed < 0:
        raise InputError(f"synthesize: --seed {args.seed}; needed 0 or more.")
    if args.contact_sheet is not None:
        check_picture(args.contact_sheet, overwrite=args.overwrite)
    if args.bag:
        if args.contact_sheet is not None:
            raise InputError("synthesize --bag: a contact sheet shows a data set; leave out --contact-sheet.")
        if args.out is None:
            raise InputError("synthesize --bag: needed OUT, one --family, and a --size in pixels.")
        write_drive(
            _dataset(args, _families(args, "street")),
            args.out,
            seconds=args.seconds,
            rate_hz=args.rate,
            fleet=fleet,
            sensors=[name.strip() for name in args.sensors.split(",")],
            compact=args.compact,
            overwrite=args.overwrite,
        )
        return 0
    dataset = _dataset(args, _families(args, _FAMILIES), views=args.views)
    if args.out is not None:
        with own_folder(args.out):
            write_shards(
                dataset,
                args.out,
                samples=args.count,
                shard_size=args.shard_size,
                everything=args.everything,
                fleet=fleet,
            )
    if args.contact_sheet is not None:
        _write_sheets(args)
    return 0


def _dataset(
    args: argparse.Namespace, families: list[str], *, views: int = 1, bank: TextureBank | None = None
) -> SyntheticDataset:
    """Dataset to render. Raises InputError for an unknown family or an invalid size."""
    from metric_depth_synthetic.dataset import SyntheticDataset

    return SyntheticDataset(
        families,
        args.seed,
        size=_size(args.size),
        views_per_scene=views,
        textures=args.textures,
        photos=args.photos,
        bank=bank,
    )


def _families(args: argparse.Namespace, default: str) -> list[str]:
    return [name.strip() for name in (args.families or default).split(",")]


def _size(text: str) -> tuple[int, int] | None:
    """Width and height from text, None for any. Raises ConfigError, or InputError for too small sizes."""
    from metric_depth_ros.cli.parsing import size_of
    from metric_depth_ros.errors import InputError

    if text == "any":
        return None
    size = size_of(text)
    if min(size) < 32:
        raise InputError(f"synthesize: --size {text}; needed 32x32 or more, or any.")
    return size


# ---- contact sheets --------------------------------------------------------------------------


def _write_sheets(args: argparse.Namespace) -> None:
    """Writes a contact sheet for every family: the first image of each scene."""
    from metric_depth_ros.cli.outputs import save_picture

    names, bank, count = _families(args, _FAMILIES), None, min(args.count, 12)
    for name in names:
        dataset = _dataset(args, [name], bank=bank)
        bank = dataset.bank
        path = args.contact_sheet
        if len(names) > 1:
            path = path.with_name(f"{path.stem}_{name}{path.suffix}")
        sheet = _sheet(dataset, count)
        save_picture(path, sheet)
        print(f"{path}: {count} scenes of {name}")


def _sheet(dataset: SyntheticDataset, count: int) -> Any:
    """Contact sheet with rows of image, depth, labels, normals and sensors."""
    import cv2

    from metric_depth_ros.drawing.pictures import (
        depth_range,
        draw_depth,
        draw_grid,
        draw_points,
    )
    from metric_depth_ros.drawing.scales import label_colours, normal_colours
    from metric_depth_ros.geometry import transform_points

    marks = {
        "lidar": None,
        "vio": cv2.MARKER_CROSS,
        "radar": cv2.MARKER_DIAMOND,
        "range_finder": cv2.MARKER_SQUARE,
    }
    rows = []
    for index in range(count):
        view = dataset[index]
        low, high = depth_range(view.depth)
        scans = dataset.scans(index, view)
        dotted = (view.image * 0.5).astype("uint8")
        for name, marker in marks.items():
            points = transform_points(scans[name].T_camera_sensor, scans[name].points)
            dotted = draw_points(dotted, points, view.camera, (low, high), marker=marker)
        depth = draw_depth(view.depth, low, high)
        rows.append([view.image, depth, label_colours(view.labels), normal_colours(view.normals), dotted])
    titles = ("image", "depth", "labels", "normals", "LiDAR ., VIO +, radar <>")
    return draw_grid(titles, rows)
