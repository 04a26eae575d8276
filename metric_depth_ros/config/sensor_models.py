"""What a sensor's model sets for a source of anchors, unless the source sets it itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from metric_depth_ros.config.settings import AnchorsConfig, Config, SyncConfig
from metric_depth_ros.config.sources import SourceConfig
from metric_depth_ros.types import SENSOR_MESSAGES


@dataclass(frozen=True)
class SensorModel:
    """Values for the settings of a source that are left to its model.

    Attributes:
        accumulate, max_age_s: how many messages, and how old, if points can be moved to the image's time;
            a sensor on a moving robot needs a fixed frame for that. Otherwise 1, sync.max_cloud_age_s.
        in_fixed_frame: its points mostly come in a frame that does not move, and need no other one once the
            camera has been seen to move in it.
        occlusion: whether its points can show what nearer ones hide from the camera. Not those that the
            camera itself saw, nor few ones.
        z_up: the z axis of its frame mostly points up; that of cameras, and of maps that cameras made, may be
            forward, and that of others anything.
    """

    accumulate: int = 1
    max_age_s: float = 0.3
    sigma_base_m: float = 0.03
    sigma_relative: float = 0.0
    sigma_quadratic: float = 0.0
    in_fixed_frame: bool = False
    occlusion: bool = True
    z_up: bool = False


# Sigmas are those of data sheets, or of triangulation: pixels of error / (focal length * baseline).
MODELS: Mapping[str, SensorModel] = {
    "lidar": SensorModel(z_up=True),
    # Some 20 tracked points an image, of a map that keeps its place.
    "vio": SensorModel(30, 3.0, sigma_quadratic=0.01, in_fixed_frame=True, occlusion=False),
    # Few points, of unknown height.
    "radar": SensorModel(10, 1.0, sigma_base_m=0.15, sigma_relative=0.02, occlusion=False),
    # One point an image; its message tells the beam's width.
    "range_finder": SensorModel(30, 3.0, sigma_base_m=0.02, sigma_relative=0.01, occlusion=False),
    # Stereo and structured light: triangulation over some centimetres, at a fraction of a pixel.
    "depth_camera": SensorModel(sigma_base_m=0.01, sigma_quadratic=0.005),
    # What hides its line of points lies above and below it.
    "scan_2d": SensorModel(occlusion=False, z_up=True),
}


def model_of(config: Config, name: str, kind: str) -> str:
    """Sensor model of a source whose messages are of a type; empty for the one topic without a name."""
    if name not in config.sources:
        return ""
    model = config.sources[name].model
    return SENSOR_MESSAGES[kind].model if model == "auto" else model


def sync_of(config: Config, name: str, model: str, *, moved: bool | None = None) -> SyncConfig:
    """Selection of a source's messages for an image; that of ``config.sync`` for the topic without a name.

    Args:
        moved: whether its points can be moved to the image's time; None: perhaps.
    """
    if not model:
        return _exact(config.sync)
    sensor = MODELS[model]
    if moved is None:
        moved = config.sync.moves or sensor.in_fixed_frame
        moved &= config.extrinsics.source == "tf"  # else every cloud is placed as if it came with the image
    by_model = {"accumulate": sensor.accumulate, "max_age_s": sensor.max_age_s} if moved else {}
    values = {"accumulate": 1, "max_age_s": config.sync.max_cloud_age_s, **by_model, **_given(config, name)}
    return _exact(
        replace(
            config.sync,
            mode=values.get("mode", config.sync.mode),
            accumulate=values["accumulate"],
            max_cloud_age_s=values["max_age_s"],
            max_cloud_lead_s=values.get("max_lead_s", config.sync.max_cloud_lead_s),
            deskew=values.get("deskew", config.sync.deskew),
        )
    )


def _exact(sync: SyncConfig) -> SyncConfig:
    """The same selection, without tolerance if stamps must be equal."""
    return replace(sync, max_cloud_age_s=0.0, max_cloud_lead_s=0.0) if sync.mode == "exact" else sync


def anchors_of(config: Config, name: str, model: str) -> AnchorsConfig:
    """Occlusion and sigma of a source's points; ``config.anchors`` for points of no model."""
    if not model:
        return config.anchors
    sensor, given = MODELS[model], _given(config, name)
    sigmas = ("sigma_base_m", "sigma_relative", "sigma_quadratic")
    return replace(
        config.anchors,
        occlusion_window_px=config.anchors.occlusion_window_px if sensor.occlusion else 0,
        **{key: given.get(key, getattr(sensor, key)) for key in sigmas},
    )


def _given(config: Config, name: str) -> dict[str, Any]:
    """Settings that a source sets itself; none of one that is not named."""
    return config.sources.get(name, SourceConfig()).given()
