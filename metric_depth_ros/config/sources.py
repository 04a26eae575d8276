"""Settings of one source of anchors: a topic, what measures there, and what its points are worth."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from metric_depth_ros.config.option import option
from metric_depth_ros.errors import ConfigError
from metric_depth_ros.types import SENSOR_MESSAGES

SOURCE_TYPES = ("auto", *SENSOR_MESSAGES)
SENSOR_MODELS = ("auto", "lidar", "vio", "radar", "range_finder", "depth_camera", "scan_2d")
# Ways to choose the clouds of an image.
SYNC_MODES = ("approximate", "exact", "latest")
_TOPIC = r"((~/|/)?[A-Za-z_]\w*(/[A-Za-z_]\w*)*)?"
# Value of a number that the sensor's model sets.
BY_MODEL = -1.0


@dataclass(frozen=True)
class SourceConfig:
    """One of ``anchors.sources``; its settings are named ``sources.NAME.KEY``."""

    topic: str = option("", "topic of its messages", live=False)
    type: str = option(
        "auto", "type of its messages; auto: that of the topic's publisher", choices=SOURCE_TYPES, live=False
    )
    model: str = option(
        "auto",
        "what measures: it sets all below that is left to it; auto: by type, clouds are a LiDAR's",
        choices=SENSOR_MODELS,
    )
    frame: str = option("", "frame of its points; empty: the messages' frame_id")
    camera_info: str = option(
        "", "topic of a depth image's calibration; empty: camera_info beside the image", live=False
    )
    accumulate: int = option(
        0, "how many of its newest messages are merged; 0: as many as its model", low=0, high=100
    )
    max_age_s: float = option(
        BY_MODEL, "as sync.max_cloud_age_s; -1: its model's", unit="s", low=BY_MODEL, high=3600
    )
    max_lead_s: float = option(
        BY_MODEL, "as sync.max_cloud_lead_s; -1: the same", unit="s", low=BY_MODEL, high=1
    )
    mode: str = option("auto", "as sync.mode; auto: the same", choices=("auto", *SYNC_MODES))
    deskew: str = option("auto", "as sync.deskew; auto: the same", choices=("auto", "none"))
    time_offset_s: float = option(0.0, "added to its stamps, of whatever clock", unit="s", low=-4e9, high=4e9)
    sigma_base_m: float = option(
        BY_MODEL, "as anchors.sigma_base_m; -1: its model's", unit="m", low=BY_MODEL, high=100
    )
    sigma_relative: float = option(
        BY_MODEL, "as anchors.sigma_relative; -1: its model's", low=BY_MODEL, high=1
    )
    sigma_quadratic: float = option(
        BY_MODEL, "as anchors.sigma_quadratic; -1: its model's", unit="1/m", low=BY_MODEL, high=1
    )

    def given(self) -> dict[str, Any]:
        """Settings that are not the defaults, by key."""
        default = SourceConfig()
        return {key: value for key, value in vars(self).items() if value != getattr(default, key)}


def check_sources(names: Sequence[str], sources: Mapping[str, SourceConfig]) -> None:
    """Raises ConfigError for what is no name, a missing topic, either given twice, or a negative number."""
    for name in names:
        if not re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII):
            raise ConfigError(
                f"anchors.sources: {name!r}; needed names of letters, digits and _, as in front_lidar."
            )
        if not sources[name].topic:
            raise ConfigError(f"sources.{name}.topic: empty; needed the topic of source {name}. Set it.")
        for key in ("topic", "camera_info"):
            if not re.fullmatch(_TOPIC, found := getattr(sources[name], key), re.ASCII):
                raise ConfigError(f"sources.{name}.{key}: {found!r}; needed a topic, as in /front/points.")
        for key, default in vars(SourceConfig()).items():
            if default == BY_MODEL and BY_MODEL < (value := getattr(sources[name], key)) < 0:
                raise ConfigError(f"sources.{name}.{key}: {value:g}; needed 0 or more, or -1: its model's.")
    for what, found in (("sources", names), ("topics", [source.topic for source in sources.values()])):
        twice = [each for each, count in Counter(found).items() if count > 1]
        if twice:
            raise ConfigError(f"anchors.sources: {what} {', '.join(twice)} twice; needed each once.")
