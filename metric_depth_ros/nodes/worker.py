"""Worker thread that processes only the newest item."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")
# An image in work takes a fraction of it; a network that never ends is left.
PATIENCE_S = 3.0


class NewestWorker(Generic[Item]):
    """Calls ``work(item)`` in its own thread with the newest item; older waiting items are dropped."""

    def __init__(
        self, work: Callable[[Item], None], *, name: str, prepare: Callable[[], bool] | None = None
    ) -> None:
        """``prepare`` is called first, in the same thread; if it returns False, no work is done.

        Neither may raise.
        """
        self._work, self._prepare = work, prepare
        self._item: Item | None = None
        self._changed = threading.Condition()
        self._stopping = self._busy = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def put(self, item: Item) -> bool:
        """Gives an item to the thread; True if an older waiting item was dropped."""
        with self._changed:
            dropped = self._item is not None
            self._item = item
            self._changed.notify_all()
            return dropped

    def wait_until_idle(self, timeout_s: float | None = None) -> None:
        """Waits until no item is in work and none waits, the worker is to stop, or the time is over."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopping or not (self._busy or self._item is not None), timeout_s
            )

    def clear(self) -> None:
        """Drops the waiting item."""
        with self._changed:
            self._item = None
            self._changed.notify_all()

    def stop(self, timeout_s: float) -> bool:
        """Stops the thread after the current item; False if that takes longer."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        if self._prepare is not None and not self._prepare():
            return
        while (item := self._take()) is not None:
            self._work(item)
            del item  # it may be large, and the next one far

    def _take(self) -> Item | None:
        """Waits for the newest item; None if the worker is to stop."""
        with self._changed:
            self._busy = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._item is not None or self._stopping)
            item, self._item = self._item, None
            self._busy = True
            return None if self._stopping else item
