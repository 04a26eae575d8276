"""Paths of the files installed with the package: launch, config, rviz, executables."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from metric_depth_ros.errors import MetricDepthError, ModelError

# Versions of rclpy.
_IRON, _KILTED = 4, 9
# Folders of model files, separated by colons; unset: any.
FOLDERS_VARIABLE = "METRIC_DEPTH_FOLDERS"
_MODELS = "config/models"
_SHARE = "share/metric_depth_ros"
_ROS = (
    "rclpy",
    "lifecycle_msgs",
    "sensor_msgs",
    "geometry_msgs",
    "diagnostic_msgs",
    "std_msgs",
    "std_srvs",
    "rosgraph_msgs",
)


def use_fastdds_profile() -> None:
    """Sets a Fast DDS profile that can carry images and clouds, unless the user has set one.

    Call it before ROS starts. config/fastdds.xml gives the reason.
    """
    for name, path in fastdds_profile(os.environ).items():
        os.environ[name] = path


def fastdds_profile(environment: Mapping[str, str]) -> dict[str, str]:
    """Variable that names our Fast DDS profile, with its path; empty if the environment sets it."""
    name = profile_variable()
    return {} if environment.get(name) else {name: str(share_path("config/fastdds.xml"))}


def profile_variable() -> str:
    """Variable that names a profile of the Fast DDS that is installed.

    Fast DDS 3, since ROS 2 Kilted, reads another one than Fast DDS 2, and warns of both.
    """
    return "FASTDDS_DEFAULT_PROFILES_FILE" if _rclpy() >= _KILTED else "FASTRTPS_DEFAULT_PROFILES_FILE"


def on_this_machine() -> dict[str, str]:
    """Variable that keeps a ROS graph on this machine, with its value; Humble reads another one than Iron."""
    if _rclpy() >= _IRON:
        return {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    return {"ROS_LOCALHOST_ONLY": "1"}


def _rclpy() -> int:
    """Major version of rclpy; if it is not known, that of Kilted."""
    try:
        return int(version("rclpy").split(".")[0])
    except (PackageNotFoundError, ValueError):
        return _KILTED


def need_ros() -> None:
    """Raises MetricDepthError if a package of ROS that the nodes need is not installed."""
    missing = [name for name in _ROS if find_spec(name) is None]
    if missing:
        raise no_ros(f"no module named {', '.join(missing)}")


def no_ros(reason: object) -> MetricDepthError:
    """Error that says how ROS is installed."""
    return MetricDepthError(
        f"ROS 2: not found ({reason}). Source a ROS distribution, or pip install 'metric_depth_ros[ros]'."
    )


def share_path(relative: str) -> Path:
    """Path of an installed file such as "config/metric_depth.yaml", in a checkout or an installation.

    Raises:
        FileNotFoundError: the file is missing, the installation is incomplete.
    """
    place = Path(__file__).resolve().parents
    # A checkout; else the prefix above the package: of a user, of a system or of pip's --target.
    roots = [place[1], *(folder / _SHARE for folder in place[1:5])]
    roots += [prefix / _SHARE for prefix in _prefixes()]
    for root in roots:
        if (root / relative).exists():
            return root / relative
    raise FileNotFoundError(f"{relative} is in none of {', '.join(map(str, roots))}")


def folders_are_named() -> bool:
    """Whether $METRIC_DEPTH_FOLDERS confines model files."""
    return FOLDERS_VARIABLE in os.environ


def refuse_outside(path: Path) -> None:
    """Raises ModelError for a file outside $METRIC_DEPTH_FOLDERS, if that is set, and the package's models.

    A link in one of the folders counts as what it leads to; those that an installation has made are trusted.
    """
    folders = os.environ.get(FOLDERS_VARIABLE)
    if folders is None or Path(os.path.abspath(path)).parent == Path(os.path.abspath(share_path(_MODELS))):
        return
    place, allowed = Path(os.path.realpath(path)), filter(None, folders.split(os.pathsep))
    if not any(place.is_relative_to(os.path.realpath(each)) for each in allowed):
        raise ModelError(
            f"{path}: outside the folders of {FOLDERS_VARIABLE} ({folders or 'none'}); needed a file in one "
            "of them. Move it there, or add its folder."
        )


def ros_package_file(name: str) -> Path | None:
    """Description (package.xml) of a ROS package that is installed; None for others."""
    paths = (prefix / "share" / name / "package.xml" for prefix in _prefixes())
    return next(filter(Path.is_file, paths), None)


def start_command(executable: str, module: str) -> list[str]:
    """Command that starts an executable of this package: colcon's script, else ``python -m module``.

    The script runs the Python it was built for; pip installs no script where ROS looks for it.
    """
    for prefix in _prefixes():
        script = prefix / "lib" / "metric_depth_ros" / executable
        if script.is_file():
            return [str(script)]
    return [sys.executable, "-m", module]


def _prefixes() -> list[Path]:
    """Install prefixes: the sourced ROS workspaces, then this Python's own."""
    workspaces = filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep))
    return [Path(prefix) for prefix in (*workspaces, sys.prefix)]
