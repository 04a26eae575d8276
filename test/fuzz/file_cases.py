"""Damaged files that are no bags: configuration, manifests, networks, frame folders, shards."""

from __future__ import annotations

import hashlib
import json
import random
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import mutations
import numpy as np

from metric_depth_ros.config import EngineConfig, parameter_file
from metric_depth_ros.datasets import FrameFolder, ShardFrames
from metric_depth_ros.datasets.shard_layout import Scan, encode_depth, encode_scans
from metric_depth_ros.engines import build_engine
from metric_depth_ros.engines.manifest import load_prior_manifest
from metric_depth_ros.share import share_path

Case = tuple[str, Callable[[], Any]]

ROOT = Path(__file__).parents[2]
SIZE = WIDTH, HEIGHT = 32, 24
# A frame whose every file and key is read.
FRAME = {
    "id": "a", "rgb": "a.png", "depth": "depth.npz", "lowres_depth": "low.png", "points": "points.bin",
    "T_camera_lidar": np.eye(4).tolist(), "T_world_camera": np.eye(4).tolist(), "fx": 25.0, "fy": 25.0,
    "cx": 15.0, "cy": 11.0, "width": WIDTH, "height": HEIGHT, "depth_scale": 1e-3, "points_columns": 4,
    "timestamp": 1.5, "distortion": [0.1, 0.0, 0.0, 0.0], "distortion_model": "plumb_bob",
    "description": ["a room"],
}  # fmt: skip
VALUES = (
    None, True, 0, -1, 1e300, float("nan"), float("inf"), 10**400, "", "text", "../x", "/dev/zero", "a\0b",
    5000 * "x", [], [[]], [1, [2]], {}, {"a": 1},
)  # fmt: skip


def file_cases(count: int, seed: int) -> Iterator[Case]:
    """Damaged files of every kind, in turn."""
    rng = random.Random(seed)
    with TemporaryDirectory() as name:
        whole, folder = Path(name) / "whole", Path(name) / "damaged"
        write_frame(whole / "frame")
        write_shard(whole / "shards")
        makers = (configuration, manifest, network, calibration, frame_file, shard, shard_sample)
        for number in range(count):
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(whole, folder)
            maker = makers[number % len(makers)]
            yield maker.__name__.replace("_", " "), maker(folder, rng)


def configuration(folder: Path, rng: random.Random) -> Callable[[], Any]:
    """A parameter file with odd lines, or damaged bytes."""
    path = folder / "parameters.yaml"
    shutil.copy(ROOT / "config/metric_depth.yaml", path)
    _damage_text(path, rng)
    return lambda: parameter_file.load(path)


def manifest(folder: Path, rng: random.Random) -> Callable[[], Any]:
    """A bundled manifest with odd lines, or damaged bytes."""
    path = folder / "manifest.yaml"
    shutil.copy(share_path(f"config/models/{rng.choice(('tiny_depth', 'scale', 'tr2m'))}.yaml"), path)
    _damage_text(path, rng)
    return lambda: load_prior_manifest(path)


def network(folder: Path, rng: random.Random) -> Callable[[], Any]:
    """The tiny network with damaged bytes, a quarter of the times beside its own hash, loaded and run."""
    data = mutations.damaged(share_path("config/models/tiny_depth.onnx").read_bytes(), rng)
    (folder / "tiny_depth.onnx").write_bytes(data)
    text = share_path("config/models/tiny_depth.yaml").read_text()
    if rng.random() < 0.75:
        text = re.sub(r"(?m)^sha256: .*", f"sha256: {hashlib.sha256(data).hexdigest()}", text)
    (folder / "tiny.yaml").write_text(text)
    config = EngineConfig(manifest=str(folder / "tiny.yaml"), runtime="onnxruntime", threads=1, timeout_s=5)
    return lambda: build_engine(config)


