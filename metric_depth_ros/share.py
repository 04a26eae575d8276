"""Where the files installed beside the code lie: launch, config, rviz, executables."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def use_fastdds_profile() -> None:
    """Makes Fast DDS carry images and clouds, unless the user has a profile of their own.

    Before ROS starts. See config/fastdds.xml for why.
    """
    os.environ.setdefault("FASTDDS_DEFAULT_PROFILES_FILE", str(share_path("config/fastdds.xml")))


def share_path(relative: str) -> Path:
    """The path of "config/metric_depth.yaml" and the like, in a checkout or an installation.

    Raises:
        FileNotFoundError: the package is not installed completely.
    """
    roots = [Path(__file__).resolve().parents[1]]
    roots += [prefix / "share" / "metric_depth_ros" for prefix in _prefixes()]
    for root in roots:
        if (root / relative).exists():
            return root / relative
    raise FileNotFoundError(f"{relative} is in none of {', '.join(map(str, roots))}")


def start_command(executable: str, module: str) -> list[str]:
    """The words that start an executable of this package: colcon's script, else ``python -m module``.

    The script knows which Python it was built for; pip puts none where ROS looks for it.
    """
    for prefix in _prefixes():
        script = prefix / "lib" / "metric_depth_ros" / executable
        if script.is_file():
            return [str(script)]
    return [sys.executable, "-m", module]


def _prefixes() -> list[Path]:
    """Where packages are installed: the ROS workspaces in use, then this Python's own prefix."""
    workspaces = filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep))
    return [Path(prefix) for prefix in (*workspaces, sys.prefix)]
