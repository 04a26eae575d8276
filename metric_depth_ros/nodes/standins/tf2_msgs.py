"""Stand-in for tf2_msgs: publishes and subscribes TFMessage without tf2_msgs.

A message class needs compiled type support, and no package on PyPI has it for TFMessage. However, for
serialised messages the middleware reads only the type's name, hash and description from it: subscribe with
``raw=True`` and publish ``bytes``. So the type support of geometry_msgs/Polygon, one sequence of messages
too, is copied and renamed, and described as a sequence of TransformStamped. ``encode`` and ``decode`` do the
(de)serialisation. Always use ``raw=True``: without it rclpy would read the bytes as a Polygon.

The layouts below are C structs of rosidl (since Jazzy) that have no Python interface. They are
checked before use as far as they can be: identifiers, namespaces, names, and the middleware
(rmw_fastrtps_cpp). The type description service answers with Polygon's description.
"""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Iterable
from typing import Any

import rclpy
from geometry_msgs.msg import Polygon, TransformStamped
from rosbags.typesys import Stores, get_typestore

from metric_depth_ros.errors import TransformError
from metric_depth_ros.geometry import quaternion
from metric_depth_ros.types import FloatArray

_NAME = "tf2_msgs/msg/TFMessage"
_TYPES = get_typestore(Stores.ROS2_KILTED)

Transforms = Iterable[tuple[str, str, FloatArray, int]]


def encode(transforms: Transforms) -> bytes:
    """Serialised TFMessage from tuples (parent, child, T_parent_child (4, 4), stamp_ns)."""
    message = _TYPES.types[_NAME]([_stamped(*transform) for transform in transforms])
    return bytes(_TYPES.serialize_cdr(message, _NAME))


def decode(data: bytes) -> Any:
    """TFMessage from serialised ``data``, its transforms for ``messages.read_transform``.

    Raises:
        TransformError: the data is cut short or not a TFMessage.
    """
    try:
        return _TYPES.deserialize_cdr(data, _NAME)
    except Exception as error:  # rosbags' generated readers raise any exception on wrong bytes
        raise TransformError(
            f"tf: {len(data)} bytes are no TFMessage ({type(error).__name__}). Check who publishes on /tf."
        ) from error


def _stamped(parent: str, child: str, T: FloatArray, stamp_ns: int) -> Any:
    kinds = _TYPES.types
    stamp = kinds["builtin_interfaces/msg/Time"](*divmod(stamp_ns, 1_000_000_000))
    translation = kinds["geometry_msgs/msg/Vector3"](*(float(x) for x in T[:3, 3]))
    rotation = kinds["geometry_msgs/msg/Quaternion"](*(float(x) for x in quaternion(T[:3, :3])))
    return kinds["geometry_msgs/msg/TransformStamped"](
        kinds["std_msgs/msg/Header"](stamp, parent),
        child,
        kinds["geometry_msgs/msg/Transform"](translation, rotation),
    )


_GET_HANDLE = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)
_GET_HASH = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)


class _Handle(ctypes.Structure):
    """C struct rosidl_message_type_support_t."""

    _fields_ = (
        ("identifier", ctypes.c_char_p),
        ("data", ctypes.c_void_p),
        ("get_handle", _GET_HANDLE),
        ("get_hash", _GET_HASH),
        ("get_description", ctypes.c_void_p),
        ("get_sources", ctypes.c_void_p),
    )


class _Callbacks(ctypes.Structure):
    """C struct message_type_support_callbacks_t of rosidl_typesupport_fastrtps_cpp."""

    _fields_ = (
        ("namespace", ctypes.c_char_p),
        ("name", ctypes.c_char_p),
        ("serialize", ctypes.c_void_p),
        ("deserialize", ctypes.c_void_p),
        ("serialized_size", ctypes.c_void_p),
        ("max_serialized_size", ctypes.c_void_p),
        ("key_callbacks", ctypes.c_void_p),
    )


