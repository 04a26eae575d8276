"""Makes docs/results.md and its pages: every solver on every real frame and on a rendered test set.

    METRIC_DEPTH_DATA=... python benchmarks/results.py --out results

Runs ``metric_depth synthesize`` and ``evaluate``, then writes the pages from their records
(``results_pages.py``). A command that ended is not run again, and one that was cut short goes on;
OUT/steps.json has the time of each.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from results_pages import write_pages

from metric_depth_ros.cli.main import main as metric_depth
from metric_depth_ros.datasets import open_dataset
from metric_depth_ros.evaluation.frames import find_sets

# Number of rendered sets of each family: five or more of each place. Every set has a seed of its own, none of
# any training's; so has what Global, Image and RSA are learned on.
FAMILIES = {"street": 5, "room": 3, "corridor": 3, "tabletop": 3}
SEED, LEARNED_SEED, LEARNED_COUNT = 2026, 3026, 300
RENDER = "--views 1 --size 320x240"
SOLVERS = (
    "gaussian_process,global_affine,region_aware,median,piecewise,lwlr,grid,basis,paper_median,paper_global,"
    "paper_piecewise,paper_lwlr,paper_grid,paper_region_median,paper_slf,paper_ssf"
)
EVERY = (
    '"random:1,5,10,50,100,250,500,1000 rows:1,4,16,64 beams:1,16 grid:8 corners:150,500,1500 sensor low '
    'medium high drop"'
)
# Short runs draw anchors once for each frame and case, the others as often as ``evaluate`` does by itself.
OF_000 = (
    "--seeds 1 --solvers paper_median,paper_global,paper_region_median,paper_slf,paper_ssf "
    "--whole-truth depth"
)
OF_001 = "--seeds 1 --solvers paper_global,paper_grid,paper_lwlr,paper_piecewise,paper_ssf --regions dataset"
PRIORS = ("scale_cnn", "tr2m", "metric_solver")
PRIOR = "--variant {0} solver.name=prior solver.prior={0} --variant auto+{0} solver.prior={0}"
SHORT, LONG = "--metrics abs_rel,delta1", "--metrics abs_rel,rmse,log10,delta1,delta2,delta3"
PICTURES = "--seeds 1 --solvers gaussian_process,paper_ssf --metrics abs_rel --protocol random:100 --pictures"


class Steps:
    """Commands that are run once; a file keeps the seconds of each, and whether it ended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.taken: dict[str, tuple[float, bool]] = json.loads(path.read_text()) if path.exists() else {}

    def run(self, argv: Sequence[str], *, resume: bool = False) -> None:
        """Runs ``metric_depth ARGV`` unless it ended before."""
        command = "metric_depth " + " ".join(f'"{arg}"' if " " in arg else arg for arg in argv)
        command = command.replace(os.environ["METRIC_DEPTH_DATA"], "$METRIC_DEPTH_DATA")
        before, ended = self.taken.get(command, (0.0, False))
        if ended:
            return
        print(time.strftime("%H:%M:%S"), command, flush=True)
        started = time.monotonic()
        try:
            ended = metric_depth([*argv, *(["--resume"] if resume else [])]) == 0
        finally:
            self.taken[command] = before + time.monotonic() - started, ended
            self._path.write_text(json.dumps(self.taken, indent=1))
        if not ended:
            raise SystemExit(f"results: failed: {command}")


def render(out: Path, count: int, steps: Steps) -> dict[str, list[str]]:
    """Renders the test set, ``count`` scenes a set, and what is learned on; folders of the sets by family."""
    folders: dict[str, list[str]] = {}
    seed = SEED
    for family, sets in FAMILIES.items():
        for _ in range(sets):
            folder = str(out / f"rendered/{family}_{seed}")
            options = f"--families {family} --seed {seed} --count {count} --everything --workers 1 {RENDER}"
            steps.run(["synthesize", folder, *options.split()])
            folders.setdefault(family, []).append(folder)
            seed += 1
    options = f"--families room,corridor,tabletop --seed {LEARNED_SEED} --count {LEARNED_COUNT} {RENDER}"
    steps.run(["synthesize", str(out / "learned_on"), *f"{options} --shard-size 50 --workers 2".split()])
    return folders


