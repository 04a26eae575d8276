"""NYU Depth v2 (Silberman et al., ECCV 2012): the labelled file, and the synchronised folders of BTS."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from metric_depth_ros.datasets.dataset import Frame
from metric_depth_ros.datasets.hdf5_file import Hdf5File
from metric_depth_ros.datasets.matlab_file import read_matlab
from metric_depth_ros.datasets.published import Item, PublishedDataset
from metric_depth_ros.datasets.published_files import (
    camera_of,
    known_depth,
    listed_file,
    read_depth,
    read_image,
    read_lines,
)
from metric_depth_ros.errors import InputError
from metric_depth_ros.label_images import compact
from metric_depth_ros.types import Array, BoolArray, Camera, ImageArray, IntArray

_LABELLED = "nyu_depth_v2_labeled.mat"
# Of the colour camera, in pixels that count from 1 (camera_params.m of the authors' toolbox).
_FX, _FY, _CX, _CY = 518.85790117450188, 519.46961112127485, 325.58244941119034, 253.73616633400465
_SIZE = (480, 640)
# The crop of Eigen et al. (NeurIPS 2014).
_ROWS, _COLUMNS = slice(45, 471), slice(41, 601)


class _Nyu(PublishedDataset):
    """What both forms share: the camera, the crop and the range."""

    title = "NYU Depth v2"
    url = "https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html"
    licence = "none stated, see the site"
    splits = ("test", "train", "all")
    limits_m = (1e-3, 10.0)

    def evaluated(self, frame: Frame) -> BoolArray | None:
        """Mask of the usual crop, rows 45 to 470 and columns 41 to 600."""
        if frame.image.shape[:2] != _SIZE:
            return None
        mask = np.zeros(_SIZE, bool)
        mask[_ROWS, _COLUMNS] = True
        return mask

    def _camera(self, image: ImageArray) -> Camera:
        return camera_of(image, (_FX, _FY, _CX - 1, _CY - 1), self.path)


class NyuV2(_Nyu):
    """The 1449 labelled pairs of nyu_depth_v2_labeled.mat; depth is what the sensor gave (rawDepths)."""

    layout = f"{_LABELLED}, with splits.mat beside it for test (654) and train (795)"

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether the path is the labelled file or holds it."""
        return path.name == _LABELLED or (path / _LABELLED).exists()

    def list_items(self) -> list[Item]:
        """All pairs of the split in the order of the file."""
        file = self._file()
        scenes = file.texts("scenes")
        shape = file.shape("images")
        if len(shape) != 4 or len(scenes) != shape[0]:
            raise InputError(f"{file.path}: {len(scenes)} scenes and images of {shape}; needed one of each.")
        chosen = range(len(scenes)) if self.split == "all" else self._chosen(file.path, len(scenes))
        return [Item(f"{index:05d}", scenes[index], entry=index) for index in chosen]

    def read_item(self, item: Item, stamp_ns: int) -> Frame:
        """One pair; regions are the objects (label and instance), those without a label together."""
        file = self._file()
        image = self._part("images", item)
        if image.shape[2:] != (3,) or image.dtype != np.uint8:
            raise InputError(f"{file.path}: images of {image.dtype}, {image.shape}; needed RGB of 8 bits.")
        image = np.ascontiguousarray(image)
        depth = self._part("rawDepths" if file.has("rawDepths") else "depths", item, image)
        return Frame(
            item.id,
            stamp_ns,
            image,
            self._camera(image),
            depth=known_depth(depth),
            regions=self._regions(item, image) if file.has("labels") else None,
        )

    def _regions(self, item: Item, image: ImageArray) -> IntArray:
        labels, instances = (self._part(name, item, image) for name in ("labels", "instances"))
        return compact(labels.astype(np.int64) * 1000 + instances.astype(np.int64))

    def _part(self, name: str, item: Item, image: ImageArray | None = None) -> Array:
        """Part of one frame, turned: MATLAB stores columns first. Raises InputError if of another size."""
        part: Array = self._file().read(name, item.entry).T
        if image is not None and part.shape != image.shape[:2]:
            raise InputError(f"{self.path}: {name} of {part.shape}; needed {image.shape[:2]}, as the image.")
        return part

    def _file(self) -> Hdf5File:
        path = self.path if self.path.name.endswith(".mat") else self.path / _LABELLED
        return Hdf5File(path, self.layout)

    def _chosen(self, labelled: Path, count: int) -> list[int]:
        path = labelled.parent / "splits.mat"
        [numbers] = read_matlab(path, f"{self.split}Ndxs")
        chosen = numbers.ravel() if isinstance(numbers, np.ndarray) else np.zeros(1)
        if not ((chosen >= 1) & (chosen <= count)).all():
            raise InputError(f"{path}: numbers of frames outside 1 to {count}; needed those of {labelled}.")
        return [int(number) - 1 for number in chosen]


class NyuV2Sync(_Nyu):
    """Folders of rgb_00000.jpg and sync_depth_00000.png (mm), as BTS distributes them."""

    layout = (
        "official_splits/test/SCENE/, sync/SCENE/ with rgb_*.jpg and sync_depth_*.png; for train "
        "nyudepthv2_train_files_with_gt.txt"
    )

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether there are pairs in folders of scenes, or below sync or official_splits."""
        below = ("", "sync/", "official_splits/test/")
        return any(any(path.glob(f"{folder}*/sync_depth_*.png")) for folder in below)

    def list_items(self) -> list[Item]:
        """All pairs of the split, in the order of the list, else by name."""
        folder = self._folder()
        listed = self._list()
        if listed is not None:
            # Some lists have whole paths.
            names = ["/".join(line.split()[0].split("/")[-2:]) for line in read_lines(listed, "pictures")]
            return [_item(listed_file(folder, name.lstrip("/"), listed)) for name in names]
        if self.split == "train":
            raise self.missing("no nyudepthv2_train_files_with_gt.txt")
        return [_item(path) for path in sorted(folder.glob("*/rgb_*.jpg"))]

    def read_item(self, item: Item, stamp_ns: int) -> Frame:
        """One pair."""
        image = read_image(item.files["image"])
        depth = read_depth(item.files["depth"], image.shape[:2], per_metre=1000)
        return Frame(item.id, stamp_ns, image, self._camera(image), depth=depth)

    def _folder(self) -> Path:
        names = ("official_splits/test", "test") if self.split == "test" else ("sync", "train")
        return next((self.path / name for name in names if (self.path / name).is_dir()), self.path)

    def _list(self) -> Path | None:
        name = f"nyudepthv2_{self.split}_files_with_gt.txt"
        places = (self.path, self.path / "train_test_inputs", self.path.parent / "train_test_inputs")
        return next((place / name for place in places if (place / name).exists()), None)


def _item(image: Path) -> Item:
    depth = image.with_name(image.name.replace("rgb_", "sync_depth_")).with_suffix(".png")
    scene = image.parent.name
    number = image.stem.removeprefix("rgb_")
    return Item(f"{scene}/{number}", scene, {"image": image, "depth": depth})
