"""`metric_depth explain`: the basis maps and weights behind a frame's depth, and their spectrum."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metric_depth_ros.config import Config
    from metric_depth_ros.evaluation.basis_spectrum import Spectrum
    from metric_depth_ros.evaluation.frames import KnownView
    from metric_depth_ros.solvers import Solver
    from metric_depth_ros.solvers.fitting.basis_maps import Maps
    from metric_depth_ros.types import Anchors, FloatArray, MetricDepth


# Parts of a frame, of which one line each is printed.
MOST_PATCHES = 1000


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the verb."""
    parser = verbs.add_parser(
        "explain",
        help="draw the basis maps and weights behind a frame's depth",
        description="Solves frames of a data set with the solver basis, draws anchors, field, depth, sigma "
        "and the 12 basis maps that change it most, and prints the statistics of paper 001, sections 3.2, "
        "3.3 and 4.2. With --patches it prints how scale and shift differ between parts of a frame.",
    )
    parser.add_argument("data", type=Path, metavar="DATA", help="frames, shards or NAME@SPLIT:PATH")
    parser.add_argument("--frame", help="its name (default: all frames; the picture shows the first)")
    parser.add_argument(
        "--engine",
        type=Path,
        help="manifest or bundled name (default: a bundled network with basis maps); with --patches also a "
        "folder of stored outputs",
    )
    parser.add_argument(
        "--protocol", default="low", help="how anchors are drawn (default low, as in the paper)"
    )
    parser.add_argument("--anchors", type=int, default=100, metavar="N", help="of random (default 100)")
    parser.add_argument(
        "--fields",
        default="",
        metavar="SOLVER,SOLVER",
        help="say how much of these solvers' log-scale fields the maps can follow (equation 20)",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="changes", help="a setting"
    )
    parser.add_argument(
        "--patches",
        metavar="ROWSxCOLUMNS",
        help="print scale and shift of so many parts of each frame instead (paper 000, section 3.1), as 2x3",
    )
    parser.add_argument("--out", type=Path, metavar="PNG", help="where the picture goes (default: none)")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing picture")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the verb: prints the statistics and draws the picture. Raises MetricDepthError."""
    from metric_depth_ros.cli.outputs import check_picture
    from metric_depth_ros.errors import AnchorError, InputError
    from metric_depth_ros.evaluation.basis_spectrum import spectrum, summarised

    if args.patches is not None:
        return _patches(args)
    if args.out is not None:
        check_picture(args.out, overwrite=args.overwrite)
    config = build_config(args)
    others = _others(args.fields, config)
    parts: dict[str, list[float]] = {name: [] for name in others}
    found: list[Spectrum] = []
    last: AnchorError | None = None
    for view in _views(args, config):
        try:
            metric, anchors, maps = _explained(view, args, config)
        except AnchorError as error:
            last = error
            continue
        if args.out is not None and not found:
            _write(args.out, view, anchors, metric, maps)
            print(f"{args.out}: {view.name}")
        seen, target = _targets(view, anchors)
        rows, _ = maps.at(seen.uv, view.image.shape[1::-1])
        found.append(spectrum(maps.values, rows, target))
        for name, solver in others.items():
            parts[name].append(_followed(view, anchors, maps, solver))
    if not found:
        raise last or InputError(f"{args.data}: no such frame with 400 known pixels. Check DATA and --frame.")
    total = summarised(found)
    gates = f", E[G0] {total.gate_mean:.3f}, Var(G0) {total.gate_variance:.1e}"
    print(
        f"{total.pictures} frames, {args.protocol}: median eta1 {total.eta1:.3f}, median similarity of the "
        f"leading eigenvector with the global map {total.similarity:.3f}, median part of y along it "
        f"{total.leading:.3f}" + (gates if maps.source == "learned" else " (analytic maps have no gates)")
    )
    for name, values in parts.items():
        print(f"{name}: {_told(values)}")
    return 0


def _others(names: str, config: Config) -> dict[str, Solver]:
    """Solvers whose fields are compared with the maps, by name. Raises ConfigError."""
    from metric_depth_ros.config import updated
    from metric_depth_ros.errors import ConfigError
    from metric_depth_ros.solvers import build_solver

    found = {n: build_solver(updated(config, {"solver.name": n}).solver) for n in names.split(",") if n}
    for name, solver in found.items():
        if solver.wants_regions:
            raise ConfigError(f"--fields {name}: uses regions, which are not made here. Leave it out.")
    return found


def _targets(view: KnownView, anchors: Anchors) -> tuple[Anchors, FloatArray]:
    """Usable anchors, and y = log metric minus log relative depth there. Raises AnchorError."""
    import numpy as np

    from metric_depth_ros.depth import positive_depth
    from metric_depth_ros.solvers.fitting.observations import usable

    seen, r = usable(positive_depth(view.relative), anchors, "explain")
    return seen, np.asarray(np.log(seen.depth.astype(np.float64)) - np.log(r))


