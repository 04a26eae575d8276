"""Small bags for `metric_depth run`, and what it leaves of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from metric_depth_ros.bags import BagWriter
from metric_depth_ros.types import Camera

WIDTH, HEIGHT = 64, 48
CAMERA = Camera(WIDTH, HEIGHT, np.array([[50.0, 0, 31.5], [0, 50.0, 23.5], [0, 0, 1]]))
COMMON = ("--solver", "global_affine", "--set", "anchors.max_depth_m=20", "--previews", "1")


def write_bag(path: Path, *, images: int = 3, far: float = 8.0, points: int = 60) -> Path:
    """A floor that runs away, grey as it is deep, with some of its points and others held out."""
    depth = (np.linspace(far, 2, HEIGHT)[:, None] * np.ones(WIDTH)).astype(np.float32)
    grey = np.repeat(np.rint(depth * 30).astype(np.uint8)[..., None], 3, axis=2)
    rng = np.random.default_rng(0)
    with BagWriter(path) as bag:
        for index in range(images):
            stamp = 10**9 + index * 10**8
            bag.write_image("/image", grey, stamp, "camera")
            bag.write_camera_info("/camera_info", CAMERA, stamp, "camera")
            for topic in ("/anchors", "/anchors_held_out"):
                v, u = rng.integers(0, HEIGHT, points), rng.integers(0, WIDTH, points)
                z = depth[v, u]
                cloud = np.stack([(u - 31.5) / 50 * z, (v - 23.5) / 50 * z, z], axis=1).astype(np.float32)
                bag.write_points(topic, cloud, stamp, "camera")
    return path


def results(out: Path) -> dict[str, bytes]:
    """All that a run has written, but for what tells times."""
    apart = ("result.json", "summary.jsonl", "summary.md")
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and path.name not in apart
    }
