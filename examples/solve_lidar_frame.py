"""A camera's image and a LiDAR's points: project them, run the depth network, solve.

    python examples/solve_lidar_frame.py [PICTURE.png]

The frame is rendered where the ray tracer is installed (pip install embreex), and made up elsewhere.
"""

import sys

import cv2
import numpy as np
from made_up import make_room

from metric_depth_ros import solve
from metric_depth_ros.anchors import build_anchors
from metric_depth_ros.config import AnchorsConfig, EngineConfig
from metric_depth_ros.drawing.pictures import depth_range, draw_sheet
from metric_depth_ros.engines import build_engine
from metric_depth_ros.geometry import transform_points, unproject
from metric_depth_synthetic.dataset import SyntheticDataset


def rendered_frame():
    """Image, camera, LiDAR points in the camera's frame, true depth; all of a simulated corridor."""
    dataset = SyntheticDataset(("corridor",), seed=4, textures=66)
    view = dataset[0]
    scan = dataset.scans(0, view)["lidar"]
    return view.image, view.camera, transform_points(scan.T_camera_sensor, scan.points), view.depth


def made_up_frame():
    """The same of a room by formula; the points are 600 of its pixels."""
    room = make_room()
    v, u = np.random.default_rng(0).integers(0, room.depth.shape, (600, 2)).T
    points = unproject(np.column_stack([u, v]), room.depth[v, u], room.camera)
    return room.image, room.camera, points, room.depth


try:
    import embreex  # noqa: F401

    image, camera, points_camera, truth = rendered_frame()
except ImportError:
    print("embreex, the ray tracer, is not installed: a made-up frame.")
    image, camera, points_camera, truth = made_up_frame()

anchors = build_anchors(points_camera, camera, AnchorsConfig())
relative = build_engine(EngineConfig()).predict(image)
result = solve(
    relative.values, anchors.uv, anchors.depth,
    kind=relative.kind, image=image, sigma=anchors.sigma,
)  # fmt: skip

known = np.isfinite(truth) & np.isfinite(result.depth)
error = np.mean(np.abs(result.depth - truth)[known] / truth[known])
print(f"{len(anchors)} anchors of {len(points_camera)} points: AbsRel {error:.3f}")
if len(sys.argv) > 1:
    sheet = draw_sheet(image, anchors, result.depth, camera, range_m=depth_range(result.depth))
    cv2.imwrite(sys.argv[1], cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
