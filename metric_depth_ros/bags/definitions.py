"""Turns the bytes of a bag's messages into objects, by the definitions in the bag or the standard ones."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from rosbags.interfaces import Connection, ConnectionExtRosbag2, MessageDefinition, MessageDefinitionFormat
from rosbags.rosbag2.metadata import ReaderMetadata, parse_qos
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from metric_depth_ros.bags.schemas import check_fields, parse
from metric_depth_ros.documents import parse_yaml
from metric_depth_ros.errors import InputError

# What is known of a file before it is read, or without messages.
NO_MESSAGES = ReaderMetadata(0, 2**63 - 1, 0, 0, None, None, None, None)
NO_DEFINITION = MessageDefinition(MessageDefinitionFormat.NONE, "")
_FORMATS = {
    "ros1msg": MessageDefinitionFormat.MSG,
    "ros2msg": MessageDefinitionFormat.MSG,
    "ros2idl": MessageDefinitionFormat.IDL,
    "omgidl": MessageDefinitionFormat.IDL,
}
_TF = "geometry_msgs/TransformStamped[] transforms"


def metadata_of(first_ns: int, last_ns: int, total: int) -> ReaderMetadata:
    """What rosbags needs to know of a file of so many messages, recorded from the first time to the last."""
    return ReaderMetadata(last_ns - first_ns + 1, first_ns, last_ns + 1, total, None, None, None, None)


def definition_of(encoding: str, text: str) -> MessageDefinition:
    """Definition of a type as a file has it; that of an unknown encoding is not read."""
    return MessageDefinition(_FORMATS.get(encoding, MessageDefinitionFormat.NONE), text)


@lru_cache(maxsize=256)
def about_topic(encoding: str, profiles: str) -> ConnectionExtRosbag2:
    """How a topic is serialised, and its QoS profiles, which may be odd: then they are unknown."""
    try:
        return ConnectionExtRosbag2(encoding, parse_qos(parse_yaml(profiles, "QoS", InputError) or []))
    except Exception:  # what YAML makes of the text may be anything
        return ConnectionExtRosbag2(encoding, [])


def encoding_of(connection: Connection) -> str:
    """How a topic's messages are serialised: "ros1", "cdr" (ROS 2), or another way that is not read."""
    return str(getattr(connection.ext, "serialization_format", "ros1"))


def deserialize(connection: Connection, raw: bytes | memoryview) -> Any:
    """The message in some bytes of a topic, ROS 1 or ROS 2.

    A topic without a definition, or with one that cannot be parsed, is read by the standard one of its type.
    Raises whatever rosbags raises for damaged bytes and for unknown types.
    """
    kind, ros1 = connection.msgtype, encoding_of(connection) == "ros1"
    types = _types_of(kind, connection.msgdef, ros1)
    if isinstance(types, str):
        raise ValueError(types)
    return types.deserialize_ros1(raw, kind) if ros1 else types.deserialize_cdr(raw, kind)


def as_ros2_bytes(connection: Connection, raw: bytes | memoryview) -> bytes:
    """The same message in ROS 2's serialisation.

    Raises whatever rosbags raises for damaged bytes and for types that ROS 2 lacks.
    """
    if encoding_of(connection) != "ros1":
        return bytes(raw)
    return bytes(_standard(ros1=False).ros1_to_cdr(raw, ros2_type(connection.msgtype)))


def ros2_type(name: str) -> str:
    """ROS 2 name of a bag's message type."""
    return "tf2_msgs/msg/TFMessage" if name == "tf/msg/tfMessage" else name


@lru_cache(maxsize=256)
def _types_of(kind: str, definition: MessageDefinition, ros1: bool) -> Typestore | str:
    """Types that hold ``kind``; or why there are none, which costs the next message nothing either."""
    try:
        return _found_types(kind, definition, ros1)
    except ValueError as error:
        return str(error)


def _found_types(kind: str, definition: MessageDefinition, ros1: bool) -> Typestore:
    standard = _standard(ros1)
    if definition.data.strip() and definition.format is not MessageDefinitionFormat.NONE:
        try:
            types = get_typestore(Stores.EMPTY)
            types.register(parse(kind, definition))
            types.get_msgdef(kind)
        except Exception as error:  # rosbags' parsers raise their own errors, KeyError and more
            if kind not in standard.types:
                raise ValueError(f"the definition of {kind} in the bag is odd: {error}") from error
        else:
            if kind in standard.types:
                check_fields(kind, types, standard)
            return types
    if kind not in standard.types:
        raise ValueError(f"the bag holds no definition of {kind}")
    return standard


@lru_cache(maxsize=2)
def _standard(ros1: bool) -> Typestore:
    """Standard types of a distribution."""
    if not ros1:
        return get_typestore(Stores.ROS2_HUMBLE)
    types = get_typestore(Stores.ROS1_NOETIC)
    for kind in ("tf2_msgs/msg/TFMessage", "tf/msg/tfMessage"):
        types.register(get_types_from_msg(_TF, kind))
    return types
