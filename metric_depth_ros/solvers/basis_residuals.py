"""What basis maps leave at the anchors, spread to places alike."""

from __future__ import annotations

import cv2
import numpy as np

from metric_depth_ros.solvers.basis_maps import Maps
from metric_depth_ros.solvers.gaussian_process import FEATURES, Covariance, GaussianProcess
from metric_depth_ros.types import Anchors, FloatArray, ImageArray

# More anchors are thinned out evenly: the solve grows with their third power.
_MOST = 600
# Of the local field alone: the maps are there for what varies slowly.
_COVARIANCE = Covariance(constant=1e-3, slope=1e-3, smooth=1e-3, local=0.1, local_length=0.08)


def spread_residuals(
    maps: Maps,
    depth: FloatArray,
    image: ImageArray | None,
    anchors: Anchors,
    residual: FloatArray,
    variance: FloatArray,
) -> FloatArray:
    """(h, w) float32 to be added to the field: a Gaussian process on the residuals (N,) of log depth.

    Args:
        depth: (H, W) positive relative depth.
        anchors: N of them, in order of place.
        variance: (N,) of the residuals by the maps' own misfit and the anchors' sigma; what is far off
            counts less, as in ``auto``.
    """
    height, width = maps.spread.shape
    side = float(np.sqrt(depth.shape[0] * depth.shape[1]))
    places = np.zeros((height, width, FEATURES), np.float32)
    step_u, step_v = depth.shape[1] / width, depth.shape[0] / height
    places[..., 0] = ((np.arange(width) + 0.5) * step_u - 0.5) / side
    places[..., 1] = (((np.arange(height) + 0.5) * step_v - 0.5) / side)[:, None]
    with np.errstate(divide="ignore"):
        x = np.log(cv2.resize(depth, (width, height), interpolation=cv2.INTER_NEAREST))
    places[..., 2] = np.nan_to_num(x)
    if image is not None:
        small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        places[..., 3:] = cv2.cvtColor(small, cv2.COLOR_RGB2LAB) / np.float32(100)
    kept = np.arange(len(anchors))
    if len(kept) > _MOST:
        kept = np.linspace(0, len(kept) - 1, _MOST).astype(np.intp)
    uv = anchors.uv[kept]
    column, row = np.clip(((uv + 0.5) / [step_u, step_v]).astype(np.intp), 0, [width - 1, height - 1]).T
    features = places[row, column].copy()
    features[:, :2] = uv / side
    noise = (anchors.sigma[kept] / anchors.depth[kept].astype(np.float64)) ** 2 + 1e-4
    clipped = np.clip(residual[kept], *(np.array([-3, 3])[:, None] * np.sqrt(variance[kept])))
    process = GaussianProcess(_COVARIANCE, features, clipped, noise, doubting=True)
    return process.local_mean(places.reshape(-1, FEATURES)).reshape(height, width)
