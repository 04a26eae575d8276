"""Time limits for libraries that may never return: loading a network, and each of its runs.

A network can hold a loop without end. The calls of such a one, and what loads others, run in a thread of
their own, which is given up if the library cannot stop it: the program stays alive and says so. A run without
loops ends by itself, and is cancelled if that takes too long.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Mapping
from contextvars import copy_context
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar

import numpy as np

from metric_depth_ros.errors import ModelError
from metric_depth_ros.files import in_words
from metric_depth_ros.runtimes.backend import Backend
from metric_depth_ros.runtimes.model import Model
from metric_depth_ros.runtimes.plan_cache import PlanCache
from metric_depth_ros.runtimes.stopping import StoppedError, stop_event
from metric_depth_ros.types import Array, FloatArray, Runtime

Value = TypeVar("Value")

TIMEOUT_S = 30.0
# Loading may take so many times as long as a run, and so may the first run on an accelerator.
_LONGER = 10
# How often it is looked whether the program is to end, how long a call may go on then, and may take to stop.
_LOOK_S, _PATIENCE_S, _GRACE_S = 0.1, 1.0, 2.0
# Bytes of all outputs of a run.
MOST_BYTES = 1 << 30


class Watchdog:
    """Thread for the calls of one network. One call at a time."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], Any] | None] = SimpleQueue()
        self._ends: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        self._given_up = ""
        threading.Thread(target=_work, args=(self._jobs, self._ends), name="network", daemon=True).start()
        weakref.finalize(self, self._jobs.put, None)

    def call(
        self, job: Callable[[], Value], what: str, limit_s: float, cancel: Callable[[], None] | None = None
    ) -> Value:
        """Result of ``job``, which ``cancel`` stops from this thread.

        Raises:
            ModelError: it has not ended after ``limit_s``, or an earlier one never did.
            StoppedError: the program is to end.
        """
        if self._given_up:
            raise ModelError(self._given_up)
        stop = stop_event()
        self._jobs.put(job)
        end = self._wait(limit_s, stop)
        if end is None:
            stopped = stop.is_set()
            if cancel is not None:
                cancel()
            if self._wait(_GRACE_S, None) is None:
                self._given_up = f"{what}: did not end and cannot be stopped. Restart, with another network."
            if stopped:
                raise StoppedError(f"{what}: stopped.")
            raise _endless(what, limit_s)
        value, error = end
        if error is not None:
            raise error
        result: Value = value
        return result

    def _wait(self, limit_s: float, stop: threading.Event | None) -> tuple[Any, BaseException | None] | None:
        """How the call ended; None if it has not by the limit, or the program is to end."""
        started = time.monotonic()
        while True:
            passed = time.monotonic() - started
            try:
                return self._ends.get(timeout=max(0.0, min(_LOOK_S, limit_s - passed)))
            except Empty:
                if passed >= limit_s or (passed >= _PATIENCE_S and stop is not None and stop.is_set()):
                    return None


def _work(jobs: SimpleQueue[Any], ends: SimpleQueue[Any]) -> None:
    while (job := jobs.get()) is not None:
        try:
            end: tuple[Any, BaseException | None] = job(), None
        except BaseException as error:  # it is raised in the thread that waits
            end = None, error
        ends.put(end)
        del job, end  # what a network gave must not stay until the next run


class Alarm:
    """Thread that cancels a call of another thread if it takes too long, or if the program is to end.

    The call itself stays in its own thread: on a busy machine handing it over would cost milliseconds.
    """

    def __init__(self, cancel: Callable[[], None]) -> None:
        self._calls: list[_Call] = []
        ended = threading.Event()
        arguments = (self._calls, ended, cancel)
        threading.Thread(target=_look, args=arguments, name="network alarm", daemon=True).start()
        weakref.finalize(self, ended.set)

    def call(self, job: Callable[[], Value], what: str, limit_s: float) -> Value:
        """Result of ``job``. Raises ModelError and StoppedError as ``Watchdog.call`` does."""
        call = _Call(time.monotonic(), limit_s, stop_event())
        self._calls[:] = [call]
        try:
            return job()
        except ModelError as error:
            if time.monotonic() - call.started >= limit_s:
                raise _endless(what, limit_s) from error
            if call.stop.is_set():
                raise StoppedError(f"{what}: stopped.") from error
            raise
        finally:
            self._calls.clear()


