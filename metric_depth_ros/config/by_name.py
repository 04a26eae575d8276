"""Settings by their dotted names: what each allows, and configurations from their values and back."""

from __future__ import annotations

import dataclasses
import difflib
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from metric_depth_ros.config.settings import Config
from metric_depth_ros.config.sources import SourceConfig, check_sources
from metric_depth_ros.errors import ConfigError, shown


@dataclass(frozen=True)
class Setting:
    """One setting: its dotted name, default, help and allowed values."""

    name: str
    default: Any
    help: str
    unit: str
    low: float | None
    high: float | None
    choices: tuple[str, ...]
    words: Mapping[str, float]
    live: bool

    @property
    def allowed(self) -> str:
        """Allowed values in words."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if self.default == []:
            return "a list of names"
        if isinstance(self.default, list):
            return f"a list of {len(self.default)} finite numbers"
        kind = {bool: "true or false", str: "text", int: "a whole number", float: "a number"}[
            type(self.default)
        ]
        if self.low is None and self.high is None:
            return kind
        ranged = f"{kind} from {self.low:g} to {self.high:g}" + (f" {self.unit}" if self.unit else "")
        return f"{ranged}, or {', '.join(self.words)}" if self.words else ranged

    def checked(self, value: Any) -> Any:
        """``value`` converted to this setting's type. Raises ConfigError that says what is allowed."""
        word = "off" if value is False else value  # YAML reads off as false
        number = self.words.get(word, value) if isinstance(word, str) else value
        converted = _converted(self.default, number)
        in_range = converted is not None and (
            not isinstance(converted, (int, float))
            or ((self.low is None or converted >= self.low) and (self.high is None or converted <= self.high))
        )
        if not in_range or (self.choices and converted not in self.choices):
            raise ConfigError(
                f"{self.name}: {shown(value)}; needed {self.allowed}.{_nearest(value, self.choices)}"
            )
        return converted


def _converted(default: Any, value: Any) -> Any:
    """``value`` converted to the type of ``default``; None if it is of another type or not finite."""
    if default == []:
        named = isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value)
        return list(value) if named else None
    if isinstance(default, list):
        numbers = [_converted(0.0, v) for v in value] if isinstance(value, (list, tuple)) else []
        return numbers if len(numbers) == len(default) and None not in numbers else None
    if isinstance(default, bool) or isinstance(value, bool):
        return value if isinstance(default, bool) and isinstance(value, bool) else None
    if isinstance(default, float) and isinstance(value, (int, float)) and abs(value) <= sys.float_info.max:
        return float(value)
    return value if type(value) is type(default) and isinstance(value, (int, str)) else None


def _settings(group: Any, prefix: str) -> Iterator[Setting]:
    """Yields every setting of a group and its nested groups; ``group`` holds the defaults."""
    for item in dataclasses.fields(group):
        name, value = f"{prefix}{item.name}", getattr(group, item.name)
        if item.metadata:
            yield Setting(name=name, default=value, **item.metadata)
        elif dataclasses.is_dataclass(value):
            yield from _settings(value, f"{name}.")


SETTINGS: dict[str, Setting] = {setting.name: setting for setting in _settings(Config(), "")}


# Settings that name files.
NAME_FILES = (
    "engine.manifest", "engine.second", "engine.model", "regions.manifest", "solver.prior",
    "solver.refined.network",
)  # fmt: skip


def settings_with(sources: Iterable[str]) -> dict[str, Setting]:
    """``SETTINGS``, and those of the sources of these names."""
    groups = (_settings(SourceConfig(), f"sources.{name}.") for name in sources)
    return {**SETTINGS, **{setting.name: setting for group in groups for setting in group}}


def find_setting(name: str) -> Setting | None:
    """The setting of a dotted name, of whatever source; None if there is none."""
    parts = name.split(".")
    return settings_with(parts[1:2] if parts[0] == "sources" else ()).get(name)


def to_flat(config: Config) -> dict[str, Any]:
    """Every setting's value by its dotted name."""

    def value_at(name: str) -> Any:
        value: Any = config
        for part in name.split("."):
            value = value[part] if isinstance(value, Mapping) else getattr(value, part)
        return value

    return {name: value_at(name) for name in settings_with(config.sources)}


def changed(config: Config) -> dict[str, Any]:
    """Values of the settings that are not the defaults, by their dotted names."""
    known = settings_with(config.sources)
    return {name: value for name, value in to_flat(config).items() if value != known[name].default}


def from_flat(values: Mapping[str, Any]) -> Config:
    """A Config from values by dotted name; missing settings keep their defaults.

    Raises:
        ConfigError: an unknown name (with the nearest known one), a wrong type, a value out of
            range, or two settings that contradict each other.
    """
    return updated(Config(), values)


def updated(config: Config, changes: Mapping[str, Any]) -> Config:
    """A copy of ``config`` with some settings changed. Raises ConfigError as ``from_flat`` does."""
    names = SETTINGS["anchors.sources"].checked(changes.get("anchors.sources", config.anchors.sources))
    known = settings_with(names)
    for name in changes:
        if name not in known:
            raise ConfigError(f"{name}: unknown setting.{_hint(name, known)}")
    flat = {name: setting.default for name, setting in known.items()} | to_flat(config)
    flat.update({name: known[name].checked(value) for name, value in changes.items()})
    result: Config = _build(config, flat, "")
    _check_together(result)
    return result


def _build(group: Any, flat: Mapping[str, Any], prefix: str) -> Any:
    """A group of settings like ``group``, with the values of ``flat``."""
    values = {}
    for item in dataclasses.fields(group):
        name, value = f"{prefix}{item.name}", getattr(group, item.name)
        if name == "sources":
            names = flat["anchors.sources"]
            values[name] = {each: _build(SourceConfig(), flat, f"{name}.{each}.") for each in names}
        else:
            values[item.name] = flat[name] if item.metadata else _build(value, flat, f"{name}.")
    return dataclasses.replace(group, **values)


def _check_together(config: Config) -> None:
    for name in ("anchors", "solver", "cloud", "preview"):
        part = getattr(config, name)
        if part.min_depth_m >= part.max_depth_m:
            raise ConfigError(
                f"{name}.min_depth_m: {part.min_depth_m:g}; "
                f"needed less than {name}.max_depth_m ({part.max_depth_m:g})."
            )
    if sum(x * x for x in config.extrinsics.rotation) < 1e-6:
        raise ConfigError("extrinsics.rotation: a quaternion of length zero; needed x, y, z, w of length 1.")
    check_sources(config.anchors.sources, config.sources)
    if config.extrinsics.source == "parameters" and len(config.sources) > 1:
        raise ConfigError(
            f"extrinsics.source: parameters, which place one sensor, but anchors.sources names "
            f"{', '.join(config.sources)}. Set it to tf, and publish where each is mounted."
        )


def _nearest(value: Any, choices: tuple[str, ...]) -> str:
    """Hint at the choice that a wrong value is like; empty if there is none."""
    near = difflib.get_close_matches(value, choices, n=1) if isinstance(value, str) else []
    return f" Did you mean {near[0]}?" if near else ""


def _hint(name: str, known: Iterable[str]) -> str:
    if find_setting(name):
        return f" Add {name.split('.')[1]} to anchors.sources, which names the sources."
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f" Did you mean {near[0]}?" if near else " `metric_depth config` lists all settings."
