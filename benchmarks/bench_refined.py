"""The solver ``refined`` beside what it refines: all that is asked of it, as one Markdown page.

    METRIC_DEPTH_DATA=... python benchmarks/bench_refined.py --half report --out FOLDER [--network MANIFEST]

Runs ``metric_depth synthesize`` and ``evaluate`` (METER's outputs and the bundled network; real frames of a
half, pictures made of them, rendered scenes), measures time, draws the frames with the largest and the least
gain, and writes FOLDER/refined.md. A command that ended is not run again: another network needs another
folder.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the node and the command line do

from made_frames import OF_REAL, render_wide
from real_sets import SETS, folders_of
from refined_page import write_page
from refined_pictures import extremes, sheet, time_table
from refined_tables import AUTO, OURS
from results import Steps

from metric_depth_ros.cli.outputs import save_picture
from metric_depth_ros.config import Config, updated
from metric_depth_ros.datasets import open_dataset
from metric_depth_ros.evaluation.frames import find_sets
from metric_depth_ros.evaluation.measures import METRICS
from metric_depth_ros.evaluation.records import read_records
from metric_depth_ros.evaluation.study import Study, named_networks, resolved
from metric_depth_ros.files import user_path
from metric_depth_ros.share import share_path
from metric_depth_ros.solvers.refined.network import BUNDLED

FAMILIES = ("room", "corridor", "street", "tabletop")
# No training's: of rendered scenes, and of wide views.
SEED, WIDE_SEED = 7026, 7126
CLOSED_FORM = (
    "global_affine,region_aware,median,piecewise,lwlr,grid,basis,paper_median,paper_global,paper_piecewise,"
    "paper_lwlr,paper_grid,paper_region_median,paper_slf,paper_ssf"
)
EVERY = "random:10,50,100,500,2000 rows:1,4,16 corners:150"
FEW = "random:1,2,3"
MADE = "random:3,10,50,500 rows:1,4 corners:150"
RENDERED = "random:10,50,100,500 rows:4,16 corners:150"
PRIOR = "--variant {0}+prior solver.name={0} solver.prior=scale_cnn"
HEAD = """The *{half}* half of the real frames, pictures made of them, and rendered scenes of other seeds than
any training's; network of `refined`: {network} (manifest {sha})."""
# Measured where the package has them.
WANTED = ("abs_rel", "ause_abs_rel", "within_1_sigma", "boundary_f1", "flying_pixels")


@dataclass(frozen=True)
class Plan:
    """What is run.

    Attributes:
        data: folder of the real frames.
        network: manifest of the network; None: the bundled one.
        seeds: draws of anchors for each frame and case.
        rendered: pictures of each family.
    """

    half: str
    out: Path
    data: Path
    network: Path | None
    seeds: int = 1
    rendered: int = 16
    workers: int = 2

    @property
    def sets(self) -> list[Path]:
        """Folders of the half."""
        return [folder for folders in folders_of(self.data, self.half).values() for folder in folders]

    @property
    def setting(self) -> dict[str, str]:
        """The setting that names the network."""
        return {} if self.network is None else {"solver.refined.network": str(self.network)}

    @property
    def config(self) -> Config:
        """Settings of ``refined``."""
        return updated(Config(), {"solver.name": OURS, **self.setting})


def evaluations(plan: Plan) -> Iterator[tuple[str, list[Path], str]]:
    """Name, sets and options of every evaluation."""
    metrics = f"--metrics {','.join(name for name in WANTED if name in METRICS)}"
    both, meter = f"--solvers {AUTO},{OURS} {metrics}", plan.data / "relative_meter"
    networks, noisy = f"--engine {meter} small", f"--noisy --seeds {plan.seeds}"
    yield "real", plan.sets, f'{both} {networks} {noisy} --protocol "{FEW} {EVERY}"'
    with_camera = [path for path in plan.sets if open_dataset(path)[0].camera is not None]
    priors = " ".join(PRIOR.format(solver) for solver in (AUTO, OURS))
    yield "no_anchors", with_camera, f"{priors} {metrics} {networks} --seeds 1 --protocol none"
    one = f"--all-frames --engine small {noisy}"
    for name in OF_REAL:
        yield name, [plan.out / "made" / name], f'{both} {one} --protocol "{MADE}"'
    for name in ("wide", "fisheye", "rendered"):
        protocol = RENDERED if name == "rendered" else MADE
        yield name, [plan.out / "made" / name], f'{both} {one} --protocol "{protocol}"'
    closed = f"--solvers {CLOSED_FORM} --metrics abs_rel"
    yield "family", plan.sets, f'{closed} {networks} --noisy --seeds 1 --protocol "{EVERY}"'


