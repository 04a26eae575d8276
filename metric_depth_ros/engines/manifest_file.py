"""Reads manifests: YAML files whose keys and values are those of a dataclass, and nothing else."""

from __future__ import annotations

import dataclasses
import difflib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from metric_depth_ros.documents import read_yaml, required_keys
from metric_depth_ros.errors import ModelError, kind_of, shown
from metric_depth_ros.share import refuse_outside

# Placeholder in a draft for a value that only a person knows.
TO_COMPLETE = "COMPLETE"
# Characters of a text, bytes of a file's name.
_LONGEST_TEXT, _LONGEST_NAME = 1000, 255
# A file in the manifest's own folder, and the hash of a file's bytes.
FileName = str
Sha256 = str


def read_manifest(path: str | Path, class_of: Callable[[Any], type]) -> Any:
    """Reads a dataclass from a YAML file; ``class_of`` chooses its class from the content.

    Raises:
        ModelError: the file lies outside the folders of models, is missing or not YAML, a key is missing,
            unknown (with the nearest known one) or of the wrong type, or a placeholder is not filled in.
    """
    refuse_outside(Path(path))
    tree = read_yaml(path, ModelError, "a model manifest")
    try:
        return _build(class_of(tree), tree, "")
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_TEXT


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and -1e9 < value < 1e9  # neither NaN nor infinity


def _is_file_name(value: Any) -> bool:
    return (
        isinstance(value, str)
        and value not in ("", "..")
        and Path(value).name == value
        and value.isprintable()
        and len(value.encode(errors="replace")) <= _LONGEST_NAME
    )


def _is_sha256(value: Any) -> bool:
    return _is_text(value) and re.fullmatch("[0-9a-fA-F]{64}", value) is not None


def _is_mapping(key: Callable[[Any], bool], item: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(key(k) and item(v) for k, v in value.items())


# By type of a field: the check of its value, and the allowed values in words.
_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "str": (_is_text, f"text of at most {_LONGEST_TEXT} characters"),
    "Kind": (_is_text, "text"),
    "int": (lambda value: type(value) is int, "a whole number"),
    "float": (_is_number, "a number"),
    "float | None": (lambda value: value is None or _is_number(value), "a number"),
    "bool": (lambda value: isinstance(value, bool), "true or false"),
    "tuple[float, ...]": (
        lambda value: isinstance(value, list) and all(map(_is_number, value)),
        "finite numbers",
    ),
    "tuple[int, ...]": (
        lambda value: isinstance(value, list) and all(type(n) is int for n in value),
        "whole numbers",
    ),
    "FileName": (_is_file_name, "the name of a file in the model's folder"),
    "Sha256": (_is_sha256, "64 hexadecimal digits"),
    "dict[str, str]": (_is_mapping(_is_text, _is_text), "names and names"),
    "dict[FileName, Sha256]": (
        _is_mapping(_is_file_name, _is_sha256),
        "names of files in the model's own folder, and 64 hexadecimal digits each",
    ),
}


def _build(kind: type, tree: Any, prefix: str) -> Any:
    if not isinstance(tree, dict):
        raise ModelError(f"{prefix or 'manifest'}: found {kind_of(tree)}; needed a mapping.")
    known = {item.name: item for item in dataclasses.fields(kind)}
    if not prefix and not known.keys() & tree.keys():
        raise ModelError(f"manifest: found a mapping of other keys; needed {', '.join(known)}.")
    for key in tree:
        if key not in known:
            found = str(key)[:60]
            near = difflib.get_close_matches(found, known, n=1)
            raise ModelError(
                f"{prefix}{found}: unknown key.{f' Did you mean {prefix}{near[0]}?' if near else ''}"
            )
    values, required = {}, required_keys(kind)
    for name, item in known.items():
        if name in tree:
            key, value, type_name = f"{prefix}{name}", tree[name], str(item.type)
            nested = _nested(kind, type_name)
            values[name] = _build(nested, value, f"{key}.") if nested else _value(type_name, value, key)
        elif name in required:
            raise ModelError(f"{prefix}{name}: missing.")
    return kind(**values)


def _nested(kind: type, field_type: str) -> type | None:
    """Dataclass of a field, if it is one of those in the module of the manifest's class; else None."""
    found = vars(sys.modules[kind.__module__]).get(field_type.removesuffix(" | None"))
    return found if isinstance(found, type) and dataclasses.is_dataclass(found) else None


def _value(kind: str, value: Any, key: str) -> Any:
    """Checks a field's value and converts it for its dataclass. Raises ModelError."""
    inner = value.values() if kind == "dict[str, str]" and isinstance(value, dict) else ()
    if TO_COMPLETE in (value, *inner):
        raise ModelError(f"{key}: {TO_COMPLETE!r}; needed what only you know. Replace it.")
    is_right, needed = _FIELDS[kind]
    if not is_right(value):
        raise ModelError(f"{key}: {shown(value)}; needed {needed}.")
    if kind == "Sha256":
        return value.lower()
    if kind == "dict[FileName, Sha256]":
        return {name: sha256.lower() for name, sha256 in value.items()}
    return tuple(value) if isinstance(value, list) else value
