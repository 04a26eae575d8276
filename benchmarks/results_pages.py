"""Writes docs/results.md and the pages in docs/results from the records of ``results.py``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
from results_tables import (
    AUTO,
    NETWORK,
    all_solvers,
    claims,
    few_anchors,
    of_case,
    side_by_side,
    verdicts,
)

from metric_depth_ros.drawing.charts import save_chart
from metric_depth_ros.evaluation.candidates import INTERPOLATION
from metric_depth_ros.evaluation.comparison import FEW_SETS
from metric_depth_ros.evaluation.groups import by_title, count_frames
from metric_depth_ros.evaluation.paper_tables import in_form_of
from metric_depth_ros.evaluation.plots import error_over_anchors, error_over_time
from metric_depth_ros.evaluation.records import read_records
from metric_depth_ros.evaluation.report import as_markdown, sections, set_sections
from metric_depth_ros.evaluation.runner import Record
from metric_depth_ros.evaluation.tables import markdown

DOCS = Path(__file__).parents[1] / "docs"
# Of contact sheets, pixels: smaller ones could not be read.
WIDTH = 960
# Solvers with runs of their own, which the others' tables take in.
PARTS = ("basis", "refined")
# Protocols that share a table.
GROUPS = {
    "random": "Random pixels",
    "rows beams": "Lines of a LiDAR",
    "grid corners sensor low medium high": "Grid, corners, a sensor of the set's own, regimes of paper 001",
    "drop": "Drop-anchor test of paper 001",
}
SHOWN_BY_SET = (
    AUTO, "refined", "basis", "paper_basis", "lwlr", "paper_global", "paper_region_median", "paper_slf",
    "paper_ssf", INTERPOLATION,
)  # fmt: skip
INTRODUCTION = """`small` is the package's network, which never saw the depth of a real picture;
`relative_meter` are stored outputs of METER, which was trained on NYU and KITTI, whose frames are among
the real ones. Figures are mean AbsRel unless a table says otherwise. Where all solvers stand together, each
frame has the [usual draws](evaluation.md#protocols) of anchors; elsewhere one, and differences below .01 are
noise. `auto` is `gaussian_process` today, and has no row of its own. Controls: one depth for all ("constant
map"), and the anchors interpolated. What protocols and numbers mean: [evaluation](evaluation.md).

All protocols: [real frames](results/real.md), [with METER](results/real_meter.md), [rendered
sets](results/rendered.md). [The papers' tables](results/papers.md). [Pictures](results/pictures.md).
[Commands](results/commands.md)."""
ALL_WORDS = f"""With `small` and 100 random pixels as anchors; then, over all protocols, the number of cases
in which a method is better than `auto` / worse / neither: whether the 95 % interval of the paired difference
([`compare`](evaluation.md#records)) excludes zero. Of twenty such, one is chance; fewer than {FEW_SETS} sets
do not count."""
CLAIMS_WORDS = """The paper's claims are that the second of each pair is better; the last two pairs are ours,
the last one with a control. Anchors are random pixels of the truth, which count in the evaluation, as in the
paper; regions are the built-in ones (the paper: SAM). The number of cases (a network; 250, 500, 1000 or 2000
anchors, as in the paper) in which the second is better / worse / neither, by the 95 % intervals. *Yes*: never
worse, and better in half of them or more:"""
SIDE = """Side by side; fits to all true depth ("truth") know what they are measured on. Intervals of the
differences, of fewer anchors, too: [real](results/real.md#paper-000),
[rendered](results/rendered.md#paper-000)."""
INTERVALS = """AbsRel of the second minus that of the first, with its 95 % interval over sets and their
frames: **bold** where it excludes zero, and negative where the second is better."""
FEW_WORDS = """[Priors](priors.md) alone, and `auto` with each of them; real frames have no description, and
those without intrinsics are left out. Near scenes, whose scale a prior may miss by a factor, weigh
most in these means."""
METER = "Stored outputs of `relative_meter`, one draw of anchors; controls: [real frames](real.md)."
PICTURES = """Of each set the frames with the least, the median and the largest AbsRel with 100 random
anchors. Of `paper_ssf` those of the first set of each family. Real frames are not shown: their
licences do not let them be passed on."""
# For the test that runs the documents' commands.
NEEDS = "<!-- every command needs: data, time -->"
OTHER = """**Ours are of the rendered set with the package's network; the papers' rows are of other data and
networks.** Such tables show the form and the order of methods, no more. With the same data, `evaluate`
prints both in one table: [beside the papers](../evaluation.md#beside-the-papers). Limits of depth are the
papers'. Global, Image and RSA are learned on 300 other rendered scenes. `paper_basis` has the bundled maps;
generators trained as 001 says: [paper 001](../benchmarks/paper001.md)."""


def detail(records: Sequence[Record]) -> str:
    """Tables of all solvers and protocols by place: of AbsRel, of delta1 with random pixels, and by set."""
    texts = []
    for title, those in by_title(records).items():
        texts.append(f"## {title[0].upper()}{title[1:]}")
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
    """The papers' tables with our rows above theirs; 001's second and third are of both places."""
    outdoor, indoor = found["table_001_outdoor"], found["table_001_indoor"]
    tables = [("000", "1", found["table_000_1"]), ("000", "2", found["table_000_2"]), ("001", "1", outdoor)]
    tables += [("001", number, [*outdoor, *indoor]) for number in "23"]
    return as_markdown([part for table in tables for part in in_form_of(*table)])


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
            size = WIDTH, round(picture.shape[0] * WIDTH / picture.shape[1])
            small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(DOCS / "results" / name), small, [cv2.IMWRITE_JPEG_QUALITY, 72])
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
        f"{about['started'][:10]}, {solves:,} solves in {sum(seconds.values()) / 60:.0f} minutes in all, "
        f"stopped and resumed on the way, with two processes beside other work on "
        f"{about['machine']['cores']} cores ({about['machine']['processor'].split(' (')[0]}): milliseconds "
        f"compare within a table only. NumPy {versions['numpy']}, ONNX Runtime {versions['onnxruntime']}, "
        f"Python {versions['python']}."
    )


def write_pages(out: Path, seconds: Mapping[str, float]) -> None:
    """Writes all pages. ``seconds``: of each command that was run."""
    found = {path.parent.name: read_records(path.parent) for path in out.glob("*/records.jsonl")}
    solves = sum(map(len, found.values()))
    for name in list(found):
        whole, _, part = name.rpartition("_")
        if part in PARTS:
            found[whole] += [r for r in found[name] if not r.control]
    for records in found.values():
        records.sort(key=lambda record: (record.place, record.control))
    by_source = {source: found[source] for source in ("real", "rendered")}
    of_000 = {source: found[f"{source}_000"] for source in by_source}
    (DOCS / "results").mkdir(exist_ok=True)
    for old in (DOCS / "results").iterdir():
        old.unlink()

    write("results", [
        "# Results",
        f"{seen(by_source)} Made by `METRIC_DEPTH_DATA=... python benchmarks/results.py`, one command: "
        f"{made_by(out, seconds, solves)}",
        INTRODUCTION,
        "## All solvers",
        ALL_WORDS,
        markdown(all_solvers(by_source)),
        "## Paper 000: SLF, SSF, region median, median",
        CLAIMS_WORDS,
        markdown(verdicts(of_000)),
        SIDE,
        *(f"{name.capitalize()}:\n\n{markdown(side_by_side(records))}" for name, records in of_000.items()),
        "## Without anchors, and with few",
        FEW_WORDS,
        *(f"{name.capitalize()}:\n\n{markdown(few_anchors(found[f'{name}_none']))}" for name in by_source),
        "## Charts",
        *charts(by_source),
    ])  # fmt: skip
    for source, records in by_source.items():
        side = as_markdown(sections([only(r, "abs_rel") for r in of_000[source]])).replace("## ", "### ")
        of_paper = ["## Paper 000", INTERVALS, markdown(claims(of_000[source])), side]
        write(f"results/{source}", [f"# Results on {source} frames", detail(records), *of_paper])
    meter = [record for record in found["real_meter"] if not record.control]
    write("results/real_meter", ["# Results on real frames with METER's outputs", METER, detail(meter)])
    write("results/papers", ["# The papers' tables on rendered scenes", OTHER, papers(found)])
    write("results/pictures", ["# Pictures of the rendered sets", PICTURES, *pictures(out)])
    commands = "\n".join(f"    {command}" for command in seconds)
    write(
        "results/commands",
        ["# Commands behind the results", NEEDS, "`benchmarks/results.py` runs:", commands],
    )


def seen(by_source: Mapping[str, Sequence[Record]]) -> str:
    """How many frames and sets there are."""
    counts = {
        source: (count_frames(records), len({record.set_name for record in records}))
        for source, records in by_source.items()
    }
    (real, real_sets), (rendered, rendered_sets) = counts["real"], counts["rendered"]
    return (
        f"Every solver on all {real} real frames with known depth ({real_sets} sets), and on {rendered} "
        f"rendered scenes ({rendered_sets} sets) that no training saw."
    )


def write(name: str, parts: Sequence[str]) -> None:
    """Writes a page of docs/."""
    text = "\n\n".join(part.strip("\n") for part in parts if part)
    path = DOCS / f"{name}.md"
    path.write_text(text + "\n", encoding="utf-8")
    print(f"{path}: written")
