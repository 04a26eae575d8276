"""Frames of a moving robot, for the load of soak.py and bench_node.py."""

from __future__ import annotations

from typing import Any

import numpy as np

from metric_depth_ros.geometry import quaternion, rigid_transform
from metric_depth_ros.types import FloatArray

TF_HZ = 50
_OPTICAL = [-0.5, 0.5, -0.5, 0.5]  # rotation of an optical frame in a body's (REP 103)
# T_base_sensor; the range finder looks along the camera's z axis, beside it.
MOUNTS = {
    "camera": rigid_transform([0.2, 0, 0.5], _OPTICAL),
    "lidar": rigid_transform([0.1, 0, 0.8], [0, 0, 0, 1]),
    "range": rigid_transform([0.2, -0.222, 0.5], [0, 0, 0, 1]),
}


class Robot:
    """Robot that drives a circle in odom once in ``period_s`` seconds, looking ahead."""

    def __init__(self, node: Any, period_s: float, radius_m: float = 1.0) -> None:
        """Sends the places of the sensors on it, which are fixed."""
        from metric_depth_ros.nodes.ros import tf2_ros

        self._turn, self._radius = 2 * np.pi / period_s, radius_m
        self._fixed = tf2_ros.StaticTransformBroadcaster(node)
        self._moving = tf2_ros.TransformBroadcaster(node)
        self._fixed.sendTransform([_stamped(0, "base", sensor, T) for sensor, T in MOUNTS.items()])

    def pose(self, at_s: float) -> FloatArray:
        """T_odom_base (4, 4) at a time since the start."""
        angle = self._turn * at_s
        place = [self._radius * np.sin(angle), self._radius * (1 - np.cos(angle)), 0]
        return rigid_transform(place, [0, 0, np.sin(angle / 2), np.cos(angle / 2)])

    def earlier(self, by_s: float) -> FloatArray:
        """T_lidar_camera (4, 4) from the camera now to the LiDAR so long before, the same at all times."""
        moved = np.linalg.inv(self.pose(-by_s)) @ self.pose(0.0)
        return np.linalg.inv(MOUNTS["lidar"]) @ moved @ MOUNTS["camera"]

    def send(self, stamp_ns: int, at_s: float) -> None:
        """Sends the pose at a time since the start, with a stamp; call it ``TF_HZ`` times a second."""
        self._moving.sendTransform(_stamped(stamp_ns, "odom", "base", self.pose(at_s)))


def header(stamp_ns: int, frame_id: str) -> Any:
    """std_msgs/Header."""
    from std_msgs.msg import Header

    made = Header(frame_id=frame_id)
    made.stamp.sec, made.stamp.nanosec = divmod(stamp_ns, 10**9)
    return made


def _stamped(stamp_ns: int, parent: str, child: str, T: FloatArray) -> Any:
    from geometry_msgs.msg import TransformStamped

    made = TransformStamped(header=header(stamp_ns, parent), child_frame_id=child)
    place, rotation = made.transform.translation, made.transform.rotation
    place.x, place.y, place.z = map(float, T[:3, 3])
    rotation.x, rotation.y, rotation.z, rotation.w = map(float, quaternion(T[:3, :3]))
    return made
