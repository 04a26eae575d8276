"""Loads batches from datasets in background threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from metric_depth_ros.datasets import Dataset, open_dataset
from metric_depth_ros.errors import InputError
from metric_depth_ros.learning.training.augment import reframed, relit
from metric_depth_ros.types import Camera, FloatArray, ImageArray

Item = TypeVar("Item")

# One of this many groups of images is for validation.
_GROUPS = 50


@dataclass(frozen=True, eq=False)
class Batch:
    """Batch: image (B, H, W, 3) uint8 RGB; depth (B, H/2, W/2) float32 metres, inf sky, NaN unknown."""

    image: ImageArray
    depth: FloatArray


def open_with_depth(folders: Sequence[str | Path], *, or_points: bool = False) -> list[Dataset]:
    """Data sets to train on; ``or_points``: LiDAR points will do.

    Raises:
        InputError: a folder is no data set, or none of its frames has depth.
    """
    sets = [open_dataset(folder) for folder in folders]
    for data in sets:
        if not any(data.has_depth(index, or_points=or_points) for index in range(len(data))):
            instead = (
                "points with T_camera_lidar and intrinsics will do."
                if or_points
                else "LiDAR points are too few: make depth images of many scans, or train a basis generator."
            )
            raise InputError(f"{data.path}: no depth image in any frame; needed some to train on. {instead}")
    return sets


def canonical_focal(data: Dataset, index: int, camera: Camera | None) -> float:
    """``relative_focal`` of the camera of a picture. Raises InputError without a camera."""
    if camera is None:
        raise InputError(
            f"{data.path}, frame {index}: no intrinsics; needed fx, fy, cx, cy, or --no-canonical."
        )
    return camera.relative_focal


def evenly(count: int, most: int) -> list[int]:
    """Indices of up to ``most`` of ``count`` things, evenly spread, ascending."""
    return sorted({*np.linspace(0, count - 1, min(most, count)).astype(int).tolist()})


class Samples:
    """The pictures with depth of data sets, those for training apart from those for validation.

    Every 50th group of images (``Dataset.group``) is for validation.
    """

    def __init__(
        self, folders: Sequence[str | Path], *, families: Sequence[str] = (), canonical: bool = False
    ) -> None:
        """Finds the pictures; none is read.

        Args:
            families: the kinds of scenes to use; an empty list means all.
            canonical: whether depth is divided by the camera's ``relative_focal``: as if every picture
                were of one camera, so that the size of things in it tells how far they are.

        Raises:
            InputError: a folder holds no data set or no depth, a shard is damaged, or nothing is left to
                train on.
        """
        self._sets = open_with_depth(folders)
        self._families, self._canonical = frozenset(families), canonical
        self._seen = [0] * len(self._sets)
        self._training: list[tuple[int, int]] = []
        self.validation: list[tuple[int, int]] = []
        self._sort_in()
        self._check_families()
        if not self._training:
            names = ", ".join(str(data.path) for data in self._sets)
            wanted = f" of {', '.join(families)}" if families else ""
            raise InputError(
                f"{names}: no picture{wanted} to train on; the first, and one in {_GROUPS}, is for "
                "validation. Add pictures, or render some: metric_depth synthesize."
            )

    def __len__(self) -> int:
        """Number of training images."""
        return len(self._training)

    def rescan(self) -> int:
        """Number of training images, with the shards added since."""
        for data in self._sets:
            data.rescan()
        self._sort_in()
        return len(self)

    def training(self, index: int) -> tuple[ImageArray, FloatArray]:
        """Image (H, W, 3) uint8 and depth (H, W) metres as ``Dataset.picture``. Raises InputError."""
        return self.read(*self._training[index])

    def read(self, data: int, index: int) -> tuple[ImageArray, FloatArray]:
        """One image by index. Raises InputError if it is damaged, or lacks depth or a needed camera."""
        image, depth, camera = self._sets[data].picture(index)
        if self._canonical:
            depth = depth / np.float32(canonical_focal(self._sets[data], index, camera))
        return image, depth

    def rendered(self, data: int) -> bool:
        """Whether the pictures of a data set are rendered."""
        return self._sets[data].rendered

    def _check_families(self) -> None:
        """Raises InputError for a dataset that has none of the families: it would be left out in silence."""
        used = {place for place, _ in (*self._training, *self.validation)}
        for place, data in enumerate(self._sets):
            if self._families and place not in used:
                raise InputError(
                    f"{data.path}: no picture of {', '.join(sorted(self._families))}; needed some of each "
                    "dataset. Leave it out, or leave out --families."
                )

    def _sort_in(self) -> None:
        for place, data in enumerate(self._sets):
            count = len(data)
            for index in range(self._seen[place], count):
                named = not self._families or data.family(index) in self._families
                if not named or not data.has_depth(index):
                    continue
                kept = self.validation if data.group(index) % _GROUPS == 0 else self._training
                kept.append((place, index))
            self._seen[place] = count


# Image (H, W, 3), depth (H, W), wanted sizes (width, height) of both, random generator -> new image, depth.
Reframe = Callable[
    [ImageArray, FloatArray, tuple[int, int], tuple[int, int], np.random.Generator],
    tuple[ImageArray, FloatArray],
]


def make_batch(
    samples: Samples,
    count: int,
    size: tuple[int, int],
    seed: Sequence[int],
    known: int,
    reframe: Reframe = reframed,
) -> Batch:
    """Batch of ``count`` random samples of the first ``known``, augmented, of ``size`` (width, height).

    The same seed and ``known`` give the same batch. Raises InputError for a damaged shard.
    """
    rng = np.random.default_rng(list(seed))
    image = np.empty((count, size[1], size[0], 3), np.uint8)
    depth = np.empty((count, (size[1] + 1) // 2, (size[0] + 1) // 2), np.float32)
    partner: ImageArray | None = None
    for place, index in enumerate(rng.integers(0, known, count).tolist()):
        picture, truth = samples.training(index)
        picture, depth[place] = reframe(picture, truth, size, depth.shape[:0:-1], rng)
        image[place] = relit(picture, picture if partner is None else partner, rng)
        partner = picture
    return Batch(image, depth)


class Stream(Generic[Item]):
    """Iterator over the items of steps ``first``, ``first`` + 1, ..., in parts that threads make in advance.

    ``jobs_of`` gives a step's jobs, one for each part. An item must depend only on its step, not on the
    threads' timing. Use it as a context manager.
    """

    def __init__(
        self,
        jobs_of: Callable[[int], Sequence[Callable[[], Item]]],
        *,
        first: int,
        threads: int,
        ahead: int = 3,
    ) -> None:
        self._jobs_of, self._step, self._ahead = jobs_of, first, ahead
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="loader")
        self._coming: deque[list[Future[Item]]] = deque()

    def __enter__(self) -> Stream[Item]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[list[Item]]:
        return self

    def __next__(self) -> list[Item]:
        """Parts of the next item. Raises what a job raised."""
        while len(self._coming) <= self._ahead:
            self._coming.append([self._pool.submit(job) for job in self._jobs_of(self._step)])
            self._step += 1
        return [part.result() for part in self._coming.popleft()]

    def close(self) -> None:
        """Stops the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)


class BatchJobs:
    """Jobs that make the batch of a step in several parts.

    A batch depends only on the seed, its step and the number of samples.
    """

    def __init__(
        self,
        samples: Samples,
        size_of: Callable[[int, np.random.Generator], tuple[int, int]],
        *,
        batch: int,
        parts: int,
        seed: int,
        reframe: Reframe = reframed,
        rescan_every: int = 200,
    ) -> None:
        """``size_of``: width and height of a step's images. ``batch``: total over all parts."""
        self._samples, self._size_of, self._seed, self._reframe = samples, size_of, seed, reframe
        self._shares: list[int] = np.diff(np.linspace(0, batch, parts + 1).round().astype(int)).tolist()
        self._known, self._rescan_every = len(samples), rescan_every

    def __call__(self, step: int) -> list[Callable[[], Batch]]:
        if step % self._rescan_every == 0:
            self._known = self._samples.rescan()
        size = self._size_of(step, np.random.default_rng([self._seed, step]))
        return [
            partial(
                make_batch, self._samples, share, size, (self._seed, step, part), self._known, self._reframe
            )
            for part, share in enumerate(self._shares)
        ]
