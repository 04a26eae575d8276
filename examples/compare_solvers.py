"""Every solver on the same rooms, as a Markdown table: AbsRel by number of anchors.

python examples/compare_solvers.py
"""

import numpy as np
from made_up import make_room

from metric_depth_ros import solve
from metric_depth_ros.errors import AnchorError
from metric_depth_ros.evaluation.metrics import abs_rel
from metric_depth_ros.solvers import SOLVERS as ALL

# It takes a generator's maps of a picture, which made-up rooms do not have.
SOLVERS = [name for name in ALL if name != "paper_basis"]
COUNTS, ROOMS = (5, 50, 500), 4

print(f"| AbsRel, mean of {ROOMS} rooms | {' | '.join(map(str, COUNTS))} |")
print(f"|---{'|---:' * len(COUNTS)}|")
for solver in SOLVERS:
    means = []
    for count in COUNTS:
        errors = []
        for seed in range(ROOMS):
            room = make_room(seed)
            v, u = np.random.default_rng(seed).integers(0, room.depth.shape, (count, 2)).T
            uv, depth = np.column_stack([u, v]), room.depth[v, u]
            try:
                found = solve(room.relative, uv, depth, image=room.image, solver=solver)
                errors.append(abs_rel(found.depth, room.depth))
            except AnchorError:  # too few for this solver
                errors.append(np.nan)
        means.append(np.mean(errors))
    print(f"| {solver} | {' | '.join(f'{mean:.3f}' for mean in means)} |")
