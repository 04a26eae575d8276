"""Export requests and results, shared by all kinds of networks."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from metric_depth_ros.errors import ConfigError
from metric_depth_ros.learning.export.graph import Difference
from metric_depth_ros.learning.models.depth_network import check_size

Size = tuple[int, int]


@dataclass(frozen=True)
class Wanted:
    """Export request: names of the files, and sizes of the input.

    Attributes:
        name: common part of the file names.
        sizes: (width, height); each gets its own files. With ``dynamic`` the same files serve all sizes, and
            the first is the usual one. Empty if the network has one size.
        half: whether to write a float16 file beside the float32 one, for networks in one file.
        short: whether to store the float32 file's weights in float16, for networks in one file.
        licence, source: of the weights; empty uses the known values.
    """

    folder: Path
    name: str
    sizes: Sequence[Size] = ()
    dynamic: bool = False
    half: bool = False
    short: bool = False
    licence: str = ""
    source: str = ""

    def each(self) -> list[Wanted]:
        """One request per manifest to write, each with its own sizes and name."""
        if self.dynamic or len(self.sizes) == 1:
            return [self]
        return [dataclasses.replace(self, name=f"{self.name}_{w}x{h}", sizes=[(w, h)]) for w, h in self.sizes]

    def compared_at(self, step: int) -> list[Size]:
        """Sizes for the comparison with torch; with ``dynamic`` two that are multiples of ``step``."""
        if not self.dynamic:
            return list(self.sizes)
        width, height = self.sizes[0]
        return [*self.sizes, (width + step, height + 2 * step)][:2]


@dataclass(frozen=True)
class Exported:
    """Export result: the files of one manifest.

    Attributes:
        models: its ONNX files: one, or encoder and decoder.
        difference: difference of their outputs from torch's.
        half: difference of the float16 file, if there is one.
    """

    manifest: Path
    models: tuple[Path, ...]
    difference: Difference
    half: Difference | None = None

    @property
    def bytes(self) -> int:
        """Size of the model files in bytes."""
        return sum(path.stat().st_size for path in self.models)


def check_sizes(wanted: Wanted, title: str, *, step: int, least: int, fixed: str = "") -> None:
    """Raises ConfigError for sizes that a network does not support.

    Args:
        title: title of the network.
        step, least: sides must be multiples of ``step`` and at least ``least``.
        fixed: reason why it needs a file for each size; empty if it does not.
    """
    for size in wanted.sizes:
        check_size(size, title, step=step, least=least)
    if wanted.dynamic and fixed:
        raise ConfigError(
            f"dynamic: {title} needs a file for each size, since {fixed}. Give each with --size."
        )