class _Member(ctypes.Structure):
    """C struct MessageMember of rosidl_typesupport_introspection_c."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("type_id", ctypes.c_uint8),
        ("string_upper_bound", ctypes.c_size_t),
        ("members", ctypes.c_void_p),
        ("is_key", ctypes.c_bool),
        ("is_array", ctypes.c_bool),
        ("array_size", ctypes.c_size_t),
        ("is_upper_bound", ctypes.c_bool),
        ("offset", ctypes.c_uint32),
        ("default_value", ctypes.c_void_p),
        ("functions", ctypes.c_void_p * 6),
    )


class _Members(ctypes.Structure):
    """C struct MessageMembers of rosidl_typesupport_introspection_c."""

    _fields_ = (
        ("namespace", ctypes.c_char_p),
        ("name", ctypes.c_char_p),
        ("count", ctypes.c_uint32),
        ("size_of", ctypes.c_size_t),
        ("has_any_key", ctypes.c_bool),
        ("members", ctypes.POINTER(_Member)),
        ("init", ctypes.c_void_p),
        ("fini", ctypes.c_void_p),
    )


class _TypeHash(ctypes.Structure):
    """C struct rosidl_type_hash_t."""

    _fields_ = (("version", ctypes.c_uint8), ("value", ctypes.c_uint8 * 32))


_SERIALISES, _DESCRIBES = b"rosidl_typesupport_fastrtps_c", b"rosidl_typesupport_introspection_c"
_alive: list[Any] = []  # the middleware keeps bare pointers to these until the process ends


def _handle(message: type, identifier: bytes) -> _Handle:
    """One type support handle of a message class. Raises TransformError if this ROS is not supported."""
    kind: Any = message.__class__
    kind.__import_type_support__()
    api = ctypes.pythonapi
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    outer = _Handle.from_address(api.PyCapsule_GetPointer(kind._TYPE_SUPPORT, None))
    if outer.identifier != b"rosidl_typesupport_c":
        raise _unavailable(f"type support is {outer.identifier!r}")
    address = outer.get_handle(ctypes.addressof(outer), identifier)
    handle = _Handle.from_address(address) if address else outer
    if handle.identifier != identifier:
        raise _unavailable(f"{message.__name__} has no {identifier.decode()}")
    return handle


def _check_ros() -> None:
    """Raises TransformError if this ROS is not supported."""
    if importlib.util.find_spec("rclpy.type_hash") is None:
        raise _unavailable("this rclpy is older than Iron")
    middleware = rclpy.get_rmw_implementation_identifier()
    if middleware != "rmw_fastrtps_cpp":
        raise _unavailable(f"the middleware is {middleware}; needed rmw_fastrtps_cpp")


def _unavailable(why: str) -> TransformError:
    return TransformError(
        f"tf: tf2_msgs is not installed, and its stand-in cannot serve: {why}. Install ros-<distro>-tf2-ros."
    )


def _serialising() -> tuple[_Handle, _Callbacks]:
    """Copy of Polygon's type support for Fast DDS, under the name of TFMessage."""
    handle = _Handle.from_buffer_copy(_handle(Polygon, _SERIALISES))
    callbacks = _Callbacks.from_buffer_copy(_Callbacks.from_address(handle.data))
    if (callbacks.namespace, callbacks.name) != (b"geometry_msgs::msg", b"Polygon"):
        raise _unavailable(f"Polygon calls itself {callbacks.namespace!r}, {callbacks.name!r}")
    callbacks.namespace, callbacks.name = b"tf2_msgs::msg", b"TFMessage"
    return handle, callbacks


def _describing() -> tuple[_Handle, _Members]:
    """Copy of Polygon's description, with the name of TFMessage and its one member."""
    handle = _Handle.from_buffer_copy(_handle(Polygon, _DESCRIBES))
    message = _Members.from_buffer_copy(_Members.from_address(handle.data))
    if (message.namespace, message.name, message.count) != (b"geometry_msgs__msg", b"Polygon", 1):
        raise _unavailable(f"Polygon is described as {message.namespace!r}, {message.name!r}")
    member = _Member.from_buffer_copy(message.members.contents)
    if (
        member.name != b"points"
        or not member.is_array
        or _Handle.from_address(member.members).identifier != _DESCRIBES
    ):
        raise _unavailable(f"Polygon is described as a message of {member.name!r}")
    message.namespace, message.name = b"tf2_msgs__msg", b"TFMessage"
    member.name, member.members = b"transforms", ctypes.addressof(_handle(TransformStamped, _DESCRIBES))
    message.members = ctypes.pointer(member)
    return handle, message


def _capsule() -> Any:
    """Capsule with the type support of TFMessage. Raises TransformError if this ROS is not supported."""
    _check_ros()
    digest = bytes.fromhex(_TYPES.hash_rihs01(_NAME).rpartition("_")[2])
    type_hash = _TypeHash(1, (ctypes.c_uint8 * 32)(*digest))
    get_hash = _GET_HASH(lambda _: ctypes.addressof(type_hash))
    handles = {}
    get_handle = _GET_HANDLE(lambda _, identifier: handles.get(identifier))
    for handle, data in (_serialising(), _describing()):
        handle.data = ctypes.addressof(data)
        handle.get_hash, handle.get_handle = get_hash, get_handle
        handles[handle.identifier] = ctypes.addressof(handle)
        _alive.append((handle, data))
    _alive.append((type_hash, get_hash, get_handle))
    api = ctypes.pythonapi
    api.PyCapsule_New.restype = ctypes.py_object
    api.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    return api.PyCapsule_New(handles[_SERIALISES], None, None)


class _TypeSupport(type):
    """Metaclass that gives rclpy the type support, built at its first request."""

    _TYPE_SUPPORT: Any = None
    _CREATE_ROS_MESSAGE: Any = None
    _CONVERT_FROM_PY: Any = None
    _CONVERT_TO_PY: Any = None
    _DESTROY_ROS_MESSAGE: Any = None

    @classmethod
    def __import_type_support__(cls) -> None:
        """Raises TransformError if the type support cannot be built."""
        if cls._TYPE_SUPPORT is not None:
            return
        capsule = _capsule()
        polygon: Any = Polygon.__class__
        cls._CREATE_ROS_MESSAGE = polygon._CREATE_ROS_MESSAGE
        cls._CONVERT_FROM_PY = polygon._CONVERT_FROM_PY
        cls._CONVERT_TO_PY = polygon._CONVERT_TO_PY
        cls._DESTROY_ROS_MESSAGE = polygon._DESTROY_ROS_MESSAGE
        cls._TYPE_SUPPORT = capsule


class TFMessage(metaclass=_TypeSupport):
    """Message type for create_publisher and, with ``raw=True``, for create_subscription."""

    def __new__(cls) -> TFMessage:
        raise TypeError("TFMessage: this stand-in has no objects; publish the bytes of encode().")
