"""Shows images, depth, anchors and clouds live in Rerun (optional: the extra ``view``)."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from metric_depth_ros.drawing.pictures import depth_colours, depth_range
from metric_depth_ros.errors import MetricDepthError
from metric_depth_ros.geometry import pixel_rays
from metric_depth_ros.types import Camera, FloatArray, ImageArray

# Where a viewer may be: "" is the Rerun window of this machine, "web" a browser; else a file or address.
WEB = "web"
# Values of depth/info that are drawn as curves.
SCALE_VALUES = ("scale", "sigma_relative", "residual_median")
_JPEG_QUALITY = 85
_CAMERA = "world/camera"
_PICTURE = f"{_CAMERA}/picture"
# Sizes of points on the screen: negative numbers are pixels.
_CLOUD_PX, _ANCHOR_PX = -1.5, -2.5
_DATA_PORT, _PAGE_PORT = 9876, 9090  # of a page in the browser, as Rerun has them
_MOST_POINTS = 40_000  # of a cloud that is shown


class Viewer:
    """One Rerun recording: what is shown at a time replaces what was shown before, and stays in its timeline.

    All coordinates are metres in the camera's optical frame (x right, y down, z ahead).

    Attributes:
        where: as it was given.
        page: address of the page that a browser opens; empty unless ``where`` is "web".
    """

    def __init__(self, where: str = "") -> None:
        """Opens a viewer.

        Args:
            where: "" starts the Rerun window, "web" serves a page to a browser; a path that ends in .rrd is
                written, and a URL as rerun+http://HOST:9876/proxy is the viewer of another machine.

        Raises:
            MetricDepthError: rerun is not installed, or the viewer cannot be reached or started.
        """
        self._rr = _rerun()
        self._stream = self._rr.RecordingStream("metric_depth")
        self.where, self.page = where, ""
        try:
            self._open(where)
        except (OSError, RuntimeError, ValueError) as error:
            raise MetricDepthError(
                f"view: {where or 'the Rerun window'}: {error}; needed a viewer. Name web, a new "
                "file .rrd, or the address of one that runs (rerun+http://HOST:9876/proxy)."
            ) from error
        self._stream.send_blueprint(_layout())
        self._log("world", self._rr.ViewCoordinates.RDF, static=True)
        self._range_m: tuple[float, float] | None = None
        self._placed = False
        self._radii: dict[str, float] = {}

    def close(self) -> None:
        """Sends what is still on its way, and completes a file."""
        self._stream.flush()
        self._stream.disconnect()

    def at(self, stamp_ns: int) -> None:
        """Sets the time of all that is shown from now on, ns."""
        self._stream.set_time("stamp", timestamp=np.datetime64(stamp_ns, "ns"))

    def image(self, image: ImageArray, camera: Camera | None = None) -> None:
        """Shows an image (H, W, 3) RGB, with its camera if that is known."""
        if camera is not None:
            size = (camera.width, camera.height)
            self._log(_PICTURE, self._rr.Pinhole(image_from_camera=camera.K, resolution=size))
        self._picture(_PICTURE, image)

    def depth(self, depth: FloatArray) -> None:
        """Shows depth (H, W), NaN unknown, in one range of colours for all images: that of the first."""
        if self._range_m is None:
            self._range_m = depth_range(depth)
        self._picture("depth", depth_colours(depth, *self._range_m))

    def sigma(self, depth: FloatArray, sigma: FloatArray) -> None:
        """Shows the relative error that is expected, sigma over depth (H, W): black 0, white .3 or more."""
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = np.nan_to_num(sigma / depth, nan=0.0, posinf=1.0)
        grey = (np.clip(relative / 0.3, 0, 1) * 255).astype(np.uint8)
        self._picture("sigma", grey)

    def cloud(self, depth: FloatArray, image: ImageArray, camera: Camera) -> None:
        """Shows depth (H, W) as a cloud in the colours of its image (H, W, 3): every few pixels a point."""
        step = max(1, round((depth.size / _MOST_POINTS) ** 0.5))
        points = pixel_rays(camera, step) * depth[::step, ::step, None]
        known = np.isfinite(points).all(axis=2)
        colours = image[::step, ::step][known]
        self._log(f"{_CAMERA}/cloud", self._rr.Points3D(points[known], colors=colours, radii=_CLOUD_PX))

    def points(self, name: str, points: FloatArray) -> None:
        """Shows the points (N, 3) of a source of anchors: colours of their depth, in the source's size."""
        shown = points[np.isfinite(points).all(axis=1) & (points[:, 2] > 0)]
        look = {"colors": self._depth_colours(shown[:, 2]), "radii": self._radius(name)}
        self._log(f"{_CAMERA}/anchors/{name}", self._rr.Points3D(shown, **look))

    def anchors(self, uv: FloatArray, depth: FloatArray, name: str = "") -> None:
        """Shows anchors on the image, pixels (N, 2) and depths (N,): all, or those of a source."""
        look = {"colors": self._depth_colours(depth), "radii": self._radius(name)}
        self._log(f"{_PICTURE}/anchors/{name}".rstrip("/"), self._rr.Points2D(uv, **look))

    def _depth_colours(self, depth: FloatArray) -> ImageArray:
        return depth_colours(depth, *(self._range_m or depth_range(depth)))

    def _radius(self, name: str) -> float:
        """Size of a source's points: each has its own, up to four."""
        return self._radii.setdefault(name, _ANCHOR_PX - len(self._radii) % 4)

    def place(self, T_world_camera: FloatArray) -> None:
        """Sets where the camera is: its pose (4, 4) in a frame that does not move, with z up."""
        if not self._placed:
            self._log("world", self._rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
            self._placed = True
        rotation, translation = T_world_camera[:3, :3], T_world_camera[:3, 3]
        self._log(_CAMERA, self._rr.Transform3D(translation=translation, mat3x3=rotation))

    def values(self, group: str, values: Mapping[str, float]) -> None:
        """Adds numbers to the curves of a group, by name; those that are not finite are left out."""
        for name, value in values.items():
            if np.isfinite(value):
                self._log(f"{group}/{name}", self._rr.Scalars(float(value)))

    def _picture(self, path: str, picture: ImageArray) -> None:
        self._log(path, self._rr.Image(picture).compress(jpeg_quality=_JPEG_QUALITY))

    def _log(self, path: str, what: Any, *, static: bool = False) -> None:
        self._stream.log(path, what, static=static)

    def _open(self, where: str) -> None:
        if not where:
            self._stream.spawn()
        elif where == WEB:
            data = self._stream.serve_grpc(grpc_port=_port(_DATA_PORT))
            port = _port(_PAGE_PORT)
            self._rr.serve_web_viewer(web_port=port, connect_to=data)
            self.page = f"http://127.0.0.1:{port}/?url={quote(data, safe=':/')}"
        elif "://" in where:
            self._stream.connect_grpc(where)
        elif not where.endswith(".rrd"):
            raise ValueError("no file .rrd and no address")
        elif Path(where).exists():
            raise ValueError("exists already")
        else:
            self._stream.save(where)


@contextmanager
def viewing(where: str) -> Iterator[Viewer]:
    """A viewer that is closed when the block ends. Raises MetricDepthError as ``Viewer`` does."""
    viewer = Viewer(where)
    try:
        yield viewer
    finally:
        viewer.close()


def _port(usual: int) -> int:
    """The port, or any that is free if something listens on it."""
    for port in (usual, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port")


def _rerun() -> Any:
    try:
        import rerun
    except ImportError as error:
        raise MetricDepthError(
            f"view: rerun is not installed ({error}); needed rerun-sdk. pip install 'metric_depth_ros[view]'."
        ) from error
    return rerun


def _layout() -> Any:
    """Blueprint: pictures on the left, the cloud in the middle, curves below."""
    from rerun import blueprint as rrb

    pictures = rrb.Vertical(
        rrb.Spatial2DView(origin=_PICTURE, name="image and anchors"),
        rrb.Spatial2DView(origin="depth", name="metric depth"),
        rrb.Spatial2DView(origin="sigma", name="sigma / depth"),
    )
    curves = rrb.Horizontal(
        rrb.TimeSeriesView(origin="scale", name="scale"),
        rrb.TimeSeriesView(origin="anchors", name="anchors by source"),
        rrb.TimeSeriesView(origin="stages", name="stages, ms"),
    )
    cloud = rrb.Vertical(rrb.Spatial3DView(origin="world", name="cloud"), curves, row_shares=[3, 1])
    return rrb.Blueprint(rrb.Horizontal(pictures, cloud, column_shares=[1, 3]), collapse_panels=True)
