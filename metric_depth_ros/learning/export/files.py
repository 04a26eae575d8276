"""What to export, and what was written: the same for every kind of network."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from metric_depth_ros.errors import ConfigError
from metric_depth_ros.learning.export.graph import Difference

Size = tuple[int, int]


@dataclass(frozen=True)
class Wanted:
    """Where the files go, and for which inputs.

    Attributes:
        name: of the files, less what tells them apart.
        sizes: (width, height) each, with files of their own; with ``dynamic`` there are files for all sizes,
            the first being the usual one. Empty where the network has one size.
        half: a float16 file beside the float32 one, for networks in one file.
        licence, source: of the weights; empty takes what is known of them.
    """

    folder: Path
    name: str
    sizes: Sequence[Size] = ()
    dynamic: bool = False
    half: bool = False
    licence: str = ""
    source: str = ""

    def each(self) -> list[Wanted]:
        """The same for every manifest that is to be written, its size or sizes alone and in its name."""
        if self.dynamic or len(self.sizes) == 1:
            return [self]
        return [dataclasses.replace(self, name=f"{self.name}_{w}x{h}", sizes=[(w, h)]) for w, h in self.sizes]

    def compared_at(self, step: int) -> list[Size]:
        """Sizes at which the files are compared with torch; with ``dynamic`` two that ``step`` divides."""
        if not self.dynamic:
            return list(self.sizes)
        width, height = self.sizes[0]
        return [*self.sizes, (width + step, height + 2 * step)][:2]


@dataclass(frozen=True)
class Exported:
    """What was written for one manifest.

    Attributes:
        models: the ONNX files that it names, one or encoder and decoder.
        difference: of their outputs from torch's.
        half: that of the float16 file, if there is one.
    """

    manifest: Path
    models: tuple[Path, ...]
    difference: Difference
    half: Difference | None = None

    @property
    def bytes(self) -> int:
        """Of the models."""
        return sum(path.stat().st_size for path in self.models)


def check_sizes(wanted: Wanted, title: str, *, step: int, least: int, fixed: str = "") -> None:
    """Raises ConfigError for sizes that a network cannot take.

    Args:
        title: of the network.
        step, least: what sides are multiples of, and how long they must be.
        fixed: why it needs a file for each size, if it does.
    """
    for width, height in wanted.sizes:
        if width % step or height % step or min(width, height) < least:
            near = [max(least, step * round(side / step)) for side in (width, height)]
            raise ConfigError(
                f"size: {width}x{height}; {title} needs multiples of {step}. Nearest: {near[0]}x{near[1]}."
            )
    if wanted.dynamic and fixed:
        raise ConfigError(
            f"dynamic: {title} needs a file for each size, since {fixed}. Give each with --size."
        )
