"""Two networks that look at every image: their depths are averaged, so that each makes up for the other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from metric_depth_ros.scale import middle_of, unit_depth
from metric_depth_ros.types import BASIS, Camera, Engine, FloatArray, ImageArray, RelativeDepth


class AveragedEngine:
    """Geometric mean of two engines' depths (ours), for any solver. Not thread safe.

    Attributes:
        label, why: of both.
        on_cpu: whether one of them runs on the CPU.
    """

    def __init__(self, first: Engine, second: Engine) -> None:
        self._first, self._second = first, second
        self.label, self.why = f"{first.label}; {second.label}", f"{first.why}; {second.why}"
        self.on_cpu = first.on_cpu or second.on_cpu

    def predict(
        self, image: ImageArray, *, focus_m: float | None = None, camera: Camera | None = None
    ) -> RelativeDepth:
        """Depth (H, W) of an image, as ``averaged`` has it. Raises what the two engines raise."""
        return averaged(
            self._first.predict(image, focus_m=focus_m, camera=camera),
            self._second.predict(image, focus_m=focus_m, camera=camera),
        )


def averaged(first: RelativeDepth, second: RelativeDepth) -> RelativeDepth:
    """Geometric mean (H, W) float32 of two networks' depths; where only one has a value, that one.

    Each is divided by its median over the pixels that both know. The mean is in metres if one of them is,
    with its median then (of two, their geometric mean). Features are the first one's, if it has learned
    maps or the second has none; else the second's.
    """
    networks, name = (first, second), f"{first.network}+{second.network}"
    depths = [unit_depth(each) for each in networks]
    for other, depth in zip(networks[::-1], depths, strict=True):
        if not (depth > 0).any():
            return replace(other, network=name)
    common = np.where(np.isnan(depths[0] + depths[1]), np.float32(np.nan), np.float32(1))
    middles = [middle_of(common * depth) for depth in depths]
    logarithms = [np.log(depth / np.float32(middle)) for depth, middle in zip(depths, middles, strict=True)]
    known = [middle for middle, each in zip(middles, networks, strict=True) if each.metric]
    level = np.float32(np.exp(np.mean(np.log(known)))) if known else np.float32(1)
    features = second.features if BASIS in second.features and BASIS not in first.features else first.features
    return RelativeDepth(level * np.exp(_mean(*logarithms)), "depth", bool(known), features, name)


def _mean(a: FloatArray, b: FloatArray) -> FloatArray:
    mean = (a + b) / 2
    missing = np.isnan(mean)
    mean[missing] = np.where(np.isnan(a), b, a)[missing]
    return np.asarray(mean)
