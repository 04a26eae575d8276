"""Segmenters: image in, region labels out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from metric_depth_ros.config import RegionsConfig
from metric_depth_ros.engines.manifest import (
    FileManifest,
    InputManifest,
    LabelManifest,
    SamManifest,
    load_manifest_of,
    model_file,
)
from metric_depth_ros.engines.network_input import sizes_of
from metric_depth_ros.errors import ConfigError
from metric_depth_ros.files import user_path
from metric_depth_ros.regions.label_network import LabelSegmenter
from metric_depth_ros.regions.sam import SamSegmenter
from metric_depth_ros.regions.watershed import WatershedSegmenter
from metric_depth_ros.runtimes import Model, Request, Size, choose_runtime
from metric_depth_ros.types import Runtime, Segmenter


def build_segmenter(config: RegionsConfig, before: Segmenter | None = None) -> Segmenter:
    """Builds the configured segmenter; reuses the loaded networks of the segmenter ``before``.

    Networks are loaded once, at start (``regions.source`` and ``regions.manifest`` are not live).

    Raises:
        ConfigError: the source needs a manifest and none is set, or regions come from a topic.
        ModelError: the manifest or a model file cannot be used.
    """
    if config.source == "topic":
        raise ConfigError("regions.source: topic; there is none here. Choose built-in, labels or sam.")
    if config.source == "built-in":
        return WatershedSegmenter(config)
    if isinstance(before, (LabelSegmenter, SamSegmenter)):
        return before.with_config(config)
    if not config.manifest:
        raise ConfigError(
            f"regions.manifest: empty; regions.source {config.source} needs the manifest of its network."
        )
    path = user_path(config.manifest)
    if config.source == "labels":
        labels = load_manifest_of(LabelManifest, path)
        file = FileManifest(labels.file, labels.sha256, labels.data)
        return LabelSegmenter(labels, _of_image(file, path.parent, config, labels.input), config)
    sam = load_manifest_of(SamManifest, path)
    encoder = _of_image(sam.encoder, path.parent, config, sam.input)
    # The decoder's inputs are the encoder's outputs and points.
    blank = np.zeros(sizes_of(sam.input).usual, sam.input.dtype)
    shapes = {name: value.shape for name, value in encoder.run({sam.input.name: blank}).items()}
    shapes["points"] = sam.points, 2
    sizes = {name: Size(shape, shape, shape) for name, shape in shapes.items()}
    return SamSegmenter(sam, encoder, _runtime(sam.decoder, path.parent, config, sizes, {}), config)


def _of_image(file: FileManifest, folder: Path, config: RegionsConfig, item: InputManifest) -> Runtime:
    return _runtime(file, folder, config, {item.name: sizes_of(item)}, {item.name: item.dtype})


def _runtime(
    file: FileManifest,
    folder: Path,
    config: RegionsConfig,
    sizes: dict[str, Size],
    dtypes: dict[str, str],
) -> Runtime:
    """Verifies a file and loads it on the configured runtime, in single precision."""
    model = Model(model_file(folder / file.file, file.sha256, file.data), None, sizes, dtypes)
    return choose_runtime(model, Request(config.runtime, "fp32", config.threads, group="regions")).runtime
