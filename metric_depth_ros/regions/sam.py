"""Regions by a promptable segmenter, SAM or SAM 2, prompted at a grid of points."""

from __future__ import annotations

import numpy as np

from metric_depth_ros.config import RegionsConfig
from metric_depth_ros.engines.manifest import SamManifest
from metric_depth_ros.engines.network_input import NetworkInput
from metric_depth_ros.errors import ModelError
from metric_depth_ros.regions.masks import boxes, point_grid, regions_of, resized, stability, suppressed
from metric_depth_ros.regions.merging import rgb, tidied
from metric_depth_ros.types import BoolArray, FloatArray, ImageArray, IntArray, RelativeDepth, Runtime


class SamSegmenter:
    """Segmenter that filters SAM's masks at a grid of points and turns them into regions. Not thread safe."""

    def __init__(
        self, manifest: SamManifest, encoder: Runtime, decoder: Runtime, config: RegionsConfig
    ) -> None:
        self._manifest, self._encoder, self._decoder, self._config = manifest, encoder, decoder, config
        self._input = NetworkInput(manifest.input)

    def with_config(self, config: RegionsConfig) -> SamSegmenter:
        """Segmenter with the same network and other settings."""
        return SamSegmenter(self._manifest, self._encoder, self._decoder, config)

    def segment(self, image: ImageArray, relative: RelativeDepth | None = None) -> IntArray:
        """Region labels (H, W) int32, 0 to n-1, every label used, of an RGB image (H, W, 3).

        Raises:
            InputError: another shape or type, or no pixels.
            ModelError: the network's outputs are not as in the manifest.
        """
        colour = rgb(image)
        masks, _ = self.masks(colour)
        labels = regions_of(masks, *colour.shape[:2])
        return tidied(labels, colour, self._config.min_area)

    def masks(self, image: ImageArray) -> tuple[BoolArray, FloatArray]:
        """Masks (N, H, W), best first, and the quality (N,) that the network predicts for each.

        Masks of low predicted quality or low stability are dropped. Of masks whose boxes overlap much
        only the best is kept.
        """
        sam = self._config.sam
        height, width = image.shape[:2]
        self._input.fill(image)
        embeddings = self._encoder.run({self._manifest.input.name: self._input.array})
        points = point_grid(sam.points_per_side, *self._input.taken(width, height))
        found, scores = [], []
        for start in range(0, len(points), self._manifest.points):
            for logits, score in self._decoded(embeddings, points[start : start + self._manifest.points]):
                # 0 keeps all masks; the cheap check comes first.
                if sam.min_quality and not score > sam.min_quality:
                    continue
                full = self._upright(logits, width, height)
                if sam.min_stability and not stability(full, sam.stability_offset) > sam.min_stability:
                    continue
                found.append(full > 0)
                scores.append(score)
        masks = np.array(found, np.bool_).reshape(-1, height, width)
        quality = np.array(scores, np.float32)
        kept = suppressed(boxes(masks), quality, sam.most_overlap)
        return masks[kept], quality[kept]

    def _decoded(
        self, embeddings: dict[str, FloatArray], points: FloatArray
    ) -> list[tuple[FloatArray, float]]:
        """Logits (h, w) and predicted quality of every mask at the points, several masks per point."""
        padded = np.zeros((self._manifest.points, 2), np.float32)
        padded[: len(points)] = points
        outputs = self._decoder.run({**embeddings, "points": padded})
        if not {"masks", "iou"} <= set(outputs):
            raise ModelError(
                f"regions: the decoder of {self._manifest.name!r} gave {', '.join(outputs)}; needed masks "
                "and iou. Export it again."
            )
        masks, quality = outputs["masks"][: len(points)], outputs["iou"][: len(points)]
        return list(zip(masks.reshape(-1, *masks.shape[2:]), quality.ravel().tolist(), strict=True))

    def _upright(self, logits: FloatArray, width: int, height: int) -> FloatArray:
        """Logits resized to the image, (height, width).

        If the input is padded, in SAM's two steps: resized to the input, cropped, resized to the image. A
        single step would give another result. If not, in one step, as SAM 2 does.
        """
        item = self._manifest.input
        if item.resize == "stretch":
            return resized(logits, width, height)
        columns, rows = self._input.taken(width, height)
        return resized(resized(logits, item.width, item.height)[:rows, :columns], width, height)
