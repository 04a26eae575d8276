"""Parses words of a command line into values."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any


def size_of(text: str) -> tuple[int, int]:
    """Width and height in pixels from WIDTHxHEIGHT. Raises ConfigError."""
    from metric_depth_ros.errors import ConfigError

    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise ConfigError(f"size: {text!r}; needed WIDTHxHEIGHT in pixels, as 320x240.")
    return int(width), int(height)


def setting_of(text: str) -> tuple[str, Any]:
    """Name and value from NAME=VALUE, the value in the setting's type. Raises ConfigError."""
    from metric_depth_ros.errors import ConfigError

    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"--set {text}: needed NAME=VALUE, as in solver.focus_m=3.")
    return name.strip(), typed(name.strip(), value.strip())


def remapped(texts: Sequence[str], known: Collection[str]) -> dict[str, str]:
    """Topics by the names they replace, from NAME:=TOPIC each. Raises InputError for other names."""
    from metric_depth_ros.errors import InputError

    topics = {}
    for text in texts:
        name, sign, topic = text.partition(":=")
        if not (sign and topic) or name.strip("/") not in known:
            raise InputError(f"--remap {text}: needed NAME:=TOPIC, NAME one of {', '.join(known)}.")
        topics[name.strip("/")] = topic
    return topics


def typed(name: str, text: str) -> Any:
    """``text`` converted to the setting's type; unchanged if that fails, the settings then refuse it."""
    from metric_depth_ros.config import find_setting

    setting = find_setting(name)
    default = setting.default if setting else ""
    try:
        if isinstance(default, list):
            parts = _parts(text)
            return [float(part) for part in parts] if default else parts
        return type(default)(text)
    except ValueError:
        return text


def _parts(text: str) -> list[str]:
    """Parts of a list as YAML writes it, with or without brackets and quotes. Raises ValueError."""
    import yaml

    try:
        parts = yaml.load(text if text.startswith("[") else f"[{text}]", yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(text) from error
    if not (isinstance(parts, list) and all(isinstance(part, str) for part in parts)):
        raise ValueError(text)
    return parts