def calibration(folder: Path, rng: random.Random) -> Callable[[], Any]:
    """A calib.json with odd values, or damaged bytes."""
    path = folder / "frame/calib.json"
    frame: dict[str, Any] = dict(FRAME)
    for key in rng.sample(sorted(frame), rng.randint(1, 2)):
        frame[key] = rng.choice(VALUES)
    tree = rng.choice(({"frames": [frame]}, {**frame, "frames": [{}]}, {"frames": rng.choice(VALUES)}))
    path.write_text(json.dumps(tree))
    if rng.random() < 0.3:
        path.write_bytes(mutations.damaged(path.read_bytes(), rng))
    return lambda: read_frame(folder / "frame")


def frame_file(folder: Path, rng: random.Random) -> Callable[[], Any]:
    """A frame one of whose files has damaged bytes."""
    path = folder / "frame" / rng.choice(("a.png", "depth.npz", "low.png", "points.bin"))
    path.write_bytes(mutations.damaged(path.read_bytes(), rng))
    return lambda: read_frame(folder / "frame")


def shard(folder: Path, rng: random.Random) -> Callable[[], Any]:
    """A shard with damaged bytes."""
    path = folder / "shards/shard_00000.zip"
    path.write_bytes(mutations.damaged(path.read_bytes(), rng))
    return lambda: read_shard(folder / "shards")


def shard_sample(folder: Path, rng: random.Random) -> Callable[[], Any]:
    """A whole shard with a sample one of whose parts has damaged bytes."""
    parts = sample_parts()
    suffix = rng.choice(sorted(parts))
    write_shard(folder / "shards", {**parts, suffix: mutations.damaged(parts[suffix], rng)})
    return lambda: read_shard(folder / "shards")


def _damage_text(path: Path, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 3)):
        mutations.damage_yaml(path, rng)
    if rng.random() < 0.3:
        path.write_bytes(mutations.damaged(path.read_bytes(), rng))


# ---- whole files, and all that is ever read of them --------------------------------------------


def write_frame(folder: Path) -> None:
    folder.mkdir(parents=True)
    picture = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    cv2.imwrite(str(folder / "a.png"), picture)
    cv2.imwrite(str(folder / "low.png"), np.full((6, 8), 1000, np.uint16))
    np.savez_compressed(folder / "depth.npz", depth=np.ones((HEIGHT, WIDTH), np.float32))
    np.ones((100, 4), np.float32).tofile(folder / "points.bin")
    (folder / "calib.json").write_text(json.dumps({"frames": [FRAME]}))


def read_frame(folder: Path) -> None:
    frames = FrameFolder(folder)
    for index in range(min(len(frames), 3)):
        frames.has_depth(index, or_points=True)
        frames.descriptions(index)
        frames.coarse_depth(index)
        frames[index].sample()


def sample_parts() -> dict[str, bytes]:
    scan = Scan(np.ones((5, 3), np.float32), np.ones(5, np.int32), np.zeros(5, bool), np.eye(4))
    info = {"width": WIDTH, "height": HEIGHT, "K": [[25, 0, 15], [0, 25, 11], [0, 0, 1]], "scene": 3}
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    return {
        "jpg": cv2.imencode(".jpg", picture)[1].tobytes(),
        "depth.png": cv2.imencode(".png", encode_depth(np.ones((HEIGHT, WIDTH), np.float32)))[1].tobytes(),
        "normals.png": cv2.imencode(".png", picture)[1].tobytes(),
        "labels.png": cv2.imencode(".png", picture[..., 0])[1].tobytes(),
        "json": json.dumps({**info, "family": "room", "descriptions": ["a room"]}).encode(),
        "points.npz": encode_scans({"lidar": scan}),
    }


def write_shard(folder: Path, parts: dict[str, bytes] | None = None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / "shard_00000.zip", "w") as archive:
        for suffix, data in (parts or sample_parts()).items():
            archive.writestr(f"00000000.{suffix}", data)


def read_shard(folder: Path) -> None:
    frames = ShardFrames(folder)
    for index in range(min(len(frames), 3)):
        frames[index].sample()
        frames.picture(index)
        frames.descriptions(index)
        frames.scene(index)
        frames.family(index)
        frames._reader.read(index, ("labels", "normals", "points"))
