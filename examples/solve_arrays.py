"""Relative depth and forty known pixels, as arrays: metric depth.

python examples/solve_arrays.py
"""

import numpy as np
from made_up import make_room

from metric_depth_ros import solve

room = make_room()
rng = np.random.default_rng(1)
u, v = rng.integers(0, room.depth.shape[1], 40), rng.integers(0, room.depth.shape[0], 40)
uv, depth = np.column_stack([u, v]), room.depth[v, u]  # pixels and metres

line = solve(room.relative, uv, depth, solver="global_affine")  # one scale and one shift
result = solve(room.relative, uv, depth, image=room.image, max_depth_m=20)  # the default solver

for name, metric in (("global_affine", line), ("default", result)):
    error = np.nanmean(np.abs(metric.depth - room.depth) / room.depth)
    print(f"{name}: AbsRel {error:.3f}, depth {metric.depth.shape}, info {dict(metric.info)}")
