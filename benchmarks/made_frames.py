"""Pictures that no set has, made of others: night, thermal-like, narrow, wide-angle, fisheye.

They are made, not real: depth and calibration stay true, and what changes is the picture a network sees.
"""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from metric_depth_ros.datasets import open_dataset
from metric_depth_ros.datasets.frame_folder import FrameFolder
from metric_depth_ros.evaluation.frames import frames_of
from metric_depth_ros.evaluation.known_depth import unusable_border_px
from metric_depth_ros.geometry import Rectifier, pixel_rays, project
from metric_depth_ros.types import Camera, FloatArray, ImageArray, Rectification

# Of a display's picture: light = value ** _GAMMA.
_GAMMA = 2.2
# Night: photons of a white pixel, 3 % of a thousand by day; noise of reading in photons; part of the range
# that white has; the colour of street lamps (RGB).
_PHOTONS, _READING, _WHITE, _LAMPS = 30.0, 2.0, 0.12, (1.0, 0.72, 0.42)
# Thermal-like: knots of the random curve from grey to grey, its range, blur at a width of 640 px, and
# deviation of the gain of columns and of pixels, in grey levels.
_KNOTS, _RANGE, _BLUR_PX, _COLUMNS, _PIXELS = 7, (70.0, 170.0), 2.0, 3.0, 2.0
# Horizontal field of view of wide pictures, degrees; training has 40 to 110.
WIDE_DEG = (125.0, 145.0)

# Picture (H, W, 3) uint8 RGB and random numbers -> picture of the same size.
Change = Callable[[ImageArray, np.random.Generator], ImageArray]


def night(image: ImageArray, rng: np.random.Generator) -> ImageArray:
    """The picture in a few per cent of its light: photon noise, noise of reading, and a coloured cast."""
    light = (image / 255.0) ** _GAMMA * _LAMPS
    seen = rng.poisson(_PHOTONS * light) + rng.normal(0, _READING, image.shape)
    exposed = np.clip(_WHITE * seen / _PHOTONS, 0, 1)
    return np.asarray(np.rint(255 * exposed ** (1 / _GAMMA)), np.uint8)


