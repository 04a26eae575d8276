"""Messages to the sample of an image, for the live node and those of a bag alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from metric_depth_ros import messages
from metric_depth_ros.config import InputConfig
from metric_depth_ros.errors import MetricDepthError
from metric_depth_ros.motion import Places
from metric_depth_ros.sync import Source, all_points, gather_sources
from metric_depth_ros.types import Camera, Cloud, FloatArray, ImageArray, Rectification, Sample


@dataclass(frozen=True, eq=False)
class Picture:
    """Image with what its camera_info says.

    Attributes:
        pixels: (H, W, 3) RGB.
        camera: of these pixels.
        rectification: how they are to be rectified; None: not at all.
        note: what of the camera_info is left out, or None.
    """

    pixels: ImageArray
    camera: Camera
    rectification: Rectification | None
    note: str | None


def read_picture(
    image: Any, camera_info: Any, topic: str, settings: InputConfig, decode: Callable[[Any], ImageArray]
) -> Picture:
    """Image and camera of two messages; ``topic`` is the image's. Raises InputError."""
    size = messages.image_size(image)
    rectified = messages.is_rectified(settings.rectification, topic)
    camera, rectification, note = messages.read_camera_info(
        camera_info, rectified=rectified, image_size=size, stereo_offset=settings.stereo_offset
    )
    messages.check_image_size(size, camera)  # before the image is decoded, as its header may lie
    return Picture(decode(image), camera, rectification, note)


def build_sample(
    picture: Picture,
    chosen: Iterable[tuple[Source, Sequence[Cloud]]],
    regions: Any,
    places: Places,
    refused: Callable[[str, MetricDepthError], None],
    held_out: FloatArray | None = None,
) -> Sample:
    """Sample of an image whose frame and time ``places`` has.

    Args:
        chosen: sources with their clouds for this image.
        regions: message of its label image; None: there is none.
        refused: called with name and error of a source whose points cannot be moved, if others' can.
        held_out: (N, 3) points that no solver gets, in the image's frame.

    Raises:
        InputError: the label image is damaged.
        TransformError: no source's points can be moved.
    """
    chosen = list(chosen)
    sources = gather_sources(chosen, places, refused)
    return Sample(
        picture.pixels,
        picture.camera,
        all_points(sources),
        places.stamp_ns,
        places.frame_id,
        tuple(sorted(cloud.stamp_ns for _, clouds in chosen for cloud in clouds)),
        points_held_out=held_out,
        rectification=picture.rectification,
        regions=None if regions is None else messages.read_labels(regions),
        T_fixed_camera=places.T_fixed_camera,
        points_up=next((source.up for source in sources if source.up is not None), None),
        sources=sources,
    )
