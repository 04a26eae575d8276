"""A room by formula, for the examples: picture, camera, true depth, and what a depth network might say."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from metric_depth_ros.types import Camera, FloatArray, ImageArray

WIDTH, HEIGHT, FOCAL = 320, 240, 260.0


class Room(NamedTuple):
    """``depth`` (H, W) in metres; ``relative`` (H, W) inverse depth of unknown scale and shift."""

    image: ImageArray
    camera: Camera
    depth: FloatArray
    relative: FloatArray


def make_room(seed: int = 0) -> Room:
    """A floor 1.4 m below the camera, a wall 6 m away, and boxes on the floor."""
    rng = np.random.default_rng(seed)
    centre_u, centre_v = (WIDTH - 1) / 2, (HEIGHT - 1) / 2
    v = np.arange(HEIGHT)[:, None] * np.ones(WIDTH)
    depth = np.minimum(1.4 * FOCAL / np.maximum(v - centre_v, 1e-3), 6.0)
    image = np.where((depth < 6)[..., None], (150, 120, 90), (200, 205, 210)).astype(np.uint8)
    for near in sorted(rng.uniform(2.0, 5.0, 6), reverse=True):
        foot = round(centre_v + 1.4 * FOCAL / near)
        left, (width, height) = rng.integers(0, WIDTH), rng.uniform(0.5, 1.2, 2) * FOCAL / near
        box = np.s_[max(0, foot - round(height)) : foot, left : left + round(width)]
        depth[box], image[box] = near, rng.integers(30, 225, 3)
    # A network blurs edges, is wrong by a slow change over the picture, and knows no metre.
    blurred = cv2.GaussianBlur(1 / depth, (0, 0), 2)
    slow = cv2.resize(rng.normal(1, 0.12, (3, 4)), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    K = np.array([[FOCAL, 0, centre_u], [0, FOCAL, centre_v], [0, 0, 1]])
    return Room(image, Camera(WIDTH, HEIGHT, K), depth.astype(np.float32), 40 * blurred * slow + 3)
