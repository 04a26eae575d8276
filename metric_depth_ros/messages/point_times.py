"""When each point of a scan was measured: times of points as drivers publish them."""

from __future__ import annotations

import numpy as np

from metric_depth_ros.types import Array, FloatArray

# Names of fields that tell it.
FIELDS = ("time", "t", "timestamp", "offset_time", "time_stamp")
# Seconds of the units that drivers use, the most usual first, by the kind of number.
_UNITS_S = {"f": (1.0, 1e-9, 1e-3, 1e-6), "u": (1e-9, 1e-6), "i": (1e-9, 1e-6)}
# A scan takes so long; a shorter one needs no times, and would leave the unit open.
_SHORTEST_S, _LONGEST_S = 0.002, 1.0
# In an unusual unit it must be a whole one: some points of a part of one, so near in time that the usual unit
# looks like a coarser one, must not be taken for it.
_WHOLE_S, _MANY = 0.02, 1000


def offsets_s(times: Array, stamp_ns: int) -> FloatArray | None:
    """Seconds (N,) float32 from a cloud's stamp to the time of each point; None if they cannot be told.

    Units and origins differ from driver to driver, and are told by range: what lies within a second of the
    stamp is absolute (Hesai and RoboSense ``timestamp``: float64 s; Livox: float64 ns). Everything else is
    relative to the stamp, after it (Ouster ``t``, Livox ``offset_time``: uint32 ns; Velodyne ``time``:
    float32 s) or before it (Velodyne with the stamp of the last packet), in the unit in which the scan takes
    2 ms to 1 s: rather s for floats, ns for integers. Times of a clock other than the stamp's tell nothing.

    Args:
        times: (N,) numbers of any type.
        stamp_ns: of the cloud's header.
    """
    if not len(times) or times.dtype.kind not in _UNITS_S:
        return None
    low, high = float(times.min()), float(times.max())
    if not np.isfinite([low, high]).all():
        return None
    usual, *others = _UNITS_S[times.dtype.kind]
    if times.dtype == np.float64:  # others cannot tell so large numbers apart
        for unit_s in (usual, *others):
            if max(abs(each * unit_s - stamp_ns / 1e9) for each in (low, high)) < _LONGEST_S:
                return np.asarray((times - stamp_ns * (1e-9 / unit_s)) * unit_s, np.float32)
    for unit_s in (usual, *(others if len(times) >= _MANY else ())):
        shortest_s = _SHORTEST_S if unit_s == usual else _WHOLE_S
        if max(abs(low), abs(high)) * unit_s <= _LONGEST_S and (high - low) * unit_s >= shortest_s:
            return np.asarray(np.multiply(times, unit_s, dtype=np.float32))
    return None
