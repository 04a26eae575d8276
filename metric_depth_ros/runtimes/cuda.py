"""CUDA driver through ctypes: detects a GPU and makes the few calls that a runtime needs.

Names and signatures are those of NVIDIA's CUDA driver API, which every driver since CUDA 11.4 has; no
CUDA toolkit is needed. docs/runtimes.md says why not cuda-python. *Not verified on a GPU.*
"""

from __future__ import annotations

import ctypes
from ctypes import byref, c_char_p, c_int, c_size_t, c_uint, c_ulonglong, c_void_p
from functools import cache
from pathlib import Path
from typing import Any

from metric_depth_ros.errors import ModelError

LIBRARY = "libcuda.so.1"
_RELEASE = Path("/sys/module/nvidia/version")
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*
_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING
_THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL


@cache
def missing() -> str:
    """Why no GPU can be used; empty if one can.

    Without a GPU TensorRT ends the process instead of raising, so call this first.
    """
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError:
        return f"no NVIDIA driver ({LIBRARY} is not there)"
    if (code := library.cuInit(0)) != 0:
        return f"the NVIDIA driver does not start (cuInit gave {code}). Look at nvidia-smi"
    count = c_int(0)
    if library.cuDeviceGetCount(byref(count)) != 0 or count.value < 1:
        return "the NVIDIA driver sees no GPU. Look at nvidia-smi and CUDA_VISIBLE_DEVICES"
    return ""


@cache
def device() -> tuple[str, str]:
    """Name with the driver version, and compute capability ("8.7"), of the first GPU.

    Raises ModelError when there is none.
    """
    driver = Driver()
    return f"{driver.name()}, driver {driver.version()}", driver.capability()


class Driver:
    """First GPU: pinned and device memory, streams, graphs.

    If a driver call fails, ModelError is raised with the driver's message. Threads other than the one that
    made the object call ``use`` first.
    """

    def __init__(self) -> None:
        """Raises ModelError when there is no GPU."""
        if reason := missing():
            raise ModelError(f"CUDA: {reason}.")
        self._cuda = ctypes.CDLL(LIBRARY)
        self._device, self._context = c_int(0), c_void_p()
        self._call("cuDeviceGet", byref(self._device), c_int(0))
        # The primary context: the one TensorRT's own CUDA calls use.
        self._call("cuDevicePrimaryCtxRetain", byref(self._context), self._device)
        self.use()

    def _call(self, name: str, *arguments: Any) -> None:
        if (code := getattr(self._cuda, name)(*arguments)) != 0:
            text = c_char_p()
            self._cuda.cuGetErrorString(c_int(code), byref(text))
            words = (text.value or b"unknown error").decode(errors="replace")
            raise ModelError(f"CUDA: {name}: {words} ({code}).")

    def name(self) -> str:
        """GPU name."""
        text = ctypes.create_string_buffer(256)
        self._call("cuDeviceGetName", text, c_int(256), self._device)
        return text.value.decode(errors="replace")

    def version(self) -> str:
        """Driver version: the newest CUDA it supports and, on Linux, its release."""
        newest = c_int(0)
        self._call("cuDriverGetVersion", byref(newest))
        try:
            release = _RELEASE.read_text(encoding="utf-8").strip()
        except OSError:
            return str(newest.value)
        return f"{newest.value} {release}"

    def capability(self) -> str:
        """GPU compute capability, as "8.7"."""
        parts = []
        for attribute in (_CAPABILITY_MAJOR, _CAPABILITY_MINOR):
            value = c_int(0)
            self._call("cuDeviceGetAttribute", byref(value), c_int(attribute), self._device)
            parts.append(str(value.value))
        return ".".join(parts)

    def use(self) -> None:
        """Makes the GPU's context current in this thread."""
        self._call("cuCtxSetCurrent", self._context)

    def pinned(self, size: int) -> int:
        """Allocates page-locked host memory of ``size`` bytes; returns its address."""
        address = c_void_p()
        self._call("cuMemAllocHost_v2", byref(address), c_size_t(size))
        return int(address.value or 0)

    def free_pinned(self, address: int) -> None:
        """Frees page-locked memory."""
        self._call("cuMemFreeHost", c_void_p(address))

    def memory(self, size: int) -> int:
        """Allocates GPU memory of ``size`` bytes; returns its address."""
        address = c_ulonglong(0)
        self._call("cuMemAlloc_v2", byref(address), c_size_t(size))
        return int(address.value)

    def free_memory(self, address: int) -> None:
        """Frees GPU memory."""
        self._call("cuMemFree_v2", c_ulonglong(address))

    def stream(self) -> int:
        """Creates a stream that does not wait for the default stream."""
        stream = c_void_p()
        self._call("cuStreamCreate", byref(stream), c_uint(_NON_BLOCKING))
        return int(stream.value or 0)

    def free_stream(self, stream: int) -> None:
        """Destroys a stream."""
        self._call("cuStreamDestroy_v2", c_void_p(stream))

    def upload(self, device: int, host: int, size: int, stream: int) -> None:
        """Queues a copy to the GPU."""
        copy = "cuMemcpyHtoDAsync_v2"
        self._call(copy, c_ulonglong(device), c_void_p(host), c_size_t(size), c_void_p(stream))

    def download(self, host: int, device: int, size: int, stream: int) -> None:
        """Queues a copy from the GPU."""
        copy = "cuMemcpyDtoHAsync_v2"
        self._call(copy, c_void_p(host), c_ulonglong(device), c_size_t(size), c_void_p(stream))

    def wait(self, stream: int) -> None:
        """Waits until all queued work is done."""
        self._call("cuStreamSynchronize", c_void_p(stream))

    def begin_graph(self, stream: int) -> None:
        """Starts recording: work queued from now on is recorded, not run."""
        self._call("cuStreamBeginCapture_v2", c_void_p(stream), c_int(_THREAD_LOCAL))

    def end_graph(self, stream: int) -> int:
        """Ends recording; returns the recorded graph, ready to launch."""
        graph, ready = c_void_p(), c_void_p()
        self._call("cuStreamEndCapture", c_void_p(stream), byref(graph))
        self._call("cuGraphInstantiateWithFlags", byref(ready), graph, c_ulonglong(0))
        self._call("cuGraphDestroy", graph)
        return int(ready.value or 0)

    def launch(self, graph: int, stream: int) -> None:
        """Queues a run of a recorded graph."""
        self._call("cuGraphLaunch", c_void_p(graph), c_void_p(stream))

    def free_graph(self, graph: int) -> None:
        """Destroys a graph."""
        self._call("cuGraphExecDestroy", c_void_p(graph))
