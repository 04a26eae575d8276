"""Depth limits of evaluation, indoors and outdoors, and classification of frames."""

from __future__ import annotations

from typing import Literal

import numpy as np

from metric_depth_ros.types import FloatArray

Place = Literal["indoor", "outdoor"]
# Depth beyond this, metres, is neither anchor nor truth. The indoor limit also separates the two places.
CAP_M: dict[Place, float] = {"indoor": 10.0, "outdoor": 80.0}
# A frame is outdoors if at least this fraction of its known depth is beyond the indoor limit.
_FAR_OUTDOORS = 0.2


def place_of(depth: FloatArray) -> Place:
    """Indoors or outdoors, from all known depth (N,) of a frame in metres: outdoors if a fifth is over 10 m.

    A frame without known depth counts as indoors.
    """
    beyond = np.count_nonzero(depth > CAP_M["indoor"])
    return "outdoor" if beyond > _FAR_OUTDOORS * len(depth) else "indoor"
