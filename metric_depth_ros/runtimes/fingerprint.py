"""What a stored plan was made of and for. A plan whose fingerprint differs is not used."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# Raised when what is stored changes its meaning.
FORMAT = 1


@dataclass(frozen=True)
class Fingerprint:
    """Everything a stored result depends on.

    Attributes:
        kind: "plan", "plans" (of a library that stores by itself), "reference" or "choice".
        model: sha256 of the model file.
        runtime: "tensorrt", ...; of a choice "auto" and the like.
        version: of the runtime; of a choice those of all candidates.
        device: its name.
        capability: the GPU's compute capability, as "8.7"; empty for a processor.
        precision: "fp32", "fp16", "bf16".
        shapes: of the inputs, as text.
        flags: everything else: threads, options.
    """

    kind: str
    model: str
    runtime: str
    version: str
    device: str
    capability: str = ""
    precision: str = "fp32"
    shapes: str = ""
    flags: str = ""
    format: int = FORMAT

    @property
    def slot(self) -> str:
        """A file name. A new version or another device takes the old one's place."""
        same = (self.kind, self.model, self.runtime, self.precision, self.shapes)
        return f"{self.kind}-{self.runtime}-{self.precision}-{_digest(same)[:16]}"

    @property
    def digest(self) -> str:
        """One hash of it all."""
        return _digest(self.as_json())

    def as_json(self) -> dict[str, str | int]:
        """As plain values."""
        return dataclasses.asdict(self)

    def differences(self, stored: Mapping[str, object]) -> str:
        """Where a stored fingerprint differs, in words; empty when it does not."""
        ours = self.as_json()
        names = [name for name in {**ours, **stored} if ours.get(name) != stored.get(name)]
        return ", ".join(f"{name} was {stored.get(name)!r}, is {ours.get(name)!r}" for name in names)


def _digest(values: object) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


@cache
def processor() -> str:
    """The processor's name, with what tells two of one name apart as far as speed goes."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    values = dict(line.split(":", 1) for line in reversed(lines) if ":" in line)
    known = {key.strip(): value.strip() for key, value in values.items()}
    name = known.get("model name") or known.get("Hardware") or platform.processor() or platform.machine()
    features = _digest(sorted((known.get("flags") or known.get("Features") or "").split()))[:8]
    return f"{name} ({platform.machine()}, features {features})"
