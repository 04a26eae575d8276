"""Manifests: YAML files beside a network that describe its inputs and outputs."""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from metric_depth_ros.errors import ModelError
from metric_depth_ros.near_far import is_pool
from metric_depth_ros.runtimes.model import ModelFile
from metric_depth_ros.types import Kind

# Placeholder in a draft for a value that only a person knows.
TO_COMPLETE = "COMPLETE"
# Limits: sides of a network's input in pixels, and points per call of a segmenter.
_LONGEST_SIDE, _MOST_POINTS = 8192, 4096
# A file in the manifest's own folder, and the hash of a file's bytes.
FileName = str
Sha256 = str


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
    weights and activations; its inputs and outputs stay float32.
    """

    name: str
    file: FileName
    licence: str
    sha256: Sha256
    input: InputManifest
    output: OutputManifest
    features: dict[str, str] = field(default_factory=dict)
    source: str = ""
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
    1; depth and focus of other cameras are times theirs.
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
    source: str = ""

    def __post_init__(self) -> None:
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
        if self.input.multiple_of or self.input.border or self.input.resize != "stretch":
            raise ModelError("input: needed one size, stretched, and no border.")
        if not self.sigma > 0:
            raise ModelError(f"sigma: {self.sigma:g}; needed a positive number.")


AnyManifest = TypeVar(
    "AnyManifest", Manifest, LabelManifest, SamManifest, MetricSolverManifest, ScaleManifest
)


def _kind_of_engine(tree: Any) -> type:
    return MetricSolverManifest if isinstance(tree, dict) and "decoders" in tree else Manifest


def _kind_of_prior(tree: Any) -> type:
    return ScaleManifest if isinstance(tree, dict) and "scale_of" in tree else _kind_of_engine(tree)


def load_manifest(path: str | Path) -> Manifest:
    """Loads a depth network's manifest from a YAML file. Raises ModelError as ``load_manifest_of`` does."""
    return load_manifest_of(Manifest, path)


def load_engine_manifest(path: str | Path) -> Manifest | MetricSolverManifest:
    """Loads the manifest of a depth network or a Metric-Solver. Raises as ``load_manifest_of`` does."""
    manifest: Manifest | MetricSolverManifest = _load(_kind_of_engine, path)
    return manifest


def load_prior_manifest(path: str | Path) -> Manifest | MetricSolverManifest | ScaleManifest:
    """Loads the manifest of a scale network or a depth network. Raises as ``load_manifest_of`` does."""
    found: Manifest | MetricSolverManifest | ScaleManifest = _load(_kind_of_prior, path)
    return found


def load_manifest_of(kind: type[AnyManifest], path: str | Path) -> AnyManifest:
    """Loads a manifest of this kind from a YAML file.

    Raises:
        ModelError: the file is missing or not YAML, a key is missing, unknown (with the nearest known
            one) or of the wrong type, or a placeholder is not filled in.
    """
    manifest: AnyManifest = _load(lambda tree: kind, path)
    return manifest


def _load(kind_of: Callable[[Any], type], path: str | Path) -> Any:
    """Loads a manifest from a YAML file; ``kind_of`` chooses its class from the content."""
    try:
        tree = yaml.load(Path(path).read_text(encoding="utf-8"), _Loader)
        return _build(kind_of(tree), tree, "")
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}; needed a model manifest.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: not valid YAML: {' '.join(str(error).split())[:300]}") from error
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def model_file(path: Path, sha256: str, data: Mapping[str, str]) -> ModelFile:
    """Model file with its external weights; hashes are verified when it is read.

    Raises:
        ModelError: a path is a folder, a pipe or a device, not a regular file.
    """
    for each in (path, *(path.parent / name for name in data)):
        if each.exists() and not each.is_file():
            raise ModelError(f"{each}: not a regular file; needed the network's.")
    return ModelFile(path, sha256, data)


class _Loader(yaml.SafeLoader):
    """YAML SafeLoader that refuses aliases, a few of which can expand to more than memory holds."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("an alias (*); write the value itself")
        return super().compose_node(parent, index)


_NESTED: dict[str, type] = {
    "InputManifest": InputManifest, "OutputManifest": OutputManifest, "FileManifest": FileManifest,
    "FileManifest | None": FileManifest, "LabelOutputManifest": LabelOutputManifest,
}  # fmt: skip


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and -1e9 < value < 1e9  # neither NaN nor infinity


def _is_file_name(value: Any) -> bool:
    return _is_text(value) and value not in ("", "..") and Path(value).name == value and value.isprintable()


def _is_sha256(value: Any) -> bool:
    return _is_text(value) and re.fullmatch("[0-9a-fA-F]{64}", value) is not None


def _is_mapping(key: Callable[[Any], bool], item: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(key(k) and item(v) for k, v in value.items())


# By type of a field: the check of its value, and the allowed values in words.
_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "str": (_is_text, "text"),
    "Kind": (_is_text, "text"),
    "int": (lambda value: type(value) is int, "a whole number"),
    "float": (_is_number, "a number"),
    "float | None": (lambda value: value is None or _is_number(value), "a number"),
    "bool": (lambda value: isinstance(value, bool), "true or false"),
    "tuple[float, ...]": (
        lambda value: isinstance(value, list) and all(map(_is_number, value)),
        "finite numbers",
    ),
    "FileName": (_is_file_name, "the name of a file in the model's folder"),
    "Sha256": (_is_sha256, "64 hexadecimal digits"),
    "dict[str, str]": (_is_mapping(_is_text, _is_text), "names and names"),
    "dict[FileName, Sha256]": (
        _is_mapping(_is_file_name, _is_sha256),
        "names of files in the model's own folder, and 64 hexadecimal digits each",
    ),
    **dict.fromkeys(_NESTED, (lambda value: isinstance(value, dict), "a mapping")),
}


def _build(kind: type, tree: Any, prefix: str) -> Any:
    if not isinstance(tree, dict):
        raise ModelError(f"{prefix or 'manifest'}: found {_shown(tree)}; needed a mapping.")
    known = {item.name: item for item in dataclasses.fields(kind)}
    for key in tree:
        if key not in known:
            found = str(key)[:60]
            near = difflib.get_close_matches(found, known, n=1)
            raise ModelError(
                f"{prefix}{found}: unknown key.{f' Did you mean {prefix}{near[0]}?' if near else ''}"
            )
    values = {}
    for name, item in known.items():
        if name in tree:
            values[name] = _value(str(item.type), tree[name], f"{prefix}{name}")
        elif item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
            raise ModelError(f"{prefix}{name}: missing.")
    return kind(**values)


def _value(kind: str, value: Any, key: str) -> Any:
    """Checks a field's value and converts it for its dataclass. Raises ModelError."""
    inner = value.values() if kind == "dict[str, str]" and isinstance(value, dict) else ()
    if TO_COMPLETE in (value, *inner):
        raise ModelError(f"{key}: {TO_COMPLETE!r}; needed what only you know. Replace it.")
    is_right, needed = _FIELDS[kind]
    if not is_right(value):
        raise ModelError(f"{key}: {_shown(value)}; needed {needed}.")
    if kind in _NESTED:
        return _build(_NESTED[kind], value, f"{key}.")
    if kind == "Sha256":
        return value.lower()
    if kind == "dict[FileName, Sha256]":
        return {name: sha256.lower() for name, sha256 in value.items()}
    return tuple(value) if isinstance(value, list) else value


def _shown(value: Any) -> str:
    """Short text for any value."""
    short = reprlib.Repr()
    short.maxlevel, short.maxstring = 2, 60
    return short.repr(value)
