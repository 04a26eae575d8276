"""Statistics of one run of `metric_depth run`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from metric_depth_ros.health import findings


@dataclass
class Tally:
    """Statistics of a run: times, failures, held-out errors, what was left out, skipped messages, doubts."""

    times_s: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    errors: list[tuple[float, float]] = field(default_factory=list)
    left_out: list[float] = field(default_factory=list)
    sources: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    doubts: dict[str, str] = field(default_factory=dict)  # the first of each place
    noted: list[str] = field(default_factory=list)

    @property
    def images(self) -> int:
        """Number of images that were processed."""
        return len(self.times_s) + len(self.failures)

    @property
    def median_ms(self) -> float | None:
        """Median time of an image, or None if none got depth."""
        return 1e3 * float(np.median(self.times_s)) if self.times_s else None

    @property
    def held_out(self) -> tuple[float, float] | None:
        """Mean error at the points held out, and their mean coverage; None without such."""
        measured = np.array([pair for pair in self.errors if np.isfinite(pair[0])])
        return tuple(measured.mean(axis=0).tolist()) if len(measured) else None

    def summary(self) -> str:
        """Summary in one line: frames, failures by reason, median time, anchors by source, held-out error."""
        parts = [f"depth for {len(self.times_s)} of {self.images} images"]
        reasons = Counter(findings.place(failure) for failure in self.failures)
        if reasons:
            parts.append("failed: " + ", ".join(f"{n} {reason}" for reason, n in reasons.most_common()))
        if self.times_s:
            parts.append(f"median {self.median_ms:.0f} ms")
        if len(self.sources) > 1:
            each = (f"{name} {count / len(self.times_s):.0f}" for name, count in self.sources.items())
            parts.append(f"anchors an image: {', '.join(each)}")
        if (measured := self.held_out) is not None:
            error, covered = measured
            parts.append(f"held-out AbsRel {error:.4f} (coverage {100 * covered:.1f} %)")
        if self.left_out:
            parts.append(f"{100 * float(np.mean(self.left_out)):.0f} % of the depth left out as uncertain")
        return ", ".join(parts)

    def notes(self) -> Iterator[str]:
        """Yields notes of the source, the first failure of every reason, what was skipped, first doubts."""
        yield from self.noted
        told: set[str] = set()
        for failure in self.failures:
            if findings.place(failure) not in told:
                told.add(findings.place(failure))
                yield failure
        for reason, count in self.skipped.items():
            yield f"passed over {'once' if count == 1 else f'{count} times'}: {reason}"
        yield from self.doubts.values()
