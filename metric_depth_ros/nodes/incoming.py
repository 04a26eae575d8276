"""ROS messages that come in, as arrays."""

from __future__ import annotations

from typing import Any

from metric_depth_ros import messages
from metric_depth_ros.errors import InputError
from metric_depth_ros.types import ImageArray


def read_any_image(msg: Any, bridge: Any) -> ImageArray:
    """RGB of an Image or a CompressedImage; ``bridge`` (cv_bridge) reads encodings we do not.

    Raises:
        InputError: the image is damaged, or nobody can read its encoding.
    """
    if hasattr(msg, "format"):
        return messages.read_compressed_image(msg)
    if msg.encoding in messages.KNOWN_ENCODINGS:
        return messages.read_image(msg)
    try:
        image: ImageArray = bridge.imgmsg_to_cv2(msg, "rgb8")
        return image
    except Exception as error:  # cv_bridge raises its own, cv2's and Python's errors
        raise InputError(
            f"image: encoding {msg.encoding!r} cannot be made rgb8 ({error}). "
            f"Publish one of {', '.join(sorted(messages.KNOWN_ENCODINGS))}."
        ) from error
