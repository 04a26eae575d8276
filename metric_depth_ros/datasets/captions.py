"""Captions: a file that says what the frames of datasets show, where the datasets do not say it themselves.

JSON lines, with the keys of a shard's .json:

    {"set": "nyuv2", "frame": "00000", "descriptions": ["A kitchen with a table."]}

- ``set``: NAME of a published dataset, else the name of the set's folder or file
- ``frame``: as in records and ``ids``
- ``descriptions``: a sentence, or a list of some; those of several lines of one frame add up
- ``held_out_descriptions``: in words that no training sees (optional)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from metric_depth_ros.datasets import DATASETS, Dataset
from metric_depth_ros.datasets.published import PublishedDataset
from metric_depth_ros.documents import json_lines
from metric_depth_ros.errors import InputError, shown

_NEEDED = 'needed lines as {"set": "nyuv2", "frame": "00000", "descriptions": ["A kitchen."]}'


@dataclass(frozen=True)
class Caption:
    """Sentences of one frame, for training and held out."""

    sentences: list[str] = field(default_factory=list)
    held_out: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Captions:
    """Captions of a file, by set and frame."""

    path: Path
    found: Mapping[tuple[str, str], Caption]

    def of(self, frames: Dataset, frame_id: str) -> Caption | None:
        """Caption of a frame; None if there is none."""
        return self.found.get((caption_set(frames), frame_id))

    def check_complete(self, frames: Dataset, indices: Iterable[int]) -> None:
        """Raises InputError if one of these frames has neither a caption nor a description of its own."""
        ids, name = frames.ids, caption_set(frames)
        missing = [
            ids[index]
            for index in indices
            if (name, ids[index]) not in self.found and not frames.descriptions(index)
        ]
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise InputError(
                f"{self.path}: no caption of set {name}, frame {missing[0]}{more}; needed one for each. Add "
                "it, or leave out --captions."
            )


def caption_set(frames: Dataset) -> str:
    """Name of a dataset in a file of captions."""
    if isinstance(frames, PublishedDataset):
        return next((name for name, kind in DATASETS.items() if kind is type(frames)), "")
    return frames.path.resolve().name


def descriptions_of(
    frames: Dataset, index: int, frame_id: str, captions: Captions | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Sentences that say what a frame shows, for training and held out: its caption's, else the set's."""
    caption = captions.of(frames, frame_id) if captions is not None else None
    if caption is None:
        return frames.descriptions(index), frames.descriptions(index, held_out=True)
    return tuple(caption.sentences), tuple(caption.held_out or caption.sentences)


def read_captions(path: Path) -> Captions:
    """Captions of a file. Raises InputError if it cannot be read, or a line is no caption."""
    found: defaultdict[tuple[str, str], Caption] = defaultdict(Caption)
    for where, tree in _objects(path):
        name, frame = (_text(tree, key, where) for key in ("set", "frame"))
        caption = found[name, frame]
        caption.sentences.extend(_sentences(tree, "descriptions", where))
        if "held_out_descriptions" in tree:
            caption.held_out.extend(_sentences(tree, "held_out_descriptions", where))
    if not found:
        raise InputError(f"{path}: no caption; {_NEEDED}.")
    return Captions(path, dict(found))


def _objects(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Place and object of each line that is not empty."""
    for where, tree in json_lines(path, _NEEDED, empty=True):
        if not isinstance(tree, dict):
            raise InputError(f"{where}: no object; {_NEEDED}.")
        yield where, tree


def _text(tree: Mapping[str, Any], key: str, where: str) -> str:
    value = tree.get(key)
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{where}: {key} {shown(value)}; {_NEEDED}.")
    return value


def _sentences(tree: Mapping[str, Any], key: str, where: str) -> list[str]:
    value = tree.get(key)
    listed: list[Any] = value if isinstance(value, list) else [value]
    if not listed or not all(isinstance(each, str) and each.strip() for each in listed):
        raise InputError(f"{where}: {key} {shown(value)}; {_NEEDED}.")
    return listed
