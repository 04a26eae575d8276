"""Indoors or outdoors: up to which depth a frame is measured."""

from __future__ import annotations

from typing import Literal

import numpy as np

from metric_depth_ros.types import FloatArray

Place = Literal["indoor", "outdoor"]
# Depth beyond this is neither anchor nor truth, metres. The one of indoors divides the two as well.
CAP_M: dict[Place, float] = {"indoor": 10.0, "outdoor": 80.0}
# This part of what is known lies beyond the cap of indoors: outdoors.
_FAR_OUTDOORS = 0.2


def place_of(depth: FloatArray) -> Place:
    """Where a frame was taken, by all its known depth (N,), metres: outdoors if a fifth is beyond 10 m.

    A frame without any known depth counts as indoors.
    """
    beyond = np.count_nonzero(depth > CAP_M["indoor"])
    return "outdoor" if beyond > _FAR_OUTDOORS * len(depth) else "indoor"
