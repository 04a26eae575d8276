"""Reads the transforms of a bag."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from itertools import chain
from pathlib import Path

from metric_depth_ros import messages
from metric_depth_ros.bags.storage import Window, readable_messages
from metric_depth_ros.errors import InputError
from metric_depth_ros.transforms import TransformTree


def read_transforms(
    path: Path,
    topics: Mapping[str, bool],
    skipped: Counter[str],
    *,
    recorded: bool = False,
    windows: Mapping[str, Collection[Window | None]] | None = None,
) -> TransformTree:
    """All transforms of some topics; those that cannot be used are counted in ``skipped``.

    Args:
        topics: whether each is static, as ``transform_topics`` tells.
        recorded: their times are those of recording, not their stamps.
        windows: times of recording that are read of each moving one; None: all.

    Raises:
        InputError: the bag is damaged.
    """
    tree = TransformTree()
    for topic, static in topics.items():
        spans = [None] if static or windows is None else windows[topic]
        for recorded_ns, message in chain.from_iterable(readable_messages(path, topic, s) for s in spans):
            if isinstance(message, InputError):
                skipped[str(message)] += 1
                continue
            for stamped in message.transforms:
                try:
                    parent, child, T, stamp_ns = messages.read_transform(stamped)
                except InputError as error:
                    skipped[str(error)] += 1
                    continue
                tree.add(parent, child, T, recorded_ns if recorded else stamp_ns, static=static)
    return tree
