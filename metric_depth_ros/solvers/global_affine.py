"""One scale and one shift for the whole image."""

from __future__ import annotations

from typing import Any

from metric_depth_ros.solvers.fitting.closed_form import ClosedForm, Problem
from metric_depth_ros.types import FloatArray


class GlobalAffine(ClosedForm):
    """Weighted least squares y = scale * x + shift over all anchors.

    The line always rises: if the anchors give no rising line, only the scale is fitted. ``info`` adds
    fit ("affine" or "scale"), scale and shift.
    """

    def _fitted(self, problem: Problem) -> tuple[FloatArray, dict[str, Any]]:
        line = problem.line
        return line.at(problem.x), {"fit": line.how, "scale": line.scale, "shift": line.shift}
