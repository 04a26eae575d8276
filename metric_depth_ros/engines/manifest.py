"""Manifests: YAML files beside a network that describe its inputs and outputs."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from metric_depth_ros.documents import required_keys
from metric_depth_ros.engines.manifest_file import FileName, Sha256, read_manifest
from metric_depth_ros.errors import ModelError
from metric_depth_ros.near_far import is_pool
from metric_depth_ros.runtimes.model import ModelFile
from metric_depth_ros.share import refuse_outside
from metric_depth_ros.types import Kind

# Tokens of a description, with start and end; what is longer is cut.
TOKENS = 32
# Limits: sides of a network's input in pixels, and points per call of a segmenter.
_LONGEST_SIDE, _MOST_POINTS = 8192, 4096


@dataclass(frozen=True)
class InputManifest:
    """Describes how an image becomes the network's input.

    value = (pixel / 255 - mean) / std per channel, in the colour order given; with ``dtype`` "uint8"
    the pixel itself. ``layout``: "nchw" is 1 x 3 x height x width, "nhwc" 1 x height x width x 3.
    ``resize``: "stretch" ignores the aspect ratio; "letterbox" keeps it and pads with zeros (after
    normalising) at the right and the bottom.

    ``multiple_of``: 0: the size is always width x height; n > 0: any size whose sides are multiples
    of n, width x height being the usual one.

    ``border``: before resizing the image is mirrored outwards by border * sqrt(side / 2) pixels at
    both ends of a side, which is cut off the output again (ZoeDepth: 3).
    """

    name: str
    width: int
    height: int
    colour: str = "rgb"
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    resize: str = "stretch"
    multiple_of: int = 0
    border: float = 0.0
    layout: str = "nchw"
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if not (0 < self.width <= _LONGEST_SIDE and 0 < self.height <= _LONGEST_SIDE):
            raise ModelError(
                f"input: {self.width}x{self.height}; needed a width and height of 1 to {_LONGEST_SIDE}."
            )
        if self.colour not in ("rgb", "bgr"):
            raise ModelError(f"input.colour: {self.colour!r}; needed rgb or bgr.")
        if self.resize not in ("stretch", "letterbox"):
            raise ModelError(f"input.resize: {self.resize!r}; needed stretch or letterbox.")
        finite = all(map(math.isfinite, (*self.mean, *self.std)))
        if len(self.mean) != 3 or len(self.std) != 3 or not finite or min(self.std) <= 0:
            raise ModelError("input.mean, input.std: needed three finite numbers each, std positive.")
        n = self.multiple_of
        if n < 0 or (n and (self.width % n or self.height % n)):
            raise ModelError(f"input.multiple_of: {n}; needed 0, or a divisor of width and height.")
        if not 0 <= self.border <= 10:
            raise ModelError(f"input.border: {self.border:g}; needed 0 to 10.")
        if self.layout not in ("nchw", "nhwc"):
            raise ModelError(f"input.layout: {self.layout!r}; needed nchw or nhwc.")
        if self.dtype not in ("float32", "uint8"):
            raise ModelError(f"input.dtype: {self.dtype!r}; needed float32 or uint8.")


@dataclass(frozen=True)
class OutputManifest:
    """Describes the network's depth output.

    ``kind``: "depth" or "inverse_depth". ``metric``: the network estimates metres (or 1/m). ``floor``:
    smaller values are raised to this, to keep depth positive; None: no floor.
    """

    name: str
    kind: Kind
    metric: bool = False
    floor: float | None = None


@dataclass(frozen=True)
class FileManifest:
    """A model file in the manifest's folder: its name, and the sha256 of its bytes.

    ``data``: files of weights that an ONNX file above 2 GB keeps beside it, name to sha256.
    """

    file: FileName
    sha256: Sha256
    data: dict[FileName, Sha256] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """Describes a depth network: its file, input, output and source.

    ``features`` maps our names to names of further outputs, (1, C, h, w) each. ``file``, ``sha256``
    and ``data`` are as in ``FileManifest``. ``fp16`` is a second file of the same network with float16
    weights and activations; its inputs and outputs stay float32. ``depth_of``: name of the network whose
    depth this file gives, if it only has further outputs; a prior for one serves the other.
    """

    name: str
    file: FileName
    licence: str
    sha256: Sha256
    input: InputManifest
    output: OutputManifest
    features: dict[str, str] = field(default_factory=dict)
    source: str = ""
    depth_of: str = ""
    data: dict[FileName, Sha256] = field(default_factory=dict)
    fp16: FileManifest | None = None

    def __post_init__(self) -> None:
        if self.output.kind not in ("depth", "inverse_depth"):
            raise ModelError(f"output.kind: {self.output.kind!r}; needed depth or inverse_depth.")
        if self.output.kind == "depth" and not (self.output.floor or 0) > 0:
            raise ModelError("output.floor: needed a positive number, since depth must be positive.")


@dataclass(frozen=True)
class LabelOutputManifest:
    """Describes a label network's output.

    ``kind``: "scores", (1, C, h, w) whose largest channel is the pixel's label, or "labels",
    (1, h, w) or (1, 1, h, w) whole numbers.
    """

    name: str
    kind: str = "scores"


@dataclass(frozen=True)
class LabelManifest:
    """Describes a network that gives every pixel a label. The fields are those of ``Manifest``."""

    name: str
    file: FileName
    licence: str
    sha256: Sha256
    input: InputManifest
    output: LabelOutputManifest
    source: str = ""
    data: dict[FileName, Sha256] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.output.kind not in ("scores", "labels"):
            raise ModelError(f"output.kind: {self.output.kind!r}; needed scores or labels.")


@dataclass(frozen=True)
class SamManifest:
    """Describes a promptable segmenter (SAM, SAM 2) in two files.

    The encoder turns the input into embeddings. The decoder takes those, by the same names, and
    "points" (``points``, 2) float32, pixels of the input; it gives "masks" (``points``, M, h, w) logits
    over the whole input and "iou" (``points``, M), the predicted quality.
    """

    name: str
    licence: str
    encoder: FileManifest
    decoder: FileManifest
    points: int
    input: InputManifest
    source: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.points <= _MOST_POINTS:
            raise ModelError(f"points: {self.points}; needed 1 to {_MOST_POINTS}.")
        if self.input.multiple_of or self.input.border:
            raise ModelError("input: needed one size and no border (multiple_of 0, border 0).")


@dataclass(frozen=True)
class MetricSolverManifest:
    """Describes a Metric-Solver network (paper 004) in two files.

    The encoder turns the input into feature maps. The decoders take those, by the same names, and
    "focus" (N,) float32 metres; they give "near", "far" and "mask" (N, 1, h, w) in [0, 1].

    ``focuses``: the pool it was trained with, metres, rising. ``focus_m``: the default focus. ``taper``:
    k in 1/m. ``canonical``: all metres of the network are those of a camera with a ``relative_focal`` of
    1; depth and focus of other cameras are times theirs. ``sigma``, ``sigma_far``: standard deviation of
    the log scale on held-out pictures, and on those more than a fifth of which lies beyond 10 m; 0: not
    known.
    """

    name: str
    licence: str
    encoder: FileManifest
    decoders: FileManifest
    input: InputManifest
    focuses: tuple[float, ...]
    focus_m: float = 10.0
    taper: float = 0.025
    canonical: bool = False
    sigma: float = 0.0
    sigma_far: float = 0.0
    source: str = ""

    def __post_init__(self) -> None:
        if min(self.sigma, self.sigma_far) < 0:
            raise ModelError(f"sigma, sigma_far: {self.sigma:g}, {self.sigma_far:g}; needed 0 or more.")
        if not is_pool(self.focuses):
            raise ModelError("focuses: needed positive numbers that rise.")
        if not self.focuses[0] <= self.focus_m <= self.focuses[-1]:
            raise ModelError(
                f"focus_m: {self.focus_m:g}; needed {self.focuses[0]:g} to {self.focuses[-1]:g}, the ends "
                "of focuses."
            )
        if not self.taper > 0:
            raise ModelError(f"taper: {self.taper:g}; needed a positive number.")


@dataclass(frozen=True)
class ScaleManifest:
    """Describes a network that gives the scale of a picture (paper 002).

    ``output``: name of its one number, the logarithm of the factor that makes the ``unit_depth`` of a depth
    network metric. ``scale_of``: name of the depth network it was trained for; ``metric``: whether that one
    gives metres. ``canonical``: the factor is that of a camera with a ``relative_focal`` of 1; for others it
    is times theirs. ``sigma``: standard deviation of the log factor on held-out pictures. The other fields
    are those of ``Manifest``.
    """

    name: str
    licence: str
    file: FileName
    sha256: Sha256
    input: InputManifest
    output: str
    scale_of: str
    sigma: float
    metric: bool = False
    canonical: bool = False
    source: str = ""
    data: dict[FileName, Sha256] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_simple(self.input, self.sigma)


@dataclass(frozen=True)
class TextManifest:
    """Describes a text encoder.

    From "ids" and "mask" (1, 32) int64 it gives "states" (1, 32, ``width``), an embedding per token.
    ``tokenizer``: its tokenizer.json. ``neutral``: token ids of the sentence that is read where nobody
    described the scene.
    """

    name: str
    licence: str
    file: FileName
    sha256: Sha256
    tokenizer: FileManifest
    width: int
    neutral: tuple[int, ...]
    source: str = ""

    def __post_init__(self) -> None:
        if not (0 < self.width <= _LONGEST_SIDE and 0 < len(self.neutral) <= TOKENS):
            raise ModelError(f"width and neutral: needed a positive width and 1 to {TOKENS} ids.")


@dataclass(frozen=True)
class ImageManifest:
    """Describes an image encoder: ``vector`` is the name of its output (1, P), what a picture shows.

    The other fields are those of ``Manifest``.
    """

    name: str
    licence: str
    file: FileName
    sha256: Sha256
    input: InputManifest
    vector: str
    source: str = ""
    data: dict[FileName, Sha256] = field(default_factory=dict)


@dataclass(frozen=True)
class TR2MManifest:
    """Describes a TR2M network (paper 003).

    From the image, and from "tokens" (1, 32, ``width``) and "mask" (1, 32) of the text encoder ``text`` (a
    manifest in the same folder), it gives "scale" and "shift" (1, 1, h, w): metric depth is
    1 / (scale D_r + shift), D_r the inverse ``unit_depth`` of the depth network ``maps_of``.
    ``sigma_undescribed``: ``sigma`` with the neutral sentence. The other fields are those of
    ``ScaleManifest``.
    """

    name: str
    licence: str
    file: FileName
    sha256: Sha256
    input: InputManifest
    text: FileName
    width: int
    maps_of: str
    sigma: float
    sigma_undescribed: float
    metric: bool = False
    canonical: bool = False
    source: str = ""
    data: dict[FileName, Sha256] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_simple(self.input, min(self.sigma, self.sigma_undescribed))


@dataclass(frozen=True)
class RefinementManifest:
    """Describes the network of the solver ``refined``.

    From "look" (1, ``channels``, ``height``, ``width``), what ``solvers.refined.inputs`` makes of a fit, it
    gives "correction" (1, 2, h, w): of log depth, and the change of log sigma. ``solver``: the one
    whose fits it was trained on. The other fields are those of ``Manifest``.
    """

    name: str
    licence: str
    file: FileName
    sha256: Sha256
    channels: int
    width: int
    height: int
    solver: str
    source: str = ""
    data: dict[FileName, Sha256] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (0 < self.width <= _LONGEST_SIDE and 0 < self.height <= _LONGEST_SIDE):
            raise ModelError(f"width, height: {self.width}x{self.height}; needed 1 to {_LONGEST_SIDE} each.")


def _check_simple(image: InputManifest, sigma: float) -> None:
    """Raises ModelError for an input of several sizes, or a sigma that is not positive."""
    if image.multiple_of or image.border or image.resize != "stretch":
        raise ModelError("input: needed one size, stretched, and no border.")
    if not sigma > 0:
        raise ModelError(f"sigma: {sigma:g}; needed a positive number.")


PriorManifest = Manifest | MetricSolverManifest | ScaleManifest | TR2MManifest
AnyManifest = TypeVar(
    "AnyManifest",
    Manifest,
    LabelManifest,
    SamManifest,
    MetricSolverManifest,
    ScaleManifest,
    TextManifest,
    ImageManifest,
    RefinementManifest,
)


# What each kind describes, and the key that only it has.
_KINDS: dict[type, tuple[str, str]] = {
    SamManifest: ("a promptable region network", "decoder"),
    TextManifest: ("a text encoder", "tokenizer"),
    ImageManifest: ("an image encoder", "vector"),
    RefinementManifest: ("a refinement network", "channels"),
    ScaleManifest: ("a scale network", "scale_of"),
    TR2MManifest: ("a TR2M network", "maps_of"),
    MetricSolverManifest: ("a Metric-Solver", "decoders"),
    LabelManifest: ("a region network", ""),
    Manifest: ("a depth network", ""),
}


def _kind_of(tree: Any) -> type:
    """Kind of manifest that the keys tell: of a depth network where they tell none."""
    if not isinstance(tree, dict):
        return Manifest
    for kind, (_, key) in _KINDS.items():
        if key in tree:
            return kind
    output = tree.get("output")
    labels = isinstance(output, dict) and output.get("kind") in ("scores", "labels")
    return LabelManifest if labels else Manifest


def _load(path: str | Path, *kinds: type) -> Any:
    """Loads a manifest of one of these kinds. Raises as ``load_manifest_of`` does."""

    def class_of(tree: Any) -> type:
        found = _kind_of(tree)
        if found in kinds:
            return found
        if isinstance(tree, dict) and required_keys(found) <= tree.keys():
            needed = " or ".join(_KINDS[kind][0] for kind in kinds)
            raise ModelError(f"this describes {_KINDS[found][0]}; needed {needed}.")
        return kinds[0]

    return read_manifest(path, class_of)


def load_any_manifest(path: str | Path) -> Any:
    """Loads a manifest of the kind that its keys tell. Raises as ``load_manifest_of`` does."""
    return read_manifest(path, _kind_of)


def load_manifest(path: str | Path) -> Manifest:
    """Loads a depth network's manifest from a YAML file. Raises ModelError as ``load_manifest_of`` does."""
    return load_manifest_of(Manifest, path)


