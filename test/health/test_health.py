"""What diagnostics say."""

import pytest

from metric_depth_ros.errors import InputError, ModelError, TransformError
from metric_depth_ros.health import status as h
from metric_depth_ros.runtimes.self_test import WrongNumbersError


@pytest.fixture
def clock(monkeypatch):
    """A clock that tests move."""
    now = [1000.0]
    monkeypatch.setattr(h.time, "monotonic", lambda: now[0])
    return now


def test_nothing_published_is_a_warning(clock):
    assert h.Health().summary()[:2] == (h.WARN, "nothing published yet")


def test_the_gravest_fault_is_shown_and_ended_by_a_publication(clock):
    health = h.Health()
    health.report("engine", h.ERROR, "engine: no file")
    clock[0] += 1
    health.report("image", h.WARN, "image: none")
    assert health.summary()[:2] == (h.ERROR, "engine: no file")
    assert health.published(0.01)
    assert not health.published(0.01)
    assert health.summary()[0] == h.OK


@pytest.mark.parametrize("key", ["cloud", "silence", "settings", "focus"])
def test_what_is_refused_is_shown_until_a_good_one_comes(clock, key):
    health = h.Health()
    health.report(key, h.ERROR, "point cloud: no field z")
    assert not health.published(0.01)
    assert health.summary()[1] == "point cloud: no field z"
    health.clear(key)
    assert health.summary()[0] == h.OK


def test_a_fault_not_met_again_is_over(clock):
    health = h.Health()
    health.report("tf", h.ERROR, "tf: none")
    clock[0] += 4
    health.report("image", h.WARN, "image: none")
    clock[0] += 2
    assert health.summary()[:2] == (h.WARN, "image: none")


def test_the_same_words_are_logged_once_in_a_while_and_others_at_once(clock):
    health = h.Health()
    assert health.report("anchors", h.ERROR, "anchors: none at 12.3 s")
    assert not health.report("anchors", h.ERROR, "anchors: none at 12.4 s")
    assert health.report("anchors", h.ERROR, "anchors: behind the camera")
    clock[0] += 5.1
    assert health.report("anchors", h.ERROR, "anchors: none at 17.5 s")


@pytest.mark.parametrize("varies", ["image: encoding 'x{}y' is unknown", "cloud: found f{}g, h{}k", "{}"])
def test_changing_words_do_not_flood_the_log(clock, varies):
    heard = []
    health = h.Health(lambda level, text: heard.append(text))
    for i in range(500):
        letters = "".join("abcdefghij"[int(digit)] for digit in str(i))
        health.report("input", h.ERROR, varies.format(letters, letters))
        clock[0] += 0.01
    assert 1 <= len(heard) <= 6
    health.report("tf", h.ERROR, "tf: none")
    assert heard[-1] == "tf: none"
    clock[0] += 5.1
    assert health.report("input", h.ERROR, "image: bad")


def test_long_texts_keep_what_and_what_to_do(clock):
    heard = []
    health = h.Health(lambda level, text: heard.append(text))
    health.report("tf", h.ERROR, f"tf: frame {'n' * 100_000!r} does not exist. Publish it.")
    health.report("bug", h.ERROR, "bug", details="d" * 100_000)
    health.log("note", h.OK, "x" * 100_000)
    assert [len(text) < 1_100 for text in heard] == [True, False, True] and len(heard[1]) < 11_000
    assert heard[0].startswith("tf: frame 'nnn") and heard[0].endswith("does not exist. Publish it.")
    health.clear("bug")
    _, message, values = health.summary()
    assert message == heard[0] and values["failed: tf"] == "1"
    assert not any("note" in name for name in values)


def test_rate_and_latency(clock):
    health = h.Health()
    for _ in range(21):
        health.published(0.02)
        clock[0] += 0.1
    level, _, values = health.summary()
    assert level == h.OK
    assert float(values["rate_hz"]) == pytest.approx(10, abs=0.5)
    assert values["latency_ms p50/p95/p99"] == "20.0 / 20.0 / 20.0"
    clock[0] += 60
    assert health.summary()[:2] == (h.WARN, "nothing published for 60 s")


def test_others_count_while_percentiles_are_computed(clock, monkeypatch):
    health = h.Health()
    monkeypatch.setattr(health.timings, "values", lambda: {"locked": str(health._lock.locked())})
    assert health.summary()[2]["locked"] == "False"


def test_what_is_waited_for_is_told_until_it_is_there(clock):
    health = h.Health()
    health.waits_for("building engine, may take minutes")
    health.report("image", h.WARN, "image: none")
    level, message, values = health.summary()
    assert (level, message) == (h.WARN, "building engine, may take minutes")
    clock[0] += 3600
    assert health.summary()[1] == "building engine, may take minutes"
    health.waits_for("")
    assert health.summary()[1] == "nothing published yet"
    assert not any(name.startswith("failed: engine") for name in values)


def test_the_log_hears_of_a_fault_when_it_is_due(clock):
    heard = []
    health = h.Health(lambda level, text: heard.append((level, text)))
    health.report("image", h.WARN, "image: none for 2 s")
    health.report("image", h.WARN, "image: none for 3 s")
    health.report("engine", h.ERROR, "engine: bad", details="all about it")
    assert heard == [(h.WARN, "image: none for 2 s"), (h.ERROR, "all about it")]
    assert health.summary()[1] == "engine: bad"


@pytest.mark.parametrize(
    ("error", "key"),
    [
        (TransformError("tf: none"), "tf"),
        (ModelError("m: none"), "engine"),
        (WrongNumbersError("m: other numbers"), "engine"),
        (InputError("i: bad"), "input"),
    ],
)
def test_an_expected_failure_becomes_a_fault(clock, error, key):
    health = h.Health()
    with health.reporting_failures():
        raise error
    assert health.summary()[:2] == (h.ERROR, str(error))
    assert health.counted(f"failed: {key}") == 1


def test_a_bug_is_told_with_its_traceback_and_goes_no_farther(clock):
    heard = []
    health = h.Health(lambda level, text: heard.append(text))
    with health.reporting_failures():
        raise ZeroDivisionError("odd")
    level, message, _ = health.summary()
    assert level == h.ERROR and "internal error" in message and "odd" in message
    assert heard[0].startswith("Traceback")


def test_the_time_since_an_event(clock):
    health = h.Health()
    clock[0] += 3
    assert health.since_s("images in") == 3
    health.count("images in")
    clock[0] += 1
    assert health.since_s("images in") == 1
