"""Corners of a picture that have known depth: the points that visual-inertial odometry would track."""

from __future__ import annotations

import cv2
import numpy as np

from metric_depth_ros.geometry import nearest_known
from metric_depth_ros.types import BoolArray, ImageArray, IntArray

# Weakest corner, as a fraction of the strongest one.
_LEAST_QUALITY = 1e-3
# Farthest known pixel, in pixels, whose depth is taken for a corner's: LiDAR points are seldom on one.
_REACH_PX = 3


def corner_places(image: ImageArray, known: BoolArray, count: int) -> IntArray:
    """Flat indices of at most ``count`` known pixels at corners, spread over the picture, strongest first.

    Corners are those of Shi and Tomasi (1994), as trackers select them: strongest first, none nearer to
    another than a distance, which shrinks from that of an even spread until there are enough. Fewer result
    where the picture has no more.

    Args:
        image: (H, W, 3) uint8 RGB.
        known: (H, W), the pixels with depth.
        count: number of corners.
    """
    if not known.any():
        return np.zeros(0, np.intp)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    side = 2 * _REACH_PX + 1
    reached = cv2.dilate(known.astype(np.uint8), np.ones((side, side), np.uint8))
    nearest = nearest_known(known)
    places: IntArray = np.zeros(0, np.intp)
    distance = float(np.sqrt(known.size / count))
    while len(places) < count and distance >= 1:
        corners = cv2.goodFeaturesToTrack(grey, 0, _LEAST_QUALITY, distance, mask=reached)
        if corners is None:
            break
        u, v = np.rint(corners.reshape(-1, 2)).astype(np.intp).T
        found = nearest[v * known.shape[1] + u]
        places = found[np.sort(np.unique(found, return_index=True)[1])]
        distance /= np.sqrt(2)
    return places[:count]
