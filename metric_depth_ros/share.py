"""Where the files installed beside the code lie: launch, config, rviz."""

from __future__ import annotations

import sys
from pathlib import Path

PACKAGE = "metric_depth_ros"


def share_path(relative: str) -> Path:
    """The path of "config/metric_depth.yaml" and the like, in a checkout or an installation.

    Raises:
        FileNotFoundError: the package is not installed completely.
    """
    roots = [Path(__file__).resolve().parents[1], Path(sys.prefix) / "share" / PACKAGE]
    try:
        from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
    except ImportError:
        pass
    else:
        try:
            roots.append(Path(get_package_share_directory(PACKAGE)))
        except PackageNotFoundError:
            pass
    for root in roots:
        if (root / relative).exists():
            return root / relative
    raise FileNotFoundError(f"{relative} is in none of {', '.join(map(str, roots))}")