def load_engine_manifest(path: str | Path) -> Manifest | MetricSolverManifest:
    """Loads the manifest of a depth network or a Metric-Solver. Raises as ``load_manifest_of`` does."""
    manifest: Manifest | MetricSolverManifest = _load(path, Manifest, MetricSolverManifest)
    return manifest


def load_prior_manifest(path: str | Path) -> PriorManifest:
    """Loads the manifest of anything that gives a prior. Raises as ``load_manifest_of`` does."""
    found: PriorManifest = _load(path, Manifest, MetricSolverManifest, ScaleManifest, TR2MManifest)
    return found


def load_text_manifest(path: str | Path) -> TextManifest:
    """Loads the manifest of a text encoder. Raises as ``load_manifest_of`` does."""
    return load_manifest_of(TextManifest, path)


def load_manifest_of(kind: type[AnyManifest], path: str | Path) -> AnyManifest:
    """Loads a manifest of this kind from a YAML file.

    Raises:
        ModelError: the file is missing or not YAML, describes another kind of network, a key is missing,
            unknown (with the nearest known one) or of the wrong type, or a placeholder is not filled in.
    """
    manifest: AnyManifest = _load(path, kind)
    return manifest


def model_file(path: Path, sha256: str, data: Mapping[str, str]) -> ModelFile:
    """Model file with its external weights; hashes are verified when it is read.

    Raises:
        ModelError: a path is a folder, a pipe or a device, not a regular file, or lies outside the
            folders of models.
    """
    for each in (path, *(path.parent / name for name in data)):
        refuse_outside(each)
        if os.path.exists(each) and not each.is_file():
            raise ModelError(f"{each}: not a regular file; needed the network's.")
    return ModelFile(path, sha256, data)
