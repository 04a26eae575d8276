"""Limits of soak.py, and what it has seen.

Memory is fitted by a line after the first ten minutes, of shorter runs after two fifths; then .2 MiB a minute
cannot be told from noise, and 6 MiB in all are allowed: less than seven images that stay. Latency is compared
between the last minutes and the first, the median over as long. On a machine that had more to do than it has
cores, by its load average, as many times more images may be dropped, and in a short run memory may grow as
many times more, as images wait in queues; one that became busier may take as many times longer. The output
says so.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

HZ = 10  # images sent
SLOPE_MIB, GROWTH_MIB, SETTLED_S = 0.2, 6.0, 600.0
LATENCY = "latency_ms p50/p95/p99"
# Median latency of the last minutes may be so many times the first ones', and so much more.
SLOWER, SLOWER_MS = 1.5, 20.0
DROPPED = 0.1  # of the images may be dropped or not come
LOST = 0.02  # of the images may have no depth: those in work when time jumps or the node is reset
BUSIEST = 3.0  # a busy machine excuses so much, and no more: the node's own threads are part of its load
HEADER = (
    "| Minute | Memory, MiB | Threads | Descriptors | Latency, ms (p50/p95/p99) | Published | Jumps "
    "| Load average |\n|---|---|---|---|---|---|---|---|"
)


@dataclass
class Seen:
    """What was measured: samples of the process, latencies, and what was published."""

    rss: list[tuple[float, float]] = field(default_factory=list)  # (s, MiB), every second
    loads: list[tuple[float, float]] = field(default_factory=list)  # (s, load average), every second
    loops: list[tuple[float, int, int]] = field(default_factory=list)  # (s, threads, descriptors)
    values: list[tuple[float, dict[str, str]]] = field(default_factory=list)  # of diagnostics
    depths: int = 0
    wrong: int = 0
    others: Counter[str] = field(default_factory=Counter)  # messages of outputs subscribed for a while
    called: Counter[str] = field(default_factory=Counter)  # services
    succeeded: Counter[str] = field(default_factory=Counter)


def rows(seen: Seen, began_s: float) -> Iterator[str]:
    """A row of the table for each minute."""
    for minute in range(1, 1 + round((seen.rss[-1][0] - began_s) / 60)):
        until_s = began_s + 60 * minute
        rss, load = (_between(of, until_s - 60, until_s) for of in (seen.rss, seen.loads))
        loops = [one for one in seen.loops if one[0] < until_s]
        values = [found for at_s, found in seen.values if at_s < until_s and LATENCY in found]
        if rss and loops and values:
            counts, (_, threads, descriptors) = _totals(seen, until_s), loops[-1]
            told = f"{values[-1][LATENCY]} | {counts['published']} | {counts['time jumps']}"
            process = f"{np.median(rss):.1f} | {threads} | {descriptors}"
            yield f"| {minute} | {process} | {told} | {np.median(load):.1f} |"


def broken(seen: Seen, began_s: float, status: int, log: str, minutes: float) -> Iterator[str]:
    """Prints the sums; yields each limit that is broken."""
    span_s = min(SETTLED_S, 0.4 * 60 * minutes)
    yield from _grown(seen, began_s + span_s, minutes)
    yield from _slower(seen, began_s, span_s)
    yield from _missing(seen, round(60 * minutes * HZ))
    if status or "Traceback" in log or "internal error" in log:
        yield f"exit status {status}, or a traceback:\n{log[-3000:]}"


def _between(samples: list[tuple[float, float]], from_s: float, until_s: float) -> list[float]:
    """Values of samples (s, value) in a time."""
    return [value for at_s, value in samples if from_s <= at_s < until_s]


def _totals(seen: Seen, until_s: float = np.inf) -> Counter[str]:
    """Counters of the node, summed over its activations, of which each begins anew."""
    sums: Counter[str] = Counter()
    last: dict[str, int] = {}
    for at_s, values in seen.values:
        counts = {key: int(value) for key, value in values.items() if value.isdecimal()}
        if at_s < until_s:
            if counts.get("pairs in", 0) < last.get("pairs in", 0):
                sums.update(last)
            last = counts
    sums.update(last)
    return sums


def _grown(seen: Seen, settled_s: float, minutes: float) -> Iterator[str]:
    """Limits of memory, threads and descriptors."""
    at, rss = np.array([one for one in seen.rss if one[0] >= settled_s]).T
    slope = np.polyfit((at - at[0]) / 60, rss, 1)[0]
    short = GROWTH_MIB * min(BUSIEST, _busy(seen, -np.inf, np.inf)) / ((at[-1] - at[0]) / 60)
    most = max(SLOPE_MIB, short) if minutes < 30 else SLOPE_MIB
    print(f"\nMemory once it has settled: {slope:+.3f} MiB/min ({most:.2g} at most).")
    if slope > most:
        yield f"memory grows by {slope:.3f} MiB a minute"
    after = [one[1:] for one in seen.loops if one[0] >= settled_s]
    for what, counts in zip(("threads", "descriptors"), zip(*after, strict=True), strict=True):
        if max(counts) != min(counts):
            yield f"{what}: {min(counts)} to {max(counts)}"


def _slower(seen: Seen, began_s: float, span_s: float) -> Iterator[str]:
    """Limit of the latency of the last ``span_s`` by that of the first."""
    end_s = seen.rss[-1][0]
    times = ((began_s, began_s + span_s), (end_s - span_s, np.inf))
    p50, p95 = (
        [(at_s, float(v[LATENCY].split(" / ")[each])) for at_s, v in seen.values if LATENCY in v]
        for each in (0, 1)
    )
    first, last = (np.median(_between(p50, *time)) for time in times)
    tails = [f"{np.median(_between(p95, *time)):.0f}" for time in times]
    busy = float(np.clip(_busy(seen, *times[1]) / _busy(seen, *times[0]), 1.0, BUSIEST))
    most = (SLOWER * first + SLOWER_MS) * busy
    print(
        f"Latency of the first and the last {span_s / 60:.2g} min: p50 {first:.0f}, {last:.0f} ms "
        f"({most:.0f} at most), p95 {', '.join(tails)}."
    )
    if busy > 1:
        print(f"The machine became busier: {busy:.1f} times the latency is allowed.")
    if not last <= most:
        yield f"latency: {first:.0f} ms at first, {last:.0f} in the end"


def _busy(seen: Seen, from_s: float, until_s: float) -> float:
    """Processes a core that wanted to run in a time, by the load average; at least 1."""
    loads = _between(seen.loads, from_s, until_s)
    return max(1.0, float(np.median(loads)) / (os.cpu_count() or 1)) if loads else 1.0


def _missing(seen: Seen, sent: int) -> Iterator[str]:
    """Limits of what was published for so many images."""
    counts, busy = _totals(seen), _busy(seen, -np.inf, np.inf)
    came, published = counts["pairs in"], counts["published"]
    lost = came - published - counts["images dropped for newer ones"]
    dropped, most = 1 - (published + lost) / sent, DROPPED * min(BUSIEST, busy)
    frames = [values.get("fixed frame", "") for _, values in seen.values]
    moved = np.mean([words.startswith("odom") and "not known" not in words for words in frames])
    print(
        f"{published} of {sent} images answered, {dropped:.1%} dropped for newer ones or not come "
        f"({most:.0%} at most), {lost} without depth; of a fifth of {seen.depths} depths {seen.wrong} wrong; "
        f"{dict(seen.others)} to subscribers for a while; calls {dict(seen.called)}; clouds moved "
        f"{moved:.0%} of the time, not in full for {counts['images with motion left out']} images; "
        f"{counts['front in']} ranges."
    )
    if busy > 1:
        print(f"The machine was busy: {busy:.1f} processes a core by its load average; the limits are wider.")
    if dropped > most:
        yield f"{dropped:.1%} of the images were dropped or did not come"
    if seen.wrong or lost > LOST * came or len(seen.others) < 3 or not counts["front in"]:
        yield "wrong or missing output"
    if not moved >= 0.5:
        yield "clouds were mostly not moved to their image's time"
    if seen.succeeded != seen.called:
        yield f"services: {dict(seen.succeeded)} of {dict(seen.called)} calls succeeded"
