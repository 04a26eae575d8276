"""Imported depth networks: published ones from a checkpoint folder, to be trained on."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from metric_depth_ros.errors import InputError, ModelError
from metric_depth_ros.learning.models.checkpoint_folder import open_checkpoint
from metric_depth_ros.learning.models.depth_network import DepthFacts, DepthNetwork
from metric_depth_ros.learning.models.encoder import MEAN, STD
from metric_depth_ros.learning.models.published_depth import KINDS, facts_of, load_published


@dataclass(frozen=True)
class ImportedConfig:
    """What rebuilds an imported network without its weights.

    Attributes:
        architecture: name of its transformers class.
        config: content of its config.json.
        mean, std, licence: as in ``DepthFacts``, of its checkpoint.
    """

    architecture: str
    config: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    licence: str


class ImportedDepth(nn.Module):  # type: ignore[misc]  # torch carries no types here
    """Computes relative inverse depth (B, 1, H, W) and features of images normalised by ``MEAN`` and ``STD``.

    Both sides are multiples of ``facts.multiple_of``. It stays in eval mode: batch statistics are those of
    the checkpoint. Parameters on which no depth depends are fixed.

    Attributes:
        network: the network itself, for images normalised as its checkpoint says.
        facts: of the network, for its export.
    """

    def __init__(self, config: ImportedConfig, network: DepthNetwork) -> None:
        super().__init__()
        self.config, self.network = config, network
        self.facts: DepthFacts = dataclasses.replace(
            network.facts, mean=config.mean, std=config.std, licence=config.licence
        )
        ours, theirs = ((MEAN, STD), (config.mean, config.std))
        scale = [a / b for a, b in zip(ours[1], theirs[1], strict=True)]
        shift = [(a - b) / s for a, b, s in zip(ours[0], theirs[0], theirs[1], strict=True)]
        self.register_buffer("scale", torch.tensor(scale).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("shift", torch.tensor(shift).view(1, 3, 1, 1), persistent=False)
        self._fix_unused()
        self.eval()

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Relative inverse depth and features."""
        value, features = self.network(image * self.scale + self.shift)
        return value, features

    def train(self, mode: bool = True) -> ImportedDepth:
        """Stays in eval mode."""
        super().train(False)
        return self

    def save(self, folder: Path) -> None:
        """Writes a checkpoint folder that ``import_depth`` reads. Raises InputError if it cannot."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.network.model.save_pretrained(folder)
            processor = {"image_mean": list(self.config.mean), "image_std": list(self.config.std)}
            (folder / "preprocessor_config.json").write_text(json.dumps(processor), encoding="utf-8")
            card = f"---\nlicense: {self.config.licence}\n---\nFine-tuned by metric_depth train depth.\n"
            (folder / "README.md").write_text(card, encoding="utf-8")
        except OSError as error:
            raise InputError(f"{folder}: {error.strerror}; needed a folder to write to.") from error

    def _fix_unused(self) -> None:
        """Fixes the parameters without influence, which would have no gradient."""
        self.requires_grad_(True)
        side = 4 * self.facts.multiple_of
        value, _ = self(torch.zeros(1, 3, side, side))
        parameters = list(self.parameters())
        gradients = torch.autograd.grad(value.sum(), parameters, allow_unused=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.requires_grad_(gradient is not None)


def import_depth(folder: str | Path) -> ImportedDepth:
    """Network of a checkpoint folder.

    Raises:
        ModelError: it is no checkpoint of a known network, or the network gives no relative inverse depth.
    """
    if (Path(folder) / "checkpoint.pt").exists():
        raise ModelError(
            f"{folder}: a run; needed weights. Export it: metric_depth train depth-export {folder}"
        )
    opened = open_checkpoint(Path(folder))
    network = load_published(opened, "coarse")
    if network is None:
        raise ModelError(
            f"{folder}: {opened.architecture or 'no architecture named'}; needed one of {', '.join(KINDS)}."
        )
    _check(folder, network)
    facts = facts_of(opened, network.facts)
    text = json.dumps(network.model.config.to_dict(), default=str)
    return ImportedDepth(
        ImportedConfig(opened.architecture, text, facts.mean, facts.std, facts.licence), network
    )


def rebuild_imported(architecture: dict[str, Any]) -> ImportedDepth:
    """Network with random weights from a stored ``ImportedConfig``."""
    config = ImportedConfig(**architecture)
    kind = KINDS[config.architecture]
    settings = kind.loads.config_class.from_dict(json.loads(config.config))
    settings._attn_implementation = "eager"
    return ImportedDepth(config, kind(kind.loads(settings).float(), "coarse"))


def _check(folder: str | Path, network: DepthNetwork) -> None:
    """Raises ModelError if the losses of relative inverse depth do not fit the network."""
    if network.facts.kind != "inverse_depth" or network.facts.metric or network.facts.only_size:
        raise ModelError(
            f"{folder}: {network.facts.title} gives metric depth, or takes one size only; needed a network "
            "of relative inverse depth, such as Depth Anything V2 or DPT."
        )
