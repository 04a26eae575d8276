"""Finds message classes by their ROS name."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from metric_depth_ros.errors import InputError
from metric_depth_ros.nodes.ros import TFMessage


def message_class(name: str) -> Any:
    """Class of a type such as "sensor_msgs/msg/Image". Raises InputError if it is not installed."""
    package, kind = name.split("/")[0], name.split("/")[-1]
    if (package, kind) == ("tf2_msgs", "TFMessage"):
        return TFMessage
    try:
        return getattr(import_module(f"{package}.msg"), kind)
    except (ImportError, AttributeError) as error:
        raise InputError(f"{name}: not installed ({error}). Install the package {package}.") from error
