"""The YAML file beside a depth network that says how to feed it and what comes out."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from metric_depth_ros.errors import ModelError
from metric_depth_ros.types import Kind


@dataclass(frozen=True)
class InputManifest:
    """How an image becomes the network's input, 1 x 3 x height x width float32.

    value = (pixel / 255 - mean) / std per channel, in the colour order given. ``resize``: "stretch"
    ignores the aspect ratio; "letterbox" keeps it and pads with zeros (after normalising) at the
    right and the bottom.
    """

    name: str
    width: int
    height: int
    colour: str = "rgb"
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    resize: str = "stretch"


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
class Manifest:
    """A depth network: its file, how to use it, where it is from.

    ``features`` maps our names to names of further outputs, (1, C, h, w) each. ``file`` is relative
    to the manifest's folder.
    """

    name: str
    file: str
    licence: str
    sha256: str
    input: InputManifest
    output: OutputManifest
    features: dict[str, str] = field(default_factory=dict)
    source: str = ""

    def __post_init__(self) -> None:
        if self.input.width < 1 or self.input.height < 1:
            raise ModelError(f"input: {self.input.width}x{self.input.height}; needed a positive size.")
        if self.input.colour not in ("rgb", "bgr"):
            raise ModelError(f"input.colour: {self.input.colour!r}; needed rgb or bgr.")
        if self.input.resize not in ("stretch", "letterbox"):
            raise ModelError(f"input.resize: {self.input.resize!r}; needed stretch or letterbox.")
        if len(self.input.mean) != 3 or len(self.input.std) != 3 or 0 in self.input.std:
            raise ModelError("input.mean, input.std: needed three numbers each, std not zero.")
        if self.output.kind not in ("depth", "inverse_depth"):
            raise ModelError(f"output.kind: {self.output.kind!r}; needed depth or inverse_depth.")
        if self.output.kind == "depth" and not (self.output.floor or 0) > 0:
            raise ModelError("output.floor: needed a positive number, since depth must be positive.")


def load_manifest(path: str | Path) -> Manifest:
    """The manifest in a YAML file.

    Raises:
        ModelError: the file is missing or not YAML, or a key is missing, unknown (with the nearest
            known one) or of the wrong type.
    """
    try:
        tree = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        manifest: Manifest = _build(Manifest, tree, "")
        return manifest
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}; needed a model manifest (engine.manifest).") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


_NESTED = {"input": InputManifest, "output": OutputManifest}
_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,), "int": (int,), "float | None": (int, float), "bool": (bool,), "Kind": (str,),
    "tuple[float, ...]": (list,), "dict[str, str]": (dict,),
    "InputManifest": (dict,), "OutputManifest": (dict,),
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
        if name in _NESTED:
            value = _build(_NESTED[name], value, f"{name}.")
        values[name] = tuple(value) if isinstance(value, list) else value
    return kind(**values)


def checked_model_file(manifest: Manifest, path: Path) -> Path:
    """``path`` itself, once its bytes are known to be the manifest's.

    Raises:
        ModelError: the file is missing, or its sha256 is not the manifest's.
    """
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(
            f"{path}: {error.strerror}; needed the network {manifest.name!r}. Set engine.model to its file."
        ) from error
    if digest != manifest.sha256:
        raise ModelError(
            f"{path}: sha256 {digest[:12]}..., the manifest says {manifest.sha256[:12]}...; the file is "
            "corrupt or another one. Fetch it again, or write a manifest for it."
        )
    return path
