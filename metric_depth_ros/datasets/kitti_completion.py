"""KITTI depth completion (Uhrig et al., 2017): pictures with sparse and denser depth, 16-bit PNG in 1/256 m.

``data_depth_annotated`` and ``data_depth_velodyne`` (or both unpacked into one folder),
``train|val/DRIVE/proj_depth/ groundtruth|velodyne_raw/image_0x/N.png``, with the pictures of KITTI raw;
``depth_selection/val_selection_cropped`` and ``test_depth_completion_anonymous`` with pictures and intrinsics
of their own.
"""

from __future__ import annotations

from pathlib import Path

from metric_depth_ros.datasets import kitti_rig as kitti
from metric_depth_ros.datasets.dataset import Frame
from metric_depth_ros.datasets.driving_files import first_that_exists, folders, named
from metric_depth_ros.datasets.published import Item, PublishedDataset
from metric_depth_ros.datasets.published_files import camera_of, read_image, read_numbers
from metric_depth_ros.errors import InputError
from metric_depth_ros.types import Camera, ImageArray

_SELECTED = {"val_selection": "val_selection_cropped", "test": "test_depth_completion_anonymous"}
_SPARSE, _TRUE = "velodyne_raw", "groundtruth"
_CAMERAS = ("image_02", "image_03")
_RAW = ("", "kitti_raw", "raw", "../kitti_raw", "../raw", "..")


class KittiCompletion(PublishedDataset):
    """Frames of KITTI depth completion: ``sparse_depth`` is the sweep, ``depth`` the truth, if given."""

    title = "KITTI depth completion"
    url = "https://www.cvlibs.net/datasets/kitti/eval_depth.php?benchmark=depth_completion"
    licence = kitti.KITTI_LICENCE
    layout = (
        "depth_selection/val_selection_cropped, or val/DRIVE/proj_depth/velodyne_raw with the pictures "
        "of KITTI raw"
    )
    splits = ("val_selection", "val", "train", "test")
    limits_m = (1e-3, 90.0)

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether the folder has one of the selections, or sparse depth of drives."""
        selected = (path / place / name for place in ("", "depth_selection") for name in _SELECTED.values())
        return any(each.is_dir() for each in selected) or any(
            next(path.glob(f"{place}{part}/*_sync/proj_depth/{_SPARSE}"), None) is not None
            for place in ("", "data_depth_velodyne/")
            for part in ("train", "val")
        )

    def has_depth(self, index: int, *, or_points: bool = False) -> bool:
        """Whether the truth is given; it is not in ``test``."""
        return "depth" in self._items[index].files

    def list_items(self) -> list[Item]:
        """Frames of a selection, or of all drives of a part."""
        self._pictures: dict[str, tuple[Path, str]] = {}  # folder and suffix by drive and camera
        return self._selection() if self.split in _SELECTED else self._drives()

    def _selection(self) -> list[Item]:
        name = _SELECTED[self.split]
        folder = first_that_exists(self.path / name, self.path / "depth_selection" / name) or self.path / name
        return [self._selected(folder, path) for path in named(folder / "image", ".png")]

    def _selected(self, folder: Path, image: Path) -> Item:
        def beside(kind: str) -> Path:
            return folder / kind / image.name.replace("_sync_image_", f"_sync_{kind}_")

        files = {
            "image": image,
            "sparse": beside(_SPARSE),
            "intrinsics": folder / "intrinsics" / f"{image.stem}.txt",
        }
        if self.split != "test":
            files["depth"] = beside("groundtruth_depth")
        drive = kitti.DRIVE.match(image.stem)
        return Item(image.stem, drive[0] if drive else "", files)

    def _drives(self) -> list[Item]:
        root = self.path / "data_depth_velodyne" / self.split
        root = root if root.is_dir() else self.path / self.split
        return [
            item
            for drive in folders(root)
            for camera in _CAMERAS
            for path in named(drive / "proj_depth" / _SPARSE / camera, ".png")
            for item in [self._of_drive(drive.name, camera, path)]
            if "depth" in item.files
        ]

    def _of_drive(self, drive: str, camera: str, sparse: Path) -> Item:
        parts = (self.path / "data_depth_annotated" / self.split, self.path / self.split)
        truths = (part / drive / "proj_depth" / _TRUE / camera / sparse.name for part in parts)
        files = {"sparse": sparse, "image": self._image(drive, camera, sparse.stem)}
        if truth := first_that_exists(*truths):
            files["depth"] = truth
        return Item(f"{drive}_{camera}_{sparse.stem}", drive, files)

    def _image(self, drive: str, camera: str, stem: str) -> Path:
        """Picture in KITTI raw, or in the drive's folder; if there is none, where it should be."""
        key = f"{drive}/{camera}"
        if key not in self._pictures:
            raw = [self.path / place / drive[:10] / key / "data" for place in _RAW]
            found = first_that_exists(*raw, self.path / self.split / key / "data")
            is_jpeg = found is not None and not named(found, ".png") and named(found, ".jpg")
            self._pictures[key] = found or raw[0], ".jpg" if is_jpeg else ".png"
        folder, suffix = self._pictures[key]
        return folder / f"{stem}{suffix}"

    def read_item(self, item: Item, stamp_ns: int) -> Frame:
        """One frame, with its sparse depth."""
        if not item.files["image"].exists():
            raise InputError(
                f"{item.files['image']}: no such file; needed the picture, of KITTI raw "
                "(https://www.cvlibs.net/datasets/kitti/raw_data.php), there or in kitti_raw."
            )
        image = read_image(item.files["image"])
        depth = kitti.read_depth_png(item.files["depth"], image) if "depth" in item.files else None
        return Frame(
            item.id,
            stamp_ns,
            image,
            self._camera(item, image),
            depth,
            sparse_depth=kitti.read_depth_png(item.files["sparse"], image),
        )

    def _camera(self, item: Item, image: ImageArray) -> Camera | None:
        path = item.files.get("intrinsics")
        if path is not None:
            K = read_numbers(path, 3, 3)
            return camera_of(image, (K[0, 0], K[1, 1], K[0, 2], K[1, 2]), path)
        picture = item.files["image"]
        day = picture.parents[3]
        if not (day / kitti.CAM_TO_CAM).exists():
            return None
        return kitti.read_rig(day, picture.parents[1].name[-2:], image).camera
