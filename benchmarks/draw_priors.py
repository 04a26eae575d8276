"""Figures 1 and 3 of paper 002 with a scale network of ours, as pictures.

    python benchmarks/draw_priors.py DATA... --out FOLDER [--prior scale_cnn] [--most 4]

One picture for each of up to --most frames of DATA: image, true depth, depth by the network's factor; the
distributions of true depth, of the map with one factor for all pictures, with the network's factor and with
its own best one (figure 1); and these seen from above (figure 3). Figure 2, the curves of a training, is
curves.png in its folder. Needs matplotlib (the extra `plots`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from bench_priors import factors_of

from metric_depth_ros.config import EngineConfig
from metric_depth_ros.evaluation.frames import KnownView, build_source, find_sets, read_views
from metric_depth_ros.geometry import unproject
from metric_depth_ros.priors import ScalePrior, build_prior
from metric_depth_ros.scale import unit_depth
from metric_depth_ros.types import FloatArray

COLOURS = {"truth": "black", "one factor": "tab:red", "adaptive": "tab:blue", "oracle": "tab:green"}


def draw(view: KnownView, factors: dict[str, float], path: Path) -> None:
    """Writes the picture of one view."""
    from matplotlib.figure import Figure

    assert view.camera is not None
    u, v = np.rint(view.known.pixels.uv).astype(np.intp).T
    truth, map_ = view.known.pixels.depth, unit_depth(view.relative)
    depths: dict[str, FloatArray] = {"truth": truth}
    depths |= {name: factor * map_[v, u] for name, factor in factors.items()}
    far = float(np.percentile(truth, 98)) * 1.3
    figure = Figure(figsize=(13, 6.5), layout="constrained")
    top, below = figure.subfigures(2, 1)
    image, true, made = top.subplots(1, 3)
    image.imshow(view.image)
    image.set_title(view.name)
    points = true.scatter(u, v, c=truth, s=2, vmin=0, vmax=far, cmap="turbo")
    true.set(xlim=(0, view.image.shape[1]), ylim=(view.image.shape[0], 0), aspect="equal", title="truth, m")
    made.imshow(factors["adaptive"] * map_, vmin=0, vmax=far, cmap="turbo")
    made.set_title(f"adaptive: factor {factors['adaptive']:.2f}, best {factors['oracle']:.2f}")
    top.colorbar(points, ax=[true, made], label="depth, m")
    for axes in (image, true, made):
        axes.set(xticks=[], yticks=[])
    spread, above = below.subplots(1, 2)
    for name, depth in depths.items():
        spread.hist(depth, np.linspace(0, far, 80), histtype="step", color=COLOURS[name], label=name)
        shown = np.random.default_rng(0).permutation(len(depth))[:3000]
        x, _, z = unproject(view.known.pixels.uv[shown], depth[shown], view.camera).T
        above.scatter(x, z, s=1, color=COLOURS[name], label=name)
    spread.set(xlabel="depth, m", ylabel="pixels")
    spread.legend()
    above.set(xlabel="right, m", ylabel="ahead, m", ylim=(0, far), aspect="equal")
    figure.savefig(path, dpi=90)
    print(path)


def main() -> None:
    parser = argparse.ArgumentParser(description="Figures of paper 002.")
    parser.add_argument("data", nargs="*", type=Path)
    parser.add_argument("--out", type=Path, default=Path("figures"))
    parser.add_argument("--prior", default="scale_cnn")
    parser.add_argument("--engine", default="small", help="the depth network: a manifest, small or tiny")
    parser.add_argument("--most", type=int, default=4)
    args = parser.parse_args()
    prior = build_prior(args.prior, EngineConfig())
    if not args.data or not isinstance(prior, ScalePrior):
        print("draw_priors: skipped; needed DATA, and a prior that is a scale network")
        return
    source = build_source(EngineConfig(), args.engine)
    views = [view for folder in find_sets(args.data) for view in read_views(folder, source) if view.camera]
    args.out.mkdir(parents=True, exist_ok=True)
    by_name = factors_of(views, prior)
    for at in range(0, len(views), max(1, len(views) // args.most))[: args.most]:
        view, factors = views[at], {name: factors[at] for name, factors in by_name.items()}
        draw(view, factors, args.out / f"{view.name.replace('/', '_')}.png")


if __name__ == "__main__":
    main()
