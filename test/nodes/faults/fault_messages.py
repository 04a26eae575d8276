"""Messages that faults are made of, and texts of those that tell of them."""

from __future__ import annotations

import re
from typing import Any

from rosgraph_msgs.msg import Clock


def clock_at(stamp_ns: int) -> Clock:
    message = Clock()
    message.clock.sec, message.clock.nanosec = divmod(stamp_ns, 1_000_000_000)
    return message


def transform_bytes(
    parent: str,
    child: str,
    stamp_ns: int,
    *,
    x: float = 0.0,
    q: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0),
    count: int = 1,
) -> bytes:
    """A serialised TFMessage with any values; no broadcaster would send some of them."""
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_KILTED)
    kinds, name = store.types, "tf2_msgs/msg/TFMessage"
    stamp = kinds["builtin_interfaces/msg/Time"](stamp_ns // 10**9, stamp_ns % 10**9)
    transforms = [
        kinds["geometry_msgs/msg/TransformStamped"](
            kinds["std_msgs/msg/Header"](stamp, parent),
            child if count == 1 else f"{child}{index}",
            kinds["geometry_msgs/msg/Transform"](
                kinds["geometry_msgs/msg/Vector3"](x, 0.0, 0.0), kinds["geometry_msgs/msg/Quaternion"](*q)
            ),
        )
        for index in range(count)
    ]
    return bytes(store.serialize_cdr(kinds[name](transforms), name))


def texts(statuses: list[Any]) -> list[str]:
    """What diagnostics say: their lines, and those of the sources."""
    of_sources = [pair.value for s in statuses for pair in s.values if pair.key.startswith("source ")]
    return [*(s.message for s in statuses), *of_sources]


def without_numbers(text: str) -> str:
    """The text without its numbers."""
    return re.sub(r"[+-]?\d[\d.]*(e[+-]?\d+)?", "#", text)
