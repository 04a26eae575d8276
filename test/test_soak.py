"""The limits of benchmarks/soak.py, and the soak for five minutes, or METRIC_DEPTH_SOAK_S seconds; 0: not."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = float(os.environ.get("METRIC_DEPTH_SOAK_S", "300"))
SOAK = Path(__file__).parents[1] / "benchmarks" / "soak.py"
BEGAN_S = 1000.0


@pytest.fixture
def limits(monkeypatch):
    if not SOAK.is_file():
        pytest.skip("no benchmarks beside an installed package")
    spec = importlib.util.spec_from_file_location("soak_limits", SOAK.with_name("soak_limits.py"))
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "soak_limits", module)  # dataclasses look it up
    spec.loader.exec_module(module)
    monkeypatch.setattr(module.os, "cpu_count", lambda: 2)
    return module


def told(second, latency_ms, *, dropped=0.0, front="9", frame="odom"):
    """Diagnostics of a node that was sent ten images a second, of which a part was dropped."""
    came = 10 * second
    published = came - round(dropped * came)
    return {
        "latency_ms p50/p95/p99": f"{latency_ms} / {2 * latency_ms} / {3 * latency_ms}",
        "pairs in": str(came),
        "published": str(published),
        "images dropped for newer ones": str(came - published),
        "front in": front,
        "fixed frame": frame,
    }


def made(limits, *, late_ms=50, load=(1.0, 1.0), values=None, **others):
    """What five minutes have shown: latency of 50 ms, and another one in the last 100 s."""
    seconds = range(301)
    late = {second: second > 200 for second in seconds}
    values = [told(each, late_ms if late[each] else 50) for each in seconds] if values is None else values
    seen = limits.Seen(
        rss=[(BEGAN_S + each, 300.0) for each in seconds],
        loads=[(BEGAN_S + each, load[late[each]]) for each in seconds],
        loops=[(BEGAN_S + 20 * each, 22, 23) for each in range(1, 15)],
        values=[(BEGAN_S + second, value) for second, value in enumerate(values)],
        depths=3000,
    )
    seen.others.update(points=9, sigma=9, info=9)
    seen.called.update(reset=5)
    seen.succeeded.update(reset=5)
    for name, value in others.items():
        setattr(seen, name, value)
    return seen


def found(limits, seen, status=0, log=""):
    """Limits that are broken, in words."""
    return " ".join(limits.broken(seen, BEGAN_S, status, log, 5.0))


def test_a_good_run_breaks_no_limit_and_tells_p95(limits, capsys):
    assert found(limits, made(limits)) == ""
    assert "p50 50, 50 ms (95 at most), p95 100, 100." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("late_ms", "load", "words"),
    [
        (94, (1.0, 1.0), ""),
        (96, (1.0, 1.0), "latency: 50 ms at first, 96 in the end"),
        (140, (1.0, 3.8), ""),  # tests began beside it
        (200, (1.0, 3.8), "latency: "),
        (140, (4.0, 4.0), "latency: "),  # they had been there before
        (300, (1.0, 99.0), "latency: "),  # nothing excuses all
    ],
)
def test_latency_may_rise_a_little_or_as_the_machine_gets_busier(limits, capsys, late_ms, load, words):
    broken = found(limits, made(limits, late_ms=late_ms, load=load))
    assert words in broken and bool(words) == bool(broken)
    assert ("became busier" in capsys.readouterr().out) == (load[1] > load[0])


@pytest.mark.parametrize(
    ("dropped", "load", "broken"), [(0.09, 1, False), (0.11, 1, True), (0.25, 6, False), (0.35, 99, True)]
)
def test_few_images_are_dropped_and_more_on_a_busy_machine(limits, dropped, load, broken):
    values = [told(second, 50, dropped=dropped) for second in range(301)]
    words = found(limits, made(limits, values=values, load=(load, load)))
    assert words == (f"{dropped:.1%} of the images were dropped or did not come" if broken else "")


def test_a_node_that_answers_one_image_in_a_hundred_breaks_limits(limits):
    values = [told(second, 50 if second < 200 else 140, dropped=0.99) for second in range(301)]
    words = found(limits, made(limits, values=values))
    assert "99.0% of the images were dropped" in words and "latency: " in words


@pytest.mark.parametrize(("load", "broken"), [(1, True), (3, False), (1.9, True)])
def test_on_a_busy_machine_more_images_wait_in_memory(limits, load, broken):
    rss = [(BEGAN_S + each, 300 + each / 24) for each in range(301)]  # 7.5 MiB in three minutes
    words = found(limits, made(limits, rss=rss, load=(load, load)))
    assert words == ("memory grows by 2.500 MiB a minute" if broken else "")


def test_counts_go_on_where_the_node_was_deactivated(limits, capsys):
    values = [told(second % 150, 50) for second in range(301)]
    assert found(limits, made(limits, values=values)) == ""
    assert "2980 of 3000 images answered" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"values": [told(each, 50) for each in range(171)]},
            "latency: 50 ms at first, nan",
        ),  # then it was silent
        ({"values": [told(each // 2, 50) for each in range(301)]}, "50.0% of the images were dropped or did"),
        ({"values": [told(each, 50, front="0") for each in range(301)]}, "missing output"),
        ({"values": [told(each, 50, frame="no motion known") for each in range(301)]}, "not moved"),
        ({"wrong": 1}, "wrong or missing"),
        ({"others": {"points": 9}}, "wrong or missing"),
        ({"succeeded": {"reset": 4}}, "services"),
        ({"loops": [(BEGAN_S + 20 * each, 22, 20 + each) for each in range(15)]}, "descriptors: 26 to 34"),
        ({"rss": [(BEGAN_S + each, 300 + each / 20) for each in range(301)]}, "memory grows by 3.000 MiB"),
    ],
)
def test_each_limit_is_named_when_it_is_broken(limits, change, words):
    assert words in found(limits, made(limits, **change))


@pytest.mark.parametrize(("status", "log"), [(1, ""), (0, "Traceback"), (0, "internal error: x")])
def test_a_bad_end_is_told(limits, status, log):
    assert "exit status" in found(limits, made(limits), status, log)


@pytest.mark.timeout(SECONDS + 120)
@pytest.mark.skipif(not SECONDS, reason="METRIC_DEPTH_SOAK_S is 0: it runs beside the tests")
def test_memory_threads_descriptors_and_latency_stay_as_they_are():
    pytest.importorskip("rclpy")
    command = [sys.executable, str(SOAK), "--minutes", str(SECONDS / 60)]
    done = subprocess.run(command, capture_output=True, text=True)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
