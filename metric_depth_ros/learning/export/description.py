"""Writes manifests as YAML."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from metric_depth_ros.engines.manifest import (
    FileManifest,
    ImageManifest,
    LabelManifest,
    PriorManifest,
    RefinementManifest,
    SamManifest,
    TextManifest,
)
from metric_depth_ros.errors import InputError, ModelError
from metric_depth_ros.runtimes.model import unverified


def described_file(path: Path) -> FileManifest:
    """Model file with its external weights for the manifest. Raises ModelError if one is missing."""
    file = unverified(path)
    return FileManifest(path.name, file.sha256, dict(file.data))


def write_manifest(
    manifest: LabelManifest | SamManifest | PriorManifest | TextManifest | ImageManifest | RefinementManifest,
    path: Path,
    comment: str,
    use: Callable[[Path], object] = lambda path: None,
) -> None:
    """Writes the manifest as YAML below a comment; fields with default values are left out.

    Args:
        use: runs the written manifest once, as the node will; if it raises ModelError, the file is removed.

    Raises:
        InputError: the file cannot be written.
        ModelError: from ``use``.
    """
    lines = "".join(f"# {line}\n" for line in comment.splitlines())
    try:
        path.write_text(lines + yaml.safe_dump(_plain(manifest), sort_keys=False), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; needed a file to write to.") from error
    try:
        use(path)
    except ModelError:
        path.unlink()
        raise


def _plain(value: Any) -> Any:
    if not dataclasses.is_dataclass(value):
        return list(value) if isinstance(value, tuple) else value
    values = {item: getattr(value, item.name) for item in dataclasses.fields(value)}
    return {item.name: _plain(found) for item, found in values.items() if not _is_default(item, found)}


def _is_default(item: dataclasses.Field[Any], value: Any) -> bool:
    if item.default_factory is not dataclasses.MISSING:
        return bool(value == item.default_factory())
    return item.default is not dataclasses.MISSING and bool(value == item.default)
