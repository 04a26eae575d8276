"""Published depth networks, from checkpoint folders."""

from __future__ import annotations

import dataclasses
from typing import Any

from metric_depth_ros.learning.models.checkpoint_folder import CheckpointFolder, load_network, normalisation
from metric_depth_ros.learning.models.depth_anything import DepthAnything
from metric_depth_ros.learning.models.depth_network import DepthFacts, DepthNetwork
from metric_depth_ros.learning.models.depth_pro import DepthPro
from metric_depth_ros.learning.models.dpt import DPT
from metric_depth_ros.learning.models.zoedepth import ZoeDepth

# Name of the class in config.json -> what wraps it.
KINDS: dict[str, Any] = {kind.loads.__name__: kind for kind in (DepthAnything, DPT, DepthPro, ZoeDepth)}


def load_published(folder: CheckpointFolder, features: str) -> DepthNetwork | None:
    """Depth network of a checkpoint folder; None if the architecture is unknown.

    ``features``: "coarse", "fine" or "none". Raises ModelError if the weights cannot be used.
    """
    kind = KINDS.get(folder.architecture)
    if kind is None:
        return None
    network: DepthNetwork = kind(load_network(folder, kind.loads), features).eval()
    return network


def facts_of(
    folder: CheckpointFolder, facts: DepthFacts, pictures: tuple[int, int] | None = None
) -> DepthFacts:
    """Facts of a network, with usual size, mean and standard deviation from its checkpoint if stated.

    ``pictures``: width and height whose aspect ratio the usual size keeps, where the checkpoint says so.

    Raises ModelError as ``normalisation`` does.
    """
    mean, std = normalisation(folder, facts.mean, facts.std)
    size = folder.processor.get("size", {})
    sides: list[Any] = [size.get(side) for side in ("width", "height")] if isinstance(size, dict) else [None]
    usual: tuple[int, int] = facts.size
    if not facts.only_size and all(isinstance(side, int) and side % facts.multiple_of == 0 for side in sides):
        usual = (sides[0], sides[1])
        if pictures is not None and folder.processor.get("keep_aspect_ratio") is True:
            usual = _kept_aspect(pictures, usual, facts.multiple_of)
    return dataclasses.replace(
        facts,
        size=usual,
        mean=mean,
        std=std,
        licence=folder.licence or facts.licence,
    )


def _kept_aspect(pictures: tuple[int, int], usual: tuple[int, int], step: int) -> tuple[int, int]:
    """Input size of pictures whose aspect ratio is kept: that of the side that changes less (MiDaS, DPT)."""
    factors = [side / own for side, own in zip(usual, pictures, strict=True)]
    factor = min(factors, key=lambda each: abs(1 - each))
    width, height = (max(step, round(side * factor / step) * step) for side in pictures)
    return width, height
