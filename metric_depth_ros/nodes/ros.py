"""Finds ROS packages that PyPI lacks: the installed one, else its stand-in.

A ROS distribution has message_filters, cv_bridge, tf2_ros and tf2_msgs, and they are used. If one
cannot be imported, or does not work with the installed NumPy, the module of the same name in
``nodes.standins`` replaces it. ``STAND_INS`` names those in use.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from types import ModuleType

import rclpy.logging
from sensor_msgs.msg import Image

STAND_INS: list[str] = []


def _converts_pixels(cv_bridge: ModuleType) -> bool:
    """Whether cv_bridge works: with a NumPy it was not written for it imports, but fails when it is used."""
    read = cv_bridge.CvBridge().imgmsg_to_cv2
    colour = Image(height=1, width=1, encoding="rgb8", step=3, data=[1, 2, 3])
    big_endian = Image(height=1, width=1, encoding="16UC1", step=2, data=[1, 2], is_bigendian=1)
    return bool(read(colour, "bgr8").tolist() == [[[3, 2, 1]]] and read(big_endian).tolist() == [[258]])


def _find(
    name: str, *, real: str = "", works: Callable[[ModuleType], bool] = lambda module: True
) -> ModuleType:
    """Module ``real`` (default: ``name``), or its stand-in if it is missing or does not work.

    ``works`` may raise any exception, as packages built for another NumPy do.
    """
    try:
        module = import_module(real or name)
        if not works(module):
            raise ImportError("a first use gave a wrong result")
        return module
    except Exception as error:
        if not isinstance(error, ModuleNotFoundError):
            rclpy.logging.get_logger("metric_depth_ros").warning(
                f"{name} is installed but does not work here ({type(error).__name__}: {error}); "
                "a stand-in is used. Use the NumPy it was built for (numpy<2 on today's distributions)."
            )
        STAND_INS.append(name)
        return import_module(f"metric_depth_ros.nodes.standins.{name}")


message_filters = _find("message_filters")
cv_bridge = _find("cv_bridge", works=_converts_pixels)
tf2_ros = _find("tf2_ros")
TFMessage = _find("tf2_msgs", real="tf2_msgs.msg").TFMessage


def forget_after(synchronizer: message_filters.TimeSynchronizer, stamp_ns: int) -> None:
    """After a jump back in time, drops waiting messages newer than ``stamp_ns``.

    A full queue drops its oldest stamps, which after a jump are the new messages. Do not call this from the
    synchronizer's own callback.
    """
    with synchronizer.lock:
        for queue in synchronizer.queues:
            for stamp in [stamp for stamp in queue if getattr(stamp, "nanoseconds", stamp) > stamp_ns]:
                del queue[stamp]
