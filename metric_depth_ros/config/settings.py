"""Every setting of the package: name, default, unit, range and help, in frozen dataclasses.

The dotted path of a field ("anchors.min_depth_m") is the YAML key (see parameter_file.py), the ROS
parameter and the name on the command line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from metric_depth_ros.config.option import PRECISIONS, RUNTIMES, option, section
from metric_depth_ros.config.solver_settings import SolverConfig
from metric_depth_ros.config.sources import SYNC_MODES, SourceConfig


@dataclass(frozen=True)
class EngineConfig:
    manifest: str = option(
        "",
        "manifest of the depth network (YAML), or a bundled one by name: small, tiny; empty: small",
        live=False,
    )
    second: str = option(
        "",
        "manifest of a second depth network, or a bundled one by name, whose depth is averaged with the "
        "first one's; empty: none",
        live=False,
    )
    model: str = option("", "model file; empty: the one that the manifest names, in its folder", live=False)
    runtime: str = option(
        "auto",
        "library that runs the network; auto: the fastest installed one that passes the self-test",
        choices=RUNTIMES,
        live=False,
    )
    precision: str = option(
        "auto",
        "auto: half precision (fp16, bf16) where the runtime has it and passes its test; fp32: single",
        choices=PRECISIONS,
        live=False,
    )
    threads: int = option(2, "CPU threads of the network; 0: all", low=0, high=256, live=False)
    timeout_s: float = option(
        30.0,
        "a run of the network that has not ended after this is stopped; loading it on the CPU may take ten "
        "times as long",
        unit="s",
        low=0.1,
        high=3600,
        live=False,
    )
    focuses: str = option(
        "",
        "for Metric-Solver: focuses at which every image is decoded, metres or presets separated by commas; "
        "solver.focus_m is added; empty: solver.focus_m alone or, if that is 0, the manifest's",
        live=False,
    )
    fusion: str = option(
        "hard",
        "for Metric-Solver: hard takes the more probable of near and far depth, soft their weighted mean",
        choices=("hard", "soft"),
        live=False,
    )
    overlap: str = option(
        "auto",
        "run the network on the next image while the solver works on the last; auto: unless there "
        "are no cores for both",
        choices=("auto", "always", "never"),
        live=False,
    )


@dataclass(frozen=True)
class InputConfig:
    image_transport: str = option(
        "auto",
        "raw subscribes image, compressed subscribes image/compressed; auto: raw where both are there",
        choices=("auto", "raw", "compressed"),
        live=False,
    )
    rectification: str = option(
        "auto",
        "rectified: the image is rectified already, D is ignored and P is its camera; "
        "rectify: undistort it first; none: keep the distorted image, depth is aligned to it; "
        "auto: rectified if the topic is called so (image_rect), else rectify",
        choices=("auto", "rectified", "rectify", "none"),
    )
    frame: str = option(
        "auto",
        "auto: no depth for images whose frame the points show to be a body's (x forward, z up); optical: "
        "the frame is optical (z forward) whatever they show",
        choices=("auto", "optical"),
    )
    stereo_offset: str = option(
        "auto",
        "offset of a right camera in its left one's frame (last column of P in camera_info); auto: used "
        "unless the frame is, by its name, the right camera's own; ignore: tf has it",
        choices=("auto", "use", "ignore"),
    )
    clip_percent: float = option(
        0.5,
        "16-bit pictures (thermal) are stretched to 8 bits: this part of the pixels becomes black, and as "
        "many white",
        unit="%",
        low=0,
        high=40,
    )
    pairing_slop_s: float = option(
        0.005,
        "stamps of image, camera_info and label image differ by less than this",
        unit="s",
        low=1e-6,
        high=1,
        live=False,
    )
    queue_size: int = option(
        10,
        "images, camera_infos and label images kept until their partners come",
        low=1,
        high=1000,
        live=False,
    )

    @property
    def rectifies(self) -> bool:
        """Whether images are made rectified where they are not."""
        return self.rectification in ("auto", "rectify")


@dataclass(frozen=True)
class SyncConfig:
    """Selection of the clouds that belong to an image."""

    mode: str = option(
        "approximate",
        "approximate: the nearest in time; exact: of the image's stamp alone; latest: the newest that has "
        "come, without waiting",
        choices=SYNC_MODES,
    )
    max_cloud_age_s: float = option(
        0.3, "a cloud older than the image by more than this is not used", unit="s", low=0, high=3600
    )
    max_cloud_lead_s: float = option(
        0.01, "a cloud newer than the image by at most this still belongs to it", unit="s", low=0, high=1
    )
    max_wait_s: float = option(
        0.05, "an image waits at most this long for a cloud that is expected", unit="s", low=0, high=5
    )
    accumulate: int = option(
        1, "how many of these clouds are merged (for VIO, radar, range finders)", low=1, high=100
    )
    buffer_mb: int = option(
        256, "memory for the clouds that wait for images, of all sources", unit="MB", low=1, high=65536
    )
    fixed_frame: str = option(
        "auto",
        "frame that does not move (odom, map): clouds are moved through it to the image's time; auto: that "
        "of tf, if it has one, as far as it is known without waiting; none: clouds are not moved",
    )
    deskew: str = option(
        "auto",
        "auto: points with times of their own (spinning LiDARs, scans) are each moved from their time, "
        "through the fixed frame; none: all from their cloud's",
        choices=("auto", "none"),
    )

    @property
    def moves(self) -> bool:
        """Whether clouds are moved in time where a fixed frame is known."""
        return self.fixed_frame not in ("", "none")

    @property
    def names_frame(self) -> bool:
        """Whether the fixed frame is a given one."""
        return self.moves and self.fixed_frame != "auto"


@dataclass(frozen=True)
class ExtrinsicsConfig:
    """Pose of the cloud's frame in the camera's optical frame."""

    source: str = option(
        "tf",
        "tf: look the transform up; parameters: use the two below for every cloud",
        choices=("tf", "parameters"),
    )
    translation: list[float] = option([0.0, 0.0, 0.0], "T_camera_lidar: x, y, z", unit="m")
    rotation: list[float] = option([0.0, 0.0, 0.0, 1.0], "T_camera_lidar: quaternion x, y, z, w")
    tf_timeout_s: float = option(
        0.05, "how long an image waits for a transform that is not there yet", unit="s", low=0, high=5
    )


@dataclass(frozen=True)
class AnchorsConfig:
    sources: list[str] = option(
        [],
        "names of the sources of anchors, each with a group sources.NAME of settings (config/recipes has "
        "examples); none: the topic anchors alone",
        live=False,
    )
    min_count: int = option(
        3,
        "with fewer anchors no depth is published, unless there is a prior; 0: without anchors use a metric "
        "network's own depth",
        low=0,
        high=100000,
    )
    min_depth_m: float = option(0.1, "nearer points are dropped", unit="m", low=0.001, high=1000)
    max_depth_m: float = option(200.0, "farther points are dropped", unit="m", low=0.01, high=100000)
    occlusion_window_px: int = option(
        16,
        "a point is dropped as occluded when clearly nearer points surround it within this many "
        "pixels; 0 keeps all",
        unit="px",
        low=0,
        high=500,
    )
    occlusion_ratio: float = option(
        0.15, "clearly nearer: by more than this fraction of the point's depth", low=0.01, high=10
    )
    grid_px: int = option(
        8, "at most one anchor per square of this many pixels; 0 keeps all", unit="px", low=0, high=1000
    )
    sigma_base_m: float = option(0.03, "depth noise at zero depth", unit="m", low=0, high=100)
    sigma_relative: float = option(0.0, "depth noise that grows with depth (radar: 0.02)", low=0, high=1)
    sigma_quadratic: float = option(
        0.0,
        "depth noise that grows with depth squared (triangulated points: 0.02)",
        unit="1/m",
        low=0,
        high=1,
    )


@dataclass(frozen=True)
class SamConfig:
    """Selection of the SAM masks that become regions."""

    points_per_side: int = option(
        32,
        "points per side of the grid at which SAM is prompted; its time grows with the square",
        low=1,
        high=128,
    )
    min_quality: float = option(
        0.88, "masks with a lower quality, as predicted by SAM, are dropped", low=0, high=1
    )
    min_stability: float = option(
        0.95, "masks with a lower stability (IoU at two thresholds of the logits) are dropped", low=0, high=1
    )
    stability_offset: float = option(1.0, "the two thresholds are + and - this, in logits", low=0, high=20)
    most_overlap: float = option(
        0.7, "of two masks whose boxes have a higher IoU the worse is dropped", low=0, high=1
    )


@dataclass(frozen=True)
class RegionsConfig:
    """Segmenter for the solvers that fit each region."""

    source: str = option(
        "built-in",
        "built-in: watershed on colour and depth; labels: a network that labels pixels; sam: SAM or SAM 2; "
        "topic: label images that come with each image",
        choices=("built-in", "labels", "sam", "topic"),
        live=False,
    )
    manifest: str = option("", "manifest of the network (YAML), for labels and sam", live=False)
    runtime: str = option(
        "onnxruntime",
        "library that runs that network, as engine.runtime; sam is meant for a GPU",
        choices=RUNTIMES,
        live=False,
    )
    threads: int = option(2, "CPU threads of that network; 0: all", low=0, high=256, live=False)
    width: int = option(
        160,
        "built-in: a 4:3 image is reduced to this width first, others to as many pixels",
        unit="px",
        low=32,
        high=4096,
    )
    edge_threshold: float = option(
        3.0, "built-in: smaller colour steps (CIELAB units) do not separate regions", low=0.1, high=100
    )
    depth_step: float = option(
        0.1,
        "built-in: relative step of depth that separates regions like edge_threshold does; 0: colour alone",
        low=0,
        high=10,
    )
    min_area: float = option(
        0.002, "smaller regions, as a fraction of the image, are merged into a neighbour", low=0, high=0.5
    )
    sam: SamConfig = section(SamConfig)


@dataclass(frozen=True)
class OutputConfig:
    scale: float = option(1.0, "size of the published depth as a fraction of the image's", low=0.05, high=1)
    encoding: str = option(
        "32FC1", "32FC1: metres, NaN unknown; 16UC1: millimetres, 0 unknown", choices=("32FC1", "16UC1")
    )
    max_relative_sigma: float = option(
        0.0,
        "depth whose sigma is more than this part of it is unknown; 0: all depth counts",
        low=0,
        high=10,
    )


@dataclass(frozen=True)
class CloudConfig:
    rate_hz: float = option(10.0, "at most this many clouds a second; 0 publishes none", low=0, high=1000)
    stride: int = option(2, "pixels between neighbouring points, both directions", unit="px", low=1, high=64)
    min_depth_m: float = option(0.0, "nearer points become NaN", unit="m", low=0, high=100000)
    max_depth_m: float = option(100.0, "farther points become NaN", unit="m", low=0.01, high=100000)
    min_angle_deg: float = option(
        2.0,
        "points on what is seen at a smaller angle become NaN: veils between a thing and what is behind it; "
        "0: all remain",
        unit="deg",
        low=0,
        high=45,
    )


@dataclass(frozen=True)
class PreviewConfig:
    """Compressed picture of the depth, for phones and wireless links."""

    rate_hz: float = option(5.0, "at most this many previews a second; 0 publishes none", low=0, high=1000)
    min_depth_m: float = option(0.3, "depth shown in the nearest colour, red", unit="m", low=0.001, high=1000)
    max_depth_m: float = option(30.0, "depth shown in the farthest, blue", unit="m", low=0.01, high=100000)
    width: int = option(640, "wider depth is reduced to this width", unit="px", low=16, high=16384)
    quality: int = option(80, "quality of the JPEG", low=1, high=100)


@dataclass(frozen=True)
class SaveConfig:
    folder: str = option(
        "",
        "folder in which the service save_sample writes, and nowhere else; empty: metric_depth in ROS_HOME, "
        "~/.ros by default",
        live=False,
    )


@dataclass(frozen=True)
class DiagnosticsConfig:
    period_s: float = option(
        1.0, "time between two diagnostics messages", unit="s", low=0.1, high=60, live=False
    )


@dataclass(frozen=True)
class LifecycleConfig:
    autostart: bool = option(
        True,
        "the node configures and activates itself; false: a manager of lifecycle nodes does it",
        live=False,
    )


@dataclass(frozen=True)
class Config:
    """All settings. Build with ``load``, ``from_flat`` or ``updated``; they validate."""

    engine: EngineConfig = section(EngineConfig)
    input: InputConfig = section(InputConfig)
    sync: SyncConfig = section(SyncConfig)
    extrinsics: ExtrinsicsConfig = section(ExtrinsicsConfig)
    anchors: AnchorsConfig = section(AnchorsConfig)
    sources: Mapping[str, SourceConfig] = field(default_factory=dict)
    solver: SolverConfig = section(SolverConfig)
    regions: RegionsConfig = section(RegionsConfig)
    output: OutputConfig = section(OutputConfig)
    cloud: CloudConfig = section(CloudConfig)
    preview: PreviewConfig = section(PreviewConfig)
    save: SaveConfig = section(SaveConfig)
    diagnostics: DiagnosticsConfig = section(DiagnosticsConfig)
    lifecycle: LifecycleConfig = section(LifecycleConfig)

    @property
    def needs_points(self) -> bool:
        """Whether an image without points gives no depth: there is no prior, memory or metric network."""
        instead = self.solver.chosen_prior or self.solver.temporal.memory_s
        return not instead and self.anchors.min_count > 0
