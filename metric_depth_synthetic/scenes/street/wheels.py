"""Wheels of cars, lorries and buses."""

from __future__ import annotations

from metric_depth_synthetic.mesh import lathe
from metric_depth_synthetic.scenes.prefab import Builder, posed


def wheel(
    made: Builder, x: float, y: float, radius: float, width: float, side: int, *, far: bool = False
) -> None:
    """A tyre and its rim, the axis along y, the rim to ``side``."""
    T = posed((x, y, radius), roll_deg=-90 * side)
    half = width / 2
    tread = [
        (radius * 0.95, -half),
        (radius, -half * 0.7),
        (radius, half * 0.7),
        (radius * 0.68, half * 0.95),
    ]
    made.add("dark", lathe(tread[2:] if far else tread, segments=9 if far else 14), T)
    rim = [(radius * 0.68, half * 0.95), (radius * 0.5, half * 0.6), (0.03, half * 0.85)]
    made.add("bright", lathe(rim[::2] if far else rim, segments=9, smooth=False), T)
