"""Solvers on a real street with a real network, beside the controls without it."""

from __future__ import annotations

import json
import os

import cv2
import numpy as np
import pytest

from metric_depth_ros.anchors import inside_image
from metric_depth_ros.config import SOLVERS, RegionsConfig, SolverConfig, from_flat
from metric_depth_ros.depth import within_limits
from metric_depth_ros.engines import build_engine
from metric_depth_ros.evaluation.frames import find_sets
from metric_depth_ros.evaluation.interpolation import interpolate_anchors
from metric_depth_ros.evaluation.metrics import abs_rel
from metric_depth_ros.evaluation.relative import read_truths
from metric_depth_ros.geometry import project, transform_points
from metric_depth_ros.pipeline import engine_for
from metric_depth_ros.regions import build_segmenter
from metric_depth_ros.solvers import build_solver
from metric_depth_ros.types import Anchors, Camera, RelativeDepth, SolverInput


def kitti_problem(data_dir, frame):
    """Image, the stored output of a real network, and two halves of the LiDAR points in the image."""
    folder = data_dir / "kitti_seq_2011_09_26"
    calib = json.loads((folder / "calib.json").read_text())
    entry = {**calib, **next(f for f in calib["frames"] if f["id"] == frame)}
    image = cv2.cvtColor(cv2.imread(str(folder / entry["rgb"])), cv2.COLOR_BGR2RGB)
    raw = np.load(data_dir / "relative_meter" / folder.name / f"{frame}.npz")["relative"]
    values = cv2.resize(np.maximum(raw, 1e-3), image.shape[1::-1])
    K = np.array([[entry["fx"], 0, entry["cx"]], [0, entry["fy"], entry["cy"]], [0, 0, 1]])
    points = np.fromfile(folder / entry["points"], np.float32).reshape(-1, 4)[:, :3]
    points = transform_points(np.array(entry["T_camera_lidar"]), points)
    uv, depth = project(points, Camera(image.shape[1], image.shape[0], K))
    inside = (depth > 0.5) & inside_image(uv, image.shape[1], image.shape[0])
    every = np.random.default_rng(0).permutation(np.flatnonzero(inside))
    anchors = Anchors(uv, depth, np.full(len(uv), 0.03, np.float32))
    half = len(every) // 2
    return image, RelativeDepth(values, "depth"), anchors.take(every[:half]), anchors.take(every[half:])


def solve_with(config):
    """What the pipeline makes of relative depth and anchors."""
    solver = build_solver(config)

    def solve(relative, anchors, **seen):
        return within_limits(solver.solve(SolverInput(relative, anchors, **seen)), config)

    return solve


def held_out_error(depth, held):
    u, v = np.rint(held.uv).astype(int).T
    return abs_rel(depth[v, u], held.depth)


@pytest.mark.parametrize("frame", [f"{i:010d}" for i in range(5)])
@pytest.mark.parametrize(
    ("name", "bound", "sparse_bound"), [("gaussian_process", 0.09, 0.13), ("region_aware", 0.11, 0.16)]
)
def test_kitti_street_with_the_controls_beside(data_dir, name, bound, sparse_bound, frame):
    image, relative, half, held = kitti_problem(data_dir, frame)
    labels = build_segmenter(RegionsConfig()).segment(image)
    constant = RelativeDepth(np.ones_like(relative.values), "depth")
    ours, line = (solve_with(SolverConfig(name=n)) for n in (name, "global_affine"))
    seen = {"image": image, "regions": labels}

    assert held_out_error(ours(relative, half, **seen).depth, held) < bound
    assert held_out_error(line(relative, half).depth, held) < 0.26
    draws = [half.take(np.arange(200 * k, 200 * k + 200)) for k in range(5)]
    with_network, without, interpolated = np.median(
        [
            [
                held_out_error(ours(relative, draw, **seen).depth, held),
                held_out_error(ours(constant, draw, **seen).depth, held),
                held_out_error(interpolate_anchors(draw, *image.shape[1::-1]), held),
            ]
            for draw in draws
        ],
        axis=0,
    )
    assert with_network < sparse_bound
    # The process itself follows colour and place: a network this coarse adds little to 200 anchors.
    assert with_network < without * (1.05 if name == "gaussian_process" else 1)
    assert with_network < interpolated


FEW = (1, 2, 3, 5)


@pytest.fixture(scope="module")
def few_anchor_problems():
    """Relative depth by the bundled network with maps, and all known pixels: a frame of every real set."""
    data = os.environ.get("METRIC_DEPTH_DATA")
    if not data:
        pytest.skip("needs the real frames (METRIC_DEPTH_DATA)")
    engine = build_engine(engine_for(from_flat({"solver.name": "basis", "engine.runtime": "onnxruntime"})))
    problems = []
    for folder in find_sets([data]):
        truth = next(iter(read_truths(folder)), None)
        if truth is not None:
            problems.append((engine.predict(truth.image), truth))
    return problems


@pytest.mark.parametrize("name", [name for name in SOLVERS if not name.startswith("paper_")])
def test_no_solver_is_worse_than_one_depth_with_one_to_five_anchors(few_anchor_problems, name):
    """Ours: the papers' fit lines through few anchors and shrink to the network's own scale, as published."""
    solve = solve_with(SolverConfig(name=name))
    errors = {count: [] for count in FEW}
    for relative, truth in few_anchor_problems:
        regions = build_segmenter(RegionsConfig()).segment(truth.image) if name == "region_aware" else None
        u, v = truth.uv.T
        for count in FEW:
            drawn = [np.random.default_rng([seed, count]).permutation(len(u))[:count] for seed in range(3)]
            found = []
            for chosen in drawn:
                depth_m = truth.depth[chosen].astype(np.float32)
                anchors = Anchors(truth.uv[chosen].astype(np.float32), depth_m, 0.01 * depth_m)
                depth = solve(relative, anchors, image=truth.image, regions=regions).depth[v, u]
                constant = np.full(len(u), np.median(depth_m))
                known = np.where(np.isfinite(depth), depth, constant)  # what is cut is not forgiven
                found.append((abs_rel(known, truth.depth), abs_rel(constant, truth.depth)))
            errors[count].append(np.mean(found, axis=0))
    for count, pairs in errors.items():
        ours, constant = np.median(pairs, axis=0)
        assert ours <= constant, f"{count} anchors"
