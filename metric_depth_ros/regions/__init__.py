"""Segmenters: image in, region labels out."""

from __future__ import annotations

from metric_depth_ros.config import RegionsConfig
from metric_depth_ros.regions.watershed import WatershedSegmenter
from metric_depth_ros.types import Segmenter


def build_segmenter(config: RegionsConfig) -> Segmenter:
    """The segmenter of this configuration: the built-in watershed."""
    return WatershedSegmenter(config)
