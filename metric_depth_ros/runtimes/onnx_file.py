"""External files and operators of an ONNX file, read from its bytes.

A small reader of the protocol buffer's wire format (protobuf.dev/programming-guides/encoding) for the
messages of onnx.proto that can name a file or an operator; it reads nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from metric_depth_ros.errors import ModelError

# For each message, the fields that hold other messages: number to message.
_INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
# For each message, the fields whose text is read.
_TEXTS = {"node": (4, 7), "function": (1, 10), "entry": (1, 2)}
_VARINT = 0
_FIXED64 = 1
_BYTES = 2
_FIXED32 = 5
# Wire types of the fields of a ModelProto, which distinguish it from other protocol buffers.
_MODEL = dict.fromkeys((1, 5), _VARINT) | dict.fromkeys((2, 3, 4, 6, 7, 8, 14, 20, 25, 26), _BYTES)
_TYPES = {"model": _MODEL} | {
    kind: dict.fromkeys((*_INSIDE.get(kind, ()), *_TEXTS.get(kind, ())), _BYTES)
    for kind in (_INSIDE.keys() | _TEXTS.keys()) - {"model"}
}
_MOST_FIELDS = 1 << 29
# ONNX Runtime and TensorFlow Lite models have these at byte 4, where an ONNX file could have them too.
_FLATBUFFERS = (b"ORTM", b"TFL3")
# Domains of the allowed operators; com.microsoft has those of quantised networks.
_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
# Operator that holds or names a compiled engine, which the runtime would load as machine code.
_COMPILED = "EPContext"
# Operators that may repeat others without end.
_LOOPS = ("Loop", "Scan")

Fields = dict[int, list[memoryview]]


@dataclass(frozen=True)
class References:
    """Attributes: files with the values of tensors; operators that are not allowed; whether it has loops."""

    files: frozenset[str]
    operators: frozenset[str]
    loops: bool


def references(content: bytes) -> References:
    """External files and refused operators of an ONNX file, with its subgraphs, functions and attributes.

    Raises:
        ModelError: the bytes are not an ONNX model.
    """
    files: set[str] = set()
    functions: set[tuple[str, str]] = set()
    used: set[tuple[str, str]] = set()
    waiting = [("model", memoryview(content))]
    if content[4:8] in _FLATBUFFERS:
        raise ModelError("it is a flatbuffer")
    while waiting:
        kind, message = waiting.pop()
        fields = _fields(message, _TYPES[kind])
        if kind == "model" and not {1, 7} <= fields.keys():
            raise ModelError("it holds no graph")
        if kind == "node":
            used.add((_text(fields, 7), _text(fields, 4)))
        elif kind == "function":
            functions.add((_text(fields, 10), _text(fields, 1)))
        elif kind == "entry" and _text(fields, 1) == "location":
            files.add(_text(fields, 2))
        for number, inside in _INSIDE.get(kind, {}).items():
            waiting += [(inside, part) for part in fields.get(number, ())]
    refused = {
        f"{domain or 'ai.onnx'}::{name}"
        for domain, name in used
        if name == _COMPILED or (domain not in _DOMAINS and (domain, name) not in functions)
    }
    loops = any(name in _LOOPS for _, name in used)
    return References(frozenset(files), frozenset(refused), loops)


def _text(fields: Fields, number: int) -> str:
    """Text of a field; if it is repeated, the last value counts, as always in protocol buffers."""
    return bytes(fields.get(number, [memoryview(b"")])[-1]).decode(errors="replace")


def _fields(message: memoryview, types: dict[int, int]) -> Fields:
    """Fields of a message by number. Raises ModelError if a wire type is not the one in ``types``."""
    fields: Fields = {}
    for number, wire_type, value in _pairs(message):
        if types.get(number, wire_type) != wire_type:
            raise ModelError(f"field {number} is of wire type {wire_type}")
        fields.setdefault(number, []).append(value)
    return fields


def _pairs(message: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """Yields number, wire type and bytes of each field."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        start = at
        if key & 7 == _VARINT:
            _, at = _varint(message, at)
        elif key & 7 == _BYTES:
            size, start = _varint(message, at)
            at = start + size
        elif key & 7 in (_FIXED64, _FIXED32):
            at += 8 if key & 7 == _FIXED64 else 4
        else:
            raise ModelError(f"a field of wire type {key & 7}")
        if at > len(message) or not 0 < key >> 3 < _MOST_FIELDS:
            raise ModelError(f"field {key >> 3} at byte {at} is cut off, or there is none of that number")
        yield key >> 3, key & 7, message[start:at]


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Value of a variable-length integer, and the position after it."""
    if at < len(message) and message[at] < 128:
        return message[at], at + 1
    value = 0
    for shift, byte in enumerate(message[at : at + 10]):
        value |= (byte & 127) << 7 * shift
        if byte < 128:
            return value, at + shift + 1
    raise ModelError("it is cut off")
