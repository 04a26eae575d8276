"""Made scenes for the tests of solvers: a relative map, its true depth, anchors on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from metric_depth_ros.config import from_flat
from metric_depth_ros.depth import within_limits
from metric_depth_ros.solvers import SOLVERS, build_solver
from metric_depth_ros.types import Anchors, RelativeDepth, SolverInput

HEIGHT, WIDTH = 48, 64
DOMAINS = ("inverse_depth", "log", "depth")
KINDS = ("depth", "inverse_depth")
V, U = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
OURS = tuple(name for name in SOLVERS if not name.startswith("paper_"))
# Their ridge pulls the global scale towards the network's own, as paper 001 has it.
SHRINKING = ("paper_basis",)
# They correct what they see as rendered scenes would have it, so they are exact on no made map, nor mirrored.
LEARNED = ("refined",)
# They take a generator's basis maps and no others.
MAPS_NEEDED = ("paper_basis",)

# Every solver with the options that lead elsewhere in its code.
VARIANTS = [
    *((name, {}) for name in SOLVERS),
    *((name, {"domain": d}) for name in OURS for d in DOMAINS),
    *((name, {"weighting": "none", "robust": "none"}) for name in OURS),
    ("median", {"median.statistic": "ratio_of_medians"}),
    ("piecewise", {"piecewise.model": "separate"}),
    ("lwlr", {"lwlr.ridge": "shift"}),
    ("lwlr", {"lwlr.bandwidth": 0.03, "lwlr.pull": 1.0}),
    ("grid", {"grid.fit": "scale"}),
    ("grid", {"grid.smoothness": 1.0}),
    *(
        ("region_aware", {"region_aware.fit": fit, "region_aware.pooling": pooling})
        for fit in ("median", "linear", "surface", "auto")
        for pooling in ("expansion", "partial")
    ),
    ("region_aware", {"region_aware.max_extrapolation": 0.0}),
    ("basis", {"basis.local_columns": 0}),
    *(
        (name, {"temporal.memory_s": 1.0})
        for name in ("gaussian_process", "basis", "global_affine", "refined")
    ),
    *((name, {"residuals": "spread"}) for name in SOLVERS if name != "gaussian_process"),
]


def with_maps(relative):
    """The relative map with basis maps as of a generator, 1, u, v and uv shared evenly, if it has none."""
    if "basis" in relative.features:
        return relative
    u, v = np.meshgrid(np.linspace(-1, 1, 16, dtype=np.float32), np.linspace(-1, 1, 12, dtype=np.float32))
    return replace(relative, features={"basis": np.stack([np.ones_like(u), u, v, u * v]) / 4})


class Limited:
    """A solver whose answers are within its configured limits, as the pipeline gives them."""

    def __init__(self, config):
        self.config, self.solver = config, build_solver(config)

    def solve(self, relative, anchors, **more):
        """``more``: the other fields of SolverInput."""
        if self.config.name in MAPS_NEEDED:
            relative = with_maps(relative)
        return within_limits(self.solver.solve(SolverInput(relative, anchors, **more)), self.config)


def solver_of(name="region_aware", **options):
    """A solver with wide limits; options are named as in the YAML, dots as two underscores."""
    given = {key.replace("__", "."): value for key, value in options.items()}
    settings = {"name": name, "min_depth_m": 0.0, "max_depth_m": 1e5, **given}
    return Limited(from_flat({f"solver.{key}": value for key, value in settings.items()}).solver)


def expanding(**options):
    """region_aware without anything of ours, options of its own group."""
    plain = {"pooling": "expansion", "max_extrapolation": 0.0, **options}
    shared = {"domain": "depth", "weighting": "none", "robust": "none"}
    shared = {key: plain.pop(key, value) for key, value in shared.items()}
    return solver_of(**shared, **{f"region_aware__{key}": value for key, value in plain.items()})


def quarters():
    """Labels of four quarters of the image."""
    return ((V >= HEIGHT // 2) * 2 + (U >= WIDTH // 2)).astype(np.int32)


def smooth_relative(seed=0):
    """A positive relative map, 1 to about 3, that is no plane."""
    rng = np.random.default_rng(seed)
    a, b, c = rng.uniform(0.05, 0.2, 3)
    return (2 + np.sin(a * U + b * V) * 0.9 + 0.1 * np.cos(c * U * V / 9)).astype(np.float32)


def anchors_on(depth, n=200, seed=0, sigma=0.02):
    """n anchors at distinct whole pixels of a depth map."""
    rng = np.random.default_rng(seed)
    at = rng.choice(depth.size, n, replace=False)
    v, u = np.divmod(at, depth.shape[1])
    z = depth[v, u].astype(np.float64)
    return Anchors(np.stack([u, v], axis=1).astype(np.float32), z, np.full(n, sigma))


def noisy_problem(kind="depth", n=80, seed=3, noise=0.05):
    """A relative map and n anchors of 2 values + 1, with relative noise."""
    values = smooth_relative(seed)
    depth = values if kind == "depth" else 4 / values
    anchors = anchors_on(2 * depth + 1, n, seed)
    factor = np.random.default_rng(seed).normal(1, noise, n)
    return RelativeDepth(values, kind), Anchors(anchors.uv, anchors.depth * factor, anchors.sigma)


def in_domain(domain, depth):
    return {"inverse_depth": 1 / depth, "log": np.log(depth), "depth": depth}[domain]


def out_of_domain(domain, y):
    return {"inverse_depth": lambda: 1 / y, "log": lambda: np.exp(y), "depth": lambda: y}[domain]()
