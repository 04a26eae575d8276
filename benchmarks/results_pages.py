"""Writes docs/results.md and the pages in docs/results from the records of ``results.py``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from metric_depth_ros.drawing.charts import save_chart
from metric_depth_ros.evaluation.candidates import INTERPOLATION
from metric_depth_ros.evaluation.comparison import FEW_SETS, Difference, compare
from metric_depth_ros.evaluation.groups import by_title, count_frames, grouped, has_depth, mean_error
from metric_depth_ros.evaluation.paper_tables import in_form_of
from metric_depth_ros.evaluation.plots import error_over_anchors, error_over_time
from metric_depth_ros.evaluation.records import read_records
from metric_depth_ros.evaluation.report import as_markdown, sections, set_sections
from metric_depth_ros.evaluation.runner import Record
from metric_depth_ros.evaluation.tables import Cell, Column, Row, Table, markdown

DOCS = Path(__file__).parents[1] / "docs"
AUTO, NETWORK = "gaussian_process", "small"
PLACES = ("indoor", "outdoor")
# Claims of paper 000, that the second is better than the first, and a control.
CLAIMS = (
    ("SLF, SSF", "paper_slf", "paper_ssf"),
    ("one line for all, SLF", "paper_global", "paper_slf"),
    ("one line for all, SSF", "paper_global", "paper_ssf"),
    ("median, region median", "paper_median", "paper_region_median"),
    ("region median, SSF", "paper_region_median", "paper_ssf"),
    ("interpolation, SSF", INTERPOLATION, "paper_ssf"),
)
# Protocols that share a table.
GROUPS = {
    "random": "Random pixels",
    "rows beams": "Lines of a LiDAR",
    "grid corners sensor low medium high": "Grid, corners, a sensor of the set's own, regimes of paper 001",
    "drop": "Drop-anchor test of paper 001",
}
SHOWN_BY_SET = (
    AUTO, "basis", "paper_basis", "lwlr", "paper_global", "paper_region_median", "paper_slf", "paper_ssf",
    INTERPOLATION,
)  # fmt: skip
INTRODUCTION = """`small` is the package's network, which never saw the depth of a real picture;
`relative_meter` are stored outputs of METER, which was trained on NYU and KITTI, whose frames are among
the real ones. Figures are mean AbsRel unless a table says otherwise, of one draw of anchors for each frame
and case: **differences below .01 are noise.** `auto` is `gaussian_process` today, and has no row of its own.
Controls: one depth for all ("constant map"), and the anchors interpolated. What protocols and numbers
mean: [evaluation](evaluation.md)."""
ALL_WORDS = f"""With `small` and 100 random pixels as anchors; then, over all protocols, the number of cases
in which a method is better than `auto` / worse / neither: whether the 95 % interval of the paired difference
([`compare`](evaluation.md#records)) excludes zero. Of twenty such, one is chance; fewer than {FEW_SETS} sets
do not count."""
CLAIMS_WORDS = """The paper's claims are that the second of each pair is better; the last pair is a control.
Anchors are random pixels of the truth, which count in the evaluation, as in the paper; regions are the
built-in ones (the paper: SAM). The number of cases (a network, a number of anchors) in which the second is
better / worse / neither, by the intervals; *yes*: never worse, and better in half of them or more:"""
INTERVALS = """AbsRel of the second minus that of the first, with its 95 % interval over sets and their
frames: **bold** where it excludes zero, and negative where the second is better."""
FEW_WORDS = """[Priors](priors.md) alone, and `auto` with each of them; real frames have no description, and
those without intrinsics are left out."""
METER = (
    """Stored outputs of `relative_meter`, with some of the protocols; controls: [real frames](real.md)."""
)
OTHER = """**Ours are of the rendered set with the package's network; the papers' rows are of other data and
networks.** Such tables show the form and the order of methods, no more. With the same data, `evaluate`
prints both in one table: [beside the papers](../evaluation.md#beside-the-papers). Limits of depth are the
papers'. Global, Image and RSA are learned on 300 other rendered scenes. `paper_basis` has the bundled maps;
generators trained as 001 says: [paper 001](../benchmarks/paper001.md)."""


def of_case(records: Sequence[Record], protocol: str, *counts: int) -> list[Record]:
    """Records of a protocol, of all or of some counts."""
    return [r for r in records if r.protocol == protocol and (not counts or r.count in counts)]


def differences(
    records: Sequence[Record], first: str, second: str, what: Callable[[Record], str]
) -> list[Difference]:
    """Differences of AbsRel between two methods; empty where one has no records."""
    a, b = ([record for record in records if record.solver == name] for name in (first, second))
    return compare(a, b, what, ["abs_rel"]) if a and b else []


def tallied(found: Sequence[Difference]) -> tuple[int, int, int]:
    """Number of cases in which the second is better, worse and neither, of those with enough sets."""
    enough = [each.better for each in found if each.sets >= FEW_SETS]
    return enough.count("B"), enough.count("A"), enough.count("")


def counted(tally: tuple[int, int, int]) -> str:
    """A tally in words."""
    return " / ".join(map(str, tally)) if any(tally) else "few sets"


def verdicts(by_source: Mapping[str, Sequence[Record]]) -> Table:
    """What the intervals say of each claim: a column for each source of frames and place, and a word."""
    columns = [(source, place) for source in by_source for place in PLACES]
    rows = []
    for name, first, second in CLAIMS:
        drawn = [
            [r for r in of_case(by_source[source], "random") if r.place == place] for source, place in columns
        ]
        tallies = [tallied(differences(records, first, second, lambda r: r.engine)) for records in drawn]
        rows.append(Row((name,), [*map(counted, tallies), _verdict(np.sum(tallies, axis=0).tolist())]))
    names = [f"{source}, {place}" for source, place in columns]
    return Table(("first, second",), list(map(Column, [*names, "verdict"])), rows)


def _verdict(tally: Sequence[int]) -> str:
    better, worse, neither = tally
    if not better:
        return "no" if worse else "open"
    return "yes" if not worse and better >= neither else "in part"


def claims(records: Sequence[Record]) -> Table:
    """A row for each claim, network and place; a column for each number of random anchors."""
    drawn = of_case(records, "random")
    counts = sorted({record.count for record in drawn})
    rows = []
    for name, first, second in CLAIMS:
        found = differences(drawn, first, second, lambda record: f"{record.engine}, {record.place}")
        for what in sorted({each.what for each in found}):
            cells = {each.case.count: _interval(each) for each in found if each.what == what}
            rows.append(Row((name, what), [cells.get(count, "-") for count in counts]))
    heads = ("first, second", "network, place")
    return Table(heads, [Column(f"{count} anchors") for count in counts], rows)


def _interval(found: Difference) -> str:
    ends = (f"{value:+.3f}".replace("0.", ".") for value in (found.b - found.a, found.low, found.high))
    text = "{} ({} to {})".format(*ends)
    return f"**{text}**" if found.sets >= FEW_SETS and found.differs else text


def all_solvers(by_source: Mapping[str, Sequence[Record]]) -> Table:
    """A row for each method: AbsRel with 100 random anchors, and in how many cases ``auto`` is better."""
    groups = {
        f"{source}, {place}": [r for r in records if r.place == place]
        for source, records in by_source.items()
        for place in PLACES
    }
    columns = [column for name in groups for column in (Column(name, "low"), Column("to auto"))]
    rows = []
    for solver, of_solver in grouped(by_source["real"], lambda r: r.solver).items():
        cells: list[Cell] = []
        for records in groups.values():
            drawn = [r for r in of_case(records, "random", 100) if r.solver == solver]
            compared = [] if solver == AUTO else differences(records, AUTO, solver, lambda r: r.engine)
            cells += [mean_error(drawn), counted(tallied(compared)) if compared else ""]
        seconds = [r.seconds for r in of_solver if not r.failure]
        rows.append(Row((solver,), [*cells, f"{1e3 * float(np.median(seconds)):.0f}"]))
    return Table(("AbsRel",), [*columns, Column("ms, real")], rows)


def few_anchors(records: Sequence[Record]) -> Table:
    """A row for each method: AbsRel without anchors and with few, by place; nothing where all failed."""
    cases = [(place, count) for place in PLACES for count in (0, 1, 5, 10)]
    rows = []
    for solver, those in grouped(records, lambda r: r.solver).items():
        own = [[r for r in those if (r.place, r.count) == case] for case in cases]
        rows.append(Row((solver,), [mean_error(each) if has_depth(each) else None for each in own]))
    return Table(("AbsRel",), [Column(f"{place}, {count}", "low") for place, count in cases], rows)


def detail(records: Sequence[Record], level: str) -> str:
    """Tables of all solvers and protocols by place: of AbsRel, of delta1 with random pixels, and by set."""
    texts = []
    for title, those in by_title(records).items():
        texts.append(f"{level} {title[0].upper()}{title[1:]}")
        for names, heading in GROUPS.items():
            group = [only(r, "abs_rel") for r in those if r.protocol in names.split()]
            tables = [table for part in sections(group) for table in part.tables]
            texts += [f"{heading}:", *map(markdown, tables)] if tables else []
        delta1 = [only(r, "delta1") for r in of_case(those, "random")]
        texts += ["delta1, random pixels:", *(markdown(t) for p in sections(delta1) for t in p.tables)]
        texts += ["\n".join(note for part in sections(those) for note in part.notes)]
        some = [only(r, "abs_rel") for r in of_case(those, "random", 100) if r.solver in SHOWN_BY_SET]
        texts += ["By set, 100 random pixels:", *(markdown(t) for p in set_sections(some) for t in p.tables)]
    return "\n\n".join(filter(None, texts))


def only(record: Record, *names: str) -> Record:
    """The record with some of its metrics."""
    return replace(record, errors={name: record.errors[name] for name in names if name in record.errors})


def papers(found: Mapping[str, Sequence[Record]]) -> str:
    """The papers' tables with our rows above theirs."""
    tables = [("000", "1", "table_000_1"), ("000", "2", "table_000_2"), ("001", "1", "table_001_outdoor")]
    tables += [("001", n, f"table_001_{place}") for n in "23" for place in reversed(PLACES)]
    parts = [part for paper, table, name in tables for part in in_form_of(paper, table, found[name])]
    return as_markdown(parts)


def pictures(out: Path) -> list[str]:
    """Copies of the contact sheets of every rendered set, and the lines that show them.

    Of paper_ssf those of the first set of each family alone.
    """
    lines: list[str] = []
    families: set[str] = set()
    for folder in sorted((out / "pictures").iterdir()):
        family = folder.name.rpartition("_")[0]
        for solver in (AUTO, "paper_ssf")[: 1 + (family not in families)]:
            name = f"{folder.name}_{solver}.jpg"
            picture = cv2.imread(str(folder / f"sheet_{NETWORK}_{solver}_100.jpg"))
            cv2.imwrite(str(DOCS / "results" / name), picture, [cv2.IMWRITE_JPEG_QUALITY, 75])
            lines.append(f"{folder.name}, {solver}:\n\n![{folder.name}, {solver}]({name})")
        families.add(family)
    return lines


def charts(by_source: Mapping[str, Sequence[Record]]) -> list[str]:
    """Draws error over anchors and over time; the lines that show them."""
    lines = []
    for source, records in by_source.items():
        for name, axis, panels in (
            ("error_over_anchors", "random anchors", error_over_anchors(records, "abs_rel")),
            ("error_over_time", "median time of a solve, ms", error_over_time(records, "abs_rel")),
        ):
            save_chart(DOCS / f"results/{name}_{source}.png", axis, panels, logarithmic=True)
            lines.append(f"![{name.replace('_', ' ')}, {source}](results/{name}_{source}.png)")
    return lines


def made_by(out: Path, seconds: Mapping[str, float], solves: int) -> str:
    """Date, machine and time of the whole run."""
    about = json.loads((out / "real/run.json").read_text())
    versions = about["versions"]
    return (
        f"{about['started'][:10]}, {solves:,} solves in {sum(seconds.values()) / 60:.0f} minutes with two "
        f"processes beside other work on {about['machine']['cores']} cores "
        f"({about['machine']['processor']}): milliseconds compare within a table only. NumPy "
        f"{versions['numpy']}, ONNX Runtime {versions['onnxruntime']}, Python {versions['python']}."
    )


def write_pages(out: Path, seconds: Mapping[str, float]) -> None:
    """Writes all pages. ``seconds``: of each command that was run."""
    found = {path.parent.name: read_records(path.parent) for path in out.glob("*/records.jsonl")}
    for name in [name for name in found if name.endswith("_basis")]:
        found[name.removesuffix("_basis")] += [r for r in found[name] if not r.control]
    by_source = {source: found[source] for source in ("real", "rendered")}
    of_000 = {source: found[f"{source}_000"] for source in by_source}
    frames = {source: count_frames(records) for source, records in by_source.items()}
    sets = {source: len({r.set_name for r in records}) for source, records in by_source.items()}
    (DOCS / "results").mkdir(exist_ok=True)

    def each(make: Callable[[str], str]) -> list[str]:
        return [f"{source.capitalize()} frames:\n\n{make(source)}" for source in by_source]

    write("results", [
        "# Results",
        f"Every solver on all {frames['real']} real frames with known depth ({sets['real']} sets) and on "
        f"{frames['rendered']} rendered scenes ({sets['rendered']} sets) that no training saw. Made by "
        "`METRIC_DEPTH_DATA=... python benchmarks/results.py`, one command: "
        f"{made_by(out, seconds, sum(map(len, found.values())))}",
        INTRODUCTION,
        "All protocols: [real frames](results/real.md), [with METER](results/real_meter.md), "
        "[rendered sets](results/rendered.md). "
        "[The papers' tables](results/papers.md). [Pictures](results/pictures.md). "
        "[Commands](results/commands.md).",
        "## All solvers",
        ALL_WORDS,
        markdown(all_solvers(by_source)),
        "## Paper 000: SLF, SSF, region median, median",
        CLAIMS_WORDS,
        markdown(verdicts(of_000)),
        INTERVALS,
        *each(lambda source: markdown(claims(of_000[source]))),
        "## Without anchors, and with few",
        FEW_WORDS,
        *each(lambda source: markdown(few_anchors(found[f"{source}_none"]))),
        "## Charts",
        *charts(by_source),
    ])  # fmt: skip
    for source, records in by_source.items():
        side = as_markdown(sections([only(r, "abs_rel") for r in of_000[source]])).replace("## ", "### ")
        write(
            f"results/{source}",
            [f"# Results on {source} frames", detail(records, "##"), "## Paper 000", side],
        )
    meter = detail([record for record in found["real_meter"] if not record.control], "##")
    write("results/real_meter", ["# Results on real frames with METER's outputs", METER, meter])
    write("results/papers", ["# The papers' tables on rendered scenes", OTHER, papers(found)])
    write("results/pictures", ["# Pictures of the rendered sets", *pictures(out)])
    commands = "\n".join(f"    {command}" for command in seconds)
    write(
        "results/commands",
        ["# Commands behind the results", "`python benchmarks/results.py` runs:", commands],
    )


def write(name: str, parts: Sequence[str]) -> None:
    """Writes a page of docs/."""
    text = "\n\n".join(part.strip("\n") for part in parts if part)
    (DOCS / f"{name}.md").write_text(text + "\n", encoding="utf-8")
