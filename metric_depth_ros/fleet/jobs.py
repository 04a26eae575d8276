"""A job, one attempt at it, and how it ended."""

from __future__ import annotations

import errno
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

from metric_depth_ros.errors import MetricDepthError

# What may be otherwise a moment later, of disks and networks above all.
_PASSING = {
    errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE,
    errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ECONNRESET,
    errno.ECONNREFUSED, errno.EREMOTEIO,
}  # fmt: skip

Tell = Callable[[float], object]


class Job(Protocol):
    """A piece of work, described by values that can be pickled: a dataclass of paths, numbers and settings.

    Attributes:
        name: unlike those of all other jobs of a run; errors name it.
        size: in any unit that grows with the time that the job takes.
    """

    @property
    def name(self) -> str: ...

    @property
    def size(self) -> float: ...


J = TypeVar("J", bound=Job)
R = TypeVar("R")


@dataclass(frozen=True)
class Ended(Generic[J, R]):
    """How a job ended.

    Attributes:
        result: what the work returned; None after an error.
        error: why there is no result, else None; of a bug in another process an UnexpectedError.
        seconds: of the last attempt; 0 if its worker died.
        attempts: 1, or more where workers died or errors passed.
    """

    job: J
    result: R | None
    error: Exception | None
    seconds: float
    attempts: int

    @property
    def value(self) -> R:
        """The result. Raises the error."""
        if self.error is not None:
            raise self.error
        return self.result  # type: ignore[return-value]  # None is a result too


class UnexpectedError(Exception):
    """A bug in a job; the text is the traceback in its worker."""


@dataclass(frozen=True)
class Attempt:
    """One attempt at a job: a result or an error, and whether another attempt may do better."""

    result: Any = None
    error: Exception | None = None
    passing: bool = False
    seconds: float = 0.0


def attempt(work: Callable[[Any], Any], job: Job, tell: Tell) -> Attempt:
    """Does a job in this process; what it ``count``s goes to ``tell``."""
    started = time.perf_counter()

    def ended(**how: Any) -> Attempt:
        return Attempt(**how, seconds=time.perf_counter() - started)

    with _counted_by(tell):
        try:
            return ended(result=work(job))
        except Exception as error:
            return ended(error=error, passing=_is_passing(error))


def attempt_elsewhere(work: Callable[[Any], Any], job: Job, tell: Tell) -> Attempt:
    """As ``attempt``, for another process: of an error that is a bug the traceback is sent."""
    done = attempt(work, job, tell)
    if done.error is None or isinstance(done.error, MetricDepthError):
        return done
    lines = traceback.format_exception(type(done.error), done.error, done.error.__traceback__)
    return replace(done, error=UnexpectedError(f"{job.name}: {''.join(lines)}"))


def count(amount: float) -> None:
    """Says that a part of the job at hand is done, in the unit of its size. For a work to call."""
    _TELL.get()(amount)


def _nobody(_: float) -> None:
    """For works that are called without a runner."""


_TELL: ContextVar[Tell] = ContextVar("tell", default=_nobody)


@contextmanager
def _counted_by(tell: Tell) -> Iterator[None]:
    token = _TELL.set(tell)
    try:
        yield
    finally:
        _TELL.reset(token)


def _is_passing(error: BaseException | None) -> bool:
    """Whether an error, or what led to it, is one of disks, networks or memory that may pass."""
    while error is not None:
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _PASSING):
            return True
        error = error.__cause__
    return False
