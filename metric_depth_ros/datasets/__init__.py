"""Datasets on disk other than bags."""

from __future__ import annotations

import os
from pathlib import Path

from metric_depth_ros.datasets.dataset import Dataset, Frame
from metric_depth_ros.datasets.frame_folder import FrameFolder
from metric_depth_ros.datasets.shard_frames import ShardFrames
from metric_depth_ros.datasets.split import CAMERA_FRAME, LIDAR_FRAME
from metric_depth_ros.errors import InputError

# A dataset format is one file, one class and one line here.
DATASETS: dict[str, type[Dataset]] = {
    "frame_folder": FrameFolder,
    "shards": ShardFrames,
}

__all__ = [
    "CAMERA_FRAME",
    "DATASETS",
    "LIDAR_FRAME",
    "Dataset",
    "Frame",
    "FrameFolder",
    "ShardFrames",
    "is_dataset",
    "open_dataset",
]


def is_dataset(path: str | Path) -> bool:
    """Whether the path is a dataset."""
    return any(dataset.recognises(Path(path)) for dataset in DATASETS.values())


def open_dataset(path: str | Path) -> Dataset:
    """Dataset at a path. Raises InputError if it does not exist, or no class recognises it."""
    for dataset in DATASETS.values():
        if dataset.recognises(Path(path)):
            return dataset(path)
    found = "no known dataset" if os.path.exists(path) else "does not exist"
    raise InputError(
        f"{path}: {found}; needed a folder with calib.json or shard_*.zip ({', '.join(DATASETS)})."
    )
