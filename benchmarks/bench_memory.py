"""What memory is worth: error, jitter, flicker and sigma of a solver on sequences, with and without it.

    python benchmarks/bench_memory.py --drives                    (rendered drives, whose poses are known)
    python benchmarks/bench_memory.py SEQUENCE...                 (real sequences, poses where they have them)
    python benchmarks/bench_memory.py SEQUENCE... --solver refined --drives room:12 --anchors 20 100 100/2

Frames of real sequences count as 0.1 s apart. N random anchors with 2 % noise in every image (``5``), or in
every second or fifth (``100/2``). A cell is AbsRel, jitter, flicker and the part within one sigma. Jitter:
standard deviation of the change, from image to image, of the median error of log depth. Flicker: mean change
of the error of log depth at one true point, where poses tell which that is.

``--steps`` prints, instead, AbsRel of the first image after a true step, after up to 8 images without: of all
pixels when every depth grows by a half (scale), of the new pixels when a thing at half the depth hides the
middle of the image (thing), and of all when the camera turns upside down while its pose says that it stands
(cut). An image on its own has no lag.
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
from metric_depth_ros.depth import positive_depth, within_limits
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
    MetricDepth,
    RelativeDepth,
    SolverInput,
)

DRIVES = (("corridor", 11), ("corridor", 16), ("room", 12), ("room", 15), ("street", 13), ("street", 14))
ANCHORS = ((5, 1), (20, 1), (100, 1), (100, 2), (100, 5))
STEP_NS, FARTHEST_M, NOISE = 10**8, 80.0, 0.02
BEFORE_STEP = 9
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


def solved(
    moments: Sequence[Moment], variant: Variant, solver: str, n: int, every: int = 1
) -> Iterator[MetricDepth]:
    """Depth of each moment of a sequence, of N new anchors in every, or every second, fifth."""
    config = from_flat({"solver.name": solver, **variant.settings}).solver
    solve, random = build_solver(config).solve, np.random.default_rng(n)
    for index, moment in enumerate(moments):
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
        yield within_limits(solve(given), config)


def measured(moments: Sequence[Moment], variant: Variant, solver: str, n: int, every: int) -> list[float]:
    """AbsRel, jitter, flicker and coverage of a sequence."""
    if variant.standing:
        moments = [moments[0]] * len(moments)
    errors, covered, levels, flicker = [], [], [], []
    before: temporal.Moment | None = None
    for moment, metric in zip(moments, solved(moments, variant, solver, n, every), strict=True):
        u, v = np.rint(moment.known.uv).astype(np.intp).T
        depth, truth = metric.depth[v, u], moment.known.depth
        errors.append(abs_rel(depth, truth))
        if metric.sigma is not None:
            covered.append(sigma_coverage(depth, truth, metric.sigma[v, u]))
        levels.append(float(np.nanmedian(np.log(depth / truth))))
        if moment.depth is not None:
            near = np.where(moment.depth < FARTHEST_M, moment.depth, np.nan)
            now = temporal.Moment(metric.depth, near, moment.camera, moment.T_world_camera)
            flicker += [temporal.flicker(before, now)] if before is not None else []
            before = now
    flickers = float(np.nanmean(flicker)) if flicker else np.nan
    return [float(np.mean(errors)), float(np.std(np.diff(levels))), flickers, float(np.mean(covered))]


def grown(moment: Moment) -> tuple[Moment, Anchors]:
    """Every depth half as large again, and the pixels that this changes."""
    known = replace(moment.known, depth=1.5 * moment.known.depth, sigma=1.5 * moment.known.sigma)
    return replace(moment, known=known), known


def hidden(moment: Moment) -> tuple[Moment, Anchors]:
    """A thing at half the depth in the middle third of the image, in inverted colours."""
    height, width = moment.relative.values.shape
    box = np.zeros((height, width), bool)
    box[height // 3 : 2 * height // 3, width // 3 : 2 * width // 3] = True
    nearer = np.where(box, np.float32(0.5), np.float32(1))
    relative = replace(moment.relative, values=nearer * positive_depth(moment.relative), kind="depth")
    image = np.where(box[..., None], 255 - moment.image, moment.image)
    u, v = np.rint(moment.known.uv).astype(np.intp).T
    known, at = moment.known, nearer[v, u]
    known = replace(known, depth=at * known.depth, sigma=at * known.sigma)
    return replace(moment, image=image, relative=relative, known=known), known.take(box[v, u])


def turned(moment: Moment) -> tuple[Moment, Anchors]:
    """The image upside down."""
    height, width = moment.relative.values.shape
    features = {name: maps[:, ::-1, ::-1] for name, maps in moment.relative.features.items()}
    relative = replace(moment.relative, values=moment.relative.values[::-1, ::-1], features=features)
    known = replace(moment.known, uv=np.float32([width - 1, height - 1]) - moment.known.uv)
    return replace(moment, image=moment.image[::-1, ::-1], relative=relative, known=known), known


def after_step(moments: Sequence[Moment], variant: Variant, solver: str, n: int) -> list[float]:
    """AbsRel of the first image after each of the three steps, at the pixels that changed."""
    errors = []
    for step in (grown, hidden, turned):
        *quiet, last = moments[:BEFORE_STEP]
        if step is turned:
            last = replace(last, T_world_camera=quiet[-1].T_world_camera)
        stepped, changed = step(last)
        *_, metric = solved([*quiet, stepped], variant, solver, n)
        u, v = np.rint(changed.uv).astype(np.intp).T
        errors.append(abs_rel(metric.depth[v, u], changed.depth))
    return errors


def anchors_of(text: str) -> tuple[int, int]:
    """``100/2``: 100 in every second image."""
    n, _, every = text.partition("/")
    return int(n), int(every or 1)


def drive_of(text: str) -> tuple[str, int]:
    """``room:12``: family and seed."""
    family, _, seed = text.partition(":")
    return family, int(seed)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="*", type=Path)
    parser.add_argument("--drives", nargs="*", type=drive_of, metavar="FAMILY:SEED", help="default: six")
    parser.add_argument("--solver", default="auto")
    parser.add_argument("--anchors", nargs="+", type=anchors_of, default=ANCHORS, metavar="N[/EVERY]")
    parser.add_argument("--steps", action="store_true", help="error after a true step instead")
    args = parser.parse_args()
    engine = build_engine(engine_for(from_flat({"solver.name": args.solver})))
    sequences = {folder.name: [list(recorded(folder, engine))] for folder in args.data}
    if args.drives is not None:
        sequences["rendered drives"] = [list(rendered(*drive, engine)) for drive in args.drives or DRIVES]
    for name, each in sequences.items():
        posed = each[0][0].T_world_camera is not None
        variants = [one for one in VARIANTS[: None if posed else 2] if not (args.steps and one.standing)]
        columns = [(n, every) for n, every in args.anchors if not (args.steps and every > 1)]
        heads = (f"{n}/{every}" if every > 1 else f"{n}" for n, every in columns)
        print(f"{name:26}" + "".join(head.rjust(22) for head in heads))
        for variant in variants:
            print(
                f"{variant.label:26}"
                + "".join(cell(each, variant, args.solver, *column, args.steps) for column in columns),
                flush=True,
            )


def cell(
    sequences: Sequence[Sequence[Moment]], variant: Variant, solver: str, n: int, every: int, steps: bool
) -> str:
    """Means over sequences, 22 characters wide."""
    if every > 1 and not variant.settings:
        return "-".rjust(22)
    found = [
        after_step(each, variant, solver, n) if steps else measured(each, variant, solver, n, every)
        for each in sequences
    ]
    *first, last = np.mean(found, axis=0)
    values = [*first, last] if steps else first
    shown = " ".join("-" if np.isnan(value) else f"{value:.3f}".lstrip("0") for value in values)
    return (shown if steps else f"{shown} {last:5.2f}").rjust(22)


if __name__ == "__main__":
    main()