class _Call(NamedTuple):
    """When a call started, how long it may take, and what ends it earlier."""

    started: float
    limit_s: float
    stop: threading.Event


def _look(calls: list[_Call], ended: threading.Event, cancel: Callable[[], None]) -> None:
    while not ended.wait(_LOOK_S):
        for call in tuple(calls):
            passed = time.monotonic() - call.started
            if passed >= call.limit_s or (passed >= _PATIENCE_S and call.stop.is_set()):
                cancel()


def _endless(what: str, limit_s: float) -> ModelError:
    return ModelError(
        f"{what}: no end after {limit_s:g} s; needed one. Raise engine.timeout_s, or take another network."
    )


class WatchedRuntime:
    """Runtime whose runs end in time, with outputs of bounded size.

    Attributes:
        runtime, cancel: what it watches, and how that is cancelled.
    """

    def __init__(
        self, runtime: Runtime, watchdog: Watchdog | None, what: str, limits_s: tuple[float, float]
    ) -> None:
        """``watchdog``: for a network with loops; ``limits_s``: of the first run, and of all others."""
        self.runtime = runtime
        self._watchdog, self._what = watchdog, what
        self._limit_s, self._next_s = limits_s
        self.cancel = runtime.cancel
        self._alarm = Alarm(self.cancel) if self.cancel is not None and watchdog is None else None

    def run(self, inputs: Mapping[str, Array]) -> dict[str, FloatArray]:
        """All outputs by name.

        Raises:
            ModelError: the inputs do not fit, the run does not end in time, or its outputs are too large.
        """
        outputs = self._outputs(inputs)
        self._limit_s = self._next_s
        check_size({name: np.asarray(value).nbytes for name, value in outputs.items()}, self._what)
        return outputs

    def _outputs(self, inputs: Mapping[str, Array]) -> dict[str, FloatArray]:
        def job() -> dict[str, FloatArray]:
            return self.runtime.run(inputs)

        if self._watchdog is not None:
            return self._watchdog.call(job, self._what, self._limit_s, self.cancel)
        return job() if self._alarm is None else self._alarm.call(job, self._what, self._limit_s)


def check_size(sizes: Mapping[str, int], what: str) -> None:
    """Raises ModelError if outputs of so many bytes, by name, are larger than ``MOST_BYTES``."""
    if (total := sum(sizes.values())) > MOST_BYTES:
        name = max(sizes, key=sizes.__getitem__)
        raise ModelError(
            f"{what}: outputs of {in_words(total)}, the largest {name[:60]!r}; needed at most "
            f"{in_words(MOST_BYTES)}. Export it without that output."
        )


def load_watched(
    backend: Backend,
    model: Model,
    precision: str,
    *,
    threads: int,
    cache: PlanCache,
    timeout_s: float = TIMEOUT_S,
) -> WatchedRuntime:
    """The network on a backend, watched.

    On a CPU loading may take ten times as long as a run. Building for an accelerator has no limit, since it
    may take minutes and can be stopped.

    Raises:
        ModelError: it does not end in time, or as the backend's ``load`` does.
    """
    file, on_cpu, context = model.at(precision), backend.device == "cpu", copy_context()
    longer_s = _LONGER * timeout_s

    def load() -> Runtime:
        return backend.load(model, precision, threads=threads, cache=cache)

    # What a library keeps for each thread, as the number of its threads, asks for one thread for all.
    apart = file.loops or backend.any_thread
    watchdog = Watchdog() if apart else None
    if watchdog is None:
        runtime = load()
    else:
        limit_s = longer_s if on_cpu else float("inf")
        runtime = watchdog.call(lambda: context.run(load), f"{file.path}: loading", limit_s)
    limits_s = (timeout_s if on_cpu else longer_s, timeout_s)
    return WatchedRuntime(runtime, watchdog if file.loops else None, str(file.path), limits_s)
