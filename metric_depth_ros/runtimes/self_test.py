"""Self-test of runtimes: their outputs must equal those of ONNX Runtime on the CPU in float32."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from metric_depth_ros.errors import ModelError
from metric_depth_ros.runtimes.fingerprint import Fingerprint
from metric_depth_ros.runtimes.model import Model, Size
from metric_depth_ros.runtimes.plan_cache import PlanCache
from metric_depth_ros.runtimes.watchdog import TIMEOUT_S, load_watched
from metric_depth_ros.types import Array, FloatArray, Runtime

# Largest root-mean-square difference of an output, in standard deviations of the reference: larger than
# rounding errors, smaller than the errors of a wrong kernel (figures in docs/benchmarks/networks.md).
TOLERANCE = {"fp32": 0.01, "fp16": 0.03, "bf16": 0.03}
_BLOCK = 16


class WrongNumbersError(ModelError):
    """Raised if a runtime's outputs differ from the reference."""


Inputs = dict[str, Array]
Outputs = Sequence[Mapping[str, FloatArray]]


def stored_inputs(model: Model) -> list[Inputs]:
    """Fixed sets of test inputs, for the usual size and for extreme sizes.

    Two at the usual size or, if sizes vary, one there and one for each side with that side at its largest
    and the others at their smallest.
    """
    varying = {
        axis: None for size in model.sizes.values() for axis, n in enumerate(size.largest)
        if n != size.smallest[axis]
    }  # fmt: skip
    return [
        {
            name: _pattern(_shape(size, longest), model.dtypes.get(name, "float32"), seed)
            for name, size in model.sizes.items()
        }
        for seed, longest in enumerate([None, *(varying or [None])])
    ]


def _shape(size: Size, longest: int | None) -> tuple[int, ...]:
    if longest is None or not size.varies:
        return size.usual
    return tuple(size.largest[i] if i == longest else n for i, n in enumerate(size.smallest))


def _pattern(shape: tuple[int, ...], dtype: str, seed: int) -> Array:
    """Blocks and noise with mean 0 and variance 1, like a normalised image; uint8 around 128."""
    random = np.random.default_rng(seed)
    coarse = tuple(-(-n // _BLOCK) if n >= 2 * _BLOCK else n for n in shape)
    blocks = random.standard_normal(coarse)
    for axis, n in enumerate(shape):
        if coarse[axis] != n:
            blocks = np.repeat(blocks, _BLOCK, axis)
    blocks = blocks[tuple(slice(n) for n in shape)]
    values = 0.95 * blocks + 0.3 * random.standard_normal(shape)
    if dtype == "uint8":
        return np.clip(128 + 64 * values, 0, 255).astype(np.uint8)
    return values.astype(dtype)


def run_all(runtime: Runtime, inputs: Sequence[Inputs]) -> list[dict[str, FloatArray]]:
    """Outputs for every set of inputs."""
    return [runtime.run(each) for each in inputs]


def compare(found: Outputs, wanted: Outputs, precision: str) -> float:
    """Largest root-mean-square difference of an output, in standard deviations of the wanted output.

    Raises:
        WrongNumbersError: an output is missing, of another shape, not finite where it should be, or
            differs by more than ``TOLERANCE`` of the precision.
    """
    worst = 0.0
    for ours, theirs in zip(found, wanted, strict=True):
        for name, values in theirs.items():
            worst = max(worst, _difference(name, ours.get(name), values))
    if worst > TOLERANCE[precision]:
        raise WrongNumbersError(
            f"self-test: differs from ONNX Runtime by {worst:.3g} standard deviations of its output; "
            f"needed at most {TOLERANCE[precision]:g} in {precision}."
        )
    return worst


def _difference(name: str, found: Array | None, wanted: Array) -> float:
    if found is None:
        raise WrongNumbersError(f"self-test: gives no output {name!r}.")
    if found.shape != wanted.shape:
        raise WrongNumbersError(f"self-test: {name!r} is of shape {found.shape}; needed {wanted.shape}.")
    known = np.isfinite(wanted)
    if not known.any():
        raise WrongNumbersError(
            f"self-test: ONNX Runtime gives no number in {name!r}; nothing to compare with."
        )
    if not np.isfinite(found[known]).all():
        raise WrongNumbersError(
            f"self-test: {name!r} holds NaN or infinity where ONNX Runtime gives numbers."
        )
    a, b = found[known].astype(np.float64), wanted[known].astype(np.float64)
    deviation = b.std() if b.std() > 1e-6 * np.abs(b).max() else np.abs(b).max()
    return float(np.sqrt(np.mean((a - b) ** 2)) / max(deviation, 1e-30))


def reference(
    model: Model, inputs: Sequence[Inputs], portable: Any, cache: PlanCache, *, timeout_s: float = TIMEOUT_S
) -> Outputs:
    """Reference outputs: ONNX Runtime on the CPU in float32; stored, since they may take seconds.

    ``portable`` is the backend of ONNX Runtime.
    """
    shapes = str([{name: each.shape for name, each in one.items()} for one in inputs])
    device, capability = portable.hardware()
    fingerprint = Fingerprint(
        "reference", model.full.identity, portable.name, portable.version(), device, capability, shapes=shapes
    )
    content = cache.load(fingerprint)
    if content is not None and (stored := _unpacked(content, len(inputs))) is not None:
        return stored
    runtime = load_watched(portable, model, "fp32", threads=0, cache=cache, timeout_s=timeout_s)
    outputs = run_all(runtime, inputs)
    model.full.verify_again()  # weights may be read as late as here
    cache.store(fingerprint, _packed(outputs))
    return outputs


def _packed(outputs: Outputs) -> bytes:
    """Outputs as an .npz archive; "1:name" is the output of that name for the second set of inputs."""
    file = io.BytesIO()
    arrays: dict[str, Any] = {
        f"{i}:{k}": array for i, each in enumerate(outputs) for k, array in each.items()
    }
    np.savez(file, **arrays)
    return file.getvalue()


def _unpacked(content: bytes, count: int) -> Outputs | None:
    outputs: list[dict[str, FloatArray]] = [{} for _ in range(count)]
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            for key in stored.files:
                which, _, name = key.partition(":")
                outputs[int(which)][name] = stored[key]
    except (ValueError, IndexError, OSError, zipfile.BadZipFile):
        return None
    return outputs
