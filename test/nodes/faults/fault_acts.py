"""Acts that several groups of faults share: a message of each sample is changed, a service is called."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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


def white(sample: Sample) -> None:
    """Change of a sample: the image is white, for which some networks fail."""
    sample.image.data = b"\xff" * len(sample.image.data)


def asked(stream: Stream, kind: Any, service: str, **request: Any) -> Any:
    """Answer of a service of the node, while good samples go on."""
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(stream.peer.call, kind, service, **request)
        while not answer.done():
            stream.send(stream.sample())
        return answer.result()
