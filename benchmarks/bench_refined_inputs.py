"""What each input of the network of ``refined`` is worth, and each family of scenes it is trained on.

    METRIC_DEPTH_DATA=... python benchmarks/bench_refined_inputs.py EXAMPLES --out RUNS --steps 700

Short trainings on the examples of ``train refinement``, each without one input or without one family, two
seeds. Of the solver's error in log depth it prints what is left: on held-out examples by their number of
anchors, for a family left out on those of that family; then AbsRel on the develop half of the real frames.
Runs that are done in RUNS stay; a run that was cut goes on.
"""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from real_sets import folders_of
from results import Steps

from metric_depth_ros.evaluation.records import read_records
from metric_depth_ros.learning.export.refinement import export_refinement
from metric_depth_ros.learning.training.checkpoint import FILE
from metric_depth_ros.learning.training.loader import evenly
from metric_depth_ros.learning.training.refinement.examples import RefinementExamples
from metric_depth_ros.learning.training.refinement.settings import RefinementSettings
from metric_depth_ros.learning.training.refinement.trainer import RefinementTrainer, load_refinement
from metric_depth_ros.solvers.refined.inputs import INPUTS, channels_of

FAMILIES = ("room", "corridor", "street", "tabletop")
ALL = "all"
# Held-out examples of each family, and their groups: up to so many anchors.
EACH, COUNTS = 120, {"to 30 anchors": 30, "to 300": 300, "more": 10**9}
PROTOCOL = "random:20,100,500 rows:4"


def arms() -> dict[str, dict[str, tuple[str, ...]]]:
    """Row of the tables -> what differs from the default settings."""
    inputs = {f"without {name}": {"without": (name,)} for name in INPUTS}
    families = {
        f"not trained on {left}": {"families": tuple(name for name in FAMILIES if name != left)}
        for left in FAMILIES
    }
    return {ALL: {}, **inputs, **families}


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


def left_over(run: Path, examples: RefinementExamples) -> list[tuple[int, float, float]]:
    """Anchors of some held-out examples, and mean |log error| of the fit and after correction."""
    network, _ = load_refinement(run)
    index = examples.validation[evenly(len(examples.validation), EACH)]
    rows = []
    for number in index.tolist():
        look, error = examples[number]
        with torch.inference_mode():
            found = network(torch.from_numpy(channels_of(look)[None]))[0, 0].numpy()
        known = np.isfinite(error)
        rows.append((len(look.uv), *(float(np.abs(off[known]).mean()) for off in (error, error - found))))
    return rows


def shares(rows: Sequence[tuple[int, float, float]]) -> list[float]:
    """Percent of the fit's error that is left, by number of anchors."""
    parts, low = [], 0
    for high in COUNTS.values():
        pairs = np.array([pair for count, *pair in rows if low < count <= high])
        parts.append(100 * float(pairs[:, 1].mean() / pairs[:, 0].mean()))
        low = high
    return parts


def on_real_frames(out: Path, manifests: Mapping[str, Path]) -> dict[str, dict[tuple[str, int], float]]:
    """Percent of the AbsRel of ``auto`` that is left, by network and protocol, of both depth networks."""
    data = Path(os.environ["METRIC_DEPTH_DATA"])
    sets = [str(folder) for folders in folders_of(data, "develop").values() for folder in folders]
    variants = " ".join(
        f"--variant {name} solver.name=refined solver.refined.network={path.resolve()}"
        for name, path in manifests.items()
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
        name: {key: 100 * float(np.mean(values) / auto[key]) for key, values in errors[name].items()}
        for name in manifests
    }


def table(head: Sequence[str], rows: Mapping[str, Sequence[Sequence[float]]]) -> str:
    """Markdown: for each row the values of both seeds."""
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    for name, seeds in rows.items():
        cells = ["/".join(f"{value:.1f}" for value in values) for values in zip(*seeds, strict=True)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("examples", type=Path, nargs="?", help="of train refinement")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of the runs")
    parser.add_argument("--steps", type=int, default=700, help="of each run (default 700)")
    parser.add_argument("--seeds", default="0,1", help="(default 0,1)")
    parser.add_argument("--threads", type=int, default=2, help="of each run (default 2)")
    args = parser.parse_args()
    if args.examples is None or "METRIC_DEPTH_DATA" not in os.environ:
        print("bench_refined_inputs: skipped; needed EXAMPLES, and METRIC_DEPTH_DATA")
        return
    seeds = tuple(map(int, args.seeds.split(",")))
    manifests = {}
    for seed in seeds:
        for name, changes in arms().items():
            label = f"{name.replace(' ', '_')}_{seed}"
            settings = RefinementSettings(
                examples=str(args.examples), out=str(args.out / label), seed=seed, steps=args.steps,
                threads=args.threads, look_every=10**9, **changes,
            )  # fmt: skip
            manifests[label] = trained(settings)
    held_out = {family: RefinementExamples(args.examples, families=(family,)) for family in FAMILIES}
    found = {
        label: {family: left_over(args.out / label, examples) for family, examples in held_out.items()}
        for label in manifests
    }
    each = {name: [f"{name.replace(' ', '_')}_{seed}" for seed in seeds] for name in arms()}
    print("\nLeft of the error in log depth of held-out examples, %\n")
    print(table(("", *COUNTS), {
        name: [shares([row for rows in found[label].values() for row in rows]) for label in labels]
        for name, labels in each.items() if name == ALL or name.startswith("without")
    }))  # fmt: skip
    print("\nThe same, of one family\n")
    print(table(("", *COUNTS), {
        f"{family}, {name}": [shares(found[label][family]) for label in each[name]]
        for family in FAMILIES for name in (ALL, f"not trained on {family}")
    }))  # fmt: skip
    real = on_real_frames(args.out, manifests)
    cases = list(real[next(iter(manifests))])
    print("\nLeft of the AbsRel of auto on real frames, %\n")
    print(table(("", *(f"{count} {protocol}" for protocol, count in cases)), {
        name: [[real[label][case] for case in cases] for label in labels] for name, labels in each.items()
    }))  # fmt: skip


if __name__ == "__main__":
    main()
