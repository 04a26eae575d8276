"""ROS message <-> array. Nothing here imports ROS.

Messages are duck-typed: live ones of rclpy and ones read from bags by rosbags (ROS 1 and 2) serve
alike. What is read may share memory with its message, so do not modify it. The ``*_fields``
functions give plain dicts, which a node fills into real messages (``data`` by
``msg.data.frombytes``) and the bag writer into rosbags' ones.
"""

from metric_depth_ros.messages.cameras import camera_info_fields, read_camera, read_rectification
from metric_depth_ros.messages.clouds import cloud_fields, points_fields, read_points
from metric_depth_ros.messages.headers import frame_id, read_transforms, stamp_ns
from metric_depth_ros.messages.images import (
    KNOWN_ENCODINGS,
    depth_fields,
    image_fields,
    read_compressed_image,
    read_depth,
    read_image,
    read_labels,
)

__all__ = [
    "KNOWN_ENCODINGS",
    "camera_info_fields",
    "cloud_fields",
    "depth_fields",
    "frame_id",
    "image_fields",
    "points_fields",
    "read_camera",
    "read_compressed_image",
    "read_depth",
    "read_image",
    "read_labels",
    "read_points",
    "read_rectification",
    "read_transforms",
    "stamp_ns",
]
