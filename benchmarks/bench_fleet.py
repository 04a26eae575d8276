"""What `metric_depth run FOLDER` does when workers are killed, and how it scales (docs/fleet.md).

    python benchmarks/bench_fleet.py kill --bags 200     # needs Ray: two of four of its workers are killed
    python benchmarks/bench_fleet.py speed               # one and two workers, and a simulation of more

Bags are made by rule, of different lengths, with some damaged ones. All runs are those of the command line.
"""

from __future__ import annotations

import argparse
import heapq
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil

from metric_depth_ros.bags import BagWriter
from metric_depth_ros.types import Camera

SECOND = 10**9


def write_bag(path: Path, images: int, size: tuple[int, int], seed: int) -> None:
    """A floor that runs away under a texture, with points on it."""
    width, height = size
    rng = np.random.default_rng(seed)
    K = np.array([[0.8 * width, 0, width / 2], [0, 0.8 * width, height / 2], [0, 0, 1]])
    camera = Camera(width, height, K)
    depth = (np.geomspace(rng.uniform(6, 12), 2, height)[:, None] * np.ones(width)).astype(np.float32)
    with BagWriter(path) as bag:
        for index in range(images):
            stamp = SECOND + index * SECOND // 10
            coarse = rng.integers(0, 256, (height // 8, width // 8, 3), np.uint8)
            image = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
            bag.write_image("/image", image, stamp, "camera")
            bag.write_camera_info("/camera_info", camera, stamp, "camera")
            for topic in ("/anchors", "/anchors_held_out"):
                v, u = rng.integers(0, height, 300), rng.integers(0, width, 300)
                z = depth[v, u]
                points = np.stack([(u - K[0, 2]) / K[0, 0] * z, (v - K[1, 2]) / K[1, 1] * z, z], axis=1)
                bag.write_points(topic, points.astype(np.float32), stamp, "camera")


def write_bags(folder: Path, count: int, images: tuple[int, int], size: tuple[int, int]) -> None:
    """Bags in nested folders; each fiftieth is cut short."""
    rng = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"day_{number % 5}" / f"drive_{number:04d}.mcap"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bag(path, int(rng.integers(*images)), size, number)
        if number % 50 == 49:
            path.write_bytes(path.read_bytes()[:5000])


def run(
    bags: Path, out: Path, *options: str, while_it_runs: Callable[[Any], None] = lambda _: None
) -> tuple[float, float]:
    """Seconds that the command took, and of processors by it and its workers."""
    command = [sys.executable, "-m", "metric_depth_ros.cli", "run", str(bags), "--out", str(out), *options]
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen([*command, "--previews", "1"], stderr=subprocess.DEVNULL)
    while_it_runs(process)
    process.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - started, used_s


def rows(out: Path) -> list[dict[str, Any]]:
    """What the summary says of each bag."""
    return [json.loads(line) for line in (out / "summary.jsonl").read_text().splitlines()]


def differences(one: Path, other: Path) -> str:
    """What differs between two folders of results, but for times."""
    apart = ("result.json", "summary.jsonl", "summary.md")
    files = [
        {p.relative_to(out): p for p in out.rglob("*") if p.is_file() and p.name not in apart}
        for out in (one, other)
    ]
    if files[0].keys() != files[1].keys():
        return f"other files: {sorted(map(str, files[0].keys() ^ files[1].keys()))[:5]}"
    wrong = [str(name) for name, path in files[0].items() if path.read_bytes() != files[1][name].read_bytes()]
    found = [[{**row, "seconds": 0, "median_ms": 0} for row in rows(out)] for out in (one, other)]
    wrong += [str(row["bag"]) for row, same in zip(*found, strict=True) if row != same]
    return ", ".join(wrong[:5]) or f"none in {len(files[0])} files and {len(found[0])} rows"


def kill_two(out: Path, bags: int) -> Callable[[subprocess.Popen[bytes]], None]:
    """Kills two workers of Ray in the midst of bags when a fifth of all is done."""

    def act(process: subprocess.Popen[bytes]) -> None:
        while process.poll() is None and len(list(out.rglob("result.json"))) < bags // 5:
            time.sleep(0.05)
        workers = [
            child
            for child in psutil.Process(process.pid).children(recursive=True)
            if child.cmdline()[:1] == ["ray::_Worker.attempt"]
        ]
        for worker in workers[:2]:
            worker.kill()
        done = len(list(out.rglob("result.json")))
        print(
            f"killed {len(workers[:2])} of {len(workers)} busy workers when {done} bags were done", flush=True
        )

    return act


def kill(folder: Path, count: int) -> None:
    """Compares a run of one process with one on Ray, two of whose four workers are killed."""
    bags = folder / "bags"
    write_bags(bags, count, (2, 9), (160, 120))
    serial_s, _ = run(bags, folder / "serial", "--workers", "1")
    out = folder / "ray"
    ray_s, _ = run(bags, out, "--ray", "local", "--workers", "4", while_it_runs=kill_two(out, count))
    found = rows(out)
    print(f"| bags | {len(found)}, {len({row['bag'] for row in found})} names |")
    print(
        f"| depth images | {sum(row['depth_images'] for row in found)} of {sum(r['images'] for r in found)} |"
    )
    print(f"| damaged bags, each a line | {sum(bool(row['error']) for row in found)} |")
    print(f"| differences to one process | {differences(folder / 'serial', out)} |")
    print(f"| left over | {len(list(out.rglob('.*')))} |")
    print(f"| seconds, one process; Ray with two deaths | {serial_s:.0f}; {ray_s:.0f} |")


def speed(folder: Path, count: int) -> None:
    """Time of one and two workers, and what a thousand such bags would take with more, on cores of their own.

    Times of the clock are those of a machine with other work; times of processors hardly depend on it.
    """
    write_bags(folder / "one", 1, (1, 2), (320, 240))
    _, start_s = run(folder / "one", folder / "start", "--workers", "1")
    bags = folder / "bags"
    write_bags(bags, count, (8, 24), (320, 240))
    found: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
    for turn in range(2):
        for workers, times in found.items():
            times.append(run(bags, folder / f"{workers}_{turn}", "--workers", str(workers)))
    images = sum(row["depth_images"] for row in rows(folder / "1_0"))
    first_s, used_s = (min(values) for values in zip(*found[1], strict=True))
    print("| workers | s | to one | processor s |\n|---|---|---|---|")
    for workers, times in found.items():
        wall_s, all_s = (min(values) for values in zip(*times, strict=True))
        print(f"| {workers} | {wall_s:.1f} | {first_s / wall_s:.2f} | {all_s:.1f} |")
    image_s = (used_s - start_s) / images
    print(
        f"{count} bags, {images} images: {1e3 * image_s:.0f} ms of a core each; {start_s:.1f} s for a worker"
    )
    each_s = [row["images"] * image_s for row in rows(folder / "1_0")]
    thousand = each_s * (1000 // count)
    print("| workers, simulated | h for 1000 bags | to one |\n|---|---|---|")
    for workers in (1, 2, 4, 8, 16, 64):
        end_s = start_s + makespan(thousand, workers)
        print(f"| {workers} | {end_s / 3600:.3f} | {(start_s + sum(thousand)) / end_s:.1f} |")


def makespan(seconds: list[float], workers: int) -> float:
    """When the last of the jobs ends, each given to the first worker that is free, the longest first."""
    free = [0.0] * workers
    for each in sorted(seconds, reverse=True):
        heapq.heapreplace(free, free[0] + each)
    return max(free)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("kill", "speed"))
    parser.add_argument("--bags", type=int, default=24)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        (kill if args.what == "kill" else speed)(Path(name), args.bags)
