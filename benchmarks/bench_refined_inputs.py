"""What each input of the network of ``refined`` is worth.

    METRIC_DEPTH_DATA=... python benchmarks/bench_refined_inputs.py EXAMPLES --out RUNS --steps 120

The bundled network is trained on, on the examples of ``train refinement``, once as it is and once without
each input, two seeds. Prints what is left of the solver's error in log depth on held-out examples, by their
number of anchors, and of its AbsRel on the develop half of the real frames. Runs that are done in RUNS stay;
a run that was cut goes on.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from real_sets import folders_of
from results import Steps

from metric_depth_ros.evaluation.records import read_records
from metric_depth_ros.evaluation.tables import Column, Row, Table, markdown
from metric_depth_ros.learning.export.refinement import export_refinement
from metric_depth_ros.learning.training.checkpoint import FILE
from metric_depth_ros.learning.training.loader import evenly
from metric_depth_ros.learning.training.refinement.examples import RefinementExamples
from metric_depth_ros.learning.training.refinement.settings import RefinementSettings
from metric_depth_ros.learning.training.refinement.trainer import RefinementTrainer, load_refinement
from metric_depth_ros.share import share_path
from metric_depth_ros.solvers.refined.inputs import INPUTS, channels_of
from metric_depth_ros.solvers.refined.network import BUNDLED

# Held-out examples, and their groups: up to so many anchors.
MOST, COUNTS = 320, {"to 30 anchors": 30, "to 300": 300, "more": 10**9}
PROTOCOL = "random:20,100,500 rows:4"


def trained(settings: RefinementSettings) -> Path:
    """Manifest of a network, which is trained and exported unless it is there."""
    out = Path(settings.out)
    manifest = out / f"{out.name}.yaml"
    if not manifest.exists():
        trainer = RefinementTrainer(settings, resume=(out / FILE).exists())
        try:
            trainer.run()
        finally:
            trainer.close()
        network, state = load_refinement(out)
        export_refinement(network, out, out.name, state["about"])
    return manifest


def left_over(run: Path, examples: RefinementExamples) -> list[float]:
    """Percent of the fit's mean |log error| that is left on held-out examples, by number of anchors."""
    network, _ = load_refinement(run)
    index = examples.validation[evenly(len(examples.validation), MOST)]
    rows = []
    for number in index.tolist():
        look, error = examples[number]
        with torch.inference_mode():
            found = network(torch.from_numpy(channels_of(look)[None]))[0, 0].numpy()
        known = np.isfinite(error)
        rows.append([len(look.uv), np.abs(error[known]).mean(), np.abs(error - found)[known].mean()])
    count, before, after = np.array(rows).T
    ends = [0, *COUNTS.values()]
    groups = [(low < count) & (count <= high) for low, high in itertools.pairwise(ends)]
    return [100 * float(after[group].mean() / before[group].mean()) for group in groups]


def on_real_frames(out: Path, manifests: Sequence[Path]) -> dict[str, dict[tuple[str, int], float]]:
    """Percent of the AbsRel of ``auto`` that is left, by file name and protocol, of both depth networks."""
    data = Path(os.environ["METRIC_DEPTH_DATA"])
    sets = [str(folder) for folders in folders_of(data, "develop").values() for folder in folders]
    variants = " ".join(
        f"--variant {path.stem} solver.name=refined solver.refined.network={path.resolve()}"
        for path in manifests
    )
    options = f"--solvers auto {variants} --metrics abs_rel --engine {data}/relative_meter small"
    told = f'--protocol "{PROTOCOL}" --seeds 1 --workers 2 --cache {out}/cache --out {out}/real'
    Steps(out / "steps.json").run(["evaluate", *sets, *shlex.split(f"{options} {told}")])
    errors: dict[str, dict[tuple[str, int], list[float]]] = {}
    for record in read_records(out / "real"):
        of = errors.setdefault(record.solver, {}).setdefault((record.protocol, record.count), [])
        of.append(record.errors["abs_rel"])
    auto = {key: np.mean(values) for key, values in errors["auto"].items()}
    return {
        path.stem: {key: 100 * float(np.mean(errors[path.stem][key]) / mean) for key, mean in auto.items()}
        for path in manifests
    }


def table(columns: Iterable[str], rows: Mapping[str, Sequence[Sequence[float]]]) -> str:
    """Markdown: for each row the values of both seeds."""
    texts = {
        name: ["/".join(f"{value:.1f}" for value in values) for values in zip(*seeds, strict=True)]
        for name, seeds in rows.items()
    }
    lines = [Row((name,), cells) for name, cells in texts.items()]
    return markdown(Table(("",), [Column(name) for name in columns], lines))


def trained_without(args: argparse.Namespace) -> dict[str, list[Path]]:
    """Row of the tables -> manifests of its networks, one for each seed."""
    arms: dict[str, tuple[str, ...]] = {"all": (), **{f"without {name}": (name,) for name in INPUTS}}
    manifests: dict[str, list[Path]] = {name: [] for name in arms}
    for seed, (name, without) in itertools.product(args.seeds.split(","), arms.items()):
        settings = RefinementSettings(
            examples=str(args.examples), out=str(args.out / f"{name.replace(' ', '_')}_{seed}"),
            without=without, seed=int(seed), start=str(share_path(BUNDLED).with_suffix(".npz")),
            steps=args.steps, threads=args.threads, look_every=10**9,
        )  # fmt: skip
        manifests[name].append(trained(settings))
    return manifests


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("examples", type=Path, nargs="?", help="of train refinement")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of the runs")
    parser.add_argument("--steps", type=int, default=120, help="of each run (default 120)")
    parser.add_argument("--seeds", default="0,1", help="(default 0,1)")
    parser.add_argument("--threads", type=int, default=2, help="of each run (default 2)")
    args = parser.parse_args()
    if args.examples is None or "METRIC_DEPTH_DATA" not in os.environ:
        print("bench_refined_inputs: skipped; needed EXAMPLES, and METRIC_DEPTH_DATA")
        return
    manifests = trained_without(args)
    examples = RefinementExamples(args.examples)
    held_out = {name: [left_over(path.parent, examples) for path in of] for name, of in manifests.items()}
    print("\nLeft of the error in log depth of held-out examples, %\n")
    print(table(COUNTS, held_out))
    real = on_real_frames(args.out, [path for of in manifests.values() for path in of])
    cases = list(next(iter(real.values())))
    print("\nLeft of the AbsRel of auto on real frames, %\n")
    print(table([f"{count} {protocol}" for protocol, count in cases], {
        name: [list(real[path.stem].values()) for path in of] for name, of in manifests.items()
    }))  # fmt: skip


if __name__ == "__main__":
    main()
