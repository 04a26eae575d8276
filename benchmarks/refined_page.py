"""Writes the page of bench_refined.py from its records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from refined_tables import (
    MOST_WORSE,
    asked_of_changes,
    asked_of_edges,
    asked_of_sigma,
    by_case,
    by_set,
    change_table,
    changes,
    set_means,
    worse_table,
)

from metric_depth_ros.evaluation.comparison import FEW_SETS
from metric_depth_ros.evaluation.groups import metrics_of
from metric_depth_ros.evaluation.measures import METRICS
from metric_depth_ros.evaluation.records import read_records
from metric_depth_ros.evaluation.report import sections
from metric_depth_ros.evaluation.runner import Record
from metric_depth_ros.evaluation.tables import Column, Row, Table, markdown

# Anchors, up to which a table of its own has them.
FEW = 3
# Metric -> what is asked of it, and the part of auto's value that is allowed.
EDGES = {"boundary_f1": ("boundary F1 better", 1.0), "flying_pixels": ("veils at least halved", 0.5)}
CONDITIONS = {
    "no_anchors": "no anchors, a prior in their place",
    "few": "1 to 3 anchors",
    "unseen": "a network it never saw (METER)",
    "small": "the bundled network",
    "night": "night, made",
    "thermal": "thermal-like, made",
    "narrow": "narrow view, made: the middle half of the picture",
    "wide": "wide-angle, rendered (125 to 145 degrees)",
    "fisheye": "fisheye, rendered and rectified",
    "rendered": "rendered held-out scenes",
}
HONEST = f"""Allowed is an AbsRel of {MOST_WORSE} more in the mean of a set; *unsaid*: of such means those
with less than .63 of depth within one sigma. **There are no real night, thermal, wide-angle or fisheye
frames here: these are made.** Night: the real frames in 3 % of their light with photon noise, noise of
reading and a street lamp's colour. Thermal-like: a random curve in the place of brightness, low contrast,
blur, fixed-pattern noise. Depth stays true, and the bundled depth network sees the changed picture
(`benchmarks/made_frames.py`)."""


def write_page(out: Path, head: str, time: Table | None = None, pictures: Sequence[str] = ()) -> Path:
    """Writes OUT/refined.md.

    Args:
        out: folder of the runs' records.
        head: first words: of what, with which network.
        time: table of times; None: not measured.
        pictures: files in OUT that the page shows.
    """
    names = ("real", "family", "no_anchors", "night", "thermal", "narrow", "wide", "fisheye", "rendered")
    found = {name: read_records(out / name) for name in names if (out / name / "records.jsonl").exists()}
    texts = [
        "# refined",
        head,
        *_asked(found, time),
        *_real(found),
        *_honest(found),
        *_rendered(found),
    ]
    texts += _sigma(found["real"])
    if time is not None:
        texts += ["## Time", f"Milliseconds, {time.title}.", markdown(time)]
    if pictures:
        texts += ["## Best and worst frame", *(f"![{name}]({name})" for name in pictures)]
    page = out / "refined.md"
    page.write_text("\n\n".join(texts) + "\n", encoding="utf-8")
    return page


def _asked(found: Mapping[str, Sequence[Record]], time: Table | None) -> list[str]:
    """What is asked, line by line."""
    real = [record for record in found["real"] if not _few(record)]
    lines = asked_of_changes(changes(real)) + asked_of_sigma(real)
    if rendered := found.get("rendered"):
        lines += asked_of_changes(changes(rendered), "rendered: ")
    for metric, (asked, part) in EDGES.items():
        for source in ("real", "rendered") if metric in METRICS else ():
            lines += asked_of_edges(found.get(source, ()), metric, f"{asked}, {source}", part)
    means = [mean for records in found.values() for mean in set_means(records)]
    worse = [mean for mean in means if mean.worse]
    bad = f"{len(worse)} of {len(means)} means of sets worse"
    lines.append(
        Row(
            (f"nowhere worse by more than {MOST_WORSE}",), [bad, f"{sum(m.told for m in worse)} of them said"]
        )
    )
    if time is not None:
        most = max(float(row.cells[2] or 0) for row in time.rows)
        lines.append(Row(("at most 12 ms beyond auto at VGA",), [f"{most:.1f} ms", time.title]))
    return ["## What is asked", markdown(Table(("asked",), [Column("found"), Column("met")], lines))]


def _real(found: Mapping[str, Sequence[Record]]) -> list[str]:
    real = [record for record in found["real"] if not _few(record)]
    texts = [
        "## Real frames",
        "AbsRel; change in percent with its 95 % interval over sets and their frames, which says little of "
        f"fewer than {FEW_SETS} sets.",
    ]
    groups: dict[tuple[str, str], list] = {}
    for each in changes(real):
        groups.setdefault((each.engine, each.place), []).append(each)
    for (engine, place), those in groups.items():
        texts += [f"{engine}, {place}, {those[0].extent}:", markdown(change_table(those))]
    together = [_only(r, "abs_rel") for r in [*real, *found.get("family", ())]]
    texts += ["### Controls and closed forms"]
    for part in sections(together):
        texts += [
            f"{part.title}:",
            *map(markdown, part.tables),
            *(["\n".join(part.notes)] if part.notes else []),
        ]
    texts += [
        "### By set",
        "auto/refined; **bold** where worse by more than allowed.",
        markdown(by_set(real)),
    ]
    return texts


def _few(record: Record) -> bool:
    """Whether it is of 1 to 3 anchors."""
    return record.protocol == "random" and record.count <= FEW


def _only(record: Record, name: str) -> Record:
    return replace(record, errors={name: record.errors[name]})


def conditions(found: Mapping[str, Sequence[Record]]) -> dict[str, Sequence[Record]]:
    """Records of each condition under which ``refined`` must not be worse, by its words."""
    real = found["real"]
    of_real = {
        "few": list(filter(_few, real)),
        "unseen": [r for r in real if r.engine == "relative_meter" and not _few(r)],
        "small": [r for r in real if r.engine == "small" and not _few(r)],
    }
    every = {**found, **of_real}
    return {words: every[name] for name, words in CONDITIONS.items() if every.get(name)}


def _honest(found: Mapping[str, Sequence[Record]]) -> list[str]:
    texts = ["## Honesty", HONEST, markdown(worse_table(conditions(found)))]
    worse = [
        f"- {words}: {mean}"
        for words, records in conditions(found).items()
        for mean in set_means(records)
        if mean.worse
    ]
    return [*texts, "Means of sets that are worse by more:", "\n".join(worse)] if worse else texts


def _rendered(found: Mapping[str, Sequence[Record]]) -> list[str]:
    """AbsRel by family."""
    texts = ["## Rendered scenes", "Clean/noisy means over the pictures of a family."]
    for name in ("rendered", "wide", "fisheye"):
        if records := found.get(name):
            table = by_case(records, "abs_rel", 3, lambda record: record.set_name)
            texts += [f"{CONDITIONS[name].capitalize()}:", markdown(table)]
    return texts


def _sigma(records: Sequence[Record]) -> list[str]:
    texts = ["## Sigma and edges", "Clean/noisy means over frames."]
    for metric in metrics_of(records):
        if metric != "abs_rel":
            table = by_case(records, metric, 3 if metric in EDGES else 2)
            texts += [f"{METRICS[metric].title}:", markdown(table)]
    return texts
