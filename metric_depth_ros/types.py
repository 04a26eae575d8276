"""Data types of the package, and the protocols of its parts.

Arrays are float32 unless said otherwise; NaN always means "unknown". Nothing here computes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from metric_depth_ros.errors import InputError

# Quoted: NumPy 1.21 (Ubuntu 22.04) cannot subscript these two.
FloatArray = NDArray["np.floating[Any]"]
IntArray = NDArray["np.integer[Any]"]
BoolArray = NDArray[np.bool_]
ImageArray = NDArray[np.uint8]
Array = NDArray[Any]

Kind = Literal["depth", "inverse_depth"]
DISTORTION_MODELS = {
    "none": (0,),
    "plumb_bob": (4, 5),
    "rational_polynomial": (8, 12, 14),
    "equidistant": (4,),
}


class SensorMessage(NamedTuple):
    """Type of messages that anchors may come from.

    Attributes:
        ros_type: its name in ROS.
        model: sensor model of its sources by default.
        is_picture: whether a calibration belongs to it.
    """

    ros_type: str
    model: str
    is_picture: bool = False


# By the name of the type in the settings.
SENSOR_MESSAGES = {
    "point_cloud2": SensorMessage("sensor_msgs/msg/PointCloud2", "lidar"),
    "point_cloud": SensorMessage("sensor_msgs/msg/PointCloud", "lidar"),
    "laser_scan": SensorMessage("sensor_msgs/msg/LaserScan", "scan_2d"),
    "range": SensorMessage("sensor_msgs/msg/Range", "range_finder"),
    "depth_image": SensorMessage("sensor_msgs/msg/Image", "depth_camera", is_picture=True),
    "compressed_depth": SensorMessage("sensor_msgs/msg/CompressedImage", "depth_camera", is_picture=True),
}


@dataclass(frozen=True, eq=False)
class Camera:
    """Calibration of the camera of one image.

    Attributes:
        width, height: image size in pixels.
        K: (3, 3) float64 intrinsics in pixels; integer coordinates are pixel centres.
        distortion_model: "none", "plumb_bob", "rational_polynomial" or "equidistant".
        D: the model's coefficients, in the order of sensor_msgs/CameraInfo.
        position_m: where the optical centre lies in the frame of the points, metres: not at its origin for a
            right camera that shares the frame of the left one.

    Raises:
        InputError: K is zero or not finite, the size is not positive, or D does not fit the model.
    """

    width: int
    height: int
    K: FloatArray
    distortion_model: str = "none"
    D: tuple[float, ...] = ()
    position_m: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        K = np.asarray(self.K, np.float64).reshape(3, 3)
        object.__setattr__(self, "K", K)
        object.__setattr__(self, "D", tuple(float(x) for x in self.D))
        if self.width < 1 or self.height < 1:
            raise InputError(f"camera: size {self.width}x{self.height}; needed at least 1x1.")
        if not np.isfinite(K).all() or K[0, 0] <= 0 or K[1, 1] <= 0 or K[2].tolist() != [0, 0, 1]:
            raise InputError(
                f"camera: fx={K[0, 0]:g}, fy={K[1, 1]:g}; needed positive focal lengths and a last row of "
                "0 0 1. The camera is not calibrated: publish its calibration in camera_info."
            )
        lengths = DISTORTION_MODELS.get(self.distortion_model)
        if lengths is None:
            raise InputError(
                f"camera: distortion model {self.distortion_model!r}; "
                f"known are {', '.join(DISTORTION_MODELS)}."
            )
        if len(self.D) not in lengths or not np.isfinite(self.D).all():
            raise InputError(
                f"camera: {len(self.D)} distortion coefficients {self.D}; "
                f"{self.distortion_model} needs {' or '.join(map(str, lengths))} finite ones."
            )

    @property
    def distorted(self) -> bool:
        """Whether the image is distorted. An equidistant (fisheye) image always is, even with D = 0."""
        return self.distortion_model == "equidistant" or any(self.D)

    @property
    def relative_focal(self) -> float:
        """Focal length in units of the image's mean side (geometric): the same after any resizing."""
        return math.sqrt(self.K[0, 0] * self.K[1, 1] / (self.width * self.height))