def make(plan: Plan, steps: Steps) -> None:
    """Writes the pictures that are made, unless they are there."""
    made = plan.out / "made"
    for name, remake in OF_REAL.items():
        for folder in plan.sets:
            if not (made / name / folder.name / "calib.json").exists():
                remake(folder, made / name)
    render_wide(made, FAMILIES, plan.rendered, WIDE_SEED)
    for family in FAMILIES:
        options = f"--families {family} --views 1 --size 320x240 --seed {SEED} --workers 1 --textures 100"
        folder = str(made / "rendered" / family)
        steps.run(["synthesize", folder, *options.split(), "--count", str(plan.rendered)])


def evaluate(plan: Plan, steps: Steps) -> None:
    """Runs what is missing of the evaluations; their tables go to OUT/NAME/report.md alone."""
    setting = [part for name, value in plan.setting.items() for part in ("--set", f"{name}={value}")]
    for name, sets, options in evaluations(plan):
        folder = plan.out / name
        common = ["--cache", str(plan.out / "cache"), "--workers", str(plan.workers), "--out", str(folder)]
        argv = ["evaluate", *map(str, sets), *shlex.split(options), *setting, *common]
        with (plan.out / "tables.log").open("a") as log, contextlib.redirect_stdout(log):
            steps.run(argv, resume=(folder / "records.jsonl").exists())


def check_network(plan: Plan) -> str:
    """sha256 of the network's manifest, which names that of its weights. SystemExit if OUT has another's."""
    path = share_path(BUNDLED) if plan.network is None else user_path(str(plan.network))
    found, kept = hashlib.sha256(path.read_bytes()).hexdigest(), plan.out / "network.sha256"
    if kept.exists() and kept.read_text() != found:
        raise SystemExit(f"bench_refined: {plan.out} has figures of another network; needed another --out.")
    kept.write_text(found)
    return found


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Options of the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--half", choices=tuple(SETS), default="develop", help="of the real frames")
    parser.add_argument("--out", type=Path, help="folder of records, pictures and the page")
    parser.add_argument("--network", type=Path, metavar="MANIFEST", help="instead of the bundled one")
    parser.add_argument("--seeds", type=int, default=1, help="draws of a frame and case (default 1)")
    parser.add_argument("--rendered", type=int, default=16, help="pictures of each family (default 16)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs what is missing and writes the page."""
    args = arguments(argv)
    if args.out is None or "METRIC_DEPTH_DATA" not in os.environ:
        print("bench_refined: skipped; needed --out, and METRIC_DEPTH_DATA")
        return
    plan = Plan(
        args.half, args.out, Path(os.environ["METRIC_DEPTH_DATA"]),
        args.network and args.network.resolve(), args.seeds, args.rendered, args.workers,
    )  # fmt: skip
    plan.out.mkdir(parents=True, exist_ok=True)
    network = check_network(plan)
    steps = Steps(plan.out / "steps.json")
    make(plan, steps)
    evaluate(plan, steps)
    head = HEAD.format(
        half=plan.half, network=plan.network.name if plan.network else "the bundled one", sha=network[:12]
    )
    print(write_page(plan.out, head, time_table(study_of(plan, plan.sets)), draw(plan)))


def study_of(plan: Plan, sets: Sequence[Path]) -> Study:
    """Frames with the bundled depth network and the settings of ``refined``."""
    networks = named_networks([plan.config.engine], plan.config.engine)
    return resolved(Study(plan.config, tuple(find_sets(sets)), networks, (AUTO, OURS), every=True))


def draw(plan: Plan) -> list[str]:
    """Draws the best and the worst frame of the real and the rendered ones; files that a page may show.

    Licences do not let real frames be passed on.
    """
    sets = {"real": plan.sets, "rendered": [plan.out / "made" / "rendered"]}
    for name, folders in sets.items():
        frames = extremes(read_records(plan.out / name), "small")
        save_picture(plan.out / f"refined_{name}.jpg", sheet(study_of(plan, folders), frames))
    return ["refined_rendered.jpg"]


if __name__ == "__main__":
    main()
