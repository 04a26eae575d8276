"""Shows images, depth, anchors and clouds live in Rerun (optional: the extra ``view``)."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from metric_depth_ros.anchors import inside_image
from metric_depth_ros.drawing.pictures import depth_range, draw_depth, draw_share
from metric_depth_ros.drawing.viewer_layout import layout
from metric_depth_ros.errors import MetricDepthError
from metric_depth_ros.geometry import pixel_rays, project
from metric_depth_ros.types import Camera, FloatArray, ImageArray

# Where a viewer may be: "" is the Rerun window of this machine, "web" a browser; else a file or address.
WEB = "web"
# Values of depth/info that are drawn as curves: their group, and the factor to its unit.
_CURVES = {
    "scale": ("scale", 1.0),
    "residual_median": ("residual", 100.0),
    "sigma_relative": ("expected", 100.0),
}
_JPEG_QUALITY = 85
_CAMERA = "world/camera"
_PICTURE = f"{_CAMERA}/picture"
# Sizes of points on the screen: negative numbers are pixels.
_CLOUD_PX, _SOURCE_PX, _PIXEL_PX = -1.5, -2.0, -1.2
_DATA_PORT, _PAGE_PORT = 9876, 9090  # of a page in the browser, as Rerun has them
_MOST_POINTS = 40_000  # of a cloud that is shown
_MOST_SIGMA = 0.3  # of depth, which has the last colour
# Sources of anchors, in the order in which they come: clearly apart, and on a dark or light picture.
_SOURCES = ((0, 200, 255), (255, 90, 200), (255, 200, 0), (120, 255, 80), (255, 120, 40), (170, 140, 255))


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
        self._log("world", self._rr.ViewCoordinates.RDF, static=True)
        self._range_m: tuple[float, float] | None = None
        self._T_world_camera: FloatArray | None = None
        self._laid_out = False
        self._colours: dict[str, tuple[int, int, int]] = {}

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
            pinhole = self._rr.Pinhole(image_from_camera=camera.K, resolution=size, image_plane_distance=0.3)
            self._log(_PICTURE, pinhole)
        self._picture(_PICTURE, image)

    def depth(self, depth: FloatArray) -> None:
        """Shows depth (H, W), NaN unknown, with its scale: one range for all images, that of the first."""
        if self._range_m is None:
            self._range_m = depth_range(depth)
        self._picture("depth", draw_depth(depth, *self._range_m))

    def sigma(self, depth: FloatArray, sigma: FloatArray) -> None:
        """Shows the relative error that is expected, sigma over depth (H, W), with its scale: 0 to 30 %."""
        with np.errstate(divide="ignore", invalid="ignore"):
            self._picture("sigma", draw_share(sigma / depth, _MOST_SIGMA))

    def cloud(self, depth: FloatArray, image: ImageArray, camera: Camera) -> None:
        """Shows depth (H, W) as a cloud in the colours of its image (H, W, 3): every few pixels a point.

        The first one says from where it is seen.
        """
        step = max(1, round((depth.size / _MOST_POINTS) ** 0.5))
        points = pixel_rays(camera, step) * depth[::step, ::step, None]
        known = np.isfinite(points).all(axis=2)
        if known.any() and not self._laid_out:
            self._stream.send_blueprint(layout(_PICTURE, _eye(points[known], self._T_world_camera)))
            self._laid_out = True
        colours = image[::step, ::step][known]
        self._log(f"{_CAMERA}/cloud", self._rr.Points3D(points[known], colors=colours, radii=_CLOUD_PX))

    def source(self, name: str, points: FloatArray, camera: Camera) -> None:
        """Shows points (N, 3) of a source in space and on the image, in its own colour; counts the latter."""
        shown = points[np.isfinite(points).all(axis=1) & (points[:, 2] > 0)]
        colour = self._colour(name)
        self._log(f"{_CAMERA}/anchors/{name}", self._rr.Points3D(shown, colors=colour, radii=_SOURCE_PX))
        uv, _ = project(shown, camera)
        seen = uv[inside_image(uv, camera.width, camera.height)]
        self._log(f"{_PICTURE}/anchors/{name}", self._rr.Points2D(seen, colors=colour, radii=_PIXEL_PX))
        self.values("anchors", {name: len(seen)})

    def _colour(self, name: str) -> tuple[int, int, int]:
        """Colour of a source, which its curve has as well."""
        if name not in self._colours:
            colour = self._colours[name] = _SOURCES[len(self._colours) % len(_SOURCES)]
            self._log(f"anchors/{name}", self._rr.SeriesLines(colors=colour, names=name), static=True)
        return self._colours[name]

    def place(self, T_world_camera: FloatArray) -> None:
        """Sets where the camera is: its pose (4, 4) in a frame that does not move, with z up."""
        if self._T_world_camera is None:
            self._log("world", self._rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
        self._T_world_camera = T_world_camera
        rotation, translation = T_world_camera[:3, :3], T_world_camera[:3, 3]
        self._log(_CAMERA, self._rr.Transform3D(translation=translation, mat3x3=rotation))

    def values(self, group: str, values: Mapping[str, float]) -> None:
        """Adds numbers to the curves of a group, by name; those that are not finite are left out."""
        for name, value in values.items():
            if np.isfinite(value):
                self._log(f"{group}/{name}", self._rr.Scalars(float(value)))

    def told(self, info: Mapping[str, Any]) -> None:
        """Adds scale, residual and sigma of ``depth/info``, numbers or their text, to curves of their own."""
        for name, (group, factor) in _CURVES.items():
            if name in info:
                self.values(group, {name: factor * float(info[name])})

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


def _eye(points: FloatArray, T_world_camera: FloatArray | None) -> FloatArray:
    """From where a cloud (N, 3) of the camera is seen: place, what is looked at, and up (3, 3), in the world.

    Behind the camera and above it, so that the nearer half of the cloud fills the view.
    """
    middle = float(np.median(points[:, 2]))
    eye = np.array([[-0.25 * middle, -0.4 * middle, -0.6 * middle], [0, 0, middle], [0, -1, 0]])
    if T_world_camera is None:
        return eye
    moved = eye @ T_world_camera[:3, :3].T
    moved[:2] += T_world_camera[:3, 3]
    return np.asarray(moved)
