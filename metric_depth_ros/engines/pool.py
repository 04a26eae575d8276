"""One loaded network for several cameras."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any
from weakref import WeakValueDictionary

from metric_depth_ros.config import EngineConfig
from metric_depth_ros.engines import build_engine
from metric_depth_ros.errors import ModelError
from metric_depth_ros.runtimes.stopping import StoppedError
from metric_depth_ros.types import Camera, Engine, ImageArray, RelativeDepth


class EnginePool:
    """Loads each network once, for all that use it at the same time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._engines: WeakValueDictionary[EngineConfig, SharedEngine] = WeakValueDictionary()

    def build(self, config: EngineConfig) -> SharedEngine:
        """The engine of these settings, loaded if nobody uses it yet, or if it has failed.

        Raises as ``build_engine`` does.
        """
        config = replace(config, overlap="auto")  # which no engine knows
        with self._lock:
            engine = self._engines.get(config)
            if engine is None:
                self._engines[config] = engine = SharedEngine(build_engine(config))
            elif engine.failed:
                engine.renew(build_engine(config))
            return engine


class SharedEngine:
    """An engine that several threads may call; it processes one image at a time.

    Attributes:
        failed: whether its network could not run, as after the loss of a GPU.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine, self._lock, self.failed = engine, threading.Lock(), False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def predict(
        self, image: ImageArray, *, focus_m: float | None = None, camera: Camera | None = None
    ) -> RelativeDepth:
        """As the engine's own."""
        with self._lock:
            try:
                return self._engine.predict(image, focus_m=focus_m, camera=camera)
            except StoppedError:
                raise
            except ModelError:
                self.failed = True
                raise

    def renew(self, engine: Engine) -> None:
        """Takes another engine in place of the one that has failed, for all who use it."""
        with self._lock:
            self._engine, self.failed = engine, False
