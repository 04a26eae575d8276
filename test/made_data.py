"""Made data sets for the tests of training: shards, and folders of frames."""

from __future__ import annotations

import json

import cv2
import numpy as np

from metric_depth_synthetic.photography import encode_jpeg
from metric_depth_synthetic.shard_writer import ShardWriter


def write_shards(folder, numbers=(0,), *, count=60, families=("room", "street"), views=1, described=False):
    """Ramps: the lower the nearer and the brighter, so that there is something to learn.

    ``described``: with a sentence that says whether the whole is near (a room) or five times as far.
    """
    for number in numbers:
        rng = np.random.default_rng(number)
        with ShardWriter(folder, number) as shard:
            for index in range(count):
                far, near = rng.uniform(6, 9), rng.uniform(1, 2)
                across = rng.uniform(0.6, 1.6, 64)
                depth = (np.geomspace(far, near, 48)[:, None] * across).astype(np.float32)
                image = np.repeat((250 / (1 + depth))[..., None], 3, axis=2).astype(np.uint8)
                if described and index % 2:
                    depth *= 5
                if index % 3 == 0:
                    depth[:8] = np.inf
                K = [[64.0, 0, 31.5], [0, 64.0, 23.5], [0, 0, 1]]
                scene = index // views
                info = {"family": families[scene % len(families)], "width": 64, "height": 48, "K": K}
                info["scene"] = number * count + scene
                if described:
                    place = ("room", "street")[index % 2]
                    info["descriptions"] = [f"a {place}.", f"the image shows a {place}."]
                    info["held_out_descriptions"] = [f"a photo of the {place}."]
                shard.write(number * count + index, encode_jpeg(image, 90), depth, info)
    return folder


def write_frames(folder, count=6, *, depth=True):
    """Frames of two sizes with 16-bit depth images of ramps, a corner of each unknown."""
    folder.mkdir(parents=True, exist_ok=True)
    frames = []
    for index in range(count):
        width, height = ((64, 48), (80, 60))[index % 2]
        metres = np.geomspace(8, 1 + index / count, height)[:, None] * np.linspace(0.7, 1.4, width)
        picture = np.repeat((250 / (1 + metres))[..., None], 3, axis=2).astype(np.uint8)
        metres[: height // 3, : width // 3] = 0
        cv2.imwrite(str(folder / f"{index}.png"), picture)
        cv2.imwrite(str(folder / f"{index}_depth.png"), (1000 * metres).astype(np.uint16))
        frame = {"rgb": f"{index}.png", "fx": 64, "fy": 64, "cx": width / 2, "cy": height / 2}
        frames.append({**frame, **({"depth": f"{index}_depth.png"} if depth else {})})
    (folder / "calib.json").write_text(json.dumps({"depth_scale": 0.001, "frames": frames}))
    return folder
