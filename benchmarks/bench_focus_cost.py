"""Cost of Metric-Solver: parameters of its parts compared with paper 004, and time by number of focuses.

    python benchmarks/bench_focus_cost.py [--manifest YAML] [--dinov2 small] [--rounds 9]

First table: parameters in millions of every configuration, with random weights, beside the totals that
the paper states for the largest (table 4). Second table: milliseconds of the encoder, of the decoders at 1,
2, 4 and 8 focuses, and of all together relative to one focus, in ONNX Runtime on one thread: of the network
of a manifest, and of a DINOv2 encoder with random weights at 518x392. Rounds alternate between all; figures
are the thread's own time in the fastest run, which hardly depends on what else runs.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from metric_depth_ros.engines.manifest import MetricSolverManifest, load_manifest_of
from metric_depth_ros.learning.export.files import Wanted
from metric_depth_ros.learning.export.metric_solver import export_metric_solver
from metric_depth_ros.learning.models.metric_solver import DINO, DinoSizes, MetricSolver, MetricSolverConfig
from metric_depth_ros.runtimes import build_runtime

COUNTS = (1, 2, 4, 8)
ROUND_S = 0.3


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--manifest", type=Path, help="default: tiny with random weights at 320x240")
    parser.add_argument("--dinov2", default="small", choices=[*DINO, "none"])
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    print_parameters()
    with tempfile.TemporaryDirectory() as folder:
        manifests = {"tiny": args.manifest or _exported("tiny", (320, 240), folder)}
        if args.dinov2 != "none":
            manifests[f"DINOv2 {args.dinov2}"] = _exported(args.dinov2, (518, 392), folder)
        print_times(manifests, args.rounds)


def print_parameters() -> None:
    """The first table."""
    print("| | encoder | near decoder, mask head | far decoder | pool | all |\n|---|---|---|---|---|---|")
    with torch.device("meta"):
        for encoder in ("tiny", *DINO):
            for heads in ("one", "two"):
                network = MetricSolver(MetricSolverConfig(encoder=encoder, heads=heads))
                parts = [network.encoder, network.near, network.far, network.pool]
                row = " | ".join(_millions(part) for part in (*parts, network))
                print(f"| {encoder}, {heads} | {row} |")
        published = _depth_anything(DINO["large"])
    row = " | ".join(_millions(part) for part in (published.backbone, None, None, None, published))
    print(f"| Depth Anything V2 Large, transformers' | {row} |")
    print("| paper, DepthAnything(L) | | | | | 335.3 |\n| paper, ours | | | | | 393.0 |\n")


def _depth_anything(sizes: DinoSizes) -> nn.Module:
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    backbone = Dinov2Config(
        hidden_size=sizes.hidden, num_attention_heads=sizes.heads, num_hidden_layers=sizes.layers,
        image_size=518, out_indices=list(sizes.taps), reshape_hidden_states=False,
    )  # fmt: skip
    return DepthAnythingForDepthEstimation(
        DepthAnythingConfig(
            backbone_config=backbone,
            reassemble_hidden_size=sizes.hidden,
            neck_hidden_sizes=list(sizes.neck),
            fusion_hidden_size=sizes.fusion,
        )
    )


def _millions(part: nn.Module | None) -> str:
    return "" if part is None else f"{sum(p.numel() for p in part.parameters()) / 1e6:.3f}"


def _exported(encoder: str, size: tuple[int, int], folder: str) -> Path:
    network = MetricSolver(MetricSolverConfig(encoder=encoder))
    return export_metric_solver(network, Wanted(Path(folder), encoder, [size]))[0].manifest


def print_times(manifests: dict[str, Path], rounds: int) -> None:
    """The second table."""
    runs = {
        (name, part): run
        for name, path in manifests.items()
        for part, run in _runs(load_manifest_of(MetricSolverManifest, path), path.parent).items()
    }
    times = {key: [] for key in runs}
    for _ in range(rounds):
        for key, run in runs.items():
            times[key].append(_milliseconds(run))
    fastest = {key: min(values) for key, values in times.items()}
    print("| | encoder ms |" + "".join(f" decoders at {n}, ms |" for n in COUNTS) + " all, relative to 1 |")
    print("|---|---|" + "---|" * (len(COUNTS) + 1))
    for name in manifests:
        encoder, decoders = fastest[name, 0], [fastest[name, count] for count in COUNTS]
        alone = encoder + decoders[0]
        ratios = ", ".join(f"{n}: {(encoder + d) / alone:.2f}" for n, d in zip(COUNTS, decoders, strict=True))
        print(f"| {name} | {encoder:.1f} |" + "".join(f" {d:.1f} |" for d in decoders) + f" {ratios} |")


def _runs(manifest: MetricSolverManifest, folder: Path) -> dict[int, Callable[[], object]]:
    """A run of the encoder (0), and of the decoders by number of focuses."""
    item = manifest.input
    encoder = build_runtime("onnxruntime", folder / manifest.encoder.file, threads=1)
    decoders = build_runtime("onnxruntime", folder / manifest.decoders.file, threads=1)
    image = np.random.default_rng(0).standard_normal((1, 3, item.height, item.width)).astype(np.float32)
    features = encoder.run({item.name: image})

    def decode(count: int) -> Callable[[], object]:
        focus = np.geomspace(2, 120, count).astype(np.float32)
        return lambda: decoders.run({**features, "focus": focus})

    return {0: lambda: encoder.run({item.name: image}), **{count: decode(count) for count in COUNTS}}


def _milliseconds(run: Callable[[], object]) -> float:
    """The fastest run in a while, the first left out."""
    run()
    times: list[float] = []
    while not times or sum(times) < ROUND_S:
        started = time.thread_time()
        run()
        times.append(time.thread_time() - started)
    return 1e3 * min(times)


if __name__ == "__main__":
    main()
