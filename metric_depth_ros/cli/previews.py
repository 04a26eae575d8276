"""Pictures of some results of a run."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import cv2
import numpy as np

from metric_depth_ros.cli.outputs import save_picture
from metric_depth_ros.config import Config
from metric_depth_ros.drawing.pictures import Range, depth_range, draw_sheet
from metric_depth_ros.evaluation.held_out import held_out
from metric_depth_ros.pipeline import Result
from metric_depth_ros.types import Anchors, ImageArray

# Names of the pictures.
PREVIEWS = "preview_[0-9][0-9][0-9][0-9][0-9][0-9].png"
# Size at which pictures are compared, and the mean difference of 8-bit values below which they show the same.
_THUMBNAIL, _SAME = (32, 24), 2.0


class Previews:
    """Writes pictures of some results, evenly spaced, all with the colour range of the first.

    In place of an image that shows what an earlier picture shows comes the next one that does not.
    """

    def __init__(self, folder: Path, count: int, previews: int, config: Config, *, overwrite: bool) -> None:
        """``overwrite`` deletes those of an earlier run."""
        self._folder, self._anchors = folder, config.anchors
        for old in folder.glob(PREVIEWS) if overwrite else ():
            if not old.is_dir():
                old.unlink()
        self._due = deque(np.linspace(0, count - 1, min(previews, count)).round().astype(int).tolist())
        self._shown: list[ImageArray] = []
        self._range_m: Range | None = None

    def write(self, index: int, result: Result) -> None:
        """Writes a picture if one is due. Raises InputError when it cannot be written."""
        if not self._due or index < self._due[0] or self._is_shown(result.image):
            return
        self._due.popleft()
        if self._range_m is None:
            self._range_m = depth_range(result.metric.depth)
        title = f"{result.stamp_ns / 1e9:.3f} s "
        truth = held_out(result.sample, result.camera, self._anchors)
        save_picture(self._folder / f"preview_{index:06d}.png", sheet_of(result, truth, self._range_m, title))

    def _is_shown(self, image: ImageArray) -> bool:
        """Whether a picture shows almost the same; if none does, one will."""
        small = cv2.resize(image, _THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.float32)
        if any(np.abs(small - other).mean() < _SAME for other in self._shown):
            return True
        self._shown.append(small)
        return False


def sheet_of(
    result: Result, truth: Anchors | None = None, range_m: Range | None = None, title: str = ""
) -> ImageArray:
    """Picture of a result with all that is known of it (``draw_sheet``)."""
    return draw_sheet(
        result.image,
        result.anchors,
        result.metric.depth,
        result.camera,
        sigma=result.metric.sigma,
        truth=truth,
        range_m=range_m,
        title=title,
    )
