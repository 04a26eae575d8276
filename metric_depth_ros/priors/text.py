"""Descriptions of scenes as embeddings of their tokens, for networks that read."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from metric_depth_ros.engines.manifest import TOKENS, TextManifest, load_text_manifest, model_file
from metric_depth_ros.errors import ConfigError, ModelError
from metric_depth_ros.runtimes import load_portable
from metric_depth_ros.runtimes.model import verify_file
from metric_depth_ros.share import refuse_outside
from metric_depth_ros.types import FloatArray, IntArray, Runtime

# What is read where nobody described the scene.
NEUTRAL = "A picture."
# Number of sentences that are kept, and the longest one in characters: of a longer one the rest is cut.
_KEPT = 64
MOST_CHARACTERS = 1000


def open_tokenizer(path: Path) -> Any:
    """Tokenizer of a tokenizer.json that cuts sentences to ``TOKENS``.

    Raises:
        ConfigError: the package tokenizers is not installed.
        ModelError: the file is missing or no tokenizer.
    """
    check_readable("a text")
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises plain ones
        raise ModelError(f"{path}: no tokenizer ({' '.join(str(error).split())[:200]}).") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(TOKENS)
    return tokenizer


def check_readable(sentence: str) -> None:
    """Raises ConfigError if a sentence that is not empty cannot be read: tokenizers is not installed."""
    try:
        found = not sentence.strip() or find_spec("tokenizers") is not None
    except ValueError:  # hidden from the import system
        found = False
    if not found:
        raise ConfigError(
            "description: the package tokenizers is not installed; needed to read a text. "
            "pip install 'metric_depth_ros[text]', or leave solver.description empty."
        )


def plain(sentence: str) -> str:
    """Sentence without runs of white space and control characters, cut to ``MOST_CHARACTERS``."""
    kept = "".join(c if c.isprintable() else " " for c in sentence[: 4 * MOST_CHARACTERS])
    return " ".join(kept.split())[:MOST_CHARACTERS]


def padded_ids(tokenizer: Any, sentence: str) -> tuple[IntArray, IntArray]:
    """Token ids and their mask (TOKENS,) int64: 1 for tokens, 0 for padding."""
    return padded(tokenizer.encode(sentence).ids)


def padded(found: Any) -> tuple[IntArray, IntArray]:
    """Ids (TOKENS,) int64 and mask of a list of ids."""
    ids, mask = np.zeros((2, TOKENS), np.int64)
    ids[: len(found)], mask[: len(found)] = found, 1
    return ids, mask


class SentenceReader:
    """Text encoder at run time; sentences that were read before cost nothing. Not thread safe."""

    def __init__(self, manifest: TextManifest, runtime: Runtime, folder: Path) -> None:
        """Reads the neutral sentence: a file that does not fit its manifest raises ModelError here."""
        self.manifest, self._runtime, self._folder = manifest, runtime, folder
        self._tokenizer: Any = None
        self._kept: dict[str, tuple[FloatArray, FloatArray]] = {}
        self.read("")

    @classmethod
    def load(cls, path: Path) -> SentenceReader:
        """The text encoder of a manifest. Raises ModelError if it cannot be used."""
        manifest = load_text_manifest(path)
        file = model_file(path.parent / manifest.file, manifest.sha256, {})
        return cls(manifest, load_portable(file), path.parent)

    def read(self, sentence: str) -> tuple[FloatArray, FloatArray]:
        """Embeddings (1, TOKENS, width) of a sentence's tokens, and their mask (1, TOKENS).

        An empty sentence is the neutral one.

        Raises:
            ConfigError: the package tokenizers is not installed.
            ModelError: the encoder gives nothing that can be used.
        """
        sentence = plain(sentence)
        found = self._kept.get(sentence)
        if found is None:
            if len(self._kept) >= _KEPT:
                self._kept.pop(next(iter(self._kept)))
            found = self._kept[sentence] = self._read(sentence)
        return found

    def _read(self, sentence: str) -> tuple[FloatArray, FloatArray]:
        ids, mask = padded_ids(self._opened(), sentence) if sentence else padded(self.manifest.neutral)
        outputs: Mapping[str, Any] = self._runtime.run({"ids": ids[None], "mask": mask[None]})
        states = np.asarray(outputs.get("states", ()), np.float32)
        if states.shape != (1, TOKENS, self.manifest.width) or not np.isfinite(states).all():
            raise ModelError(
                f"description: {self.manifest.name!r} gave states of shape {states.shape}; needed "
                f"(1, {TOKENS}, {self.manifest.width}), finite. Export it again."
            )
        return states, mask[None].astype(np.float32)

    def _opened(self) -> Any:
        if self._tokenizer is None:
            told = self.manifest.tokenizer
            path = self._folder / told.file
            refuse_outside(path)
            verify_file(path, told.sha256)
            self._tokenizer = open_tokenizer(path)
        return self._tokenizer