def _followed(view: KnownView, anchors: Anchors, maps: Maps, solver: Solver) -> float:
    """How much of a solver's field the maps follow: that of log(s + t / D), with s D + t its depth."""
    import cv2
    import numpy as np

    from metric_depth_ros.depth import positive_depth
    from metric_depth_ros.evaluation.basis_spectrum import affine_field, represented
    from metric_depth_ros.types import SolverInput

    metric = solver.solve(SolverInput(view.relative, anchors, image=view.image))
    r = positive_depth(view.relative)
    field = affine_field(r, 0.0, metric.depth)  # whatever its s and t: s + t / D is its depth over D
    small = cv2.resize(field, maps.values.shape[:0:-1], interpolation=cv2.INTER_NEAREST_EXACT)
    return represented(maps.values, np.asarray(small))


def _told(values: list[float]) -> str:
    """How much of a solver's field the maps follow, in words."""
    from statistics import median

    known = [value for value in values if value == value]
    if not known:
        return "its field is constant: a factor"
    return f"the maps follow {median(known):.0%} of its field (median of {len(known)} frames)"


def _patches(args: argparse.Namespace) -> int:
    """Prints the scale and shift of parts of frames. Raises MetricDepthError."""
    from metric_depth_ros.cli.parsing import setting_of
    from metric_depth_ros.config import Config, updated
    from metric_depth_ros.errors import ConfigError, InputError
    from metric_depth_ros.evaluation.frames import build_source, read_views
    from metric_depth_ros.evaluation.patches import patch_table, patches

    rows, _, columns = args.patches.partition("x")
    if not (rows.isdecimal() and columns.isdecimal() and 1 <= int(rows) * int(columns) <= MOST_PATCHES):
        raise ConfigError(f"--patches {args.patches}: needed ROWSxCOLUMNS, as 2x3, at most {MOST_PATCHES}.")
    source = build_source(updated(Config(), dict(map(setting_of, args.changes))).engine, args.engine)
    found = False
    for view in read_views(args.data, source, every=True):
        if args.frame in (None, view.frame_id):
            found = True
            print(f"{view.name}\n\n{patch_table(patches(view, int(rows), int(columns)))}\n")
    if not found:
        raise InputError(f"{args.data}: no such frame with 400 known pixels. Check DATA and --frame.")
    return 0


def build_config(args: argparse.Namespace) -> Config:
    """Settings from the arguments, with a solver that has maps. Raises ConfigError."""
    from metric_depth_ros.cli.parsing import setting_of
    from metric_depth_ros.config import Config, updated
    from metric_depth_ros.errors import ConfigError

    changes = {"solver.name": "basis", **dict(map(setting_of, args.changes))}
    if args.engine is not None:
        changes["engine.manifest"] = str(args.engine)
    config = updated(Config(), changes)
    if config.solver.name not in ("basis", "paper_basis"):
        raise ConfigError(
            f"explain: solver.name is {config.solver.name}; needed basis or paper_basis, which have maps."
        )
    return config


def _views(args: argparse.Namespace, config: Config) -> Any:
    from metric_depth_ros.evaluation.frames import build_source, read_views
    from metric_depth_ros.pipeline import engine_for

    source = build_source(engine_for(config))
    for view in read_views(args.data, source, every=True):
        if args.frame in (None, view.frame_id):
            yield view


def _explained(
    view: KnownView, args: argparse.Namespace, config: Config
) -> tuple[MetricDepth, Anchors, Maps]:
    import numpy as np

    from metric_depth_ros.depth import positive_depth, published
    from metric_depth_ros.errors import AnchorError
    from metric_depth_ros.evaluation.protocols import Case, draw
    from metric_depth_ros.solvers import build_solver
    from metric_depth_ros.solvers.basis.maps import find_maps
    from metric_depth_ros.types import SolverInput

    count = args.anchors if args.protocol == "random" else 1
    anchors = draw(view.known, Case(args.protocol, count), 0, view.name).anchors
    given = SolverInput(view.relative, anchors, image=view.image)
    metric = published(build_solver(config.solver).solve(given), config)
    if np.isnan(metric.depth).all():
        raise AnchorError(
            f"{view.name}: no depth within solver.max_depth_m and output.max_relative_sigma. Raise them."
        )
    depth = positive_depth(view.relative)
    # The maps that the solver used, whatever the settings say.
    return metric, anchors, find_maps(view.relative, depth, view.image, metric.info["maps"])


def _write(path: Path, view: KnownView, anchors: Anchors, metric: MetricDepth, maps: Maps) -> None:
    """Draws and writes the picture. Raises InputError when it cannot be written."""
    import numpy as np

    from metric_depth_ros.cli.outputs import save_picture
    from metric_depth_ros.depth import positive_depth
    from metric_depth_ros.drawing.basis_sheet import draw_basis

    depth = positive_depth(view.relative)
    weights = np.array(metric.info["weights"])[1 : 1 + len(maps.values)]
    sheet = draw_basis(view.image, anchors, metric, depth, maps.values, weights)
    save_picture(path, sheet)
