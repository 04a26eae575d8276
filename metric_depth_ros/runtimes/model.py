"""Model file for the runtimes: verified ONNX, with the sizes of its inputs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from metric_depth_ros.errors import ModelError
from metric_depth_ros.files import open_regular, read_limited
from metric_depth_ros.runtimes.onnx_file import references

_BLOCK = 1 << 20
# Of an ONNX file, as of any protocol buffer; what is larger keeps weights in other files.
_LARGEST = 1 << 31
# Other common model files, by their first bytes.
_PICKLE = "a Python pickle (a PyTorch checkpoint, perhaps). A pickle can run code and is never loaded"
_OTHERS = {
    b"PK\x03\x04": "a zip archive, as PyTorch checkpoints are. It may hold a pickle and is never loaded",
    b"\x80": _PICKLE,
    b"version https://git-lfs": "a Git LFS pointer, not the file itself. Fetch the file with git lfs",
    b"<": "a page of text (HTML or XML), not a network. The download went wrong",
}
_EXPORT = "Needed an ONNX file; `metric_depth export` makes one of a checkpoint folder."


@dataclass(frozen=True)
class ModelFile:
    """ONNX file whose bytes are verified by sha256.

    Attributes:
        path: the file; files with its external weights lie beside it.
        sha256: of the file.
        data: the files with external weights, name to sha256; verified as well.
    """

    path: Path
    sha256: str
    data: Mapping[str, str] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        """One hash of the file and of its external weights."""
        if not self.data:
            return self.sha256
        return hashlib.sha256(repr((self.sha256, sorted(self.data.items()))).encode()).hexdigest()

    def verify(self) -> None:
        """Verifies the file. Raises ModelError as ``content`` does."""
        self.content  # noqa: B018

    @cached_property
    def content(self) -> bytes:
        """Bytes of the file, read and verified once.

        Raises:
            ModelError: the file is missing, has another sha256, is not ONNX, uses operators that are not
                allowed, or has external weights in files that ``data`` does not list.
        """
        content = _read(self.path)
        _refuse_others(self.path, content)
        _check(self.path, hashlib.sha256(content).hexdigest(), self.sha256)
        files = _weight_files(self.path, content)
        if files != set(self.data):
            raise ModelError(
                f"{self.path}: keeps weights in {', '.join(sorted(files)) or 'no other file'}, the manifest "
                f"says {', '.join(sorted(self.data)) or 'none'}; needed every such file with its sha256 "
                "under data in the manifest, and no other."
            )
        self._verify_data()
        return content

    @cached_property
    def loops(self) -> bool:
        """Whether the network holds a loop, so that a run may never end. Raises ModelError as ``content``."""
        return references(self.content).loops

    def _verify_data(self) -> None:
        for name, sha256 in self.data.items():
            verify_file(self.path.parent / name, sha256)

    @contextmanager
    def opened(self) -> Iterator[bytes]:
        """Context with the verified bytes, for a library that may read files beside them by path.

        Such a file may change after it was verified, so all are verified again at the end.

        Raises:
            ModelError: as ``content`` does.
        """
        yield self.content
        self.verify_again()

    def verify_again(self) -> None:
        """Raises ModelError if a file that runtimes read by path has changed since it was verified."""
        if self.data:
            verify_file(self.path, self.sha256)
            self._verify_data()


@dataclass(frozen=True)
class Size:
    """Shapes of one input: the usual, the smallest and the largest."""

    usual: tuple[int, ...]
    smallest: tuple[int, ...]
    largest: tuple[int, ...]

    @property
    def varies(self) -> bool:
        """Whether the shape varies."""
        return self.smallest != self.largest


@dataclass(frozen=True)
class Model:
    """Network: its file, optionally the same in half precision, and the sizes of its inputs.

    Attributes:
        full: float32.
        half: float16 weights and activations, float32 inputs and outputs; None without such a file.
        sizes: by input name.
        dtypes: NumPy type by input name; float32 if not listed.
    """

    full: ModelFile
    half: ModelFile | None = None
    sizes: Mapping[str, Size] = field(default_factory=dict)
    dtypes: Mapping[str, str] = field(default_factory=dict)

    def at(self, precision: str) -> ModelFile:
        """File for a precision: ``half`` for "fp16" if there is one, else ``full``."""
        return self.half if precision == "fp16" and self.half is not None else self.full

    @property
    def varies(self) -> bool:
        """Whether the size of any input varies."""
        return any(size.varies for size in self.sizes.values())


def unverified(path: Path) -> ModelFile:
    """Model of a file that this process made, not verified. Raises ModelError if it is missing."""
    content = _read(path)
    data = {name: _digest(path.parent / name) for name in sorted(_weight_files(path, content))}
    return ModelFile(path, hashlib.sha256(content).hexdigest(), data)


def _read(path: Path) -> bytes:
    try:
        return read_limited(path, _LARGEST)
    except OSError as error:
        raise _unreadable(path, error) from error


def verify_file(path: Path, sha256: str) -> None:
    """Raises ModelError unless a file is there and has this digest."""
    _check(path, _digest(path), sha256)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with open_regular(path) as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise _unreadable(path, error) from error
    return digest.hexdigest()


def _unreadable(path: Path, error: OSError) -> ModelError:
    return ModelError(
        f"{path}: {error.strerror}; needed the network's file. Put it there; engine.manifest's may "
        "lie elsewhere: set engine.model to it."
    )


def _check(path: Path, found: str, wanted: str) -> None:
    if found != wanted:
        raise ModelError(
            f"{path}: sha256 {found[:12]}..., the manifest says {wanted[:12]}...; the file is corrupt or "
            "another one. Fetch it again, or write a manifest for it."
        )


def _refuse_others(path: Path, content: bytes) -> None:
    for start, what in _OTHERS.items():
        if content.startswith(start):
            raise ModelError(f"{path}: this is {what}. {_EXPORT}")
    if content[8:10] == b'{"':
        raise ModelError(f"{path}: this is a safetensors file: weights without a network. {_EXPORT}")


def _weight_files(path: Path, content: bytes) -> frozenset[str]:
    """Names of the files with the external weights of a model. Raises ModelError as ``content`` does."""
    try:
        found = references(content)
    except ModelError as error:
        raise ModelError(f"{path}: not an ONNX file: {error}. {_EXPORT}") from error
    if found.operators:
        raise ModelError(
            f"{path}: holds {', '.join(sorted(found.operators))}; needed operators of ONNX alone, and no "
            "compiled engine. Export the network without it."
        )
    for name in found.files:
        if name in ("", "..") or Path(name).name != name:
            raise ModelError(f"{path}: keeps weights in {name!r}; needed a file in the model's own folder.")
    return found.files
