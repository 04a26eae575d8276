"""Captions: what a file says of frames, before what their datasets say."""

from __future__ import annotations

import json

import made_published
import pytest

from metric_depth_ros.datasets import open_dataset
from metric_depth_ros.datasets.captions import caption_set, descriptions_of, read_captions
from metric_depth_ros.errors import InputError


def written(path, *lines):
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


def line(frame="corridor_01", **changes):
    return {"set": "ibims", "frame": frame, "descriptions": ["A corridor."], **changes}


@pytest.fixture
def frames(tmp_path):
    return open_dataset(made_published.ibims(tmp_path / "set").path)


def test_captions_are_found_by_set_and_frame(tmp_path, frames):
    path = written(
        tmp_path / "a.jsonl",
        line(descriptions="A corridor."),
        "",
        line(descriptions=["A long hall."], held_out_descriptions=["Indoors."], source="somebody"),
        line("lab_02", set="elsewhere"),
    )
    captions = read_captions(path)
    assert descriptions_of(frames, 0, "corridor_01", captions) == (
        ("A corridor.", "A long hall."), ("Indoors.",),
    )  # fmt: skip
    assert descriptions_of(frames, 1, "lab_02", captions) == ((), ())
    assert descriptions_of(frames, 0, "corridor_01", None) == ((), ())
    captions.check_complete(frames, [0])
    with pytest.raises(InputError, match=r"a.jsonl: no caption of set ibims, frame lab_02; needed one"):
        captions.check_complete(frames, [0, 1])
    none = read_captions(written(tmp_path / "b.jsonl", line(set="elsewhere")))
    with pytest.raises(InputError, match="frame corridor_01 and 1 more"):
        none.check_complete(frames, [0, 1])


def test_a_folder_is_known_by_its_name_and_keeps_its_own_words(tmp_path):
    picture = made_published.save_image(tmp_path / "office/0.png", made_published.image_of(0))
    entry = {"id": "0", "rgb": picture.name, "description": "An office."}
    (tmp_path / "office/calib.json").write_text(json.dumps({"frames": [entry, {**entry, "id": "1"}]}))
    frames = open_dataset(tmp_path / "office")
    assert caption_set(frames) == "office"
    captions = read_captions(written(tmp_path / "a.jsonl", line("0", set="office", descriptions=["A desk."])))
    assert descriptions_of(frames, 0, "0", captions) == (("A desk.",), ("A desk.",))
    assert descriptions_of(frames, 1, "1", captions)[0] == ("An office.",)
    captions.check_complete(frames, [0, 1])


def test_captions_have_the_keys_of_a_shard(tmp_path):
    """What `synthesize` writes beside a picture is a caption, once it has set and frame."""
    from metric_depth_ros.cli.main import main

    shards = tmp_path / "shards"
    words = [
        "synthesize",
        str(shards),
        "--count",
        "2",
        "--size",
        "64x48",
        "--textures",
        "66",
        "--workers",
        "1",
    ]
    assert main(words) == 0
    frames = open_dataset(shards)
    told = [
        {
            "set": "other",
            "frame": frame,
            "descriptions": list(frames.descriptions(index)),
            "held_out_descriptions": list(frames.descriptions(index, held_out=True)),
        }
        for index, frame in enumerate(frames.ids)
    ]
    found = read_captions(written(tmp_path / "a.jsonl", *told)).found["other", frames.ids[0]]
    assert tuple(found.sentences) == frames.descriptions(0) != ()
    assert tuple(found.held_out) == frames.descriptions(0, held_out=True) != ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no caption; needed lines as"),
        ("[]", "line 1: no object"),
        ("{", "line 1: not valid JSON"),
        (json.dumps({"frame": "0", "descriptions": ["a"]}), "line 1: set None"),
        (json.dumps(line(frame=3)), "line 1: frame 3"),
        (json.dumps(line(descriptions=[])), r"line 1: descriptions \[\]"),
        (json.dumps(line(descriptions=["a", 1])), "line 1: descriptions"),
        (json.dumps(line()) + "\n" + json.dumps(line(held_out_descriptions=" ")), "line 2: held_out_desc"),
        ('"' + "a" * (1 << 20), "line 1: more than 1 MB"),
    ],
)
def test_a_file_that_is_none_says_where(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_captions(written(tmp_path / "a.jsonl", text))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"none.jsonl: No such file or directory; needed lines as"):
        read_captions(tmp_path / "none.jsonl")
