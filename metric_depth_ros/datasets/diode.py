"""DIODE (Vasiljevic et al., 2019): laser depth indoors and outdoors."""

from __future__ import annotations

from pathlib import Path

from metric_depth_ros.datasets.dataset import Frame
from metric_depth_ros.datasets.published import Item, PublishedDataset
from metric_depth_ros.datasets.published_files import (
    camera_of,
    known_depth,
    read_array,
    read_image,
    with_shape,
)

# intrinsics.txt of the authors' devkit.
_INTRINSICS = (886.81, 927.06, 512.0, 384.0)
_PLACES = ("indoors", "outdoor")
_NEAREST_M, _FARTHEST_M = 1e-3, {"indoors": 10.0, "outdoor": 80.0}


class Diode(PublishedDataset):
    """Frames of val or train, all or of one place; limits of 10 m indoors, else 80 m."""

    title = "DIODE"
    url = "https://diode-dataset.org"
    licence = "MIT"
    layout = "val/indoors/scene_*/scan_*/ (train, outdoor) with NAME.png, NAME_depth.npy, NAME_depth_mask.npy"
    splits = ("val", "val_indoors", "val_outdoor", "train", "train_indoors", "train_outdoor")

    def __init__(self, path: str | Path, *, split: str = "") -> None:
        """Raises InputError as PublishedDataset does."""
        super().__init__(path, split=split)
        places = {item.files["image"].parents[2].name for item in self._items}
        farthest = max(_FARTHEST_M[place] for place in places)
        self.limits_m = (_NEAREST_M, farthest) if len(places) == 1 else None

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether the path holds val or train, or is one of them."""
        roots = (path, path / "val", path / "train")
        return any(any((root / place).glob("scene_*/scan_*")) for root in roots for place in _PLACES)

    def list_items(self) -> list[Item]:
        """All frames by name; of the folder of the split, or of the path if it is that folder itself."""
        fold, _, place = self.split.partition("_")
        root = self.path / fold if (self.path / fold).is_dir() else self.path
        images = [
            image
            for name in ([place] if place else _PLACES)
            for image in sorted((root / name).glob("scene_*/scan_*/*.png"))
        ]
        return [_item(image) for image in images]

    def read_item(self, item: Item, stamp_ns: int) -> Frame:
        """One frame."""
        files = item.files
        image = read_image(files["image"])
        shape = image.shape[:2]
        depth, mask = (read_array(files[part]) for part in ("depth", "mask"))
        depth = depth[..., 0] if depth.ndim == 3 and depth.shape[2] == 1 else depth
        valid = with_shape(mask, shape, files["mask"]) > 0
        return Frame(
            item.id,
            stamp_ns,
            image,
            camera_of(image, _INTRINSICS, files["image"]),
            depth=known_depth(with_shape(depth, shape, files["depth"]), valid),
        )

    def family(self, index: int) -> str:
        """indoors or outdoor."""
        return self._items[index].files["image"].parents[2].name


def _item(image: Path) -> Item:
    start = image.with_suffix("")
    files = {"image": image}
    files |= {part: start.with_name(f"{start.name}_{end}.npy") for part, end in _ENDS.items()}
    return Item(start.name, "/".join(image.parts[-3:-1]), files)


_ENDS = {"depth": "depth", "mask": "depth_mask"}
