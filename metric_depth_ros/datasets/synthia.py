"""SYNTHIA (Ros et al., 2016): rendered city, RAND-CITYSCAPES and the sequences SYNTHIA-SEQS-*.

``RGB/N.png``, ``Depth/Depth/N.png`` (16 bits, cm, in any of the channels) and ``GT/LABELS/N.png`` (16 bits,
the class in the first channel); in a sequence each in ``Stereo_Left|Right/Omni_F|B|L|R``, with
``CameraParams/intrinsics.txt``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from metric_depth_ros.datasets.dataset import Frame
from metric_depth_ros.datasets.driving_files import first_that_exists, folders, named, read_levels
from metric_depth_ros.datasets.published import Item, PublishedDataset
from metric_depth_ros.datasets.published_files import camera_of, known_depth, read_image, read_lines
from metric_depth_ros.errors import InputError
from metric_depth_ros.types import Camera, ImageArray

_FRONT = ("Stereo_Left/Omni_F",)
_ALL = tuple(f"{stereo}/Omni_{side}" for stereo in ("Stereo_Left", "Stereo_Right") for side in "FBLR")
_SKY = 1


class Synthia(PublishedDataset):
    """Frames of SYNTHIA; ``regions`` are its classes. A folder is one set, or holds some.

    Its poses are left out: their axes could not be confirmed.
    """

    title = "SYNTHIA"
    url = "https://synthia-dataset.net"
    licence = "CC BY-NC-SA 3.0, see the site"
    layout = "RGB, Depth and GT/LABELS, or folders SYNTHIA-SEQS-* with such"
    splits = ("front", "all")
    rendered = True
    limits_m = (1e-3, 80.0)

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether the folder, or a SYNTHIA-* in it, has pictures, depth and labels."""
        return any(
            all((each / part).is_dir() for part in ("RGB", "Depth", "GT"))
            for each in (path, *path.glob("SYNTHIA-*"))
        )

    def list_items(self) -> list[Item]:
        """All pictures; of a sequence those of the left front camera, or of all eight."""
        places = ("", *(_ALL if self.split == "all" else _FRONT))
        sets = [self.path, *(each for each in folders(self.path) if each.name.startswith("SYNTHIA-"))]
        return [
            _item(each, place, path)
            for each in sets
            for place in places
            for path in named(each / "RGB" / place, ".png")
        ]

    def read_item(self, item: Item, stamp_ns: int) -> Frame:
        """One frame; the sky has no depth."""
        image = read_image(item.files["image"])
        depth = known_depth(read_levels(item.files["depth"], image).max(axis=-1) * np.float32(0.01))
        labels = sky = None
        if "labels" in item.files:
            labels = read_levels(item.files["labels"], image)[..., 0].astype(np.int32)
            sky = labels == _SKY
            depth[sky] = np.nan
        camera = _camera(item.files["camera"], image) if "camera" in item.files else None
        return Frame(item.id, stamp_ns, image, camera, depth, regions=labels, sky=sky)


def _item(root: Path, place: str, image: Path) -> Item:
    name = image.name
    depth = first_that_exists(root / "Depth" / place / name, root / "Depth/Depth" / place / name)
    labels, camera = root / "GT/LABELS" / place / name, root / "CameraParams/intrinsics.txt"
    files = {"image": image, "depth": depth or root / "Depth" / place / name}
    files |= {"labels": labels} if labels.exists() else {}
    files |= {"camera": camera} if camera.exists() else {}
    # Pictures at random stand for themselves, those of a sequence belong together.
    return Item(
        "_".join([root.name, *place.split("/")[: bool(place) * 2], image.stem]),
        root.name if place else name,
        files,
    )


def _camera(path: Path, image: ImageArray) -> Camera:
    """Camera of intrinsics.txt: focal length, principal point x and y, baseline, a line each."""
    try:
        focal, cx, cy = map(float, read_lines(path, "four numbers")[:3])
    except ValueError:
        raise InputError(f"{path}: no focal length and principal point; needed them, a line each.") from None
    return camera_of(image, (focal, focal, cx, cy), path)
