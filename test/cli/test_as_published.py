"""Options of evaluate that stand for others, captions, and training sets by their split."""

from __future__ import annotations

import json

import made_published
import pytest
from conftest import write_toy_model

from metric_depth_ros.cli.as_published import filled_in
from metric_depth_ros.cli.main import build_parser, main
from metric_depth_ros.errors import ConfigError, InputError, ModelError
from metric_depth_ros.evaluation.records import read_records


def filled(*words):
    words = ["evaluate", *map(str, words)]
    args = build_parser().parse_args(words)
    args.command_line = words
    return filled_in(args)


@pytest.fixture
def networks(tmp_path):
    """A folder with one depth network."""
    (tmp_path / "networks").mkdir()
    return write_toy_model(tmp_path / "networks")


@pytest.fixture
def void(tmp_path):
    return f"void@test:{made_published.void(tmp_path / 'void').path}"


def test_a_table_sets_what_is_not_given(void):
    args = filled(void, "--as-published", "000:2")
    assert (args.solvers, args.seeds, args.limits) == ("paper_slf,paper_ssf", 1, "0.2,5")
    assert (args.anchor_pixels, args.whole_truth, args.table) == ("in", "depth", ["000:2"])
    assert args.fit_on == [void.replace("@test", "@train")]
    assert filled(void, "--as-published", "000:2", "--fit-on", "none").fit_on == []


def test_one_s_own_options_take_their_place_wherever_they_stand(void):
    words = ["--seeds", "3", "--as-published", "000:2", "--solvers", "auto", "--anchor-pixels", "out"]
    args = filled(
        *words, "--fit-on", "elsewhere", "--table", "000:1", "--set", "solver.focus_m=3", "--", void
    )
    assert (args.seeds, args.solvers, args.anchor_pixels, args.fit_on) == (3, "auto", "out", ["elsewhere"])
    assert args.table == ["000:2", "000:1"] and "solver.focus_m=3" in args.changes
    assert args.limits == "0.2,5"


def test_without_sam_the_regions_are_others_and_it_is_said(void, tmp_path, caplog):
    assert "regions.source=sam" not in filled(void, "--as-published", "000:2").changes
    assert "rows by region are of another protocol" in caplog.text
    caplog.clear()
    given = ["--set", "regions.manifest=sam.yaml"]
    assert "regions.source=sam" in filled(void, "--as-published", "000:2", *given).changes
    assert "another protocol" not in caplog.text
    assert filled(void, "--as-published", "000:2", "--regions", "dataset").changes == []


def test_rows_of_a_training_set_that_is_not_there_are_left_out(tmp_path, void, caplog):
    for path in (tmp_path / "void").rglob("train_image.txt"):
        path.unlink()
    assert filled(void, "--as-published", "000:2").fit_on == []
    assert "without Global, Image and RSA" in caplog.text and "train_image.txt" in caplog.text


def test_the_training_set_is_a_split_of_what_is_evaluated(tmp_path, void, toy_manifest, capsys):
    assert filled(void, "--fit-on", "@train").fit_on == [void.replace("@test", "@train")]
    fit = ["--engine", toy_manifest, "--protocol", "none", "--solvers", "paper_slf", "--fit-on", "@train"]
    assert main(["evaluate", void, *map(str, fit), "--scaling", "global"]) == 0
    assert "| Global |" in capsys.readouterr().out
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/calib.json").write_text('{"frames": [{"id": "0", "rgb": "0.png"}]}')
    with pytest.raises(
        InputError, match=r"--fit-on @train: .*mine has no splits; needed a dataset that has some"
    ):
        filled(tmp_path / "mine", "--fit-on", "@train")


def test_networks_of_a_folder_by_their_kind(tmp_path, void, networks):
    folder = networks.parent
    with pytest.raises(InputError, match="nowhere: no such folder"):
        filled(void, "--networks", tmp_path / "nowhere")
    args = filled(void, "--networks", folder)
    assert args.engine == [networks] and args.changes == [] and args.text_encoder is None
    args = filled(void, "--networks", folder, "--engine", "small", "--text-encoder", "mine.yaml")
    assert [str(each) for each in args.engine] == ["small"] and str(args.text_encoder) == "mine.yaml"
    networks.rename(folder / "toy.txt")
    with pytest.raises(InputError, match="no manifest of a depth network"):
        filled(void, "--networks", folder)
    (folder / "a.yaml").write_text("3")
    with pytest.raises(ModelError, match=r"a\.yaml"):
        filled(void, "--networks", folder)


def test_two_of_a_kind_are_not_chosen_from(void, networks):
    text = {"name": "t", "licence": "MIT", "file": "t.onnx", "sha256": "0" * 64, "width": 4, "neutral": [1]}
    text["tokenizer"] = {"file": "t.json", "sha256": "0" * 64}
    for name in "ab":
        (networks.parent / f"{name}.yaml").write_text(json.dumps(text))
    with pytest.raises(ConfigError, match=r"a\.yaml, b\.yaml; needed one of their kind"):
        filled(void, "--networks", networks.parent)


# ---- captions ----------------------------------------------------------------------------------


def captions(tmp_path, frames, words="A room with a table."):
    path = tmp_path / "captions.jsonl"
    lines = [{"set": "void", "frame": frame, "descriptions": [words]} for frame in frames]
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def test_rsa_reads_captions_of_a_published_set(tmp_path, void, capsys):
    pytest.importorskip("tokenizers", reason="tokenizers is not installed: the extra text")
    from metric_depth_ros.datasets import open_dataset

    of = {split: open_dataset(void.replace("@test", f"@{split}")).ids for split in ("test", "train")}
    words = ["evaluate", void, "--engine", "small", "--protocol", "none", "--solvers", "tr2m"]
    words += ["--fit-on", "@train", "--scaling", "rsa", "--seeds", "1", "--out"]
    told = captions(tmp_path, [*of["test"], *of["train"]])
    assert main([*words, str(tmp_path / "a"), "--captions", str(told)]) == 0
    assert "| RSA |" in capsys.readouterr().out
    rows = {record.solver: record for record in read_records(tmp_path / "a")}
    assert not rows["RSA"].failure and not rows["tr2m"].failure
    # The prior reads them too, and a run does not go on with others.
    other = captions(tmp_path, [*of["test"], *of["train"]], "A street with cars.")
    again = [*words, str(tmp_path / "a"), "--captions", str(other), "--resume"]
    assert main(again) == 1 and "other captions than this run" in capsys.readouterr().err
    told = captions(tmp_path, [*of["test"], *of["train"]], "A wide street with many parked cars.")
    assert main([*words, str(tmp_path / "b"), "--captions", str(told)]) == 0
    street = {record.solver: record for record in read_records(tmp_path / "b")}
    assert street["tr2m"].errors != rows["tr2m"].errors


def test_a_missing_caption_names_itself_before_anything_runs(tmp_path, void, capsys):
    from metric_depth_ros.datasets import open_dataset

    ids = open_dataset(void).ids
    told = captions(tmp_path, ids[:-1])
    words = ["evaluate", void, "--protocol", "none", "--solvers", "tr2m", "--captions", str(told)]
    assert main(words) == 1
    assert f"captions.jsonl: no caption of set void, frame {ids[-1]}; needed one" in capsys.readouterr().err
