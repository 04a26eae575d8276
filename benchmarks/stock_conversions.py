"""metric_depth_node with the conversions of the usual packages in place of its own, for bench_node.py.

Images go out as cv_bridge's ``cv2_to_imgmsg`` sends them (``tobytes``, then the setter of ``data``). Clouds
come in as by sensor_msgs_py's ``read_points_numpy`` (a structured array, a mask for each field,
``structured_to_unstructured``) and go out as by its ``create_cloud`` (one array of floats, ``tobytes``, the
setter), their points computed in NumPy.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.lib.recfunctions import structured_to_unstructured

from metric_depth_ros.config import CloudConfig
from metric_depth_ros.messages import sensors
from metric_depth_ros.nodes import outputs
from metric_depth_ros.nodes.__main__ import main
from metric_depth_ros.pipeline import Result


def by_setters(msg: Any, fields: dict[str, Any], stamp_ns: int, frame_id: str) -> Any:
    """Fills a message by its setters."""
    msg.header.stamp.sec, msg.header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
    msg.header.frame_id = frame_id
    for name, value in fields.items():
        setattr(msg, name, value.tobytes() if name == "data" else value)
    return msg


def cloud_of(result: Result, settings: CloudConfig) -> dict[str, Any]:
    """Fields of a cloud without rows: x, y, z, rgb."""
    step, K = settings.stride, result.camera.K
    z, rgb = result.metric.depth[::step, ::step], result.image[::step, ::step].astype(np.uint32)
    v, u = np.mgrid[0 : result.camera.height : step, 0 : result.camera.width : step]
    z = np.where((z >= settings.min_depth_m) & (z <= settings.max_depth_m), z, np.nan)
    colour = (rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2]).view(np.float32)
    planes = [(u - K[0, 2]) * z / K[0, 0], (v - K[1, 2]) * z / K[1, 1], z, colour]
    points = np.stack([plane.astype(np.float32) for plane in planes], axis=-1).reshape(-1, 4)
    return {
        "height": 1,
        "width": len(points),
        "fields": [(name, 4 * at, 7, 1) for at, name in enumerate(("x", "y", "z", "rgb"))],
        "is_bigendian": False,
        "is_dense": False,
        "point_step": 16,
        "row_step": 16 * len(points),
        "data": points,
    }


def read_cloud(message: Any, *, timed: bool) -> tuple[Any, None]:
    """Points (N, 3) that are finite."""
    names = [field.name for field in message.fields]
    kinds = {7: "<f4", 8: "<f8"}
    layout = {
        "names": names,
        "formats": [kinds[field.datatype] for field in message.fields],
        "offsets": [field.offset for field in message.fields],
        "itemsize": message.point_step,
    }
    points = np.ndarray((message.width * message.height,), np.dtype(layout), message.data)[["x", "y", "z"]]
    known = np.ones(len(points), bool)
    for name in points.dtype.names or ():
        known = np.logical_and(known, ~np.isnan(points[name]))
    return structured_to_unstructured(points[known]), None


if __name__ == "__main__":
    outputs._filled, outputs.cloud_of = by_setters, cloud_of
    sensors._READERS["point_cloud2"] = read_cloud
    sys.exit(main())
