"""SimCol3D (Rau et al., Medical Image Analysis 2024): a rendered colon."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from metric_depth_ros.datasets.dataset import Frame
from metric_depth_ros.datasets.published import Item, PublishedDataset
from metric_depth_ros.datasets.published_files import (
    camera_of,
    read_depth,
    read_image,
    read_lines,
    read_numbers,
    read_table,
)
from metric_depth_ros.errors import InputError
from metric_depth_ros.geometry import rigid_transform
from metric_depth_ros.types import FloatArray

_FARTHEST_M = 0.2
_PER_METRE = 255 * 256 / _FARTHEST_M
# Of the challenge's evaluation.
_TEST = ("S5", "S10", "S15", "B5", "B10", "B15", "O1", "O2", "O3")
_FLIP = np.diag([1.0, -1.0, 1.0, 1.0])  # from a left-handed world, y up, to y down


class SimCol(PublishedDataset):
    """Frames of SyntheticColon_I, II and III."""

    title = "SimCol3D"
    url = "https://rdr.ucl.ac.uk/articles/dataset/24077763"
    licence = "see the site"
    layout = (
        "SyntheticColon_I/Frames_S1/ with FrameBuffer_0000.png and Depth_0000.png, beside it cam.txt, "
        "SavedPosition_S1.txt, SavedRotationQuaternion_S1.txt; for train and val train_file.txt, val_file.txt"
    )
    splits = ("test", "val", "train", "all")
    rendered = True
    limits_m = (1e-3, _FARTHEST_M)

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether there are folders of frames."""
        return bool(_sequences(path))

    def list_items(self) -> list[Item]:
        """All frames of the split, by sequence and number."""
        self._poses: dict[Path, FloatArray] = {}
        wanted = None if self.split == "all" else self._chosen()
        return [
            _item(image)
            for folder in _sequences(self.path)
            if wanted is None or folder.name in wanted
            for image in sorted(folder.glob("FrameBuffer_*.png"))
        ]

    def read_item(self, item: Item, stamp_ns: int) -> Frame:
        """One frame."""
        image = read_image(item.files["image"])
        K = read_numbers(item.files["camera"], 3, 3)
        return Frame(
            item.id,
            stamp_ns,
            image,
            camera_of(image, (K[0, 0], K[1, 1], K[0, 2], K[1, 2]), item.files["camera"]),
            depth=read_depth(item.files["depth"], image.shape[:2], per_metre=_PER_METRE),
            T_world_camera=self._pose(item),
        )

    def _chosen(self) -> set[str]:
        """Names of the folders of the split."""
        name = f"{self.split}_file.txt"
        places = (self.path / name, self.path / "misc" / name)
        listed = next((path for path in places if path.exists()), None)
        if listed is not None:
            return {Path(line).name for line in read_lines(listed, "a list of folders")}
        if self.split != "test":
            raise self.missing(f"no {name}")
        return {f"Frames_{each}" for each in _TEST}

    def _pose(self, item: Item) -> FloatArray | None:
        """T_world_camera; the files have centimetres and quaternions x, y, z, w of a left-handed world."""
        paths = [item.files[part] for part in ("positions", "rotations")]
        if not all(path.exists() for path in paths):
            return None
        for path, columns in zip(paths, (3, 4), strict=True):
            if path not in self._poses:
                self._poses[path] = read_table(path, columns)
            if item.entry >= len(self._poses[path]):
                raise InputError(f"{path}: {len(self._poses[path])} poses; needed one for each frame.")
        position, rotation = (self._poses[path][item.entry] for path in paths)
        try:
            return np.asarray(_FLIP @ rigid_transform(position / 100, rotation) @ _FLIP)
        except InputError as error:
            raise InputError(f"{paths[1]}: {error}") from error


def _sequences(path: Path) -> list[Path]:
    """Folders of frames, by their colon and number."""
    below = ("", "SyntheticColon_*/", "SyntheticColon_*/*/")
    found = [folder for start in below for folder in path.glob(f"{start}Frames_*")]
    return sorted((f for f in found if f.is_dir()), key=lambda f: (f.parent, len(f.name), f.name))


def _item(image: Path) -> Item:
    """Item of SyntheticColon_I/Frames_S1/FrameBuffer_0000.png, whose pose is in the row of its number."""
    folder, sequence = image.parents[1], image.parent.name.removeprefix("Frames_")
    number = image.stem.rpartition("_")[2]
    files = {
        "image": image,
        "depth": image.with_name(image.name.replace("FrameBuffer", "Depth")),
        "camera": folder / "cam.txt",
        "positions": folder / f"SavedPosition_{sequence}.txt",
        "rotations": folder / f"SavedRotationQuaternion_{sequence}.txt",
    }
    entry = int(number) if number.isdecimal() else 0
    return Item(f"{image.parent.name}/{number}", image.parent.name, files, entry=entry)
