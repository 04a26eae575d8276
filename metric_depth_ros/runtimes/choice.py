"""Choice of the runtime for a network: the fastest installed one that passes the self-test."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from metric_depth_ros.errors import ModelError
from metric_depth_ros.runtimes.backend import Backend
from metric_depth_ros.runtimes.fingerprint import Fingerprint
from metric_depth_ros.runtimes.model import Model
from metric_depth_ros.runtimes.plan_cache import Attempt, PlanCache, PlanError
from metric_depth_ros.runtimes.self_test import (
    Inputs,
    Outputs,
    WrongNumbersError,
    compare,
    reference,
    run_all,
    stored_inputs,
)
from metric_depth_ros.runtimes.stopping import StoppedError, go_on
from metric_depth_ros.runtimes.watchdog import TIMEOUT_S, load_watched
from metric_depth_ros.types import Runtime

_LOG = logging.getLogger(__name__)

# Runs before the timing, the largest number of timed runs, and their time limit.
_WARM_UP = 2
_MOST_RUNS = 20
_BUDGET_S = 1.0
# A runtime other than the portable one must be faster by this factor to be chosen.
_GAIN = 1.1


@dataclass(frozen=True, eq=False)
class Chosen:
    """Network loaded in a runtime, and why this runtime was chosen.

    Attributes:
        label: runtime, precision and device.
        why: the reason, in words.
        device: "cpu", "cuda", ...
    """

    runtime: Runtime
    label: str
    why: str
    device: str = "cpu"


@dataclass(frozen=True)
class Request:
    """Settings that choose a runtime.

    Attributes:
        runtime: a name, or "auto".
        precision: "auto" or "fp32".
        threads: CPU threads; 0 uses all.
        anew: whether to time the runtimes again instead of using the earlier choice.
        timeout_s: limit of a run.
        group: of these settings, for messages.
    """

    runtime: str = "auto"
    precision: str = "auto"
    threads: int = 2
    anew: bool = False
    timeout_s: float = TIMEOUT_S
    group: str = "engine"


def choose(
    model: Model, request: Request, *, backends: Sequence[Backend], portable: Backend, cache: PlanCache
) -> Chosen:
    """Network on the requested runtime or, with "auto", on the fastest one.

    Every runtime but ``portable``, which is the reference, must pass the self-test. If it fails, its next
    precision is tried; if all fail, ``portable`` runs the network. Each failure is a warning in the log.
    ``backends`` are in order of preference.

    Raises:
        ModelError: the requested runtime is not installed, or the file cannot be used.
    """
    auto = request.runtime == "auto"
    wanted = [b for b in backends if (b.automatic if auto else b.name == request.runtime)]
    here = [b for b in wanted if not b.missing()]
    if not here:
        missing = "; ".join(b.missing() for b in wanted)
        raise ModelError(f"{request.group}.runtime: {request.runtime}: {missing}. Or set it to auto.")
    model.full.verify()
    if len(here) == 1 and here[0] is portable:
        runtime = load_watched(
            portable, model, "fp32", threads=request.threads, cache=cache, timeout_s=request.timeout_s
        )
        return Chosen(runtime, _label(portable, "fp32"), "the only one here" if auto else "as set")
    trial = _Trial(model, request, portable, cache)
    trial.wanted()  # a manifest that does not fit its file fails here, not as a candidate's failure
    return trial.fastest(here) if auto else trial.first(here)


class _Trial:
    """Loads, tests and times the candidates for one network."""

    def __init__(self, model: Model, request: Request, portable: Backend, cache: PlanCache) -> None:
        self._model, self._request, self._portable, self._cache = model, request, portable, cache
        self._inputs: list[Inputs] = stored_inputs(model)
        self._outputs: Outputs | None = None
        self._refused: list[str] = []
        self._lasting = True  # no temporary failure so far, such as a lack of memory

    def first(self, backends: Sequence[Backend]) -> Chosen:
        """First backend that passes, or the portable one."""
        for backend in backends:
            if found := self._passed(backend):
                runtime, precision = found
                why = f"as set{self._refusals()}"
                return Chosen(runtime, _label(backend, precision), why, backend.device)
        label = _label(self._portable, "fp32")
        wanted = self._request.runtime
        self._warn("%s was set and cannot be used; falling back to %s", wanted, label)
        return Chosen(self._load(self._portable, "fp32"), label, f"the fallback{self._refusals()}")

    def fastest(self, backends: Sequence[Backend]) -> Chosen:
        """Fastest backend that passes; the earlier choice is reused if nothing has changed since."""
        fingerprint = self._fingerprint(backends)
        if not self._request.anew and (chosen := self._of_last_time(fingerprint, backends)):
            return chosen
        best: tuple[float, Backend, str, Runtime] | None = None
        times = {}
        for backend in backends:
            if (found := self._passed(backend)) is None:
                continue
            runtime, precision = found
            seconds = _seconds(runtime, self._inputs[0])
            times[_label(backend, precision)] = seconds
            weighed = seconds / (_GAIN if backend is self._portable else 1.0)
            if best is None or weighed < best[0]:
                best = weighed, backend, precision, runtime
        if best is None:
            raise ModelError(
                f"{self._request.group}: no runtime can run this network; the log has each one's reason."
            )
        _, backend, precision, runtime = best
        timings = ", ".join(f"{label} {1e3 * s:.1f} ms" for label, s in times.items())
        record = {
            "label": _label(backend, precision),
            "why": f"the fastest here ({timings}){self._refusals()}",
            "device": backend.device,
        }
        if self._lasting:
            self._cache.store(fingerprint, json.dumps(record).encode())
        return Chosen(runtime, **record)

    def _of_last_time(self, fingerprint: Fingerprint, backends: Sequence[Backend]) -> Chosen | None:
        """Earlier choice, if it still passes the self-test."""
        content = self._cache.load(fingerprint)
        if content is None:
            return None
        try:
            record = json.loads(content)
            label, why = str(record["label"]), f"{record['why']}, found earlier"
        except (ValueError, KeyError, TypeError):
            return None
        for backend in backends:
            for precision in self._precisions(backend):
                if _label(backend, precision) == label:
                    runtime = self._tested(backend, precision)
                    return None if runtime is None else Chosen(runtime, label, why, backend.device)
        return None

    def _fingerprint(self, backends: Sequence[Backend]) -> Fingerprint:
        """Fingerprint of a choice: everything that could change it."""
        model, request = self._model, self._request
        half = model.half.identity if model.half is not None else "none"
        return Fingerprint(
            "choice",
            model.full.identity,
            request.runtime,
            version="; ".join(f"{b.name} {b.device} {_asked(b.version)}" for b in backends),
            device="; ".join(dict.fromkeys(_asked(b.hardware) for b in backends)),
            precision=request.precision,
            shapes=str({name: size.usual for name, size in model.sizes.items()}),
            flags=f"threads={request.threads}, half={half}",
        )

    def _passed(self, backend: Backend) -> tuple[Runtime, str] | None:
        """Network on this backend, in the first precision that passes."""
        for precision in self._precisions(backend):
            if (runtime := self._tested(backend, precision)) is not None:
                return runtime, precision
        return None

    def _precisions(self, backend: Backend) -> tuple[str, ...]:
        try:
            offered = backend.precisions(self._model)
        except Exception as error:  # a broken installation may raise anything
            self._refuse(backend, "", error)
            return ()
        return offered if self._request.precision == "auto" else ("fp32",)

    def _tested(self, backend: Backend, precision: str) -> Runtime | None:
        """Loaded network, if it passes the self-test; the portable backend needs no test.

        A stored plan that fails is built once more, since the stored file may be broken.
        """
        if backend is self._portable:
            return self._load(backend, precision)
        if _label(backend, precision) in self._refused:
            return None
        for again in (True, False):
            go_on()
            attempt = Attempt(self._cache)
            try:
                runtime = self._load(backend, precision, attempt)
                compare(run_all(runtime, self._inputs), self.wanted(), precision)
            except StoppedError:
                raise
            except Exception as error:
                of_plan = isinstance(error, (WrongNumbersError, PlanError)) and attempt.failed()
                if not (of_plan and again):
                    self._refuse(backend, precision, error)
                    return None
                self._warn("a stored plan fails and is built anew: %s", error)
            else:
                attempt.passed()
                return runtime
        return None

    def _refuse(self, backend: Backend, precision: str, error: Exception) -> None:
        """Logs that a candidate is rejected; a library's own error is logged with its origin."""
        label = _label(backend, precision)
        if label in self._refused:
            return
        self._refused.append(label)
        self._lasting &= isinstance(error, WrongNumbersError)
        trace = None if isinstance(error, ModelError) else error
        self._warn("%s is not used: %s", label, error, trace=trace)

    def _warn(self, text: str, *values: object, trace: Exception | None = None) -> None:
        _LOG.warning(f"%s: {text}", self._request.group, *values, exc_info=trace)

    def _refusals(self) -> str:
        return f"; refused: {', '.join(self._refused)}" if self._refused else ""

    def _load(self, backend: Backend, precision: str, cache: PlanCache | None = None) -> Runtime:
        request, cache = self._request, cache or self._cache
        return load_watched(
            backend, self._model, precision, threads=request.threads, cache=cache, timeout_s=request.timeout_s
        )

    def wanted(self) -> Outputs:
        """Reference outputs that every candidate must reproduce."""
        if self._outputs is None:
            self._outputs = reference(
                self._model, self._inputs, self._portable, self._cache, timeout_s=self._request.timeout_s
            )
        return self._outputs


def _asked(question: Callable[[], object]) -> str:
    """A backend's answer, or the error as text: a broken installation is reported when it is loaded."""
    try:
        return str(question())
    except Exception as error:
        return repr(error)


def _label(backend: Backend, precision: str) -> str:
    return f"{backend.name} {precision} on {backend.device}"


def _seconds(runtime: Runtime, inputs: Inputs) -> float:
    """Median seconds per run after warm-up; measuring takes about a second."""
    for _ in range(_WARM_UP):
        runtime.run(inputs)
    times: list[float] = []
    while not times or (sum(times) < _BUDGET_S and len(times) < _MOST_RUNS):
        started = time.perf_counter()
        runtime.run(inputs)
        times.append(time.perf_counter() - started)
    return float(np.median(times))
