"""The package's settings as ROS parameters: declared with descriptors, validated when set."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from metric_depth_ros.config import (
    NAME_FILES,
    SETTINGS,
    Config,
    Setting,
    find_setting,
    from_flat,
    settings_with,
    updated,
)
from metric_depth_ros.config.parameter_file import ROS_PARAMETERS
from metric_depth_ros.errors import ConfigError
from metric_depth_ros.nodes.qos import QOS_OVERRIDES, check_override
from metric_depth_ros.share import FOLDERS_VARIABLE, folders_are_named

# Read when parameters are declared, or of no other node's concern.
_FIXED = ("anchors.sources", "lifecycle.autostart", "save.folder")


def declare_config(node: Node) -> Config:
    """Declares every setting on the node; returns the configuration at start.

    Raises:
        ConfigError: an override names an unknown setting, or has a wrong type or value.
    """
    values, given = {}, overrides(node)
    settings = _known(given)
    fixed = _FIXED if given.get("lifecycle.autostart") is False else settings  # a manager configures it
    for setting in settings.values():
        try:
            # Checked here, so that a parameter has its setting's type: ``-p focus_m:=2`` is an integer.
            value = _checked(setting, given[setting.name]) if setting.name in given else setting.default
        except ConfigError as error:
            raise ConfigError(f"{_where()}{error}") from error
        descriptor = _descriptor(setting, fixed=setting.name in fixed)
        node.declare_parameter(setting.name, value, descriptor, ignore_override=True)
        values[setting.name] = value
    try:
        return from_flat(values)
    except ConfigError as error:
        raise ConfigError(f"{_where()}{error}") from error


def overrides(node: Node) -> dict[str, object]:
    """Values from the command line and its files, by the parameter's name."""
    return {name: _plain(each.value) for name, each in getattr(node, "_parameter_overrides", {}).items()}


def _checked(setting: Setting, value: object) -> object:
    """A value in its setting's type. Raises ConfigError."""
    # An empty list in a file is no value to ROS.
    return setting.checked([] if value is None and isinstance(setting.default, list) else value)


def on_set(
    get: Callable[[], Config], accept: Callable[[Config], None], in_use: Callable[[], bool]
) -> Callable[..., SetParametersResult]:
    """Callback for ``add_on_set_parameters_callback``: accepts all parameters or, with the reason, none.

    ``in_use``: whether settings that are read once, at configure, hold now and cannot change.
    """

    def validate(parameters: Iterable[Parameter]) -> SetParametersResult:
        ours = [(each, setting) for each in parameters if (setting := find_setting(each.name)) is not None]
        once = [setting.name for _, setting in ours if in_use() and not setting.live]
        try:
            if once:
                raise ConfigError(f"{', '.join(once)}: read at configure only. Clean up the node first.")
            _refuse_files([each.name for each, _ in ours])
            accept(updated(get(), {each.name: _plain(each.value) for each, _ in ours}))
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        for each, setting in ours:
            _store(each, _checked(setting, _plain(each.value)))
        return SetParametersResult(successful=True)

    return validate


def _store(parameter: Parameter, value: object) -> None:
    """Makes rclpy store this value, of its own type, instead of the one that was sent.

    rclpy keeps the object that it shows the callback; callbacks that may replace it are newer than Humble.
    """
    if parameter.type_ != Parameter.Type.from_parameter_value(value):
        Parameter.__init__(parameter, parameter.name, value=value)


def _refuse_files(changes: Iterable[str]) -> None:
    """Raises ConfigError if settings that name files would change and no folders confine these."""
    files = [name for name in changes if name in NAME_FILES]
    if files and not folders_are_named():
        raise ConfigError(
            f"{', '.join(files)}: names a file, but {FOLDERS_VARIABLE} is not set. Start the node with the "
            "file, or with the folders that files may be in."
        )


def _plain(value: object) -> object:
    """Value as plain Python: arrays of the ROS parameter service as lists."""
    return list(value) if not isinstance(value, str) and isinstance(value, Iterable) else value


def _descriptor(setting: Setting, *, fixed: bool) -> ParameterDescriptor:
    """``fixed``: whether it never changes if it is read only once."""
    descriptor = ParameterDescriptor(
        description=f"{setting.help} [{setting.allowed}]",
        additional_constraints=setting.allowed,
        read_only=fixed and not setting.live,
        # An integer for a float setting (`ros2 param set ... focus_m 5`) is accepted, and stored as a float.
        dynamic_typing=isinstance(setting.default, (float, list)),
    )
    if setting.low is not None and setting.high is not None:
        if isinstance(setting.default, float):
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=float(setting.low), to_value=float(setting.high))
            ]
        else:
            descriptor.integer_range = [
                IntegerRange(from_value=int(setting.low), to_value=int(setting.high), step=1)
            ]
    return descriptor


def _known(given: Mapping[str, object]) -> dict[str, Setting]:
    """Settings, with those of the sources that the overrides name.

    Raises ConfigError for undeclared parameters, which ROS ignores: they may be misspelt settings.
    """
    named = {"anchors.sources": given.get("anchors.sources") or []}
    try:
        settings = settings_with(SETTINGS["anchors.sources"].checked(named["anchors.sources"]))
        for name, value in given.items():
            if name.startswith(QOS_OVERRIDES):
                check_override(name, given)
            elif name not in settings and name not in ROS_PARAMETERS:
                from_flat({**named, name: value})
    except ConfigError as error:
        raise ConfigError(f"{_where()}{error}") from error
    return settings


def _where() -> str:
    """Parameter files on the command line: rclpy does not state the source of a value."""
    pairs = zip(sys.argv, sys.argv[1:])  # noqa: B905
    files = [after for before, after in pairs if before == "--params-file"]
    return f"parameters (files: {', '.join(files)}): " if files else "parameters: "
