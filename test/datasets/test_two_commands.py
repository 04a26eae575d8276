"""The two commands of docs/evaluation.md, on small files in the formats of NYUv2 and of Depth Anything."""

import re
import shlex
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed: the extra export")
pytest.importorskip("transformers", reason="transformers is not installed: the extra export")
pytest.importorskip("h5py", reason="h5py is not installed: the extra datasets")

import made_published
import tiny_checkpoints
import torch

from metric_depth_ros.cli.main import main
from metric_depth_ros.evaluation.records import read_records

PAGE = Path(__file__).parents[2] / "docs/evaluation.md"


def commands():
    """The commands of the section, as argument lists."""
    section = PAGE.read_text().split("in two commands")[1].split("\n## ")[0]
    return [shlex.split(line)[1:] for line in re.findall(r"^    (metric_depth .*)$", section, re.M)]


def test_a_newcomer_gets_the_table_of_paper_000(tmp_path, monkeypatch, capsys):
    torch.manual_seed(0)
    (tmp_path / "Depth-Anything-V2-Large").mkdir()
    tiny_checkpoints.depth_anything(tmp_path / "Depth-Anything-V2-Large")
    made_published.nyuv2(tmp_path / "nyu_files")
    for path in (tmp_path / "nyu_files").iterdir():
        path.rename(tmp_path / path.name)
    monkeypatch.chdir(tmp_path)
    export, evaluate = commands()
    assert main(export) == 0 and (tmp_path / "networks/da_v2_large.yaml").exists()
    capsys.readouterr()
    assert main(evaluate) == 0
    lines = capsys.readouterr().out.splitlines()
    (title,) = [line for line in lines if line.startswith("## Paper 000, table 1 (nyuv2@test, ")]
    assert "OTHER DATA" in title  # two frames, not 654
    head = "| network | method | case | from | AbsRel | RMSE, m | log10 | delta1 | delta2 | delta3 |"
    assert head in lines
    ours = [line.split(" | ") for line in lines if " | ours | " in line]
    for method, case in (
        ("paper_slf", "random 250"), ("paper_ssf", "random 2000"), ("median (truth)", "whole"),
        ("region linear (truth)", "whole"),
    ):  # fmt: skip
        assert any(row[:3] == ["| da_v2_large", method, case] for row in ours), (method, case)
    source = "paper 000, table 1; OTHER DATA or protocol"
    theirs = f"| Depth Anything v2 | SSF | random 250 | {source} | 0.044 | 0.233 | 0.021 | 0.963 |"
    assert any(line.startswith(theirs) for line in lines)
    records = read_records(tmp_path / "nyu")
    assert {(r.dataset, r.limits_m, r.frame) for r in records} == {
        ("nyuv2@test", (0.001, 10.0), "00000"), ("nyuv2@test", (0.001, 10.0), "00002"),
    }  # fmt: skip
