"""Datasets on disk: folders of frames, shards, published datasets, and bags with true depth."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from metric_depth_ros.bags import is_bag
from metric_depth_ros.datasets.arkitscenes import ArkitScenes
from metric_depth_ros.datasets.bag_frames import BagFrames
from metric_depth_ros.datasets.c3vd import C3vd
from metric_depth_ros.datasets.cityscapes import Cityscapes
from metric_depth_ros.datasets.dataset import Dataset, Frame
from metric_depth_ros.datasets.ddad import Ddad
from metric_depth_ros.datasets.diml import Diml
from metric_depth_ros.datasets.diode import Diode
from metric_depth_ros.datasets.dsec import Dsec
from metric_depth_ros.datasets.eth3d import Eth3d
from metric_depth_ros.datasets.frame_folder import FrameFolder
from metric_depth_ros.datasets.hypersim import Hypersim
from metric_depth_ros.datasets.ibims import Ibims
from metric_depth_ros.datasets.kitti_completion import KittiCompletion
from metric_depth_ros.datasets.kitti_raw import KittiRaw
from metric_depth_ros.datasets.mvs_synth import MvsSynth
from metric_depth_ros.datasets.nuscenes import NuScenes
from metric_depth_ros.datasets.nyuv2 import NyuV2, NyuV2Sync
from metric_depth_ros.datasets.published import PublishedDataset
from metric_depth_ros.datasets.scannet import ScanNet
from metric_depth_ros.datasets.shard_frames import ShardFrames
from metric_depth_ros.datasets.simcol import SimCol
from metric_depth_ros.datasets.split import CAMERA_FRAME, LIDAR_FRAME
from metric_depth_ros.datasets.sun_rgbd import SunRgbd
from metric_depth_ros.datasets.synthia import Synthia
from metric_depth_ros.datasets.tum_rgbd import TumRgbd
from metric_depth_ros.datasets.urbansyn import UrbanSyn
from metric_depth_ros.datasets.vkitti2 import VirtualKitti2
from metric_depth_ros.datasets.void import Void
from metric_depth_ros.errors import InputError, shown

# A dataset format is one file, one class and one line here.
DATASETS: dict[str, type[Dataset]] = {
    "frame_folder": FrameFolder,
    "shards": ShardFrames,
    "kitti_raw": KittiRaw,
    "kitti_completion": KittiCompletion,
    "urbansyn": UrbanSyn,
    "vkitti2": VirtualKitti2,
    "synthia": Synthia,
    "ddad": Ddad,
    "nuscenes": NuScenes,
    "dsec": Dsec,
    "mvs_synth": MvsSynth,
    "diml": Diml,
    "cityscapes": Cityscapes,
    "nyuv2": NyuV2,
    "nyuv2_sync": NyuV2Sync,
    "void": Void,
    "sun_rgbd": SunRgbd,
    "hypersim": Hypersim,
    "ibims": Ibims,
    "diode": Diode,
    "scannet": ScanNet,
    "eth3d": Eth3d,
    "tum_rgbd": TumRgbd,
    "c3vd": C3vd,
    "simcol": SimCol,
    "arkitscenes": ArkitScenes,
    "bag": BagFrames,
}

__all__ = [
    "CAMERA_FRAME",
    "DATASETS",
    "LIDAR_FRAME",
    "BagFrames",
    "Dataset",
    "Frame",
    "FrameFolder",
    "ShardFrames",
    "address",
    "is_dataset",
    "open_dataset",
    "set_parts",
]


def is_dataset(path: str | Path) -> bool:
    """Whether ``open_dataset`` knows what is at a path."""
    name, _, place = set_parts(path)
    return bool(name) or (
        _is_a_name(place) and any(dataset.recognises(place) for dataset in DATASETS.values())
    )


def open_dataset(path: str | Path) -> Dataset:
    """Dataset at a path: one whose format is recognised, or NAME:PATH or NAME@SPLIT:PATH of ``DATASETS``.

    Raises InputError if it does not exist, or no class recognises it.
    """
    name, split, place = set_parts(path)
    if not _is_a_name(place):
        raise InputError(f"{shown(str(path))}: no file can be named so; needed the path of a dataset.")
    if name:
        kind = DATASETS[name]
        if not split:
            return kind(place)
        if not issubclass(kind, (PublishedDataset, BagFrames)):
            raise InputError(f"{path}: {name} has no splits; needed {name}:{place}.")
        return kind(place, split=split)
    for dataset in DATASETS.values():
        if dataset.recognises(place):
            return dataset(place)
    if is_bag(place):
        raise InputError(
            f"{path}: a bag without depth images; needed them, or bag:{path}, which takes points."
        )
    found = "no known dataset" if os.path.exists(place) else "does not exist"
    raise InputError(
        f"{path}: {found}; needed a bag, a folder with calib.json or shard_*.zip, or NAME:PATH or "
        f"NAME@SPLIT:PATH with a NAME of {', '.join(DATASETS)}."
    )


def address(data: Dataset) -> str:
    """What opens a dataset again from anywhere: its absolute path, with name and split where it has some."""
    place, split = data.path.resolve(), getattr(data, "split", "")
    name = next((name for name, kind in DATASETS.items() if kind is type(data)), "")
    if not (name and split):
        return str(place)
    return f"{name}@{Path(split).resolve() if os.path.isfile(split) else split}:{place}"


def _is_a_name(place: Path) -> bool:
    """Whether a file could be named so: without zero bytes, and not too long."""
    try:
        os.stat(place)
    except ValueError:
        return False
    except OSError as error:
        return error.errno != errno.ENAMETOOLONG
    return True


def set_parts(path: str | Path) -> tuple[str, str, Path]:
    """Name of a format, split and path of NAME@SPLIT:PATH; the first two empty where they are not given."""
    head, colon, place = str(path).partition(":")
    name, _, split = head.partition("@")
    return (name, split, Path(place)) if colon and name in DATASETS else ("", "", Path(path))
