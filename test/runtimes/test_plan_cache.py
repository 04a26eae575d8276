"""Plans are stored whole, found again only when nothing has changed, and never loaded from unsafe places."""

import dataclasses
import logging
import os
import stat
import time

import pytest

from metric_depth_ros.runtimes.fingerprint import Fingerprint
from metric_depth_ros.runtimes.plan_cache import PlanCache, default_folder

PRINT = Fingerprint("plan", "a" * 64, "tensorrt", "10.3.0", "Orin", "8.7", "fp16", "1x3x8x8", "graph")


@pytest.fixture
def cache(tmp_path):
    return PlanCache(tmp_path / "cache")


def test_what_is_stored_is_found_again_byte_for_byte(cache):
    content = bytes(range(256)) * 5 + b"\n\n"
    assert cache.load(PRINT) is None
    cache.store(PRINT, content)
    assert cache.load(PRINT) == content
    assert PlanCache(cache.root).load(PRINT) == content


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(Fingerprint)])
def test_any_difference_means_not_found(cache, caplog, field):
    cache.store(PRINT, b"plan")
    caplog.set_level(logging.INFO)
    other = 2 if field == "format" else "other"
    changed = dataclasses.replace(PRINT, **{field: other})
    assert cache.load(changed) is None
    in_place = changed.slot == PRINT.slot
    assert in_place == (field in ("version", "device", "capability", "flags", "format"))
    if in_place:  # the log says what changed
        assert f"{field} was {getattr(PRINT, field)!r}, is {other!r}" in caplog.text
        cache.store(changed, b"new")
        assert cache.load(PRINT) is None
        assert len(list(cache.root.iterdir())) == 1


def test_a_plan_is_built_once_and_the_log_says_so(cache, caplog):
    caplog.set_level(logging.INFO)
    built = []

    def build():
        built.append(1)
        return b"plan"

    assert [cache.load_or_build(PRINT, build) for _ in range(3)] == [b"plan"] * 3
    assert len(built) == 1
    assert caplog.text.count("building engine, may take minutes: tensorrt fp16 on Orin") == 1
    newer = dataclasses.replace(PRINT, version="10.9.0")
    cache.load_or_build(newer, build)
    assert len(built) == 2
    assert "version was '10.3.0', is '10.9.0'" in caplog.text


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-3],
        lambda content: content[:20],
        lambda content: b"",
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        lambda content: b"\x80\x04not json\n" + content,
        lambda content: b"[1]\n" + content,
    ],
)
def test_a_damaged_file_is_not_used(cache, caplog, damage):
    cache.store(PRINT, b"a plan of some length")
    path = cache.root / PRINT.slot
    path.write_bytes(damage(path.read_bytes()))
    assert cache.load(PRINT) is None
    assert "not used" in caplog.text
    assert cache.load_or_build(PRINT, lambda: b"new") == b"new"
    assert cache.load(PRINT) == b"new"


def test_files_and_folders_are_the_user_s_alone(cache):
    cache.store(PRINT, b"plan")
    assert stat.S_IMODE(cache.root.stat().st_mode) == 0o700
    assert stat.S_IMODE((cache.root / PRINT.slot).stat().st_mode) == 0o600
    assert stat.S_IMODE(cache.folder("library").stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_not_loaded(cache, caplog, mode):
    cache.store(PRINT, b"plan")
    (cache.root / PRINT.slot).chmod(mode)
    assert cache.load(PRINT) is None
    assert "others may write it" in caplog.text


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_folder_that_others_may_write_is_neither_read_nor_written(cache, caplog, mode):
    cache.store(PRINT, b"plan")
    cache.root.chmod(mode)
    assert cache.load(PRINT) is None
    cache.store(PRINT, b"other")
    assert cache.folder("library") is None
    cache.root.chmod(0o700)
    assert cache.load(PRINT) == b"plan"
    assert "others may write it" in caplog.text


def test_links_are_not_followed(cache, tmp_path, caplog):
    cache.store(PRINT, b"plan")
    slot, moved = cache.root / PRINT.slot, tmp_path / "elsewhere"
    slot.rename(moved)
    slot.symlink_to(moved)
    assert cache.load(PRINT) is None
    linked = tmp_path / "linked"
    linked.symlink_to(cache.root)
    assert PlanCache(linked).load(PRINT) is None
    PlanCache(linked).store(PRINT, b"other")
    assert moved.read_bytes().endswith(b"plan")
    assert caplog.text.count("symbolic link") == 3


def test_somebody_else_s_file_is_not_loaded(cache, caplog, monkeypatch):
    cache.store(PRINT, b"plan")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert cache.load(PRINT) is None
    assert "not to you" in caplog.text


def test_a_pipe_is_not_waited_for(cache, caplog):
    cache.root.mkdir(mode=0o700)
    os.mkfifo(cache.root / PRINT.slot, 0o600)
    assert cache.load(PRINT) is None
    assert "no ordinary file" in caplog.text


def test_without_a_place_to_write_everything_is_built_anew(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    cache = PlanCache(tmp_path / "file" / "cache")
    assert cache.load_or_build(PRINT, lambda: b"plan") == b"plan"
    assert "cannot keep" in caplog.text


def test_a_write_that_fails_leaves_the_old_file(cache, monkeypatch):
    cache.store(PRINT, b"old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    cache.store(PRINT, b"new")
    monkeypatch.undo()
    assert cache.load(PRINT) == b"old"
    assert [path.name for path in cache.root.iterdir()] == [PRINT.slot]


def test_the_place_is_the_user_s_cache_directory(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "metric_depth_ros"
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for unset in ("", "relative/path"):
        monkeypatch.setenv("XDG_CACHE_HOME", unset)
        assert default_folder() == tmp_path / "home/.cache/metric_depth_ros"


def test_what_is_old_and_unused_and_what_was_left_half_written_goes(cache):
    day = 86400
    ages = {"plan-old": 91 * day, "plan-new": 89 * day, ".growing-left": 2 * day, ".growing-now": 60}
    cache.folder("library-old").joinpath("plan").write_bytes(b"x")
    for name in ages:
        (cache.root / name).write_bytes(b"x")
    for name, age in {**ages, "library-old": 91 * day}.items():
        os.utime(cache.root / name, (time.time() - age,) * 2)
    cache.store(PRINT, b"plan")
    assert {path.name for path in cache.root.iterdir()} == {"plan-new", ".growing-now", PRINT.slot}


def test_what_is_used_stays(cache):
    cache.store(PRINT, b"plan")
    long_ago = time.time() - 100 * 86400
    os.utime(cache.root / PRINT.slot, (long_ago, long_ago))
    assert cache.load(PRINT) == b"plan"
    cache.store(dataclasses.replace(PRINT, precision="fp32"), b"other")
    assert cache.load(PRINT) == b"plan"


def test_a_folder_exchanged_after_it_was_checked_gets_nothing(cache, monkeypatch, tmp_path):
    cache.store(PRINT, b"old")
    theirs = tmp_path / "theirs"
    theirs.mkdir()

    def exchange():
        cache.root.rename(tmp_path / "moved")
        cache.root.symlink_to(theirs)

    monkeypatch.setattr(cache, "_prune", exchange)
    cache.store(PRINT, b"new")
    assert not list(theirs.iterdir())
