"""DIML/CVL RGB-D (Cho et al., 2021): rooms by Kinect v2, outdoor places by a stereo camera.

Depth is a 16-bit PNG in mm. Sample set: ``SCENE/color/N_c.png`` with ``depth_filled/N_depth_filled.png``,
outdoors ``SCENE/outleft/N.png`` with ``depthmap``. Full set: ``.../col/N_c.png`` with ``up_png/N_ud.png``,
outdoors ``.../left/N_left.png`` with ``depth`` and ``conf``.
"""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from metric_depth_ros.datasets.dataset import Frame
from metric_depth_ros.datasets.driving_files import named, read_levels
from metric_depth_ros.datasets.published import Item, PublishedDataset
from metric_depth_ros.datasets.published_files import read_depth, read_image

_DEEPEST = 6
_LEAST_SURE = 0.4


class _Kind(NamedTuple):
    """Names of a part of the set: of its pictures' folder, the end of their names, and those of depth."""

    images: str
    end: str
    depths: str
    depth_end: str
    outdoor: bool = False
    confidence: str = ""


_KINDS = (
    _Kind("color", "_c.png", "depth_filled", "_depth_filled.png"),
    _Kind("col", "_c.png", "up_png", "_ud.png"),
    _Kind("outleft", ".png", "depthmap", ".png", outdoor=True),
    _Kind("left", "_left.png", "depth", "_depth.png", outdoor=True, confidence="conf"),
)


class Diml(PublishedDataset):
    """Frames of DIML; it gives no intrinsics with its pictures.

    Outdoors, pixels whose confidence is 0.4 or less have no depth, as in LeReS.
    """

    title = "DIML/CVL RGB-D"
    url = "https://dimlrgbd.github.io"
    licence = "see the site"
    layout = "folders with color and depth_filled, col and up_png, outleft and depthmap, or left and depth"
    splits = ("all", "indoor", "outdoor")

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether pictures and depth lie side by side, one or two folders down, by names that only it has."""
        pairs = (("color", "depth_filled"), ("col", "up_png"), ("outleft", "depthmap"))
        return any(
            (found.parent / depths).is_dir()
            for images, depths in pairs
            for above in ("*", "*/*")
            for found in islice(path.glob(f"{above}/{images}"), 1)
        )

    def list_items(self) -> list[Item]:
        """All pictures of all places, indoors and outdoors."""
        wanted = {"all": (False, True), "indoor": (False,), "outdoor": (True,)}[self.split]
        return [
            item
            for folder, inside in _walked(self.path)
            for kind in _KINDS
            if kind.outdoor in wanted and {kind.images, kind.depths} <= inside
            for item in self._items_of(folder, kind)
        ]

    def _items_of(self, folder: Path, kind: _Kind) -> list[Item]:
        scene = str(folder.relative_to(self.path))
        found = []
        for image in named(folder / kind.images, kind.end):
            name = image.name.removesuffix(kind.end)
            files = {"image": image, "depth": folder / kind.depths / f"{name}{kind.depth_end}"}
            sure = folder / kind.confidence / f"{name}_{kind.confidence}.png"
            files |= {"confidence": sure} if kind.confidence and sure.exists() else {}
            found.append(Item(f"{scene}_{name}".replace(os.sep, "_"), scene, files))
        return found

    def read_item(self, item: Item, stamp_ns: int) -> Frame:
        """One frame, without a camera."""
        image = read_image(item.files["image"])
        depth = read_depth(item.files["depth"], image.shape[:2], per_metre=1000)
        if "confidence" in item.files:
            sure = read_levels(item.files["confidence"], image, np.uint8)[..., 0]
            depth[sure <= 255 * _LEAST_SURE] = np.nan
        return Frame(item.id, stamp_ns, image, None, depth)


def _walked(path: Path) -> list[tuple[Path, set[str]]]:
    """Folders below a path, to a depth, and the names of those in each, by name."""
    found = []
    for folder, inside, _ in os.walk(path):
        inside.sort()
        if len(Path(folder).relative_to(path).parts) >= _DEEPEST:
            inside.clear()
        found.append((Path(folder), set(inside)))
    return found
