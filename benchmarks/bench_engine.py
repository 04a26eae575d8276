"""What the bundled network costs: its file, and milliseconds an image with ONNX Runtime on two threads.

    python benchmarks/bench_engine.py

The image is 640x480; "network" is the run alone, "engine" with resizing before and after. METER-XXS beside
it where METRIC_DEPTH_DATA is set. Rounds alternate between the networks; best and median of the rounds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from metric_depth_ros.config import EngineConfig
from metric_depth_ros.engines import build_engine, load_manifest, manifest_path
from metric_depth_ros.runtimes import build_runtime
from metric_depth_ros.share import share_path
from metric_depth_ros.types import ImageArray

ROUNDS, RUNS = 15, 8


def configs() -> dict[str, EngineConfig]:
    """The engines to time."""
    found = {"bundled": EngineConfig(threads=2)}
    data = os.environ.get("METRIC_DEPTH_DATA")
    for name, size in (("nyu", "192x256"), ("kitti", "192x640")) if data else ():
        model = Path(str(data)).parent / f"models/meter_xxs/meter_xxs_{name}_{size}.onnx"
        manifest = share_path(f"config/models/meter_xxs_{name}.yaml")
        if model.is_file():
            found[f"METER-XXS {name}"] = EngineConfig(manifest=str(manifest), model=str(model), threads=2)
    return found


def main() -> None:
    image = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    runs = {name: (network(config), engine(config, image)) for name, config in configs().items()}
    times: dict[str, list[tuple[float, ...]]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, pair in runs.items():
            times[name].append(tuple(timed(run) for run in pair))
    print("| network | input | file | network: best, median | engine: best, median |\n|---|---|---|---|---|")
    for name, config in configs().items():
        manifest = load_manifest(manifest_path(config))
        file = Path(config.model) if config.model else manifest_path(config).parent / manifest.file
        best, median = np.min(times[name], axis=0), np.median(times[name], axis=0)
        print(
            f"| {name} | {manifest.input.width}x{manifest.input.height} | {file.stat().st_size / 1e6:.2f} MB "
            f"| {best[0]:.1f}, {median[0]:.1f} ms | {best[1]:.1f}, {median[1]:.1f} ms |"
        )


def network(config: EngineConfig) -> Callable[[], object]:
    """Runs the network alone."""
    manifest = load_manifest(manifest_path(config))
    file = config.model or manifest_path(config).parent / manifest.file
    runtime = build_runtime("onnxruntime", Path(file), threads=config.threads)
    inputs = {manifest.input.name: np.zeros((1, 3, manifest.input.height, manifest.input.width), np.float32)}
    return lambda: runtime.run(inputs)


def engine(config: EngineConfig, image: ImageArray) -> Callable[[], object]:
    """Runs the whole engine."""
    built = build_engine(config)
    return lambda: built.predict(image)


def timed(run: Callable[[], object]) -> float:
    """Milliseconds of one of several runs."""
    started = time.perf_counter()
    for _ in range(RUNS):
        run()
    return 1e3 * (time.perf_counter() - started) / RUNS


if __name__ == "__main__":
    main()