def thermal(image: ImageArray, rng: np.random.Generator) -> ImageArray:
    """Grey that no longer tells light from dark, of low contrast, blurred, with fixed-pattern noise.

    A random curve takes the place of brightness: it falls as often as it rises, as what is warm has nothing
    to do with what is bright.
    """
    height, width = image.shape[:2]
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    grey = cv2.GaussianBlur(grey, (0, 0), _BLUR_PX * width / 640)
    curve = rng.permutation(np.linspace(*_RANGE, _KNOTS))
    found = np.interp(grey, np.linspace(0, 255, _KNOTS), curve)
    found += rng.normal(0, _COLUMNS, (1, width)) + rng.normal(0, _PIXELS, (height, width))
    return np.repeat(np.clip(np.rint(found), 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def unchanged(image: ImageArray, rng: np.random.Generator) -> ImageArray:
    """The picture itself."""
    return image


def remade(folder: Path, out: Path, change: Change, part: float = 1.0) -> Path:
    """A copy OUT/NAME of a folder of frames, those that represent it, with changed pictures.

    Args:
        change: of the pictures; random numbers depend on the frame's name alone.
        part: of width and height that is kept, around the middle: a narrow view.
    """
    frames, to = FrameFolder(folder), out / folder.name
    to.mkdir(parents=True, exist_ok=True)
    tree = json.loads((folder / "calib.json").read_text(encoding="utf-8"))
    entries = [{**tree, **tree["frames"][index]} for index in frames_of(frames)]
    made = [
        _remade(frames, index, entry, to, change, part)
        for index, entry in zip(frames_of(frames), entries, strict=True)
    ]
    (to / "calib.json").write_text(json.dumps({"frames": made}), encoding="utf-8")
    return to


def _remade(
    frames: FrameFolder, index: int, entry: Mapping[str, Any], to: Path, change: Change, part: float
) -> dict[str, Any]:
    """Entry of a calib.json for a frame whose files are written."""
    frame = frames[index]
    rng = np.random.default_rng(zlib.crc32(f"{frames.path.name}/{frame.id}".encode()))
    height, width = frame.image.shape[:2]
    left, top = round(width * (1 - part) / 2), round(height * (1 - part) / 2)
    box = np.s_[top : height - top, left : width - left]
    kept = ("points", "points_columns", "T_camera_lidar", "distortion", "distortion_model")
    made = {"id": frame.id, **{key: entry[key] for key in kept if key in entry}}
    if entry.get("points"):
        shutil.copy(frames.path / entry["points"], to / Path(entry["points"]).name)
        made["points"] = Path(entry["points"]).name
    if frame.camera is not None:
        K = frame.camera.K
        made |= {"fx": K[0, 0], "fy": K[1, 1], "cx": K[0, 2] - left, "cy": K[1, 2] - top}
    depth = None if frame.depth is None else _usable(frame.depth, frame.image)[box]
    return made | _written(to, frame.id, change(frame.image[box], rng), depth)


def _usable(depth: FloatArray, image: ImageArray) -> FloatArray:
    """Depth without the border of a picture with a white frame, which is not white when it has changed."""
    border, found = unusable_border_px(image), np.full_like(depth, np.nan)
    inside = np.s_[border : len(depth) - border, border : depth.shape[1] - border]
    found[inside] = depth[inside]
    return found


def _written(to: Path, name: str, image: ImageArray, depth: FloatArray | None) -> dict[str, str]:
    """Writes a picture and its depth; the keys of calib.json that name them."""
    cv2.imwrite(str(to / f"{name}_rgb.png"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if depth is None:
        return {"rgb": f"{name}_rgb.png"}
    np.savez_compressed(to / f"{name}_depth.npz", depth=np.nan_to_num(depth, nan=0.0).astype(np.float32))
    return {"rgb": f"{name}_rgb.png", "depth": f"{name}_depth.npz"}


# Sets that are made of a half's folders; what changes, and the part of the view that is kept.
OF_REAL: dict[str, Callable[[Path, Path], Path]] = {
    "night": partial(remade, change=night),
    "thermal": partial(remade, change=thermal),
    "narrow": partial(remade, change=unchanged, part=0.5),
}


# ---- rendered --------------------------------------------------------------------------------


def render_wide(out: Path, families: Sequence[str], count: int, seed: int) -> None:
    """Renders OUT/wide/FAMILY with fields of view that no training has, and OUT/fisheye/FAMILY of it.

    The latter are what a fisheye camera sees of the same scenes, made straight by the package's own
    rectification: sharper in the middle than towards the corners. ``count``: pictures of each family.
    """
    from metric_depth_synthetic.dataset import SyntheticDataset
    from metric_depth_synthetic.make_shards import write_shards
    from metric_depth_synthetic.render import View, draw_view, render

    class Wide(SyntheticDataset):
        """Scenes of a seed seen by a wide-angle pinhole camera."""

        def __getitem__(self, index: int) -> View:
            scene, world = self._world(index)
            rng = np.random.default_rng([self.seed, 1, index])
            camera = wide_camera(rng)
            return render(world, self.bank, camera, draw_view(scene, world, rng, camera), rng)

    bank = None
    for family in families:
        if not (out / "fisheye" / family / "calib.json").exists():
            folder = out / "wide" / family
            scenes = Wide([family], seed, views_per_scene=1, textures=100, bank=bank)
            bank = scenes.bank
            write_shards(scenes, folder, samples=count)
            _write_fisheye(folder, out / "fisheye" / family)


def wide_camera(rng: np.random.Generator, width: int = 320, height: int = 240) -> Camera:
    """Pinhole camera of a random width of view from ``WIDE_DEG``."""
    focal = width / 2 / np.tan(np.radians(rng.uniform(*WIDE_DEG)) / 2)
    K = [[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]]
    return Camera(width, height, np.array(K))


def _write_fisheye(folder: Path, to: Path) -> None:
    to.mkdir(parents=True, exist_ok=True)
    frames, made = open_dataset(folder), []
    for frame in (frames[index] for index in range(len(frames))):
        K = frame.camera.K
        image, depth = through_fisheye(frame.image, frame.depth, frame.camera)
        entry = {"id": frame.id, "fx": K[0, 0], "fy": K[1, 1], "cx": K[0, 2], "cy": K[1, 2]}
        made.append(entry | _written(to, frame.id, image, depth))
    (to / "calib.json").write_text(json.dumps({"frames": made}), encoding="utf-8")


def through_fisheye(image: ImageArray, depth: FloatArray, camera: Camera) -> tuple[ImageArray, FloatArray]:
    """The picture as a fisheye camera of its size and width of view sees it, rectified again.

    Depth (H, W) of the pinhole camera stays, where the fisheye picture has pixels.
    """
    half = np.arctan(camera.width / 2 / camera.K[0, 0])
    K = camera.K.copy()
    K[0, 0] = K[1, 1] = camera.width / 2 / half
    fisheye = Camera(camera.width, camera.height, K, "equidistant", (0.0,) * 4)
    rectifier = Rectifier(fisheye, Rectification(camera.K, np.eye(3)))
    unseen = rectifier.rectify_labels(np.zeros(depth.shape, np.int32)) > 0
    return rectifier.rectify(_seen_by(fisheye, image, camera)), np.where(unseen, np.nan, depth)


def _seen_by(fisheye: Camera, image: ImageArray, camera: Camera) -> ImageArray:
    """What a camera sees of another's picture; black where that has no pixel."""
    at, _ = project(pixel_rays(fisheye).reshape(-1, 3), camera)
    u, v = at.T.reshape(2, *image.shape[:2]).astype(np.float32)
    return np.asarray(cv2.remap(image, u, v, cv2.INTER_LINEAR), np.uint8)
