# %% [markdown]
# # Depth of a bag, in plots
#
# A notebook in percent format: VS Code and Jupyter (with jupytext) open it cell by cell; as a program,
# `python examples/plots.py FOLDER` keeps its figures in FOLDER. Needs `pip install '.[plots]'`; the bag comes
# with the package.

# %%
import sys
from pathlib import Path

import matplotlib
import numpy as np

if "ipykernel" not in sys.modules:
    matplotlib.use("Agg")  # as a program it opens no windows
from matplotlib import pyplot

from metric_depth_ros import plot_error, plot_sigma, solve
from metric_depth_ros.bags import BagReader
from metric_depth_ros.config import Config
from metric_depth_ros.evaluation.metrics import abs_rel
from metric_depth_ros.pipeline import build_pipeline
from metric_depth_ros.share import share_path

# %% [markdown]
# Six images of a rendered street, each with LiDAR points and its true depth, which no solver gets.

# %%
TRUTH = "/camera/depth_gt/image_rect/compressedDepth"
with BagReader(share_path("data/street.mcap"), anchors_held_out=TRUTH) as reader:
    samples = [sample for _, sample in reader.samples(Config())]

# %% [markdown]
# The pipeline does all that the node does; its result plots itself.

# %%
result = build_pipeline(Config()).process(samples[3])
truth = samples[3].true_depth
truth = np.where(truth <= Config().anchors.max_depth_m, truth, np.nan)  # as `metric_depth try`
whole = result.plot(truth)
print(f"pipeline: AbsRel {abs_rel(result.metric.depth, truth):.3f} with {len(result.anchors)} anchors")

# %% [markdown]
# Any solver on arrays, here with every twentieth anchor alone: fewer anchors, larger sigma.

# %%
few = result.anchors.take(range(0, len(result.anchors), 20))
solution = solve(
    result.relative.values, few.uv, few.depth, kind=result.relative.kind, image=result.image, sigma=few.sigma
)
sparse = solution.plot(truth)
print(f"few anchors: AbsRel {abs_rel(solution.depth, truth):.3f} with {len(few)} anchors")

# %% [markdown]
# Single plots go into axes of your own: where depth is wrong, and where the solver says that it may be.

# %%
both, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
plot_error(solution.depth, truth, axes=left)
plot_sigma(solution.depth, solution.sigma, axes=right)

# %%
if "ipykernel" not in sys.modules and len(sys.argv) > 1:
    for name, figure in {"pipeline": whole, "few_anchors": sparse, "error_and_sigma": both}.items():
        figure.savefig(Path(sys.argv[1]) / f"{name}.png", dpi=80)
