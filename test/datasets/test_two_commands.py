"""The two commands of docs/evaluation.md, on small files in the formats of NYUv2 and of the checkpoints."""

import json
import re
import shlex
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed: the extra export")
pytest.importorskip("transformers", reason="transformers is not installed: the extra export")
pytest.importorskip("tokenizers", reason="tokenizers is not installed: the extra text")
pytest.importorskip("h5py", reason="h5py is not installed: the extra datasets")

import made_published
import tiny_checkpoints
import torch

from metric_depth_ros.cli.main import main
from metric_depth_ros.engines.manifest import load_manifest
from metric_depth_ros.evaluation.published import rows_of
from metric_depth_ros.evaluation.records import read_records

PAGE = Path(__file__).parents[2] / "docs/evaluation.md"
CHECKPOINTS = {
    "Depth-Anything-V2-Large-hf": tiny_checkpoints.depth_anything,
    "sam-vit-huge": tiny_checkpoints.sam,
    "clip-vit-large-patch14": tiny_checkpoints.clip,
}


def commands():
    """The commands of the section, as argument lists."""
    section = PAGE.read_text().split("in two commands\n")[1].split("\n## ")[0]
    return [shlex.split(line)[1:] for line in re.findall(r"^    (metric_depth .*)$", section, re.M)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A newcomer's folder: checkpoints, the labelled file, and captions in the form of the page."""
    torch.manual_seed(0)
    for name, make in CHECKPOINTS.items():
        (tmp_path / name).mkdir()
        make(tmp_path / name)
    processor = tmp_path / "Depth-Anything-V2-Large-hf/preprocessor_config.json"
    told = {**json.loads(processor.read_text()), "keep_aspect_ratio": True, "ensure_multiple_of": 14}
    processor.write_text(json.dumps(told))
    made_published.nyuv2(tmp_path / "nyu_files")
    for path in (tmp_path / "nyu_files").iterdir():
        path.rename(tmp_path / path.name)
    line = re.search(r'^(\{"set": .*\})$', PAGE.read_text(), re.M).group(1)
    lines = [json.dumps({**json.loads(line), "frame": f"{frame:05}"}) for frame in range(3)]
    (tmp_path / "captions.jsonl").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def table(out):
    """Title of the paper's table, and its rows as cells."""
    text = out[out.index("## Paper 000, table 1 (nyuv2@test, ") :].split("\n## ")[0]
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return text.splitlines()[0], [[cell.strip("*_") for cell in line] for line in lines]


def test_a_newcomer_gets_every_row_of_the_table_of_paper_000(folder, capsys):
    export, evaluate = commands()
    assert main(export) == 0
    depth = load_manifest("networks/depth_anything_v2_large_hf.yaml")
    assert (depth.input.width, depth.input.height) == (98, 70)  # 70x70, with the pictures' aspect ratio
    capsys.readouterr()
    assert main(evaluate) == 0
    title, (head, _, *rows) = table(capsys.readouterr().out)
    assert "OTHER DATA" in title  # two frames, not 654
    assert head[4:] == ["AbsRel", "RMSE, m", "log10", "delta1", "delta2", "delta3"]
    ours = {(method, case): cells for _, method, case, source, *cells in rows if source == "ours"}
    # Those of Depth Anything V1: the others have no other methods.
    wanted = {
        (row.solver if row.case != "none" else row.method, row.case)
        for row in rows_of("000", "1")
        if row.network == "Depth Anything v1"
    }
    assert len(wanted) == 18 and wanted - set(ours) == {("RSA", "none")}
    assert all(re.fullmatch(r"\d+\.\d+", cell) for cells in ours.values() for cell in cells)
    source = "paper 000, table 1; OTHER DATA or protocol"
    theirs = ["Depth Anything v2", "SSF", "random 250", source, "0.044", "0.233", "0.021", "0.963"]
    assert theirs in [row[:8] for row in rows]
    records = read_records("nyu")
    assert {(r.dataset, r.limits_m, r.frame) for r in records} == {
        ("nyuv2@test", (0.001, 10.0), "00000"), ("nyuv2@test", (0.001, 10.0), "00002"),
    }  # fmt: skip
    assert {(r.anchor_pixels, r.space, r.regions, r.flip) for r in records} == {(True, "depth", "sam", False)}
    assert not any(r.failure for r in records)
    # And with captions.
    with_captions = [*evaluate[:-1], "nyu_rsa", "--captions", "captions.jsonl", "--protocol", "random:250"]
    assert main([*with_captions, "--solvers", "paper_slf"]) == 0
    _, (_, _, *rows) = table(capsys.readouterr().out)
    assert ["RSA", "none", "ours"] in [row[1:4] for row in rows]
    assert not any(r.failure for r in read_records("nyu_rsa"))


def test_a_depth_network_is_enough(folder, capsys, caplog):
    """Without SAM, CLIP and captions: other regions, other encoders, no RSA; and each is said."""
    export, evaluate = commands()
    export = [word for word in export if word not in ("sam-vit-huge", "clip-vit-large-patch14")]
    assert main(export) == 0 and main([*evaluate, "--protocol", "random:250"]) == 0
    _, (_, _, *rows) = table(capsys.readouterr().out)
    ours = {method for _, method, _, source, *_ in rows if source == "ours"}
    assert {"paper_slf", "region linear (truth)", "Global", "Image"} <= ours and "RSA" not in ours
    assert {r.regions for r in read_records("nyu")} == {"built-in"}
    assert "rows by region are of another protocol, as the regions are not SAM's" in caplog.text
    assert "without RSA: nyu_depth_v2_labeled.mat@train has frames without a description" in caplog.text