@dataclass(frozen=True, eq=False)
class Rectification:
    """Rotation and intrinsics that rectify a raw image (R and P of camera_info).

    Attributes:
        K: (3, 3) pinhole of the rectified image, in pixels.
        R: (3, 3) rotation from the raw camera's frame to the rectified one; points are in the latter.
        position_m: where the rectified camera lies in the frame of the points, as ``Camera.position_m``.
    """

    K: FloatArray
    R: FloatArray
    position_m: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Cloud:
    """Points of one sensor at one time: (N, 3) metres in ``frame_id``, NaN rows are unknown.

    Float64 stays so until the points are in the camera's frame: coordinates of a map may be large.
    ``sigma`` (N,) is what the message tells of each point's error, metres; None: nothing. ``offset_s`` (N,)
    is when each point was measured after ``stamp_ns``, or before; None: all at once. ``places`` and ``paths``
    keep T_fixed_cloud (4, 4) at its time, and (K, 4, 4) over the scan, by the fixed frame, from when they
    were looked up.
    """

    points: FloatArray
    frame_id: str
    stamp_ns: int
    sigma: FloatArray | None = None
    offset_s: FloatArray | None = None
    places: dict[str, FloatArray] = field(default_factory=dict)
    paths: dict[str, FloatArray] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Size of its points and of what is told of each."""
        return sum(each.nbytes for each in vars(self).values() if isinstance(each, np.ndarray))


@dataclass(frozen=True, eq=False)
class SourcePoints:
    """Points of one source of anchors that belong to an image.

    Attributes:
        name: of the source, as in the setting anchors.sources.
        points: (N, 3) metres in the camera's optical frame at the image's time.
        model: sensor model, which sets what the source's settings leave out; empty: the settings of anchors.
        sigma: (N,) metres, what the messages tell of each point's error, beside the model's; None: nothing.
        step_m: of the numbers that gave the points' coordinates in their own frame; 0: unknown.
        newest_ns: stamp of its newest cloud; None: unknown.
        up: (3,) z axis of its own frame in the image's, where z is up; None: unknown, or the same frame.
    """

    name: str
    points: FloatArray
    model: str = ""
    sigma: FloatArray | None = None
    step_m: float = 0.0
    newest_ns: int | None = None
    up: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class Sample:
    """One synchronised set of inputs.

    Attributes:
        image: (H, W, 3) uint8 RGB, the size of ``camera``.
        points_camera: (N, 3) metres in the camera's optical frame at the image's time.
        cloud_stamps_ns: stamps of the clouds the points came from; empty if no cloud matched.
        sources: the same points by the source that they come from; empty: they are all of one sensor.
        regions: (h, w) region labels from another source, whole numbers from 0; any size, same view.
        points_held_out: (M, 3) metres, hidden from the solver, to measure its error; None: no such points.
        true_depth: (H, W) metres of ``image``, NaN unknown, hidden in the same way; None: not known.
        rectification: how to rectify the image; None keeps ``camera.K``.
        T_fixed_camera: (4, 4) pose of the points' frame in one that does not move; None: unknown.
        points_up: (3,) z axis of the points' own frame in the image's; None: unknown, or the same frame.
    """

    image: ImageArray
    camera: Camera
    points_camera: FloatArray
    stamp_ns: int = 0
    frame_id: str = ""
    cloud_stamps_ns: tuple[int, ...] = ()
    points_held_out: FloatArray | None = None
    rectification: Rectification | None = None
    regions: IntArray | None = None
    T_fixed_camera: FloatArray | None = None
    points_up: FloatArray | None = None
    sources: tuple[SourcePoints, ...] = ()
    true_depth: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class Anchors:
    """Pixels whose metric depth is known.

    Attributes:
        uv: (N, 2) pixels, u right and v down; integers are pixel centres.
        depth: (N,) metres along the optical axis, positive and finite.
        sigma: (N,) metres, one standard deviation of ``depth``.
    """

    uv: FloatArray
    depth: FloatArray
    sigma: FloatArray

    def __len__(self) -> int:
        return len(self.depth)

    def take(self, which: IntArray | BoolArray) -> Anchors:
        """The anchors at an index array or boolean mask (N,)."""
        rows = np.flatnonzero(which) if np.asarray(which).dtype == bool else which
        # Many times quicker than uv[rows].
        return Anchors(np.take(self.uv, rows, axis=0), self.depth[rows], self.sigma[rows])


# Names of a network's features that a basis generator gives; files call the misfit "spread".
BASIS, MISFIT = "basis", "spread"


@dataclass(frozen=True, eq=False)
class RelativeDepth:
    """Output of a depth network for one image.

    Attributes:
        values: (H, W), unitless unless ``metric``; NaN where the network gives no value.
        kind: "depth" (larger is farther) or "inverse_depth" (larger is nearer).
        metric: the network estimates metres (or 1/m).
        features: further outputs of the network by their names in the manifest, (C, h, w) each.
        network: the network's name in its manifest; empty if unknown.
    """

    values: FloatArray
    kind: Kind
    metric: bool = False
    features: Mapping[str, FloatArray] = field(default_factory=dict)
    network: str = ""


@dataclass(frozen=True, eq=False)
class Prior:
    """Metric depth from something learned, without anchors.

    Attributes:
        depth: (H, W) metres, NaN unknown.
        sigma: standard deviation of the logarithm of its scale, the same for all pixels.
        name: of what gave it.
        has_shape: whether it knows more of the shape than the depth network that the solver is given.
        maps: (K, h, w) in which its log depth may be off, as basis maps; None: none known.
    """

    depth: FloatArray
    sigma: float
    name: str = ""
    has_shape: bool = False
    maps: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class PriorInput:
    """Everything that a prior may need for one image.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        relative: the depth network's output (H, W).
        camera: of the image; None: unknown.
        focus_m: depth that should be most precise; None: none.
        description: what the scene is, in words; empty: nobody said.
    """

    image: ImageArray
    relative: RelativeDepth
    camera: Camera | None = None
    focus_m: float | None = None
    description: str = ""


@dataclass(frozen=True, eq=False)
class SolverInput:
    """Everything that a solver may need for one image.

    Attributes:
        relative: the network's output (H, W).
        anchors: in pixels of the same image; some may be unusable.
        image: (H, W, 3) uint8 RGB; None: no image.
        regions: (H, W) labels, whole numbers from 0, for solvers that need them.
        focus_m: depth in metres that should be most precise; None or 0: no focus.
        stamp_ns: the image's time, for solvers with a memory; None: the memory is not used.
        prior: metric depth of the image from something learned; None: none.
        camera: of the image; None: unknown.
        T_fixed_camera: (4, 4) pose of the camera in a frame that does not move; None: unknown.
    """

    relative: RelativeDepth
    anchors: Anchors
    image: ImageArray | None = None
    regions: IntArray | None = None
    focus_m: float | None = None
    stamp_ns: int | None = None
    prior: Prior | None = None
    camera: Camera | None = None
    T_fixed_camera: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class MetricDepth:
    """Result of a solver: depth (H, W) in metres and, if the solver estimates it, one sigma (H, W).

    NaN is unknown in both. ``info`` describes the fit (kind, counts, fallbacks).
    """

    depth: FloatArray
    sigma: FloatArray | None = None
    info: Mapping[str, Any] = field(default_factory=dict)


def frame_name(frame: str) -> str:
    """Name of a frame as tf has it: in ROS 1 a slash may lead it."""
    return frame.lstrip("/")


def same_frame(frame: str, other: str) -> bool:
    """Whether two names are those of one frame."""
    return frame_name(frame) == frame_name(other)


class TransformSource(Protocol):
    """Source of transforms: tf2 on a robot, a TransformTree offline."""

    def lookup(self, target: str, source: str, stamp_ns: int, *, wait: bool = True) -> FloatArray:
        """Transform T_target_source (4, 4) at ``stamp_ns``, waiting if it may yet come.

        Raises TransformError.
        """
        ...

    def latest_common_ns(self, target: str, source: str) -> int | None:
        """Newest time at which the transform is known; None if it does not move. Raises TransformError."""
        ...

    def fixed_frame(self, frame: str) -> str:
        """Frame that does not move while this one does (``TransformTree.fixed_frame``); empty: unknown."""
        ...


class Runtime(Protocol):
    """Runs one model file: named arrays in, named arrays out.

    ``cancel`` ends, with ModelError, the run that another thread waits for; None: the library cannot.
    """

    @property
    def cancel(self) -> Callable[[], None] | None: ...

    def run(self, inputs: Mapping[str, Array]) -> dict[str, FloatArray]: ...


class Engine(Protocol):
    """Image to relative depth of the same size.

    ``label`` names the runtime, its precision and device; ``why`` says why it was chosen; ``on_cpu``
    says whether it runs on the CPU.
    """

    label: str
    why: str
    on_cpu: bool

    def predict(
        self, image: ImageArray, *, focus_m: float | None = None, camera: Camera | None = None
    ) -> RelativeDepth:
        """Relative depth of an image, most precise at the depth ``focus_m`` if the network supports it."""
        ...


class Segmenter(Protocol):
    """Image to region labels (H, W) int32, 0 to n-1, every label used; relative depth is optional."""

    def segment(self, image: ImageArray, relative: RelativeDepth | None = None) -> IntArray: ...
