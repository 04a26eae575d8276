"""What memory is worth: error, jitter, flicker and sigma of a solver on sequences, with and without it.

    python benchmarks/bench_memory.py --drives                    (rendered drives, whose poses are known)
    python benchmarks/bench_memory.py SEQUENCE...                 (real sequences, poses where they have them)

Frames of real sequences count as 0.1 s apart. N random anchors with 2 % noise in every image (``5``), or in
every second or fifth (``100/2``). A cell is AbsRel, jitter, flicker and the part within one sigma. Jitter:
standard deviation of the change, from image to image, of the median error of log depth. Flicker: mean change
of the error of log depth at one true point, where poses tell which that is.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from metric_depth_ros.config import from_flat
from metric_depth_ros.datasets import open_dataset
from metric_depth_ros.depth import within_limits
from metric_depth_ros.engines import build_engine
from metric_depth_ros.evaluation import temporal
from metric_depth_ros.evaluation.known_depth import known_pixels
from metric_depth_ros.evaluation.metrics import abs_rel, sigma_coverage
from metric_depth_ros.pipeline import engine_for
from metric_depth_ros.solvers import build_solver
from metric_depth_ros.types import (
    Anchors,
    Camera,
    Engine,
    FloatArray,
    ImageArray,
    RelativeDepth,
    SolverInput,
)

DRIVES = (("corridor", 11), ("corridor", 16), ("room", 12), ("room", 15), ("street", 13), ("street", 14))
ANCHORS = ((5, 1), (20, 1), (100, 1), (100, 2), (100, 5))
STEP_NS, FARTHEST_M, NOISE = 10**8, 80.0, 0.02
MEMORY = {"solver.temporal.memory_s": 1.0}


@dataclass(frozen=True, eq=False)
class Variant:
    """Settings of a solver, whether it knows the poses, and whether the camera stands still."""

    label: str
    settings: Mapping[str, Any]
    posed: bool = False
    standing: bool = False


VARIANTS = (
    Variant("each image on its own", {}),
    Variant("memory, poses unknown", MEMORY),
    Variant("memory, poses known", MEMORY, posed=True),
    Variant("standing: on its own", {}, standing=True),
    Variant("standing: memory, unknown", MEMORY, standing=True),
    Variant("standing: memory, known", MEMORY, posed=True, standing=True),
)


@dataclass(frozen=True, eq=False)
class Moment:
    """One frame of a sequence: what the solver is given, and the pixels whose depth is known.

    Attributes:
        depth, T_world_camera: None where they are unknown.
    """

    image: ImageArray
    relative: RelativeDepth
    camera: Camera | None
    known: Anchors
    depth: FloatArray | None = None
    T_world_camera: FloatArray | None = None


def recorded(folder: Path, engine: Engine) -> Iterator[Moment]:
    for frame in open_dataset(folder):
        relative = engine.predict(frame.image, camera=frame.camera)
        yield Moment(
            frame.image, relative, frame.camera, known_pixels(frame), frame.depth, frame.T_world_camera
        )


def rendered(family: str, seed: int, engine: Engine) -> Iterator[Moment]:
    """2.4 s at 10 Hz, 640x480."""
    from metric_depth_synthetic.dataset import SyntheticDataset
    from metric_depth_synthetic.drive import render_drive

    dataset = SyntheticDataset([family], seed, size=(640, 480), textures=150)
    for shot in render_drive(dataset, seconds=2.4, rate_hz=1e9 / STEP_NS):
        view = shot.view
        v, u = np.nonzero(view.depth < FARTHEST_M)
        known = Anchors(
            np.column_stack([u, v]).astype(np.float32), view.depth[v, u], NOISE * view.depth[v, u]
        )
        relative = engine.predict(view.image, camera=view.camera)
        yield Moment(view.image, relative, view.camera, known, view.depth, view.T_world_camera)


def measured(moments: Sequence[Moment], variant: Variant, solver: str, n: int, every: int) -> list[float]:
    """AbsRel, jitter, flicker and coverage of a sequence."""
    config = from_flat({"solver.name": solver, **variant.settings}).solver
    solve, random = build_solver(config).solve, np.random.default_rng(n)
    errors, covered, levels, flicker = [], [], [], []
    before: temporal.Moment | None = None
    for index, moment in enumerate(moments):
        if variant.standing:
            moment = moments[0]
        chosen = random.choice(len(moment.known), min(n, len(moment.known)), replace=False)
        anchors = moment.known.take(chosen)
        anchors = replace(anchors, depth=anchors.depth * random.normal(1, NOISE, len(anchors)))
        given = SolverInput(
            moment.relative,
            anchors if index % every == 0 else anchors.take(np.zeros(0, np.intp)),
            image=moment.image,
            stamp_ns=(10 + index) * STEP_NS,
            camera=moment.camera,
            T_fixed_camera=moment.T_world_camera if variant.posed else None,
        )
        metric = within_limits(solve(given), config)
        u, v = np.rint(moment.known.uv).astype(np.intp).T
        depth, truth = metric.depth[v, u], moment.known.depth
        errors.append(abs_rel(depth, truth))
        if metric.sigma is not None:
            covered.append(sigma_coverage(depth, truth, metric.sigma[v, u]))
        levels.append(float(np.median(np.log(depth / truth))))
        if moment.depth is not None:
            near = np.where(moment.depth < FARTHEST_M, moment.depth, np.nan)
            now = temporal.Moment(metric.depth, near, moment.camera, moment.T_world_camera)
            flicker += [temporal.flicker(before, now)] if before is not None else []
            before = now
    flickers = float(np.nanmean(flicker)) if flicker else np.nan
    return [float(np.mean(errors)), float(np.std(np.diff(levels))), flickers, float(np.mean(covered))]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="*", type=Path)
    parser.add_argument("--drives", action="store_true")
    parser.add_argument("--solver", default="auto")
    args = parser.parse_args()
    engine = build_engine(engine_for(from_flat({"solver.name": args.solver})))
    sequences = {folder.name: [list(recorded(folder, engine))] for folder in args.data}
    if args.drives:
        sequences["rendered drives"] = [list(rendered(*drive, engine)) for drive in DRIVES]
    for name, each in sequences.items():
        posed = each[0][0].T_world_camera is not None
        heads = (f"{n}/{every}" if every > 1 else f"{n}" for n, every in ANCHORS)
        print(f"{name:26}" + "".join(head.rjust(22) for head in heads))
        for variant in VARIANTS if posed else VARIANTS[:2]:
            row = f"{variant.label:26}"
            for n, every in ANCHORS:
                if every > 1 and not variant.settings:
                    row += "-".rjust(22)
                    continue
                found = np.mean(
                    [measured(moments, variant, args.solver, n, every) for moments in each], axis=0
                )
                row += (
                    "  " + " ".join(f"{value:.3f}"[1:] for value in found[:3]).rjust(16) + f" {found[3]:5.2f}"
                )
            print(row, flush=True)


if __name__ == "__main__":
    main()
