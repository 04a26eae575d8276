"""Results of `metric_depth run`, shown in a viewer."""

from __future__ import annotations

from metric_depth_ros.depth_info import depth_info
from metric_depth_ros.drawing.viewer import Viewer
from metric_depth_ros.pipeline import Result


class Shown:
    """Shows results in a viewer."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer

    def write(self, _index: int, result: Result) -> None:
        """Shows image, depth, sigma, cloud and anchors, and adds scale and times to the curves."""
        viewer, metric, sample = self._viewer, result.metric, result.sample
        viewer.at(result.stamp_ns)
        if sample.T_fixed_camera is not None:
            viewer.place(sample.T_fixed_camera)
        viewer.image(result.image, result.camera)
        viewer.depth(metric.depth)
        if metric.sigma is not None:
            viewer.sigma(metric.depth, metric.sigma)
        viewer.cloud(metric.depth, result.image, result.camera)
        for source in sample.sources:
            viewer.source(source.name, source.points, result.camera)
        viewer.told(depth_info(result))
        viewer.values("stages", {stage: 1e3 * seconds for stage, seconds in result.timings.items()})
