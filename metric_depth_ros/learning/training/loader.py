"""Shards to batches, in background threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metric_depth_ros.datasets.shards import ShardReader
from metric_depth_ros.errors import InputError
from metric_depth_ros.learning.training.augment import reframed, relit
from metric_depth_ros.types import FloatArray, ImageArray, IntArray

# Every 50th block of samples is for validation. Samples of one scene lie together, so a block shares few
# scenes with what is trained on.
_BLOCK, _BLOCKS = 20, 50


@dataclass(frozen=True, eq=False)
class Batch:
    """B pictures: image (B, H, W, 3) uint8 RGB; depth (B, H/2, W/2) float32 metres, inf sky, NaN unknown."""

    image: ImageArray
    depth: FloatArray


class Samples:
    """The samples of folders of shards, those for training apart from those for validation."""

    def __init__(self, folders: Sequence[str | Path], *, families: Sequence[str] = ()) -> None:
        """``families`` keeps only these; none keeps all.

        Raises:
            InputError: a folder holds no shard, a shard is damaged, or nothing is left to train on.
        """
        self._readers = [ShardReader(folder) for folder in folders]
        self._families = frozenset(families)
        self._seen = [0] * len(self._readers)
        self._training: list[tuple[int, int]] = []
        self.validation: list[tuple[int, int]] = []
        self._sort_in()
        if not self._training:
            names = ", ".join(str(reader.folder) for reader in self._readers)
            wanted = f" of {', '.join(families)}" if families else ""
            raise InputError(f"{names}: no sample{wanted} to train on. Render more: metric_depth synthesize.")

    def __len__(self) -> int:
        """How many there are to train on."""
        return len(self._training)

    def rescan(self) -> int:
        """The same, with the shards that have come since."""
        for reader in self._readers:
            reader.rescan()
        self._sort_in()
        return len(self)

    def training(self, index: int) -> tuple[ImageArray, FloatArray]:
        """Image (H, W, 3) uint8 and depth (H, W) metres, inf sky. Raises InputError for a damaged shard."""
        return self.read(*self._training[index])

    def read(self, folder: int, index: int) -> tuple[ImageArray, FloatArray]:
        """One sample by its place. Raises InputError for a damaged shard."""
        parts = self._readers[folder].read(index)
        return parts["image"], parts["depth"]

    def _sort_in(self) -> None:
        for folder, reader in enumerate(self._readers):
            count = len(reader)
            for index in range(self._seen[folder], count):
                if self._families and reader.read(index, ("info",))["info"]["family"] not in self._families:
                    continue
                kept = self.validation if index // _BLOCK % _BLOCKS == 0 else self._training
                kept.append((folder, index))
            self._seen[folder] = count


# Image (H, W, 3), depth (H, W), widths and heights wanted of both, random generator -> both anew.
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
    """``count`` random samples of the first ``known``, augmented, of ``size`` (width, height).

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


class BatchStream:
    """Batches of step ``first``, ``first`` + 1, ..., each in ``parts``, made ahead by threads.

    What a batch holds follows from the seed, its step and how many samples there are, not from the
    threads' timing.
    """

    def __init__(
        self,
        samples: Samples,
        size_of: Callable[[int, np.random.Generator], tuple[int, int]],
        *,
        batch: int,
        parts: int,
        seed: int,
        first: int = 0,
        threads: int = 2,
        ahead: int = 3,
        rescan_every: int = 200,
        reframe: Reframe = reframed,
    ) -> None:
        """``size_of`` says the width and height of a step's pictures. ``batch`` is all parts together."""
        self._samples, self._size_of = samples, size_of
        self._shares: IntArray = np.diff(np.linspace(0, batch, parts + 1).round().astype(int))
        self._seed, self._step, self._ahead, self._rescan_every = seed, first, ahead, rescan_every
        self._known, self._reframe = len(samples), reframe
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="loader")
        self._coming: deque[list[Future[Batch]]] = deque()

    def __iter__(self) -> Iterator[list[Batch]]:
        return self

    def __next__(self) -> list[Batch]:
        """The parts of the next batch. Raises InputError for a damaged shard."""
        while len(self._coming) <= self._ahead:
            self._order()
        return [part.result() for part in self._coming.popleft()]

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _order(self) -> None:
        step, self._step = self._step, self._step + 1
        if step % self._rescan_every == 0:
            self._known = self._samples.rescan()
        size = self._size_of(step, np.random.default_rng([self._seed, step]))
        self._coming.append(
            [
                self._pool.submit(
                    make_batch,
                    self._samples,
                    int(share),
                    size,
                    (self._seed, step, part),
                    self._known,
                    self._reframe,
                )
                for part, share in enumerate(self._shares)
            ]
        )
