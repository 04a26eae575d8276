"""Reads many damaged inputs, and tells of each what came out, how long it took and how much memory.

    PYTHONPATH=test python test/fuzz/campaign.py messages 2000        (JSON lines, one for each case)

It runs in a process of its own, whose memory is limited, so that a case that takes all does no harm.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mutations
import seeds
from file_cases import file_cases
from rosbags.interfaces import Connection, ConnectionExtRosbag2, MessageDefinition, MessageDefinitionFormat

from metric_depth_ros.bags.definitions import deserialize
from metric_depth_ros.bags.storage import damage_named
from metric_depth_ros.errors import MetricDepthError

# A case may take so long before it counts as a hang, and the process have so much memory, bytes.
HANG_S, MEMORY = 20, 6 * 2**30
# What a small case may take at most, bytes: a picture of 32 megapixels in a small PNG takes more, but none
# of the seeds' cameras has it.
MOST_BYTES = 200_000_000
# Kind of the case, and what reads it.
Case = tuple[str, Callable[[], Any]]


class HangError(BaseException):
    """A case takes too long."""


def message_cases(count: int, seed: int) -> Iterator[Case]:
    """Messages with odd values, odd definitions and damaged bytes, in turn."""
    rng = random.Random(seed)
    for number in range(count):
        one = rng.choice(seeds.message_seeds())
        name = one.kind.rsplit("/", 1)[1]
        if number % 3 == 0:
            message = mutations.with_odd_value(one.message, rng)
            yield f"{name}, values", lambda one=one, message=message: one.read(message)
            continue
        raw, text = bytes(seeds.ROS2.serialize_cdr(one.message, one.kind)), _definition(one.kind)
        if number % 3 == 1:
            text = mutations.with_odd_definition(text, rng)
            yield f"{name}, definition", lambda one=one, raw=raw, text=text: _read_raw(one, raw, text)
        else:
            raw = mutations.damaged(raw, rng)
            yield f"{name}, bytes", lambda one=one, raw=raw, text=text: _read_raw(one, raw, text)


def _definition(kind: str) -> str:
    return str(seeds.ROS2.generate_msgdef(kind, ros_version=2)[0])


def _read_raw(seed: seeds.Seed, raw: bytes, text: str) -> None:
    """Reads the bytes of a message as those of a bag that has such a definition."""
    definition = MessageDefinition(MessageDefinitionFormat.MSG, text)
    about = ConnectionExtRosbag2("cdr", [])
    with damage_named(Path("bag"), "/topic"):
        message = deserialize(Connection(1, "/topic", seed.kind, definition, "", 1, about, None), raw)
    seed.read(message)


def bag_cases(count: int, seed: int) -> Iterator[Case]:
    """Damaged bags of every kind."""
    rng = random.Random(seed)
    with TemporaryDirectory() as name:
        whole = seeds.write_bags(Path(name))
        for number in range(count):
            bag = whole[number % len(whole)]
            folder = Path(name) / "damaged"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            path = folder / bag.name
            (shutil.copytree if bag.is_dir() else shutil.copy)(bag, path)
            for _ in range(rng.randint(1, 2)):
                mutations.damage_bag(path, rng)
            yield f"{bag.stem}", lambda path=path: seeds.read_bag(path)


def large_cases(count: int, seed: int) -> Iterator[Case]:
    """Whole bags with a large message, in each way of storing it."""
    with TemporaryDirectory() as name:
        whole = seeds.write_bags(Path(name), seeds.large_recording())
        for number in range(seed, seed + count):
            bag = whole[number % len(whole)]
            yield bag.name, lambda bag=bag: seeds.read_large_bag(bag)


# By the name of the option of benchmarks/fuzz.py.
CASES: dict[str, Callable[[int, int], Iterator[Case]]] = {
    "messages": message_cases,
    "bags": bag_cases,
    "files": file_cases,
    "large": large_cases,
}


def run(cases: Iterator[Case]) -> Iterator[dict[str, Any]]:
    """Yields what came of each case: "result", "error" or the name of an exception; seconds; bytes."""
    for number, (kind, read) in enumerate(cases):
        before, started, says = _settled(), time.perf_counter(), ""
        signal.setitimer(signal.ITIMER_REAL, HANG_S)
        try:
            read()
            came = "result"
        except MetricDepthError as error:
            came, says = "error", str(error)
        except (Exception, HangError) as error:
            came, says = type(error).__name__, _place(error)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        took = time.perf_counter() - started
        yield {
            "case": number, "kind": kind, "came": came, "says": says, "seconds": took,
            "bytes": _peak() - before,
        }  # fmt: skip


def _place(error: BaseException) -> str:
    """The exception, and where it was raised."""
    places, trace = list[str](), error.__traceback__
    while trace is not None:
        places.append(f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}")
        trace = trace.tb_next
    return f"{error} at {' '.join(places[-8:])}"


def _settled() -> int:
    """Memory now, bytes; the peak counts from here on."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _peak() -> int:
    return _status("VmHWM")


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))


def _hang(*_: Any) -> None:
    raise HangError


def campaign(kind: str, count: int, seed: int) -> list[dict[str, Any]]:
    """What came of so many cases, run in a process of their own."""
    command = [sys.executable, __file__, kind, str(count), str(seed)]
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path})
    if done.returncode:
        raise RuntimeError(f"the process of the cases ended with {done.returncode}: {done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def main(kind: str, count: str, seed: str = "1") -> None:
    """Prints what came of the cases."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGALRM, _hang)
    for came in run(CASES[kind](int(count), int(seed))):
        print(json.dumps(came), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
