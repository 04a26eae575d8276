"""Converts ROS messages to arrays and back, without importing ROS.

Messages are duck-typed: those of rclpy and those that rosbags reads from bags (ROS 1 and 2) both work.
Arrays may share memory with their message, so do not modify them. The ``*_fields`` functions
return plain dicts, which a node copies into real messages (``data`` by ``msg.data.frombytes``)
and the bag writer into those of rosbags.
"""

from metric_depth_ros.messages.calibrations import Calibrations
from metric_depth_ros.messages.cameras import (
    calibration_field,
    camera_info_fields,
    check_image_size,
    read_camera,
    read_camera_info,
)
from metric_depth_ros.messages.clouds import cloud_fields, points_fields, read_grid, read_points
from metric_depth_ros.messages.compressed_images import (
    compressed_image_fields,
    image_size,
    read_compressed_image,
)
from metric_depth_ros.messages.depth_images import CameraOf, compressed_depth_fields, read_depth_image
from metric_depth_ros.messages.headers import (
    frame_id,
    read_transform,
    stamp_ns,
    time_of_capture_ns,
)
from metric_depth_ros.messages.images import (
    KNOWN_ENCODINGS,
    Stretch,
    depth_encoding,
    depth_fields,
    image_fields,
    knows_encoding,
    read_depth,
    read_image,
    read_labels,
)
from metric_depth_ros.messages.names import (
    base_topic,
    camera_info_beside,
    is_named_rectified,
    is_rectified,
    last_two_parts,
    topic_name,
    words_of,
)
from metric_depth_ros.messages.sensors import (
    NEED_CAMERA,
    SENSOR_TYPES,
    read_cloud,
    read_depth_camera,
    sensor_type,
    wrong_type,
)

__all__ = [
    "KNOWN_ENCODINGS",
    "NEED_CAMERA",
    "SENSOR_TYPES",
    "Calibrations",
    "CameraOf",
    "Stretch",
    "base_topic",
    "calibration_field",
    "camera_info_beside",
    "camera_info_fields",
    "check_image_size",
    "cloud_fields",
    "compressed_depth_fields",
    "compressed_image_fields",
    "depth_encoding",
    "depth_fields",
    "frame_id",
    "image_fields",
    "image_size",
    "is_named_rectified",
    "is_rectified",
    "knows_encoding",
    "last_two_parts",
    "points_fields",
    "read_camera",
    "read_camera_info",
    "read_cloud",
    "read_compressed_image",
    "read_depth",
    "read_depth_camera",
    "read_depth_image",
    "read_grid",
    "read_image",
    "read_labels",
    "read_points",
    "read_transform",
    "sensor_type",
    "stamp_ns",
    "time_of_capture_ns",
    "topic_name",
    "words_of",
    "wrong_type",
]
