"""What TR2M is trained on: pictures with relative depth, depth and sentences, written once to a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from metric_depth_ros.config import EngineConfig
from metric_depth_ros.datasets import Dataset
from metric_depth_ros.datasets.captions import Captions, descriptions_of
from metric_depth_ros.engines.manifest import TOKENS
from metric_depth_ros.errors import InputError
from metric_depth_ros.learning.models.text_encoder import TextEncoder
from metric_depth_ros.learning.training.basis.cache import FARTHEST_M
from metric_depth_ros.learning.training.chosen import (
    ChosenPictures,
    engines_for,
    load_about,
    open_maps,
    save_about,
)
from metric_depth_ros.learning.training.loader import canonical_focal
from metric_depth_ros.learning.training.sparse import reduced_depth
from metric_depth_ros.learning.training.tr2m.losses import LIMITS_M
from metric_depth_ros.priors.text import NEUTRAL
from metric_depth_ros.scale import unit_depth
from metric_depth_ros.types import Engine, FloatArray, ImageArray, IntArray

FILE = "examples.npz"
# Files of a folder: everything small, and the maps, of which batches are read.
_MAPS = ("relative", "log_depth")


@dataclass(frozen=True)
class About:
    """What the examples are of.

    Attributes:
        data, frames: folders of the datasets, absolute, and the numbers of their frames.
        engine: name of the depth network.
        metric: whether it gives metres.
        canonical: whether depth is divided by the camera's ``relative_focal`` (unitless maps alone).
        text, text_digest: name of the text encoder, and sha256 of its weights.
        width: channels of its embeddings.
        pieces: the token ids that occur in the sentences.
        digest: sha256 of all else: places, maps, sentences.
    """

    data: tuple[str, ...]
    frames: tuple[int, ...]
    engine: str
    metric: bool
    canonical: bool
    text: str
    text_digest: str
    width: int
    pieces: tuple[int, ...]
    digest: str


class TR2MExamples:
    """Pictures with maps and embedded sentences, apart for training and validation.

    Attributes:
        about: what they are of.
        mean_log_depth: mean over pictures of the median log depth, for the first output.
        training, validation: indices of the pictures.
    """

    def __init__(self, folder: str | Path, *, families: Sequence[str] = ()) -> None:
        """``families``: kinds of scenes. Raises InputError if they are missing, gone, or nothing is left."""
        path = Path(folder) / FILE
        arrays, self.about = load_about(path, About, "train tr2m")
        self._maps = open_maps(path.parent, _MAPS)
        self._pictures = ChosenPictures.stored(path, arrays, self.about)
        self._sentences = Sentences(arrays["tokens"], arrays["ends"])
        self._said: IntArray = arrays["said"]
        self._said_held_out: IntArray = arrays["said_held_out"]
        self.mean_log_depth = float(arrays["mean_log_depth"])
        kept = self._pictures.of_families(families)
        self.training, self.validation = self._pictures.split(kept, path, families)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the maps."""
        shape = self._maps[0].shape
        return int(shape[1]), int(shape[2])

    def image(self, index: int) -> ImageArray:
        """Image (H, W, 3) uint8 RGB of a picture. Raises InputError if it is damaged."""
        return self._pictures.image(index)

    def maps(self, index: int) -> tuple[FloatArray, FloatArray]:
        """Relative inverse depth and depth (h, w) float32: metres, inf sky, NaN unknown."""
        relative, log_depth = (np.asarray(map_[index], np.float32) for map_ in self._maps)
        return relative, np.exp(log_depth)

    def limits_m(self, index: int) -> FloatArray:
        """Nearest and farthest pseudo depth of a picture (2,): its dataset's, twice as wide at both ends.

        ``losses.LIMITS_M`` where the dataset tells none. The width leaves room for depth that is divided by
        ``relative_focal``.
        """
        data, _ = self._pictures.of(index)
        if data.limits_m is None:
            return np.array(LIMITS_M, np.float32)
        near, far = data.limits_m
        return np.array([near / 2, far * 2], np.float32)

    def sentence(self, index: int, number: int, *, held_out: bool = False) -> tuple[FloatArray, FloatArray]:
        """Tokens (32, width) and mask (32,) of one of a picture's sentences; -1 is the neutral one.

        ``held_out``: in words that training never sees.
        """
        said = (self._said_held_out if held_out else self._said)[index]
        said = said[said >= 0]
        return self._sentences[int(said[number % len(said)]) if number >= 0 and len(said) else 0]


class Sentences:
    """Embedded sentences of different lengths; the first is the neutral one."""

    def __init__(self, tokens: FloatArray, ends: IntArray) -> None:
        """``tokens``: (sum of the lengths, width) float16; ``ends``: where each sentence ends."""
        self._tokens, self._ends = tokens, ends

    def __getitem__(self, number: int) -> tuple[FloatArray, FloatArray]:
        """Tokens (32, width) float32, zeros behind the end, and mask (32,)."""
        begin = 0 if number == 0 else int(self._ends[number - 1])
        found = self._tokens[begin : self._ends[number]]
        tokens = np.zeros((TOKENS, self._tokens.shape[1]), np.float32)
        tokens[: len(found)] = found
        return tokens, (np.arange(TOKENS) < len(found)).astype(np.float32)


