"""Fingerprint of a stored plan: the model and system it was made for. Other plans are not used."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# Increase this number when the meaning of stored data changes.
FORMAT = 1


@dataclass(frozen=True)
class Fingerprint:
    """Everything a stored result depends on.

    Attributes:
        kind: "plan", "plans" (stored by the library itself), "reference" or "choice".
        model: sha256 of the model file.
        runtime: "tensorrt", ...; for a choice the request, such as "auto".
        version: of the runtime; for a choice the versions of all candidates.
        device: the device's name.
        capability: the GPU's compute capability, as "8.7"; empty for a CPU.
        precision: "fp32", "fp16", "bf16".
        shapes: the inputs' shapes, as text.
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
        """File name in the cache. A new version or another device replaces the old file."""
        same = (self.kind, self.model, self.runtime, self.precision, self.shapes)
        return f"{self.kind}-{self.runtime}-{self.precision}-{_digest(same)[:16]}"

    @property
    def digest(self) -> str:
        """One hash of all fields."""
        return _digest(self.as_json())

    def as_json(self) -> dict[str, str | int]:
        """Fields as values for JSON."""
        return dataclasses.asdict(self)

    def differences(self, stored: Mapping[str, object]) -> str:
        """Differences to a stored fingerprint, in words; empty if there are none."""
        ours = self.as_json()
        names = [name for name in {**ours, **stored} if ours.get(name) != stored.get(name)]
        return ", ".join(f"{name} was {stored.get(name)!r}, is {ours.get(name)!r}" for name in names)


def _digest(values: object) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


@cache
def processor() -> str:
    """CPU name, with the details that change the speed of CPUs of the same name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    values = dict(line.split(":", 1) for line in reversed(lines) if ":" in line)
    known = {key.strip(): value.strip() for key, value in values.items()}
    name = known.get("model name") or known.get("Hardware") or platform.processor() or platform.machine()
    features = _digest(sorted((known.get("flags") or known.get("Features") or "").split()))[:8]
    return f"{name} ({platform.machine()}, features {features})"
