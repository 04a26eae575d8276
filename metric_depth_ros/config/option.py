"""Defines a setting: a dataclass field with its default, unit, range and help."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

# Choices of the groups that name what runs a network.
RUNTIMES = ("auto", "onnxruntime", "openvino", "tensorrt", "torch")
PRECISIONS = ("auto", "fp32")


def option(
    default: Any,
    help: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    words: Mapping[str, float] | None = None,
    live: bool = True,
) -> Any:
    """A setting: a dataclass field that carries its unit, closed range or choices, and help.

    ``words`` are names for some values; ``live=False`` marks a setting that is read once at start.
    """
    metadata = dict(
        help=help, unit=unit, low=low, high=high, choices=choices, words=dict(words or {}), live=live
    )
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def section(kind: type) -> Any:
    """A nested group of settings."""
    return field(default_factory=kind)
