"""Depth limits of evaluation, indoors and outdoors, and classification of frames."""

from __future__ import annotations

from typing import Literal

from metric_depth_ros.depth import INDOORS_M, is_far
from metric_depth_ros.types import FloatArray

Place = Literal["indoor", "outdoor"]
# Depth beyond this, metres, is neither anchor nor truth. The indoor limit also separates the two places.
CAP_M: dict[Place, float] = {"indoor": INDOORS_M, "outdoor": 80.0}


def place_of(depth: FloatArray) -> Place:
    """Indoors or outdoors, from all known depth (N,) of a frame in metres: outdoors if a fifth is over 10 m.

    A frame without known depth counts as indoors.
    """
    return "outdoor" if is_far(depth) else "indoor"
