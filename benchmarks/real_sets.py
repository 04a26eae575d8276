"""Real frames for developing and evaluating this package, by half and place.

    metric_depth train depth ... --real $(python benchmarks/real_sets.py develop $METRIC_DEPTH_DATA)

Prints the folders of a half that are there. Those of "report" are not looked at while anything is developed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

SETS: dict[str, dict[str, tuple[str, ...]]] = {
    "develop": {
        "outdoor": ("kitti_seq_2011_09_26", "sensorscalib_manual"),
        "indoor": (
            "rgbd7_seq", "open3d_rgbd_seq", "tum_open3d", "sunrgbd_open3d", "middlebury_motorcycle",
            "realsense_tabletop", "prior_depth_anything", "arkit_promptda",
        ),
    },
    "report": {
        "outdoor": ("kitti_object", "nuscenes_frame", "kitti_depth_gt"),
        "indoor": (
            "hololens_seq", "slambook_rgbd", "nyu_metric3d", "sunrgbd_points", "graspnet_tabletop",
            "object_mask_tabletop", "sparse_marigold_dc",
        ),
    },
}  # fmt: skip

# What the frames of a set show, for networks that read: written from where the sets come from.
WORDS: dict[str, str] = {
    "kitti_seq_2011_09_26": "A street in a town with parked cars.",
    "sensorscalib_manual": "A city street with traffic.",
    "kitti_object": "A street with cars.",
    "nuscenes_frame": "A city street with cars and trees.",
    "kitti_depth_gt": "A road with cars and trees.",
    "rgbd7_seq": "An office desk with a monitor.",
    "open3d_rgbd_seq": "A room with furniture.",
    "tum_open3d": "An office with a desk and a monitor.",
    "sunrgbd_open3d": "A room with furniture.",
    "middlebury_motorcycle": "A motorcycle in a garage.",
    "realsense_tabletop": "Several items on a table.",
    "prior_depth_anything": "A room with furniture.",
    "arkit_promptda": "A room with furniture.",
    "hololens_seq": "A room with furniture.",
    "slambook_rgbd": "A room with furniture.",
    "nyu_metric3d": "A room in a house with furniture.",
    "sunrgbd_points": "A room with furniture.",
    "graspnet_tabletop": "Several items on a table.",
    "object_mask_tabletop": "A box and a mug on a table.",
    "sparse_marigold_dc": "An indoor room.",
}


def folders_of(data: Path, half: str) -> dict[str, list[Path]]:
    """Place -> the folders of a half that are there."""
    folders = {place: [data / name for name in names] for place, names in SETS[half].items()}
    return {place: [folder for folder in those if folder.is_dir()] for place, those in folders.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="The folders of one half of the real frames.")
    parser.add_argument("half", choices=tuple(SETS))
    parser.add_argument("data", type=Path)
    args = parser.parse_args()
    print(*(folder for folders in folders_of(args.data, args.half).values() for folder in folders))


if __name__ == "__main__":
    main()
