"""What a library must offer to run networks."""

from __future__ import annotations

from typing import Protocol

from metric_depth_ros.runtimes.model import Model
from metric_depth_ros.runtimes.plan_cache import PlanCache
from metric_depth_ros.types import Runtime


class Backend(Protocol):
    """A library on a device that can run networks.

    Attributes:
        name: as in ``engine.runtime``.
        device: "cpu", "cuda", ...
        automatic: whether ``auto`` tries it.
        any_thread: whether a network that one thread has loaded may run in any other.
    """

    @property
    def name(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def automatic(self) -> bool: ...
    @property
    def any_thread(self) -> bool: ...

    def missing(self) -> str:
        """Why the backend cannot be used, with what to install; empty if it can. Quick."""
        ...

    def version(self) -> str:
        """Library version."""
        ...

    def hardware(self) -> tuple[str, str]:
        """Device name, and its compute capability if it has one."""
        ...

    def precisions(self, model: Model) -> tuple[str, ...]:
        """Precisions for this network, fastest first."""
        ...

    def load(self, model: Model, precision: str, *, threads: int, cache: PlanCache) -> Runtime:
        """The network, ready to run. May take minutes. Raises ModelError."""
        ...
