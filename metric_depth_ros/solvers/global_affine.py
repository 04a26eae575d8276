"""One scale and one shift for the whole image."""

from __future__ import annotations

import numpy as np

from metric_depth_ros.config import SolverConfig
from metric_depth_ros.solvers.domain import choose_domain, depth_from, limited, relative_in
from metric_depth_ros.solvers.fit import fit_line, observe
from metric_depth_ros.types import Anchors, Camera, ImageArray, IntArray, MetricDepth, RelativeDepth


class GlobalAffine:
    """Weighted least squares y = scale * x + shift over all anchors.

    The line always rises: where the anchors show none that does, only the scale is fitted.
    ``info`` holds domain, fit ("affine", "scale" or "constant"), scale, shift and anchors used.
    """

    uses: frozenset[str] = frozenset()

    def __init__(self, config: SolverConfig) -> None:
        self._config = config

    def solve(
        self,
        relative: RelativeDepth,
        anchors: Anchors,
        *,
        image: ImageArray | None = None,
        camera: Camera | None = None,
        regions: IntArray | None = None,
        text: str | None = None,
        focus_m: float | None = None,
        stamp_ns: int | None = None,
    ) -> MetricDepth:
        """Depth (H, W) in metres; NaN where ``relative`` is, and outside the configured range.

        Raises:
            AnchorError: no anchor lies where the network says something.
        """
        options = self._config.global_affine
        domain = choose_domain(options.domain, relative.kind, for_depth="log")
        x = relative_in(domain, relative)
        seen = observe(x, anchors, domain, options.weighting, "global_affine")
        line = fit_line(seen, domain)
        y = x * np.float32(line.scale) + np.float32(line.shift)
        depth = limited(depth_from(domain, y), self._config.min_depth_m, self._config.max_depth_m)
        info = {
            "domain": domain,
            "fit": line.how,
            "scale": line.scale,
            "shift": line.shift,
            "anchors": len(seen.depth),
        }
        return MetricDepth(depth, info=info)
