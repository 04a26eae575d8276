"""YAML and JSON that others wrote cost bounded time and memory, and errors quote nothing of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from metric_depth_ros.config import parameter_file
from metric_depth_ros.documents import parse_yaml, read_json, read_yaml
from metric_depth_ros.engines.manifest import load_manifest
from metric_depth_ros.errors import ConfigError, InputError, MetricDepthError, ModelError, shown


def expanding(item: str) -> str:
    """Ten levels of nine aliases each: 3.5 billion values."""
    levels = [
        f"{b}: &{b} {item % ','.join(9 * ['*' + a])}" for a, b in zip("abcdefghi", "bcdefghij", strict=True)
    ]
    return "\n".join(["a: &a {x: 1}", *levels])


HOSTILE = {
    "alias bomb": (expanding("[%s]"), "more than 20000 values"),
    "merge bomb": (expanding("{<<: [%s]}"), "more than 20000 values"),
    "alias of itself": ("a: &a [*a]", "an alias inside of what it stands for"),
    "date": ("solver: {focus_m: 2024-99-99}", r"unlike its type \(line 1, column 19\)"),
    "digits": ("solver: {focus_m: " + 10_000 * "9" + "}", "a number of 10000 characters"),
    "base 60": ("solver: {focus_m: 1" + 10_000 * ":1" + "}", "a number of 20001 characters"),
    "nested": (20_000 * "[", "nested too deeply"),
    "wide": ("\n".join(f"k{i}: {i}" for i in range(15_000)), "more than 20000 values"),
    "twice": ("a: 1\na: 2", r"a key is given twice \(line 2"),
    "wrong tag": ("!!timestamp abc", "unlike its type"),
    "code": ("!!python/object/apply:os.system ['echo hi']", "constructor for the tag"),
    "control character": ("a: \0", "special characters are not allowed"),
    "two documents": ("a: 1\n---\nb: 2", "another document"),
    "large": ("a: b\n" * 1_000_000, "more than 1.05 MB"),
    "latin": ("a: \udcff", "not valid text in UTF-8"),
}


@pytest.mark.parametrize("load", [parameter_file.load, load_manifest])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_yaml_is_refused_by_every_reader(tmp_path: Path, name: str, load: object) -> None:
    assert callable(load)
    text, found = HOSTILE[name]
    path = tmp_path / "hostile.yaml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises((ConfigError, ModelError), match=found) as error:
        load(path)
    assert str(error.value).startswith(f"{path}: ")


def test_aliases_that_stay_small_are_read() -> None:
    assert parse_yaml("a: &a {x: 1}\nb: {<<: *a, y: [*a]}", "here", InputError) == {
        "a": {"x": 1},
        "b": {"x": 1, "y": [{"x": 1}]},
    }


def test_the_first_of_several_documents_is_read_where_it_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "printed.yaml"
    path.write_text("a: 1\n---\na: 2\n")
    assert read_yaml(path, InputError, "one", first_of_many=True) == {"a": 1}


SECRETS = [
    "hunter2 is the password\nof all\n",
    "[default]\naws_secret_access_key = hunter2\n",
    "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n",
    "password: hunter2\n",
    "- hunter2\n",
    "'hunter2' x\n",
    "hunter2: *hunter2\n",
    '{"hunter2": hunter2, hunter2',
    "!hunter2 a",
    "root:x:0:0:hunter2:/root:/bin/bash\n",
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("load", [parameter_file.load, load_manifest])
def test_what_is_no_such_file_is_not_quoted(tmp_path: Path, secret: str, load: object) -> None:
    assert callable(load)
    path = tmp_path / "secret"
    path.write_text(secret)
    with pytest.raises(MetricDepthError) as error:
        load(path)
    assert "hunter2" not in str(error.value)
    with pytest.raises(InputError, match=r"not valid JSON") as error:
        read_json(path, InputError, "a JSON file")
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("text", [100_000 * "[", '{"a": ' + 5_000 * "9" + "}", "{", ""])
def test_hostile_json_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "hostile.json"
    path.write_text(text)
    with pytest.raises(InputError, match="not valid JSON"):
        read_json(path, InputError, "a JSON file")


@pytest.mark.parametrize("load", [parameter_file.load, load_manifest])
def test_a_pipe_is_refused_at_once(tmp_path: Path, load: object) -> None:
    assert callable(load)
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(MetricDepthError, match="a pipe, no regular file"):
        load(tmp_path / "pipe.yaml")


def test_errors_are_of_bounded_length_and_keep_their_end() -> None:
    text = str(ModelError(f"engine: {100_000 * 'x'}; needed less. Shorten it."))
    assert len(text) < 1000
    assert text.endswith("Shorten it.")
    assert len(shown({"a": [100_000 * "x"] * 1000})) < 500
