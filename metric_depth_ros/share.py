"""Paths of the files installed with the package: launch, config, rviz, executables."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from metric_depth_ros.errors import MetricDepthError

_ROS = ("rclpy", "sensor_msgs", "geometry_msgs", "diagnostic_msgs", "std_msgs", "rosgraph_msgs")


def use_fastdds_profile() -> None:
    """Sets a Fast DDS profile that can carry images and clouds, unless the user has set one.

    Call it before ROS starts. config/fastdds.xml gives the reason.
    """
    os.environ.setdefault("FASTDDS_DEFAULT_PROFILES_FILE", str(share_path("config/fastdds.xml")))


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
    roots = [Path(__file__).resolve().parents[1]]
    roots += [prefix / "share" / "metric_depth_ros" for prefix in _prefixes()]
    for root in roots:
        if (root / relative).exists():
            return root / relative
    raise FileNotFoundError(f"{relative} is in none of {', '.join(map(str, roots))}")


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
