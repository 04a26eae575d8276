"""Writes rendered samples to disk, in the layout of ``metric_depth_ros.datasets.shard_layout``."""

from __future__ import annotations

import json
import uuid
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np

from metric_depth_ros.datasets.shard_layout import Scan, encode_depth, encode_normals, encode_scans
from metric_depth_ros.errors import InputError
from metric_depth_ros.types import FloatArray, IntArray


class ShardWriter:
    """Writes one shard; use it as a context manager.

    The shard is written under a temporary name of its own and renamed if the block ends without error, so
    every ``shard_*.zip`` is complete, whoever else writes to the folder.
    """

    def __init__(self, folder: str | Path, number: int) -> None:
        """Makes ``folder`` if needed. Raises InputError if that fails."""
        self.path = Path(folder) / f"shard_{number:05d}.zip"
        self._growing = self.path.with_suffix(f".{uuid.uuid4().hex[:8]}.tmp")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._zip = zipfile.ZipFile(self._growing, "w", zipfile.ZIP_STORED)
        except OSError as error:
            raise InputError(f"{folder}: {error.strerror}; needed a folder to write to.") from error

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._zip.close()
            if kind is None:
                self._growing.replace(self.path)
        except OSError as failure:
            raise self._unwritable(failure) from failure
        finally:
            self._growing.unlink(missing_ok=True)

    def write(
        self,
        index: int,
        jpeg: bytes,
        depth: FloatArray,
        info: Mapping[str, Any],
        *,
        labels: IntArray | None = None,
        instances: IntArray | None = None,
        normals: FloatArray | None = None,
        scans: Mapping[str, Scan] | None = None,
    ) -> None:
        """Adds sample ``index`` of the dataset: arrays (H, W), normals (H, W, 3), scans by sensor name.

        Raises:
            InputError: ``encode_depth`` rejects the depth, or the disk is full.
        """
        stem = f"{index:08d}"
        self._add(f"{stem}.jpg", jpeg)
        self._add(f"{stem}.depth.png", _png(encode_depth(depth)))
        if labels is not None:
            self._add(f"{stem}.labels.png", _png(np.asarray(labels, np.uint8)))
        if instances is not None:
            self._add(f"{stem}.instances.png", _png(np.asarray(instances, np.uint16)))
        if normals is not None:
            self._add(f"{stem}.normals.png", _png(encode_normals(normals)[..., ::-1]))
        if scans is not None:
            self._add(f"{stem}.points.npz", encode_scans(scans))
        self._add(f"{stem}.json", json.dumps(info).encode())

    def _add(self, name: str, data: bytes) -> None:
        # With a fixed date the same samples give the same bytes.
        try:
            self._zip.writestr(zipfile.ZipInfo(name), data)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> InputError:
        return InputError(f"{self.path}: {error.strerror}; needed room and leave to write it.")


def _png(pixels: IntArray) -> bytes:
    # A higher level saves a tenth more and takes twice as long.
    options = [cv2.IMWRITE_PNG_COMPRESSION, 3, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_DEFAULT]
    return bytes(cv2.imencode(".png", pixels, options)[1])
