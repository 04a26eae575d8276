"""Times of networks on the installed runtimes, as ratios to ONNX Runtime in single precision.

    python benchmarks/bench_engine.py [MANIFEST ...] [--threads 2] [--rounds 9]

The bundled networks, METER-XXS where METRIC_DEPTH_DATA is set, and those of further manifests
(``metric_depth export`` writes them). First table: milliseconds of a run of the network, by runtime and
precision: the median, ratios of medians, and p50/p95/p99 of each; what does not run or fails the self-test is
marked. Second table: the whole engine on a 640x480 image, with resizing before and after, on ONNX Runtime.
Rounds alternate between all; percentiles are of the single runs.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from metric_depth_ros.config import EngineConfig
from metric_depth_ros.engines import BUNDLED, build_engine, depth_model, load_manifest, manifest_path
from metric_depth_ros.errors import ModelError
from metric_depth_ros.runtimes import BACKENDS, PORTABLE, Model, PlanCache
from metric_depth_ros.runtimes.backend import Backend
from metric_depth_ros.runtimes.self_test import compare, run_all, stored_inputs
from metric_depth_ros.share import share_path

ROUND_S = 0.25
PORTABLE_LABEL = "onnxruntime fp32"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("manifests", nargs="*", type=Path, metavar="MANIFEST")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", action="store_true", help="leave out the bundled networks and METER-XXS")
    args = parser.parse_args()
    networks = configs(args.threads, args.manifests)
    if args.only:
        networks = {path.stem: networks[path.stem] for path in args.manifests}
    absent = [f"{b.name} {b.device} ({b.missing()})" for b in BACKENDS if b.missing()]
    print(f"Not here: {'; '.join(absent)}\n")
    print(f"{args.threads} threads\n")
    print(f"| network | input | {PORTABLE_LABEL} | others, times it | p50/p95/p99 ms | self-test |")
    print("|---|---|---:|---|---|---|")
    for name, config in networks.items():
        runtimes_row(name, config, args.rounds)
    print("\n| network | input | file | network: p50/p95/p99 | engine: p50/p95/p99 |\n|---|---|---|---|---|")
    for name, config in networks.items():
        engine_row(name, config, args.rounds)


def configs(threads: int, manifests: list[Path]) -> dict[str, EngineConfig]:
    """The engines to time."""
    found = {f"{name}_depth": EngineConfig(name, threads=threads) for name in BUNDLED if name}
    data = os.environ.get("METRIC_DEPTH_DATA")
    for name, size in (("nyu", "192x256"), ("kitti", "192x640")) if data else ():
        model = Path(str(data)).parent / f"models/meter_xxs/meter_xxs_{name}_{size}.onnx"
        manifest = share_path(f"config/models/meter_xxs_{name}.yaml")
        if model.is_file():
            found[f"METER-XXS {name}"] = EngineConfig(str(manifest), str(model), threads=threads)
    for path in manifests:
        found[path.stem] = EngineConfig(manifest=str(path), threads=threads)
    return found


def runtimes_row(name: str, config: EngineConfig, rounds: int) -> None:
    """One network on every runtime that is here, in every precision it offers."""
    path = manifest_path(config)
    manifest = load_manifest(path)
    model = depth_model(manifest, path.parent, config.model)
    inputs = stored_inputs(model)
    runs: dict[str, Callable[[], object]] = {}
    tests: dict[str, str] = {}
    wanted = None
    for backend in sorted((b for b in BACKENDS if not b.missing()), key=lambda b: b is not PORTABLE):
        for precision in precisions(backend, model, tests):
            label = f"{backend.name} {precision}" + ("" if backend.device == "cpu" else f" {backend.device}")
            try:
                runtime = backend.load(model, precision, threads=config.threads, cache=PlanCache())
                found = run_all(runtime, inputs)
            except Exception as error:  # a broken installation may raise anything; the others are still timed
                if backend is PORTABLE:
                    raise
                tests[label] = does_not_run(error)
                continue
            wanted = wanted or found
            try:
                tests[label] = f"{compare(found, wanted, precision):.1g}"
            except ModelError as error:
                tests[label] = f"fails ({str(error).split(';')[0]})"
            runs[label] = lambda runtime=runtime: runtime.run(inputs[0])  # type: ignore[misc]
    times = timed(runs, rounds)
    portable = np.median(times[PORTABLE_LABEL])
    others = [label for label in times if label != PORTABLE_LABEL]
    ratios = ", ".join(f"{label} {np.median(times[label]) / portable:.2f}" for label in others)
    errors = ", ".join(f"{label} {words}" for label, words in tests.items() if label != PORTABLE_LABEL)
    spread = ", ".join(f"{label} {percentiles(ms)}" for label, ms in times.items())
    size = f"{manifest.input.width}x{manifest.input.height}"
    print(f"| {name} | {size} | {portable:.1f} ms | {ratios} | {spread} | {errors} |", flush=True)


def precisions(backend: Backend, model: Model, tests: dict[str, str]) -> tuple[str, ...]:
    """What it offers; nothing, and a line in ``tests``, where it cannot even say so."""
    try:
        return backend.precisions(model)
    except Exception as error:
        tests[backend.name] = does_not_run(error)
        return ()


def does_not_run(error: Exception) -> str:
    """An entry of the table."""
    return f"does not run ({' '.join(str(error).split())[:80]})"


def engine_row(name: str, config: EngineConfig, rounds: int) -> None:
    """The network alone and the whole engine, on the portable runtime."""
    path = manifest_path(config)
    manifest = load_manifest(path)
    model = depth_model(manifest, path.parent, config.model)
    runtime = PORTABLE.load(model, "fp32", threads=config.threads, cache=PlanCache())
    inputs = stored_inputs(model)[0]
    image = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    settings = EngineConfig(config.manifest, config.model, "onnxruntime", threads=config.threads)
    engine = build_engine(settings)
    found = timed({"network": lambda: runtime.run(inputs), "engine": lambda: engine.predict(image)}, rounds)
    cells = " | ".join(f"{percentiles(ms)} ms" for ms in found.values())
    size = f"{manifest.input.width}x{manifest.input.height}"
    print(f"| {name} | {size} | {len(model.full.content) / 1e6:.2f} MB | {cells} |", flush=True)


def timed(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of every single run; rounds of about ``ROUND_S`` alternate."""
    counts = {}
    for label, run in runs.items():
        run()
        started = time.perf_counter()
        run()
        counts[label] = max(1, round(ROUND_S / (time.perf_counter() - started)))
    times: dict[str, list[float]] = {label: [] for label in runs}
    for _ in range(rounds):
        for label, run in runs.items():
            for _ in range(counts[label]):
                started = time.perf_counter()
                run()
                times[label].append(1e3 * (time.perf_counter() - started))
    return times


def percentiles(ms: list[float]) -> str:
    """Of the single runs."""
    return "/".join(f"{value:.1f}" for value in np.percentile(ms, [50, 95, 99]))


if __name__ == "__main__":
    main()