def evaluations(out: Path, data: str, rendered: dict[str, list[str]]) -> Iterator[tuple[str, list[str], str]]:
    """Name, sets and options of every evaluation; the short ones come first."""
    streets = rendered["street"]
    rooms = [folder for family, folders in rendered.items() if family != "street" for folder in folders]
    meter = f"{data}/relative_meter"
    random = "--protocol random:50,100,250,500,1000,2000"
    priors = f"--seeds 1 {SHORT} --solvers gaussian_process {' '.join(map(PRIOR.format, PRIORS))}"
    with_camera = [str(path) for path in find_sets([data]) if open_dataset(path)[0].camera is not None]
    learned = f"--fit-on {out}/learned_on --place indoor --anchor-pixels in {LONG}"
    regimes = '--anchor-pixels in --metrics abs_rel,delta1 --protocol "low medium high drop"'

    yield "rendered_000", [f"{out}/rendered"], f"{OF_000} --anchor-pixels in {SHORT} {random}"
    yield (
        "table_000_1",
        rooms,
        (f'{OF_000} {learned} --limits .001,10 --protocol "random:250,500,1000,2000 beams:1,16,32"'),
    )
    yield "table_000_2", rooms, f"{OF_000} {learned} --limits .2,5 --protocol random:250,500,1000,2000"
    for place, sets, far in (("outdoor", streets, 80), ("indoor", rooms, 10)):
        limits = f"--place {place} --limits .1,{far} {regimes}"
        yield f"table_001_{place}", sets, f"{OF_001} {limits}"
        yield f"table_001_{place}_basis", sets, f"--seeds 1 --solvers paper_basis {limits}"
    yield "rendered_none", [f"{out}/rendered"], f'{priors} --protocol "none random:1,5,10"'
    yield "real_none", with_camera, f'{priors} --protocol "none random:1,5,10"'
    yield "real_000", [data], f"{OF_000} --engine small {meter} --anchor-pixels in {SHORT} {random}"
    yield "rendered_basis", [f"{out}/rendered"], f"--solvers paper_basis {SHORT} --protocol {EVERY}"
    yield "real_basis", [data], f"--solvers paper_basis {SHORT} --protocol {EVERY}"
    refined = f"--solvers refined {SHORT} --protocol {EVERY}"
    yield "rendered_refined", [f"{out}/rendered"], refined
    yield "real_refined", [data], refined
    yield "real_meter_refined", [data], f"--seeds 1 --engine {meter} {refined}"
    yield "rendered", [f"{out}/rendered"], f"--solvers {SOLVERS} {SHORT} --protocol {EVERY}"
    yield "real", [data], f"--solvers {SOLVERS} {SHORT} --protocol {EVERY}"
    yield "real_meter", [data], f"--seeds 1 --engine {meter} --solvers {SOLVERS} {SHORT} --protocol {EVERY}"


def main() -> None:
    """Runs what is missing and writes the pages."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("results"), help="of records (default results)")
    parser.add_argument("--scenes", type=int, default=8, help="of each rendered set (default 8)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    args = parser.parse_args()
    if "METRIC_DEPTH_DATA" not in os.environ:
        raise SystemExit("results: METRIC_DEPTH_DATA is not set; needed the folder of the real frames.")
    args.out.mkdir(parents=True, exist_ok=True)
    steps, common = Steps(args.out / "steps.json"), f"--all-frames --cache {args.out}/cache"
    rendered = render(args.out, args.scenes, steps)

    def evaluate(name: str, sets: list[str], options: str) -> None:
        folder = args.out / name
        argv = ["evaluate", *sets, *shlex.split(f"{common} {options}"), "--out", str(folder)]
        steps.run(argv, resume=(folder / "records.jsonl").exists())

    for name, sets, options in evaluations(args.out, os.environ["METRIC_DEPTH_DATA"], rendered):
        evaluate(name, sets, f"--workers {args.workers} {options}")
    for folders in rendered.values():
        for folder in folders:
            evaluate(f"pictures/{Path(folder).name}", [folder], PICTURES)
    write_pages(args.out, {command: seconds for command, (seconds, ended) in steps.taken.items() if ended})


if __name__ == "__main__":
    main()
