"""Where the files installed beside the code lie: launch, config, rviz."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def share_path(relative: str) -> Path:
    """The path of "config/metric_depth.yaml" and the like, in a checkout or an installation.

    Raises:
        FileNotFoundError: the package is not installed completely.
    """
    prefixes = [*filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)), sys.prefix]
    roots = [Path(__file__).resolve().parents[1]]
    roots += [Path(prefix) / "share" / "metric_depth_ros" for prefix in prefixes]
    for root in roots:
        if (root / relative).exists():
            return root / relative
    raise FileNotFoundError(f"{relative} is in none of {', '.join(map(str, roots))}")
