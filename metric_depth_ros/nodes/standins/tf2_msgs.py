"""Stand-in for tf2_msgs: publishes and subscribes TFMessage without tf2_msgs.

A message class needs compiled type support, and no package on PyPI has it for TFMessage. However, for
serialised messages the middleware reads only the type's name and hash from it: subscribe with
``raw=True`` and publish ``bytes``. So the type support handle of std_msgs/String is copied and renamed,
and ``encode`` and ``decode`` do the (de)serialisation. Always use ``raw=True``: without it rclpy would
read the bytes as a String.

The layouts below are C structs of rosidl (since Iron) that have no Python interface. They are
checked before use as far as they can be: both identifiers, namespace and name, and the middleware
(rmw_fastrtps_cpp). It ran between processes that use this stand-in; matching with the tf2 of a
distribution has not been run. The type description service answers with String's description.
"""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Iterable
from typing import Any

import rclpy
from rosbags.typesys import Stores, get_typestore
from std_msgs.msg import String

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


class _TypeHash(ctypes.Structure):
    """C struct rosidl_type_hash_t."""

    _fields_ = (("version", ctypes.c_uint8), ("value", ctypes.c_uint8 * 32))


_alive: list[Any] = []  # the middleware keeps bare pointers to these until the process ends


def _string_handle() -> _Handle:
    """Type support handle of String for Fast DDS. Raises TransformError if this ROS is not supported."""
    if importlib.util.find_spec("rclpy.type_hash") is None:
        raise _unavailable("this rclpy is older than Iron")
    middleware = rclpy.get_rmw_implementation_identifier()
    if middleware != "rmw_fastrtps_cpp":
        raise _unavailable(f"the middleware is {middleware}; needed rmw_fastrtps_cpp")
    String.__class__.__import_type_support__()
    api = ctypes.pythonapi
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    outer = _Handle.from_address(api.PyCapsule_GetPointer(String.__class__._TYPE_SUPPORT, None))
    if outer.identifier != b"rosidl_typesupport_c":
        raise _unavailable(f"type support is {outer.identifier!r}")
    address = outer.get_handle(ctypes.addressof(outer), b"rosidl_typesupport_fastrtps_c")
    handle = _Handle.from_address(address) if address else outer
    if handle.identifier != b"rosidl_typesupport_fastrtps_c":
        raise _unavailable("there is no type support for Fast DDS")
    callbacks = _Callbacks.from_address(handle.data)
    if (callbacks.namespace, callbacks.name) != (b"std_msgs::msg", b"String"):
        raise _unavailable(f"String calls itself {callbacks.namespace!r}, {callbacks.name!r}")
    return handle


def _unavailable(why: str) -> TransformError:
    return TransformError(
        f"tf: tf2_msgs is not installed, and its stand-in cannot serve: {why}. Install ros-<distro>-tf2-ros."
    )


def _renamed(handle: _Handle) -> Any:
    """Capsule with a copy of the handle that has the name and hash of TFMessage."""
    callbacks = _Callbacks.from_buffer_copy(_Callbacks.from_address(handle.data))
    callbacks.namespace, callbacks.name = b"tf2_msgs::msg", b"TFMessage"
    digest = bytes.fromhex(_TYPES.hash_rihs01(_NAME).rpartition("_")[2])
    type_hash = _TypeHash(1, (ctypes.c_uint8 * 32)(*digest))
    copy = _Handle.from_buffer_copy(handle)
    copy.data = ctypes.addressof(callbacks)
    get_hash = _GET_HASH(lambda _: ctypes.addressof(type_hash))
    copy.get_hash = get_hash
    _alive.extend((callbacks, type_hash, get_hash, copy))
    api = ctypes.pythonapi
    api.PyCapsule_New.restype = ctypes.py_object
    api.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    return api.PyCapsule_New(ctypes.addressof(copy), None, None)


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
        capsule = _renamed(_string_handle())
        string = String.__class__
        cls._CREATE_ROS_MESSAGE = string._CREATE_ROS_MESSAGE
        cls._CONVERT_FROM_PY = string._CONVERT_FROM_PY
        cls._CONVERT_TO_PY = string._CONVERT_TO_PY
        cls._DESTROY_ROS_MESSAGE = string._DESTROY_ROS_MESSAGE
        cls._TYPE_SUPPORT = capsule


class TFMessage(metaclass=_TypeSupport):
    """Message type for create_publisher and, with ``raw=True``, for create_subscription."""

    def __new__(cls) -> TFMessage:
        raise TypeError("TFMessage: this stand-in has no objects; publish the bytes of encode().")


def forget_middleware_error() -> None:
    """Clears a harmless Fast DDS error; call it after making a TFMessage publisher or subscription.

    Call it in the same thread. Fast DDS looks for another description of the type, finds none and continues,
    but keeps the error; the next call of rcutils would print a page about it.
    """
    with open("/proc/self/maps") as maps:
        library = next((line.split()[-1] for line in maps if "librcutils.so" in line), None)
    if library is not None:
        ctypes.CDLL(library).rcutils_reset_error()
