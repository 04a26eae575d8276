"""Finds the topics of a bag that anchors come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from metric_depth_ros.bags import topics as kinds
from metric_depth_ros.bags.topics import choose_topic
from metric_depth_ros.config import SourceConfig
from metric_depth_ros.errors import InputError, some_of
from metric_depth_ros.messages import sensor_type, topic_name, wrong_type
from metric_depth_ros.types import SENSOR_MESSAGES

# What is taken for anchors if the bag has no PointCloud2. A depth image must be named: it may be the truth.
_OTHERS = {m.ros_type for m in SENSOR_MESSAGES.values() if not m.is_picture} - {kinds.POINT_CLOUD}


def choose_anchors(asked: str | None, topics: Mapping[str, str], *, needed: bool) -> tuple[str, str] | None:
    """Topic of the anchors and its type of source; None if the bag has none and none is needed.

    It is the topic that the user names, of any type of source; else /anchors; else the only PointCloud2, as
    in ``choose_topic``; else the only one of the types without pictures.

    Raises:
        InputError: no such topic, or several to choose from.
    """
    named = topic_name("anchors" if asked is None else asked)
    if (kind := sensor_type(topics.get(named, ""))) is not None:
        return named, kind
    others = sorted(topic for topic, found in topics.items() if found in _OTHERS)
    if asked is None and others and kinds.POINT_CLOUD not in topics.values():
        if len(others) == 1:
            return others[0], sensor_type(topics[others[0]]) or ""
        if needed:
            raise InputError(
                f"bag: {len(others)} topics could be anchors: {some_of(others)}. Choose one with "
                "--anchors, or name several in anchors.sources."
            )
        return None
    if needed or asked is not None or kinds.POINT_CLOUD in topics.values():
        return choose_topic("anchors", asked, kinds.POINT_CLOUD, topics), "point_cloud2"
    return None


def find_sources(
    sources: Mapping[str, SourceConfig], topics: Mapping[str, str], skipped: Counter[str]
) -> dict[str, tuple[str, str]]:
    """Topic and type of every source, by name.

    Those that the bag lacks, or has of another type, are counted in ``skipped``.

    Raises:
        InputError: none is left.
    """
    found = {}
    for name, source in sources.items():
        topic = topic_name(source.topic)
        if topic not in topics:
            skipped[f"source {name}: {topic} is not in the bag; it has {some_of(sorted(topics))}."] += 1
            continue
        kind = sensor_type(topics[topic])
        if kind is None or source.type not in ("auto", kind):
            skipped[wrong_type(name, source.type, topic, topics[topic])] += 1
            continue
        found[name] = topic, kind
    if not found:
        raise InputError(f"bag: {'; '.join(skipped)} Set their topics to those of the bag.")
    return found


def without_sources(topics: Mapping[str, str], sources: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """Topics that no source has, from which the camera's is chosen.

    Raises:
        InputError: the bag has no images but those of sources.
    """
    measured = {topic: name for name, (topic, _) in sources.items()}
    left = {topic: kind for topic, kind in topics.items() if topic not in measured}
    images = [topic for topic in measured if topics[topic] in kinds.PICTURES]
    if images and not kinds.PICTURES & {*left.values()}:
        topic = images[0]
        raise InputError(
            f"bag: {topic} has the only images, and {measured[topic]} uses them for anchors; needed those "
            "of the camera, too. Name a topic of depth for the anchors, or the camera's with --image."
        )
    return left
