"""Faults that change one message of each sample: image, camera_info, regions, cloud, or another sensor's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fault_campaign import Sample, Stream, broken


def setting(part: Callable[[Sample], Any], **values: Any) -> Callable[[Stream], None]:
    """A fault that changes fields of the message."""

    def change(sample: Sample) -> None:
        for name, value in values.items():
            setattr(part(sample), name, value)

    return broken(change)


def stamped(part: Callable[[Sample], Any], seconds: int) -> Callable[[Sample], None]:
    """Change of a sample: the message is stamped later, or earlier, than the image."""

    def change(sample: Sample) -> None:
        part(sample).header.stamp.sec += seconds

    return change
