"""Exports a text encoder to one ONNX file, its tokenizer and its manifest."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from metric_depth_ros.engines.manifest import FileManifest, TextManifest
from metric_depth_ros.errors import ConfigError, InputError, ModelError
from metric_depth_ros.learning.export.description import described_file, write_manifest
from metric_depth_ros.learning.export.files import Exported
from metric_depth_ros.learning.export.graph import Difference, write_onnx
from metric_depth_ros.learning.export.half import byte_weights
from metric_depth_ros.learning.models.text_encoder import TextEncoder
from metric_depth_ros.priors.text import NEUTRAL, SentenceReader, open_tokenizer, padded_ids

# Sentences with which a file is compared to torch.
_COMPARED = (NEUTRAL, "The image shows a kitchen with a table and chairs.", "Cars on a street in a town.")
# Largest root-mean-square difference from torch, in standard deviations: bytes as weights.
_PARITY = 0.1


def export_text(
    encoder: TextEncoder,
    folder: Path,
    name: str,
    *,
    words: int = 0,
    kept: Sequence[int] = (),
    licence: str = "",
) -> Exported:
    """Writes NAME.onnx, weights in bytes, NAME.json, the tokenizer, and NAME.yaml.

    Args:
        words: of BERT's vocabulary the most frequent pieces that are kept; other words are then read in more
            and shorter pieces. 0 keeps all; CLIP's are kept in any case.
        kept: further token ids that are kept: those of the training's sentences.
        licence: of the weights; empty: the checkpoint's.

    Raises:
        ConfigError: the licence is not known.
        InputError: the folder cannot be written.
        ModelError: the outputs of ONNX Runtime differ from torch's.
    """
    licence = licence or encoder.licence
    if not licence:
        raise ConfigError(f"text encoder: {encoder.name} states no licence; name it with --text-licence.")
    whole, tree = encoder, json.loads(encoder.tokenizer.to_str())
    if words and tree["model"]["type"] == "WordPiece":
        encoder, tree = _shortened(encoder, tree, words, kept)
    path, tokenizer = folder / f"{name}.onnx", folder / f"{name}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tokenizer.write_text(json.dumps(tree, ensure_ascii=False), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}; needed a folder to write to.") from error
    read = open_tokenizer(tokenizer)
    ids, mask = padded_ids(read, NEUTRAL)
    write_onnx(encoder, path, {"ids": ids[None], "mask": mask[None]}, ["states"])
    byte_weights(path)
    manifest = TextManifest(
        name=name,
        licence=licence,
        file=path.name,
        sha256=described_file(path).sha256,
        tokenizer=FileManifest(tokenizer.name, hashlib.sha256(tokenizer.read_bytes()).hexdigest()),
        width=encoder.width,
        neutral=tuple(int(i) for i in ids[: int(mask.sum())]),
        source=encoder.name,
    )
    target = path.with_suffix(".yaml")
    write_manifest(manifest, target, "Text encoder for descriptions of scenes.", SentenceReader.load)
    return Exported(target, (path,), _difference(whole, target))


def _shortened(
    encoder: TextEncoder, tree: dict[str, Any], words: int, also: Sequence[int]
) -> tuple[TextEncoder, dict[str, Any]]:
    """Encoder and tokenizer with a part of a WordPiece vocabulary, which is in the order of frequency."""
    vocabulary: Mapping[str, int] = tree["model"]["vocab"]
    special = {token["content"] for token in tree["added_tokens"]}
    ordered = sorted(vocabulary, key=vocabulary.__getitem__)
    plain = [word for word in ordered if word.isascii() and not word.startswith("[")]
    old = sorted({*also, *(vocabulary[word] for word in (*special, *plain[:words]))})
    new = {number: k for k, number in enumerate(old)}
    tree = copy.deepcopy(tree)
    tree["model"]["vocab"] = {word: new[vocabulary[word]] for word in vocabulary if vocabulary[word] in new}
    for token in tree["added_tokens"]:
        token["id"] = new[token["id"]]
    for token in tree["post_processor"]["special_tokens"].values():
        token["ids"] = [new[number] for number in token["ids"]]
    network = copy.deepcopy(encoder.network)
    table = network.get_input_embeddings()
    rows = table.weight.detach()[torch.tensor(old)].clone()
    network.set_input_embeddings(nn.Embedding.from_pretrained(rows))
    return TextEncoder(network, encoder.tokenizer, encoder.name).eval(), tree


def _difference(encoder: TextEncoder, manifest: Path) -> Difference:
    """Difference of the file's embeddings from those of the whole encoder. Raises ModelError if too large."""
    reader = SentenceReader.load(manifest)
    told = [encoder.embed([sentence])[0] for sentence in _COMPARED]
    read = [reader.read(sentence)[0][0, : len(own)] for sentence, own in zip(_COMPARED, told, strict=True)]
    error = (np.concatenate(read) - np.concatenate(told)) / np.concatenate(told).std()
    found = Difference(float(np.abs(error).max()), float(np.sqrt(np.square(error).mean())))
    if not found.rms <= _PARITY:
        raise ModelError(f"{manifest}: embeddings differ from torch's by {found.rms:.1e}; needed {_PARITY}.")
    return found
