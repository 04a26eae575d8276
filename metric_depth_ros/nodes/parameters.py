"""The package's settings as ROS parameters: declared with descriptors, validated when set."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import ParameterException
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
from metric_depth_ros.errors import ConfigError
from metric_depth_ros.share import FOLDERS_VARIABLE, folders_are_named

# Read when parameters are declared.
_FIXED = ("anchors.sources", "lifecycle.autostart")
# Parameters that rclpy itself declares or reads in every node.
_ROS_PARAMETERS = ("use_sim_time", "qos_overrides.", "start_type_description_service")


def declare_config(node: Node) -> Config:
    """Declares every setting on the node; returns the configuration at start.

    Raises:
        ConfigError: an override names an unknown setting, or has a wrong type or value.
    """
    settings = _known(node)
    fixed = _FIXED if _waits_for_manager(node) else settings
    values = {}
    for setting in settings.values():
        try:
            parameter = node.declare_parameter(
                setting.name, setting.default, _descriptor(setting, fixed=setting.name in fixed)
            )
        except ParameterException as error:
            given = getattr(node, "_parameter_overrides", {}).get(setting.name)
            value = given.value if given is not None else error
            raise ConfigError(f"{_where()}{setting.name}: {value!r}; needed {setting.allowed}.") from error
        value = parameter.value
        # An empty list in a file is no value to ROS.
        values[setting.name] = list(value or []) if isinstance(setting.default, list) else value
    try:
        return from_flat(values)
    except ConfigError as error:
        raise ConfigError(f"{_where()}{error}") from error


def on_set(
    get: Callable[[], Config], accept: Callable[[Config], None], in_use: Callable[[], bool]
) -> Callable[..., SetParametersResult]:
    """Callback for ``add_on_set_parameters_callback``: accepts all parameters or, with the reason, none.

    ``in_use``: whether settings that are read once, at configure, hold now and cannot change.
    """

    def validate(parameters: Iterable[Parameter]) -> SetParametersResult:
        changes = {p.name: _plain(p.value) for p in parameters if find_setting(p.name)}
        once = [name for name in changes if in_use() and not find_setting(name).live]
        try:
            if once:
                raise ConfigError(f"{', '.join(once)}: read at configure only. Clean up the node first.")
            _refuse_files(changes)
            accept(updated(get(), changes))
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    return validate


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


def _waits_for_manager(node: Node) -> bool:
    """Whether the node's start is left to a manager, which may change all settings before it configures."""
    given = getattr(node, "_parameter_overrides", {}).get("lifecycle.autostart")
    return given is not None and given.value is False


def _descriptor(setting: Setting, *, fixed: bool) -> ParameterDescriptor:
    """``fixed``: whether it never changes if it is read only once."""
    descriptor = ParameterDescriptor(
        description=f"{setting.help} [{setting.allowed}]",
        additional_constraints=setting.allowed,
        read_only=fixed and not setting.live,
        # An integer for a float setting (`ros2 param set ... focus_m 5`) is accepted.
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


def _known(node: Node) -> dict[str, Setting]:
    """Settings, with those of the sources that the overrides name.

    Raises ConfigError for undeclared parameters, which ROS ignores: they may be misspelt settings.
    """
    given = {name: parameter.value for name, parameter in getattr(node, "_parameter_overrides", {}).items()}
    named = {"anchors.sources": given.get("anchors.sources") or []}
    try:
        settings = settings_with(SETTINGS["anchors.sources"].checked(named["anchors.sources"]))
        for name, value in given.items():
            if name not in settings and not name.startswith(_ROS_PARAMETERS):
                from_flat({**named, name: value})
    except ConfigError as error:
        raise ConfigError(f"{_where()}{error}") from error
    return settings


def _where() -> str:
    """Parameter files on the command line: rclpy does not state the source of a value."""
    files = [after for before, after in zip(sys.argv, sys.argv[1:]) if before == "--params-file"]  # noqa: B905
    return f"parameters (files: {', '.join(files)}): " if files else "parameters: "
