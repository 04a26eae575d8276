"""Published datasets: what their formats share. A format is one file with a subclass of PublishedDataset."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from metric_depth_ros.datasets.dataset import Dataset, Frame, Picture
from metric_depth_ros.errors import InputError

_PERIOD_NS = 100_000_000  # between frames whose time is not told


@dataclass(frozen=True)
class Item:
    """One frame of a dataset before it is read.

    Attributes:
        id: its name, unlike all others of the dataset.
        scene: its scene or drive; frames of one are never both for training and for validation.
        files: what its format reads it from.
        stamp_ns: None where the dataset tells no time.
        entry: its place in a file that holds all frames.
    """

    id: str
    scene: str = ""
    files: Mapping[str, Path] = field(default_factory=dict)
    stamp_ns: int | None = None
    entry: int = 0


class PublishedDataset(Dataset):
    """Frames of a published dataset in the folders and files in which its authors distribute it.

    Attributes:
        title: its name as published.
        url, licence: where to get it, and under which terms.
        layout: what the path must hold, in words, for errors.
        splits: names of its parts; the first is the default.
        takes_lists: whether a file with a list of frames may be opened as a split too.
        split: the part that was opened.
    """

    title: ClassVar[str]
    url: ClassVar[str]
    licence: ClassVar[str]
    layout: ClassVar[str]
    splits: ClassVar[tuple[str, ...]] = ("all",)
    takes_lists: ClassVar[bool] = False

    def __init__(self, path: str | Path, *, split: str = "") -> None:
        """Lists the frames, without reading them.

        Raises:
            InputError: the path does not exist or holds no frame of that split, or there is no such split.
        """
        self.path, self.split = Path(path), split or self.splits[0]
        if self.split not in self.splits and not (self.takes_lists and os.path.isfile(self.split)):
            known = ", ".join(self.splits) + (", or a file with a list" if self.takes_lists else "")
            raise InputError(f"{path}: no split {split!r} of {self.title}; needed {known}.")
        with self._told_where_from():
            self._items = self.list_items()
            if not self._items:
                raise self.missing("no frame")
        scenes = {scene: number for number, scene in enumerate(dict.fromkeys(i.scene for i in self._items))}
        self._scenes = [scenes[item.scene] for item in self._items]

    @abstractmethod
    def list_items(self) -> list[Item]:
        """All frames of ``split``, in the dataset's order. Raises InputError if the layout is another."""

    @abstractmethod
    def read_item(self, item: Item, stamp_ns: int) -> Frame:
        """One frame. Raises InputError if one of its files is missing or damaged."""

    def missing(self, found: str) -> InputError:
        """Error that says what the path lacks."""
        return InputError(f"{self.path}: {found} of {self.title} ({self.split}); needed {self.layout}.")

    @contextmanager
    def _told_where_from(self) -> Iterator[None]:
        """Errors of reading end with where to get the data, and under which terms."""
        try:
            yield
        except InputError as error:
            source = f"Get {self.title} from {self.url} (licence: {self.licence})."
            raise InputError(f"{error} {source}") from error

    @property
    def ids(self) -> list[str]:
        """Names of the frames."""
        return [item.id for item in self._items]

    @property
    def has_one_rig(self) -> bool:
        """Whether T_camera_lidar is the same in all frames; here only where there is one scene."""
        return len(set(self._scenes)) == 1

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Frame:
        """One frame. Raises InputError if one of its files is missing or damaged."""
        with self._told_where_from():
            return self.read_item(self._items[index], self.stamp_ns(index))

    def picture(self, index: int) -> Picture:
        """One image with depth, to train on. Raises InputError if it is damaged or has no depth image."""
        frame = self[index]
        if frame.depth is None:
            raise InputError(f"{self.path}, frame {frame.id}: no depth image; needed one.")
        depth = frame.depth if frame.sky is None else np.where(frame.sky, np.float32(np.inf), frame.depth)
        return Picture(frame.image, depth, frame.camera)

    def group(self, index: int) -> int:
        """Number of a frame's scene; of a single scene twenty frames in a row, or a fiftieth of few."""
        if len(set(self._scenes)) > 1:
            return self._scenes[index]
        return index // max(1, min(20, len(self) // 50))

    def scene(self, index: int) -> int:
        """Number of a frame's scene."""
        return self._scenes[index]

    def stamp_ns(self, index: int) -> int:
        """Timestamp of a frame, ns; where none is told, from 1 s on at 10 Hz."""
        told = self._items[index].stamp_ns
        return told if told is not None else 1_000_000_000 + index % len(self) * _PERIOD_NS
