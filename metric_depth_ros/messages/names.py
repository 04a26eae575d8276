"""What names of topics and frames say."""

from __future__ import annotations

import re

_NODE = "metric_depth_node"
# What image_transport puts behind the topic of an image.
_TRANSPORT = re.compile(r"/(compressed|compressedDepth)$")
_RECTIFIED = {"rect", "rectified", "undistorted"}


def topic_name(name: str) -> str:
    """Absolute name of a topic as the node resolves it in no namespace; ~ is the node's own one."""
    return "/" + re.sub("^~", _NODE, name).strip("/")


def base_topic(topic: str) -> str:
    """Topic of an image without the name of its transport, as /compressed."""
    return _TRANSPORT.sub("", topic)


def last_two_parts(topic: str) -> str:
    """The last two parts of the topic of an image without its transport: those that say what it shows."""
    return "/".join(base_topic(topic).split("/")[-2:])


def camera_info_beside(topic: str) -> str:
    """Topic of the calibration that drivers publish beside an image."""
    base, slash, _ = base_topic(topic).rpartition("/")
    return f"{base}{slash}camera_info"


def words_of(name: str) -> list[str]:
    """Words, in small letters, of the name of a topic or frame: camera/imageRect_color has four."""
    return re.split(r"[^a-z0-9]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower())


def is_rectified(rectification: str, topic: str) -> bool:
    """Whether the images of a topic are rectified already, by ``input.rectification``."""
    return rectification == "rectified" or (rectification == "auto" and is_named_rectified(topic))


def is_named_rectified(topic: str) -> bool:
    """Whether the name of a topic of images says that they are rectified: /camera/image_rect_color.

    By the convention of image_proc the name alone tells: camera_info is that of the raw image. Namespaces of
    a robot tell nothing.
    """
    return not _RECTIFIED.isdisjoint(words_of(last_two_parts(topic)))
