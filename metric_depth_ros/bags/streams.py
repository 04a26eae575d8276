"""Messages of one topic with their times, in the order in which images can use them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from metric_depth_ros.bags.storage import Window, readable_messages
from metric_depth_ros.errors import InputError
from metric_depth_ros.messages import stamp_ns
from metric_depth_ros.stamps import StampGuard, jumps_back

# What a message's time is: the stamp in its header, or when it was recorded.
Stamps = Literal["header", "recorded"]

# Messages may be recorded this much later than the image they belong to ...
_LATE_NS = 1_000_000_000
# ... and are released whatever their stamp when recorded this much earlier.
_SETTLED_NS = 5_000_000_000


@dataclass(frozen=True, eq=False)
class Stamped:
    """Message with its time and the time of its recording, both in ns."""

    message: Any
    stamp_ns: int
    recorded_ns: int


def stamped_messages(
    path: Path,
    topic: str,
    stamps: Stamps,
    stamp_of: Callable[[Any], int] = stamp_ns,
    window: Window | None = None,
) -> Iterator[Stamped | InputError]:
    """Yields a topic's messages in recorded order; an error that names it instead of one of no use.

    That is one that cannot be read, or with a wrong stamp: ``stamp_of`` refuses it, or it alone is far from
    those around it. Times of recording are never wrong.

    Raises:
        InputError: the bag is damaged.
    """
    guard: StampGuard[Stamped] = StampGuard(first_too=True)
    slip = InputError(f"{topic}: a stamp far from those around it. Check the clock of its driver.")
    for recorded_ns, message in readable_messages(path, topic, window):
        if isinstance(message, InputError):
            yield message
            continue
        if stamps == "recorded":
            yield Stamped(message, recorded_ns, recorded_ns)
            continue
        try:
            new = Stamped(message, stamp_of(message), recorded_ns)
        except InputError as error:
            yield InputError(f"{topic}: {error} Or run with --stamps recorded.")
            continue
        good, wrong = guard.put(new, new.stamp_ns, recorded_ns)
        yield from [slip] * len(wrong)
        yield from good
    good, wrong = guard.end()
    yield from [slip] * len(wrong)
    yield from good


class TopicStream:
    """Messages of one topic, each returned once, when an image can use it.

    Messages may be recorded late, by up to a second, and out of order. Those with wrong stamps are passed
    over and counted.
    """

    def __init__(self, messages: Iterator[Stamped | InputError], skipped: Counter[str]) -> None:
        self._messages = _counted(messages, skipped)
        self._next = next(self._messages, None)
        self._waiting: list[Stamped] = []
        self._newest_ns = 0
        self._may_jump = False

    @property
    def upcoming(self) -> Stamped | None:
        """Next message that is not due yet, or None at the end."""
        return self._waiting[0] if self._waiting else self._next

    def take(self, until_ns: int, recorded_ns: int, *, jumped: bool) -> list[Stamped]:
        """Messages stamped up to ``until_ns`` that were not returned before, in recorded order.

        Those recorded long before the image are returned whatever their stamp, so that messages with a
        wrong clock do not accumulate.

        Args:
            until_ns: newest stamp that the image can use.
            recorded_ns: when the image was recorded.
            jumped: time has jumped back with this image: waiting messages are dropped.
        """
        if jumped:
            self._waiting.clear()
            self._may_jump = True
        while self._next is not None and self._next.recorded_ns <= recorded_ns + _LATE_NS:
            if not self._read(self._next, settled=self._next.recorded_ns <= recorded_ns - _SETTLED_NS):
                break
        due: list[Stamped] = []
        waiting: list[Stamped] = []
        for message in self._waiting:
            usable = message.stamp_ns <= until_ns or message.recorded_ns <= recorded_ns - _SETTLED_NS
            (due if usable else waiting).append(message)
        self._waiting = waiting
        return due

    def _read(self, message: Stamped, settled: bool) -> bool:
        """Reads one more message to wait. False at a jump back in time that the images have not reached."""
        if jumps_back(self._newest_ns, message.stamp_ns):
            if not (self._may_jump or settled):
                return False
            self._waiting.clear()
            self._may_jump = False
            self._newest_ns = message.stamp_ns
        self._newest_ns = max(self._newest_ns, message.stamp_ns)
        self._waiting.append(message)
        self._next = next(self._messages, None)
        return True

    def close(self) -> None:
        """Closes the bag."""
        self._messages.close()


def _counted(
    messages: Iterator[Stamped | InputError], skipped: Counter[str]
) -> Generator[Stamped, None, None]:
    """Yields the messages; errors among them are counted."""
    for message in messages:
        if isinstance(message, InputError):
            skipped[str(message)] += 1
        else:
            yield message
