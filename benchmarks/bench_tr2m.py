"""TR2M's ablations in the form of paper 003's tables 4, 5, 9, 10, 11 and 12.

    python benchmarks/bench_tr2m.py EXAMPLES DATA... --out RUNS [--steps 600] [--seeds 3] [--only map,text]
    python benchmarks/bench_tr2m.py EXAMPLES DATA... --run RUN

EXAMPLES is what `metric_depth train tr2m` keeps of its pictures; EXAMPLES_tiny beside it, if there, is the
same for tiny_depth (table 9). Trains every variant at equal steps and with several seeds, and says AbsRel,
the median over the pictures of DATA in a place, and delta1, the mean over them, each as mean and deviation
over the seeds; --only takes variants whose names begin so. --run tests one run instead. DATA are frames or
shards that were not trained on. Pictures are described by their own words, of shards those that training
never sees, else by `real_sets.py`.

Controls: one depth for all pictures of the place, their median, and the depth network's map times one factor
for all, the median best one; both have seen the truth, the others have not.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_priors import known_values
from real_sets import WORDS

from metric_depth_ros.config import EngineConfig
from metric_depth_ros.engines.manifest import InputManifest
from metric_depth_ros.engines.network_input import NetworkInput
from metric_depth_ros.evaluation.frames import KnownView, build_source, find_sets, read_views
from metric_depth_ros.evaluation.metrics import abs_rel, delta
from metric_depth_ros.learning.models.encoder import MEAN, STD
from metric_depth_ros.learning.models.text_encoder import TextEncoder, load_text_encoder
from metric_depth_ros.learning.models.tr2m import TR2M, metric_depth
from metric_depth_ros.learning.training.checkpoint import FILE
from metric_depth_ros.learning.training.tr2m.settings import TR2MSettings
from metric_depth_ros.learning.training.tr2m.trainer import TR2MTrainer, load_tr2m
from metric_depth_ros.priors.text import NEUTRAL
from metric_depth_ros.scale import best_scale, bounds_of, unit_depth
from metric_depth_ros.share import share_path

# Row -> settings that differ. The first has all of the paper's parts.
VARIANTS: dict[str, dict[str, Any]] = {
    "maps, pseudo, contrast": {},
    "factors alone": {"per_pixel": False, "pseudo": False, "contrast": False},
    "maps alone": {"pseudo": False, "contrast": False},
    "maps, pseudo": {"contrast": False},
    "text alone": {"inputs": "text"},
    "image alone": {"inputs": "image"},
    "scale map alone": {"maps": "scale"},
    "shift map alone": {"maps": "shift"},
    "contrast, 5 classes": {"classes": 5},
    "contrast, 10 classes": {"classes": 10},
    "contrast, 40 classes": {"classes": 40},
    "pseudo in depth, as printed": {"pseudo_space": "depth"},
    "on tiny_depth": {"engine": "tiny"},
}
# Number of a view, the views of its place, and those of the other place -> the words that are read.
Told = Callable[[int, Sequence[KnownView], Sequence[KnownView]], str]
FOREIGN = "Eine Straße mit Häusern, Bäumen und vielen Autos."


def words_of(view: KnownView) -> str:
    """What a view shows: its own words, or those of its set."""
    return view.description or WORDS.get(view.set_name, "")


def another(number: int, views: Sequence[KnownView]) -> KnownView:
    """A view far from this one in the list."""
    return views[(number + len(views) // 2) % len(views)]


# Table 10, asked of the first variant.
TELLING: dict[str, Told] = {
    "right words": lambda k, own, other: words_of(own[k]),
    "words of another picture of the place": lambda k, own, other: words_of(another(k, own)),
    "words of the other place": lambda k, own, other: words_of(other[k % len(other)]),
    "no words": lambda k, own, other: NEUTRAL,
    "foreign words": lambda k, own, other: FOREIGN,
}
Score = tuple[float, float]


def over_pictures(scores: Sequence[Score]) -> Score:
    """Median AbsRel, as a thing at 0.5 m that is taken for a room weighs 10, and mean delta1."""
    errors, within = np.transpose(scores)
    return float(np.median(errors)), float(np.mean(within))


class Tester:
    """Scores of a network on views."""

    def __init__(self, views: Mapping[str, list[KnownView]], encoder: TextEncoder) -> None:
        self._views, self._encoder = views, encoder
        self._read: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}

    def scores(self, network: TR2M, size: tuple[int, int], told: Told) -> dict[str, Score]:
        """AbsRel and delta1 by place, over its pictures."""
        found = {}
        for place, views in self._views.items():
            others = [view for name, those in self._views.items() if name != place for view in those]
            pairs = [
                self._score(network, size, view, told(k, views, others or views))
                for k, view in enumerate(views)
            ]
            found[place] = over_pictures(pairs)
        return found

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def _score(self, network: TR2M, size: tuple[int, int], view: KnownView, words: str) -> Score:
        entry = NetworkInput(InputManifest("image", *size, mean=MEAN, std=STD))
        entry.fill(view.image)
        maps = network(torch.from_numpy(entry.array.copy()), *self._tokens(words or NEUTRAL))
        relative = torch.from_numpy(1 / unit_depth(view.relative))[None, None]
        depth = metric_depth(maps.scale, maps.shift, relative)[0, 0].numpy()
        zoom = view.camera.relative_focal if network.config.canonical else 1.0
        said, truth = known_values(view, depth * np.float32(zoom)), view.known.pixels.depth
        return abs_rel(said, truth), delta(said, truth)

    def _tokens(self, words: str) -> tuple[torch.Tensor, torch.Tensor]:
        if words not in self._read:
            (tokens,) = self._encoder.embed([words])
            self._read[words] = torch.from_numpy(tokens)[None], torch.ones(1, len(tokens))
        return self._read[words]


def views_of(data: Sequence[Path], engine: str) -> dict[str, list[KnownView]]:
    """Views with a camera by place."""
    source, found = build_source(EngineConfig(), engine), defaultdict(list)
    for folder in find_sets(data):
        for view in read_views(folder, source, every=any(folder.glob("shard_*.zip"))):
            if view.camera is not None:
                found[view.place].append(view)
    return dict(sorted(found.items()))


def trained(examples: Path, out: Path, steps: int, seed: int, **changes: Any) -> TR2M:
    """The network of a run; one that is done stays, one that was cut goes on."""
    if changes.pop("engine", "small") == "tiny":
        examples = examples.with_name(f"{examples.name}_tiny")
    settings = TR2MSettings(
        examples=str(examples), out=str(out), steps=steps, seed=seed, look_every=steps, threads=1,
        weights=str(share_path("config/models/small_depth.npz")), device="cpu", **changes,
    )  # fmt: skip
    trainer = TR2MTrainer(settings, resume=(out / FILE).exists())
    try:
        trainer.run()
    finally:
        trainer.close()
    return load_tr2m(out)[0]


def controls(views: Mapping[str, list[KnownView]]) -> dict[str, dict[str, Score]]:
    """One depth, and one factor, for all pictures of a place."""
    rows: dict[str, dict[str, Score]] = {"control: one depth": {}, "control: one factor": {}}
    for place, those in views.items():
        truths = [view.known.pixels.depth for view in those]
        maps = [known_values(view, unit_depth(view.relative)) for view in those]
        usual = np.median([np.median(truth) for truth in truths])
        factor = np.median(
            [best_scale(m, t, bounds_of(v.relative)) for m, t, v in zip(maps, truths, those, strict=True)]
        )
        said = {
            "control: one depth": [np.full_like(truth, usual) for truth in truths],
            "control: one factor": [factor * map_ for map_ in maps],
        }
        for name, depths in said.items():
            pairs = [(abs_rel(d, t), delta(d, t)) for d, t in zip(depths, truths, strict=True)]
            rows[name][place] = over_pictures(pairs)
    return rows


def line(name: str, seeds: Sequence[Mapping[str, Score]]) -> str:
    """Row of a table: mean and deviation over seeds of AbsRel and delta1 in each place."""
    cells = []
    for place in seeds[0]:
        values = np.array([found[place] for found in seeds])
        mean, spread = values.mean(0), values.std(0)
        error, within = (
            f"{m:.3f}" + (f"±{s:.3f}" if len(seeds) > 1 else "") for m, s in zip(mean, spread, strict=True)
        )
        cells += [error, within]
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description="TR2M's ablations.")
    parser.add_argument("examples", type=Path, nargs="?")
    parser.add_argument("data", type=Path, nargs="*")
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--run", type=Path, help="test this run alone")
    args = parser.parse_args()
    if not args.data:
        print("bench_tr2m: skipped, no EXAMPLES and DATA given")
        return
    encoder = load_text_encoder()
    views = {"small": views_of(args.data, "small")}
    places = list(views["small"])
    print("| AbsRel, delta1 | " + " | ".join(f"{p}, {len(views['small'][p])} | " for p in places) + " |")
    print("|---" + "|---:" * (2 * len(places)) + "|")
    for name, row in controls(views["small"]).items():
        print(line(name, [row]), flush=True)
    if args.run is not None:
        network, state = load_tr2m(args.run)
        size = tuple(state["settings"]["size"])
        for name, told in TELLING.items():
            print(line(name, [Tester(views["small"], encoder).scores(network, size, told)]), flush=True)
        return
    only = tuple(args.only.split(","))
    for name, changes in VARIANTS.items():
        if not name.startswith(only):
            continue
        engine = changes.get("engine", "small")
        if engine not in views:
            if not args.examples.with_name(f"{args.examples.name}_tiny").is_dir():
                continue
            views[engine] = views_of(args.data, engine)
        tester = Tester(views[engine], encoder)
        folder = "_".join(name.replace(",", "").split())
        networks = [
            trained(args.examples, args.out / f"{folder}_{seed}", args.steps, seed, **changes)
            for seed in range(args.seeds)
        ]
        rows = TELLING if not changes else {"": TELLING["right words"]}
        for row, told in rows.items():
            scores = [tester.scores(network, (192, 144), told) for network in networks]
            print(line(f"{name}; {row}" if row else name, scores), flush=True)


if __name__ == "__main__":
    main()
