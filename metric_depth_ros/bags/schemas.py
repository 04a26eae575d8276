"""Parses definitions of message types, which anyone may have written: none takes long or much memory.

rosbags makes Python code of a definition, with lines for every element of an array, and its parser tries some
texts in exponentially many ways. So the text, the parser's steps and what a type asks for are limited.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat, Nodetype
from rosbags.typesys.base import make_typesdict
from rosbags.typesys.idl import IDLParser
from rosbags.typesys.msg import MSGParser
from rosbags.typesys.store import Typestore

# The longest definitions of common packages have 70,000 letters, 10,000 steps and a few hundred fields.
_MOST_LETTERS, _MOST_STEPS, _MOST_FIELDS = 500_000, 250_000, 2_000
_RULE = "=" * 80 + "\n"


def parse(kind: str, definition: MessageDefinition) -> Any:
    """Types of a definition by name, as ``Typestore.register`` takes them.

    Raises:
        ValueError: it asks for too much: text, steps, or fields of all types with arrays written out.
    """
    text = definition.data
    if len(text) > _MOST_LETTERS:
        raise ValueError(f"it has {len(text)} letters, {_MOST_LETTERS} are enough")
    if definition.format is MessageDefinitionFormat.MSG:
        types = make_typesdict(_Msg(f"MSG: {kind}\n{text}").specification())
    elif text.startswith(f"{_RULE}IDL: "):
        types = {}
        for part in text.split(_RULE)[1:]:
            types.update(make_typesdict(_Idl(part.partition("\n")[2]).specification()))
    else:
        types = make_typesdict(_Idl(text).specification())
    _check_size(kind, types)
    return types


class _Bounded:
    """Counts the steps of a parser."""

    steps = _MOST_STEPS

    def regex(self, *args: Any, **named: Any) -> Any:
        """As the parser's; raises ValueError after too many."""
        self.steps -= 1
        if not self.steps:
            raise ValueError("it takes too many steps to read")
        return super().regex(*args, **named)  # type: ignore[misc]


class _Msg(_Bounded, MSGParser):  # type: ignore[misc]  # rosbags is not followed
    pass


class _Idl(_Bounded, IDLParser):  # type: ignore[misc]
    def shift_expr(self, pos: int) -> Any:
        """Sums alone: a shift makes numbers of any size, and no definition has one."""
        return self.add_expr(pos)


def _check_size(kind: str, types: Mapping[str, Any]) -> None:
    """Raises ValueError if code or messages of these types, arrays written out, become too large."""
    known: dict[str, int] = {}

    def size_of(name: str) -> int:
        if name not in known:
            known[name] = 0  # what holds itself is found by rosbags
            fields = types[name][1] if name in types else []
            known[name] = 1 + sum(_repeats(desc) * size_of(_inner(desc)) for _, desc in fields)
        return known[name]

    lines = sum(_repeats(desc) for _, fields in types.values() for _, desc in fields)
    if max(lines, size_of(kind)) > _MOST_FIELDS:
        raise ValueError(f"it asks for more than {_MOST_FIELDS} fields, arrays written out")


def _inner(desc: Any) -> str:
    """Name of the type in a field, also in an array."""
    node, inner = desc
    while node in (Nodetype.ARRAY, Nodetype.SEQUENCE):
        node, inner = inner[0]
    return str(inner) if node == Nodetype.NAME else ""


def _repeats(desc: Any) -> int:
    """How often code for the field is written: arrays of numbers once. Raises ValueError for empty arrays."""
    node, inner = desc
    if node != Nodetype.ARRAY:
        return 1
    (element, what), length = inner
    if length < 1:
        raise ValueError("it has an array without elements")
    return 1 if element == Nodetype.BASE and what[0] != "string" else int(length)


# ---- standard types ---------------------------------------------------------------------------


def check_fields(kind: str, types: Typestore, standard: Typestore) -> None:
    """Raises ValueError unless a type has all fields that the standard one of its name has, of like types.

    Numbers may be of another size, lists of another length, and there may be more fields, also in its parts.
    """
    if wrong := sorted(_unlike(kind, kind, types, standard)):
        raise ValueError(f"the definition of {kind} in the bag lacks {', '.join(wrong)}, or has another type")


def _unlike(kind: str, wanted: str, types: Typestore, standard: Typestore) -> set[str]:
    """Fields of the standard type ``wanted`` that ``kind`` lacks or has of another type."""
    own = dict(types.get_msgdef(kind).fields)
    return {
        name
        for name, desc in standard.get_msgdef(wanted).fields
        if name not in own or not _alike(own[name], desc, types, standard)
    }


def _alike(desc: Any, wanted: Any, types: Typestore, standard: Typestore) -> bool:
    (node, inner), (wanted_node, wanted_inner) = desc, wanted
    lists = (Nodetype.ARRAY, Nodetype.SEQUENCE)
    if node in lists and wanted_node in lists:
        return _alike(inner[0], wanted_inner[0], types, standard)
    if node != wanted_node:
        return False
    if node == Nodetype.NAME:
        return not _unlike(inner, wanted_inner, types, standard)
    return _sort(inner[0]) == _sort(wanted_inner[0])


def _sort(name: str) -> str:
    """Sort of a basic type: text, float or whole number."""
    return next((sort for sort in ("string", "float") if sort in name), "integer")
