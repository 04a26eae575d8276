"""The YAML file beside a network that says how to feed it and what comes out."""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from metric_depth_ros.errors import ModelError
from metric_depth_ros.runtimes.model import ModelFile
from metric_depth_ros.types import Kind


@dataclass(frozen=True)
class InputManifest:
    """How an image becomes the network's input.

    value = (pixel / 255 - mean) / std per channel, in the colour order given; with ``dtype`` "uint8"
    the pixel itself. ``layout``: "nchw" is 1 x 3 x height x width, "nhwc" 1 x height x width x 3.
    ``resize``: "stretch" ignores the aspect ratio; "letterbox" keeps it and pads with zeros (after
    normalising) at the right and the bottom.

    ``multiple_of``: 0 is a file of the one size width x height; n > 0 is a file that takes every
    size whose sides are multiples of n, width x height being the usual one.

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
        if self.width < 1 or self.height < 1:
            raise ModelError(f"input: {self.width}x{self.height}; needed a positive size.")
        if self.colour not in ("rgb", "bgr"):
            raise ModelError(f"input.colour: {self.colour!r}; needed rgb or bgr.")
        if self.resize not in ("stretch", "letterbox"):
            raise ModelError(f"input.resize: {self.resize!r}; needed stretch or letterbox.")
        if len(self.mean) != 3 or len(self.std) != 3 or 0 in self.std:
            raise ModelError("input.mean, input.std: needed three numbers each, std not zero.")
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
    """What the network's depth output is.

    ``kind``: "depth" or "inverse_depth". ``metric``: metres (1/metres) up to noise. ``floor``:
    smaller values are raised to this, so that a kind that must be positive is; None leaves them.
    """

    name: str
    kind: Kind
    metric: bool = False
    floor: float | None = None


@dataclass(frozen=True)
class FileManifest:
    """A model file: its name, relative to the manifest's folder, and the sha256 of its bytes.

    ``data``: files of weights that an ONNX file above 2 GB keeps beside it, name to sha256.
    """

    file: str
    sha256: str
    data: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """A depth network: its file, how to use it, where it is from.

    ``features`` maps our names to names of further outputs, (1, C, h, w) each. ``file``, ``sha256``
    and ``data`` are as in ``FileManifest``. ``fp16`` is the same network once more with float16
    weights and activations; its inputs and outputs are float32 all the same.
    """

    name: str
    file: str
    licence: str
    sha256: str
    input: InputManifest
    output: OutputManifest
    features: dict[str, str] = field(default_factory=dict)
    source: str = ""
    data: dict[str, str] = field(default_factory=dict)
    fp16: FileManifest | None = None

    def __post_init__(self) -> None:
        if self.output.kind not in ("depth", "inverse_depth"):
            raise ModelError(f"output.kind: {self.output.kind!r}; needed depth or inverse_depth.")
        if self.output.kind == "depth" and not (self.output.floor or 0) > 0:
            raise ModelError("output.floor: needed a positive number, since depth must be positive.")


@dataclass(frozen=True)
class LabelOutputManifest:
    """What a label network's output is.

    ``kind``: "scores", (1, C, h, w) whose largest channel is the pixel's label, or "labels",
    (1, h, w) or (1, 1, h, w) whole numbers.
    """

    name: str
    kind: str = "scores"


@dataclass(frozen=True)
class LabelManifest:
    """A network that gives every pixel a label. The fields are those of ``Manifest``."""

    name: str
    file: str
    licence: str
    sha256: str
    input: InputManifest
    output: LabelOutputManifest
    source: str = ""
    data: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.output.kind not in ("scores", "labels"):
            raise ModelError(f"output.kind: {self.output.kind!r}; needed scores or labels.")


@dataclass(frozen=True)
class SamManifest:
    """A promptable segmenter (SAM, SAM 2) in two files.

    The encoder turns the input into embeddings. The decoder takes those, by the same names, and
    "points" (``points``, 2) float32, pixels of the input; it gives "masks" (``points``, M, h, w) logits
    over the whole input and "iou" (``points``, M), the quality it predicts.
    """

    name: str
    licence: str
    encoder: FileManifest
    decoder: FileManifest
    points: int
    input: InputManifest
    source: str = ""

    def __post_init__(self) -> None:
        if self.points < 1:
            raise ModelError(f"points: {self.points}; needed at least 1.")
        if self.input.multiple_of or self.input.border:
            raise ModelError("input: needed one size and no border (multiple_of 0, border 0).")


AnyManifest = TypeVar("AnyManifest", Manifest, LabelManifest, SamManifest)


def load_manifest(path: str | Path) -> Manifest:
    """The manifest of a depth network in a YAML file. Raises ModelError as ``load_manifest_of`` does."""
    return load_manifest_of(Manifest, path)


def load_manifest_of(kind: type[AnyManifest], path: str | Path) -> AnyManifest:
    """The manifest of this kind in a YAML file.

    Raises:
        ModelError: the file is missing or not YAML, or a key is missing, unknown (with the nearest
            known one) or of the wrong type.
    """
    try:
        tree = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        manifest: AnyManifest = _build(kind, tree, "")
        return manifest
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}; needed a model manifest.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


_NESTED: dict[str, type] = {
    "InputManifest": InputManifest, "OutputManifest": OutputManifest, "FileManifest": FileManifest,
    "FileManifest | None": FileManifest, "LabelOutputManifest": LabelOutputManifest,
}  # fmt: skip
_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,), "int": (int,), "float": (int, float), "float | None": (int, float), "bool": (bool,),
    "Kind": (str,), "tuple[float, ...]": (list,), "dict[str, str]": (dict,),
    **dict.fromkeys(_NESTED, (dict,)),
}  # fmt: skip


def _build(kind: type, tree: Any, prefix: str) -> Any:
    if not isinstance(tree, dict):
        raise ModelError(f"{prefix or 'manifest'}: found {tree!r}; needed a mapping.")
    known = {item.name: item for item in dataclasses.fields(kind)}
    for key in tree:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            raise ModelError(
                f"{prefix}{key}: unknown key.{f' Did you mean {prefix}{near[0]}?' if near else ''}"
            )
    values = {}
    for name, item in known.items():
        if name not in tree:
            if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
                raise ModelError(f"{prefix}{name}: missing.")
            continue
        value = tree[name]
        if not isinstance(value, _TYPES[str(item.type)]) or isinstance(value, bool) != (item.type == "bool"):
            raise ModelError(f"{prefix}{name}: {value!r}; needed {item.type}.")
        if str(item.type) in _NESTED:
            value = _build(_NESTED[str(item.type)], value, f"{name}.")
        values[name] = tuple(value) if isinstance(value, list) else value
    return kind(**values)


def checked_model_file(manifest: Manifest | LabelManifest, path: Path) -> Path:
    """``path`` itself, once its bytes are known to be the manifest's.

    Raises:
        ModelError: the file, or a file of weights beside it, is missing, or its sha256 is not the
            manifest's.
    """
    return checked_file(FileManifest(path.name, manifest.sha256, manifest.data), path, manifest.name)


def checked_file(file: FileManifest, path: Path, name: str) -> Path:
    """``path`` itself, once its bytes and those of the weights beside it are known to be the manifest's.

    ``name`` is the network's, for the message. Raises ModelError as ``checked_model_file`` does.
    """
    try:
        ModelFile(path, file.sha256, file.data).verify()
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from error
    return path