def write_examples(
    folders: Sequence[str | Path],
    config: EngineConfig,
    encoder: TextEncoder,
    out: str | Path,
    *,
    count: int,
    size: tuple[int, int],
    seed: int = 0,
    canonical: bool = True,
    threads: int = 2,
    captions: Captions | None = None,
) -> Iterator[int]:
    """Runs the depth network over up to ``count`` random pictures, and the text encoder over their sentences.

    Yields the number of pictures done; the files are complete at the end.

    Args:
        size: width and height of the maps.
        captions: sentences of pictures, before those of their datasets; None: none.

    Raises:
        ConfigError: fewer than 2 pictures, or no thread.
        InputError: no data, a camera or a caption that is needed is missing, or the folder cannot be written.
        ModelError: the network cannot be used.
    """
    pictures = ChosenPictures.choose(folders, count, seed)
    if captions is not None:
        for number, data in enumerate(pictures.sets):
            captions.check_complete(data, pictures.place[pictures.place[:, 0] == number, 1].tolist())
    pictures.check_split()
    engines = engines_for(config, threads)
    said = engines[0].predict(pictures.image(0))
    canonical = canonical and not said.metric
    made = partial(_example, size=size, canonical=canonical)
    maps: list[tuple[FloatArray, FloatArray]] = []
    for example in pictures.each(engines, made):
        maps.append(example)
        yield len(maps)
    known = np.array([bool(np.isfinite(log_depth).any()) for _, log_depth in maps])
    pictures, maps = pictures.only(known), [m for m, kept in zip(maps, known, strict=True) if kept]
    words, pieces = _words(pictures, encoder, captions)
    medians = [float(np.median(log_depth[np.isfinite(log_depth)])) for _, log_depth in maps]
    digest = hashlib.sha256(pictures.place.tobytes())
    for array in (*words.values(), *(map_ for pair in maps for map_ in pair)):
        digest.update(array.tobytes())
    about = About(
        **pictures.about,
        engine=said.network,
        metric=said.metric,
        canonical=canonical,
        text=encoder.name,
        text_digest=encoder.digest,
        width=encoder.width,
        pieces=pieces,
        digest=digest.hexdigest(),
    )
    _write_maps(Path(out), maps)
    arrays = {**pictures.arrays, **words, "mean_log_depth": np.mean(medians)}
    save_about(Path(out) / FILE, arrays, about)


def _example(
    engine: Engine, data: Dataset, index: int, *, size: tuple[int, int], canonical: bool
) -> tuple[FloatArray, FloatArray]:
    """Relative inverse depth and log depth of a picture, of ``size`` (width, height), float16."""
    image, depth, camera = data.picture(index)
    unit = unit_depth(engine.predict(image, camera=camera))
    relative = cv2.resize(1 / unit, size, interpolation=cv2.INTER_AREA)
    depth = reduced_depth(depth, size)
    depth = np.where((depth <= FARTHEST_M) | np.isinf(depth), depth, np.float32(np.nan))
    log_depth = np.log(depth / np.float32(canonical_focal(data, index, camera) if canonical else 1))
    return relative.astype(np.float16), log_depth.astype(np.float16)


def _words(
    pictures: ChosenPictures, encoder: TextEncoder, captions: Captions | None
) -> tuple[dict[str, Any], tuple[int, ...]]:
    """Arrays of the pictures' sentences, and the token ids that occur in them.

    Arrays: tokens, ends, and which sentences are said of whom (N, most), -1 for none.
    """
    numbers: dict[str, int] = {NEUTRAL: 0}
    said = {}
    ids = [data.ids for data in pictures.sets]
    told = [
        descriptions_of(pictures.sets[number], index, ids[number][index], captions)
        for number, index in pictures.place.tolist()
    ]
    for name, texts in zip(("said", "said_held_out"), zip(*told, strict=True), strict=True):
        table = np.full((len(texts), max(1, *map(len, texts))), -1)
        for row, sentences in zip(table, texts, strict=True):
            row[: len(sentences)] = [numbers.setdefault(text, len(numbers)) for text in sentences]
        said[name] = table
    tokens = encoder.embed(list(numbers))
    ends = np.cumsum([len(part) for part in tokens])
    pieces = {number for text in numbers for number in encoder.tokenizer.encode(text).ids}
    arrays = {"tokens": np.concatenate(tokens).astype(np.float16), "ends": ends, **said}
    return arrays, tuple(sorted(pieces))


def _write_maps(out: Path, maps: Sequence[tuple[FloatArray, FloatArray]]) -> None:
    """Writes the files of the maps. Raises InputError."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, part in zip(_MAPS, zip(*maps, strict=True), strict=True):
            np.save(out / f"{name}.npy", np.stack(part))
    except OSError as error:
        raise InputError(f"{out}: {error.strerror}; needed a folder to write to.") from error
