"""Chooses the topics of a bag."""

from __future__ import annotations

from collections.abc import Mapping

from metric_depth_ros.errors import InputError, some_of
from metric_depth_ros.messages import last_two_parts, topic_name

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
PICTURES = frozenset((IMAGE, COMPRESSED_IMAGE))
POINT_CLOUD = "sensor_msgs/msg/PointCloud2"
TF = ("tf2_msgs/msg/TFMessage", "tf/msg/tfMessage")

HELD_OUT = "_held_out"

# Words in the topics of images that are no pictures: of depth cameras, of ground truth, of segmenters.
_NO_PICTURES = ("depth", "disparity", "regions")
_VIDEO = ("FFMPEGPacket", "CompressedVideo")


def choose_topic(
    name: str, asked: str | None, kind: str, topics: Mapping[str, str], *, beside: str | None = None
) -> str:
    """Chooses a bag's topic for one input.

    A topic that the user names must exist. Otherwise: ``/name``; else ``beside``; else the only one of its
    type.

    Args:
        name: the input's relative name in the node: image, camera_info or anchors.
        asked: what the user named, or None.
        kind: the message type that is needed.
        topics: the bag's topics, name -> message type.
        beside: topic that is preferred if there are several.

    Raises:
        InputError: no such topic, one of another type, or several to choose from.
    """
    candidates = sorted(topic for topic, found in topics.items() if found == kind)
    if asked is not None:
        return _asked_topic(name, asked, kind, topics, candidates)
    held_out = {f"{topic}{HELD_OUT}" for topic in candidates}
    candidates = [topic for topic in candidates if topic not in held_out]
    if name == "image":
        candidates = [topic for topic in candidates if is_picture(topic)]
    for guess in (f"/{name}", beside):
        if guess in candidates:
            return guess
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        raise InputError(
            f"bag: {len(candidates)} topics could be {name}: {some_of(candidates)}. "
            f"Choose one with {flag(name)}."
        )
    raise InputError(
        f"bag: no topic for {name}; needed {kind}, found {_listed(topics)}."
        f"{_hint(kind, topics) or _others(name, topics)}"
    )


def transform_topics(
    asked: str | None, asked_static: str | None, topics: Mapping[str, str]
) -> dict[str, bool]:
    """Topics of transforms, and whether they are static: those asked for, /tf, or a single robot's NAME/tf.

    Raises:
        InputError: a topic asked for is not there, or several robots have transforms and /tf has none.
    """
    known = {topic for topic, kind in topics.items() if kind in TF}
    if asked is None and asked_static is None:
        spaces = {
            topic.rsplit("/", 1)[0] for topic in known if topic.rsplit("/", 1)[1] in ("tf", "tf_static")
        }
        if len(spaces) > 1 and "" not in spaces:
            raise InputError(
                f"bag: transforms of {len(spaces)} robots: {some_of(sorted(f'{s}/tf' for s in spaces))}; "
                "needed one of them. Choose with --tf."
            )
        space = "" if "" in spaces else next(iter(spaces), "")
        wanted = {f"{space}/tf": False, f"{space}/tf_static": True}
        return {topic: static for topic, static in wanted.items() if topic in known}
    moving = topic_name(asked or "tf")
    static = topic_name(asked_static or f"{moving}_static")
    named = {topic for topic, given in ((moving, asked), (static, asked_static)) if given is not None}
    if not known & {moving, static} or (len(named) == 2 and not named <= known):
        raise InputError(
            f"bag: transforms were to be on {moving} and {static}; "
            f"found {some_of(sorted(known))}. Name one of these with --tf."
        )
    return {topic: topic == static for topic in (moving, static) if topic in known}


def is_picture(topic: str) -> bool:
    """Whether a topic of images is a camera's by its name: not depth, disparity or labels."""
    name = last_two_parts(topic).lower()
    return not any(other in name for other in _NO_PICTURES)


def image_type(transport: str, asked: str | None, topics: Mapping[str, str]) -> str:
    """Message type of the images for ``input.image_transport``.

    auto: that of the topic asked for, else the raw one where a camera has it.
    """
    if transport != "auto":
        return IMAGE if transport == "raw" else COMPRESSED_IMAGE
    if asked is None:
        raw = any(kind == IMAGE and is_picture(topic) for topic, kind in topics.items())
    else:
        raw = topics.get(topic_name(asked)) == IMAGE
    return COMPRESSED_IMAGE if not raw and COMPRESSED_IMAGE in topics.values() else IMAGE


def _asked_topic(name: str, asked: str, kind: str, topics: Mapping[str, str], candidates: list[str]) -> str:
    topic = topic_name(asked)
    # The base topic of compressed images may be named, as with image_transport.
    for meant in (topic, f"{topic}/compressed" if kind == COMPRESSED_IMAGE else topic):
        if meant in candidates:
            return meant
    if name == "image":
        candidates = [*filter(is_picture, candidates)] or candidates
    there = some_of(candidates) if candidates else "none there"
    found = f"it is {topics[topic]}" if topic in topics else "it is not in the bag"
    raise InputError(
        f"bag: {name} was to be {topic}, but {found}; needed {kind}: {there}.{_hint(kind, topics)}"
    )


def _others(name: str, topics: Mapping[str, str]) -> str:
    """What could serve as an input, but is never chosen unasked."""
    if name == "image":
        return " Depth and labels are no camera's; choose one with --image."
    depth = sorted(
        t for t, kind in topics.items() if kind in PICTURES and "depth" in last_two_parts(t).lower()
    )
    if name != "anchors" or not depth:
        return ""
    return f" Depth images can be anchors, if they are not the truth: --anchors {' or '.join(depth[:10])}."


def flag(name: str) -> str:
    """Option of the command line that names an input's topic."""
    return "--" + name.replace("_", "-")


def _listed(topics: Mapping[str, str]) -> str:
    return some_of([f"{topic} ({kind})" for topic, kind in sorted(topics.items())])


def _hint(kind: str, topics: Mapping[str, str]) -> str:
    """Advice for the user about what the bag has instead."""
    found = set(topics.values())
    if kind == CAMERA_INFO:
        return " Give the calibration with --calibration FILE."
    if kind == IMAGE and COMPRESSED_IMAGE in found:
        return " Set input.image_transport: compressed."
    if kind == COMPRESSED_IMAGE and IMAGE in found:
        return " Set input.image_transport: raw."
    if kind in (IMAGE, COMPRESSED_IMAGE) and any(name.endswith(_VIDEO) for name in found):
        return " The bag holds video: decode it into images first (image_transport republish)."
    return ""
