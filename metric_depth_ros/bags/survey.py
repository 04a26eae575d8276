"""Gathers what a doctor wants to know of a bag, from samples of its messages."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from metric_depth_ros import messages
from metric_depth_ros.bags import topics as kinds
from metric_depth_ros.bags.storage import Bag, Window, open_bag
from metric_depth_ros.bags.topics import transform_topics
from metric_depth_ros.bags.tree import read_transforms
from metric_depth_ros.errors import InputError
from metric_depth_ros.files import in_words
from metric_depth_ros.health.clocks import Heard
from metric_depth_ros.health.facts import Facts, Qos, Topic
from metric_depth_ros.messages import SENSOR_TYPES, sensor_type

_LOOKED_AT = {*kinds.PICTURES, kinds.CAMERA_INFO, *SENSOR_TYPES.values()}
# Types that say anything about the inputs.
WANTED = frozenset({*_LOOKED_AT, *kinds.TF, "rosgraph_msgs/msg/Clock"})
# A bag is looked at for so long at its start and in its middle, but no more than so many bytes each.
_WINDOW_S = 3.0
_WINDOW_BYTES = 60e6
# Messages of a topic that are counted for their points, and how large all may be.
_COUNTED, _KEPT_BYTES = 5, 1 << 29


def _windows_of(bag: Bag, path: Path) -> list[Window]:
    """Times of recording at a bag's start and in its middle, in ns."""
    files = path.rglob("*") if path.is_dir() else [path]
    size = sum(file.stat().st_size for file in files if file.is_file())
    length = bag.end_time - bag.start_time
    span = round(min(_WINDOW_S * 1e9, length * _WINDOW_BYTES / max(size, 1))) + 1
    if length <= 2 * span:
        return [(bag.start_time, bag.end_time + 1)]
    middle = bag.start_time + length // 2
    return [(bag.start_time, bag.start_time + span), (middle, middle + span)]


def survey(path: Path, tf: str | None = None, tf_static: str | None = None) -> tuple[Facts, list[Window]]:
    """What a bag offers, and the windows that were looked at; ``tf`` as in ``BagReader``.

    Raises:
        InputError: the bag cannot be opened.
    """
    with open_bag(path) as bag:
        windows = _windows_of(bag, path)
        looked = _looked_at(bag, windows)
        offers = _offers(bag)
        seconds = (bag.end_time - bag.start_time) / 1e9
        topics = {
            name: _topic(name, kind, bag.count(name), offers[name], looked[name], seconds)
            for name, kind in sorted(bag.topics.items())
        }
    parents, hint, chosen = dict[str, str](), "", dict[str, bool]()
    try:
        chosen = transform_topics(tf, tf_static, bag.topics)
        read = {topic: {bag.window_of(topic, window) for window in windows} for topic in chosen}
        parents = read_transforms(path, chosen, Counter(), windows=read).parents()
    except InputError as error:
        hint = str(error)
    facts = Facts(topics, parents, tf=tuple(chosen), tf_hint=hint, settled_ns=windows[-1][0])
    return facts, windows


def _looked_at(bag: Bag, windows: list[Window]) -> Mapping[str, list[tuple[int, Any]]]:
    """Time of recording and message, or the error that prevented it, of the topics that may be inputs."""
    found: defaultdict[str, list[tuple[int, Any]]] = defaultdict(list)
    chosen = [c for c in bag.connections if c.msgtype in _LOOKED_AT and c.msgtype == bag.topics.get(c.topic)]
    light = _Light(bag)
    for span in (None, *windows):
        own = [c for c in chosen if span in (bag.window_of(c.topic, window) for window in windows)]
        for connection, recorded_ns, raw in bag.messages(own, span):
            found[connection.topic].append((recorded_ns, light(connection, raw)))
    return found


class _Light:
    """Keeps the first messages of a topic, pictures without their pixels, and the headers of the others."""

    def __init__(self, bag: Bag) -> None:
        self._bag, self._kept, self._left = bag, Counter[str](), _KEPT_BYTES

    def __call__(self, connection: Any, raw: bytes) -> Any:
        try:
            message = self._bag.deserialize(connection, raw)
        except InputError as error:
            return error
        topic = connection.topic
        if self._kept[topic] >= _COUNTED or (self._kept[topic] and len(raw) > self._left):
            return message.header
        if connection.msgtype in kinds.PICTURES:
            message.data = message.data[:0].copy()
        elif len(raw) > self._left:
            return InputError(f"{in_words(len(raw))}, too much to look at beside the other messages")
        else:
            self._left -= len(raw)
        self._kept[topic] += 1
        return message


def _topic(
    name: str, kind: str, count: int, offers: list[Qos], found: list[tuple[int, Any]], seconds: float
) -> Topic:
    rate_hz = (count - 1) / seconds if count > 1 and seconds > 0 else 0.0
    good = [(at, message) for at, message in found if not isinstance(message, InputError)]
    what, details = "", dict[str, Any]()
    if found and not good:
        what = str(found[0][1])
    elif good:
        message = good[0][1]
        details = {"frame_id": messages.frame_id(message), **_details(kind, message)}
        what = details.pop("what")
        if kind not in (*kinds.PICTURES, kinds.CAMERA_INFO):
            points, reach = _measured(kind, [one for _, one in good if hasattr(one, "header")])
            details["points"] = points
            what = ", ".join(filter(None, (f"{points} points", what, reach)))
    stamp_of = messages.stamp_ns if kind == kinds.CAMERA_INFO else messages.time_of_capture_ns
    heard, bad = _times(good, stamp_of)
    return Topic(name, kind, count, rate_hz, heard, bad, what=what, offers=tuple(offers), **details)


def _times(
    found: list[tuple[int, Any]], stamp_of: Callable[[Any], int]
) -> tuple[tuple[Heard, ...], tuple[str, ...]]:
    heard, bad = list[Heard](), list[str]()
    for recorded_ns, message in found:
        try:
            heard.append(Heard(stamp_of(message), recorded_ns))
        except InputError as error:
            bad.append(str(error))
    return tuple(heard), tuple(bad)


def _details(kind: str, message: Any) -> dict[str, Any]:
    """Fields of ``Topic`` from the first message of a topic."""
    if kind == kinds.IMAGE:
        size = message.width, message.height
        return {"size": size, "encoding": message.encoding, "what": f"{size[0]}x{size[1]} {message.encoding}"}
    if kind == kinds.COMPRESSED_IMAGE:
        return {"encoding": message.format, "what": message.format}
    if kind == kinds.CAMERA_INFO:
        return _calibration(message)
    if kind == SENSOR_TYPES["point_cloud2"]:
        return {"what": " ".join(field.name for field in message.fields)}
    return {"what": ""}


def _measured(kind: str, found: list[Any]) -> tuple[int, str]:
    """Median number of points in messages; in words how far away the first's are, or why it is not read."""
    try:
        clouds = [messages.read_cloud(each, sensor_type(kind) or "", None, 0).points for each in found]
    except InputError as error:
        return 0, str(error)
    median = int(np.median([len(points) for points in clouds]))
    if not len(clouds[0]):
        return median, "none measured"
    near, far = np.percentile(np.linalg.norm(clouds[0], axis=1), [2, 98])
    return median, f"{near:.3g} to {far:.3g} m away"


def _calibration(message: Any) -> dict[str, Any]:
    K, P, D = (np.asarray(messages.calibration_field(message, name)) for name in "kpd")
    size = int(message.width), int(message.height)
    distorted = bool(np.any(D))
    only_rectified = not np.any(K) and bool(len(P) and P[0] > 0)
    lens = f"{message.distortion_model or 'no distortion model'}, D {'not ' if distorted else ''}zero"
    focal = (P if only_rectified else K)[:1]
    what = f"{size[0]}x{size[1]}, f {focal.sum():.0f} px, {lens}"
    return {"size": size, "only_rectified": only_rectified, "distorted": distorted, "what": what}


def _offers(bag: Bag) -> Mapping[str, list[Qos]]:
    """QoS of the publishers of each topic."""
    found: defaultdict[str, list[Qos]] = defaultdict(list)
    for connection in bag.connections:
        for profile in getattr(connection.ext, "offered_qos_profiles", ()):
            latched = profile.durability.name == "TRANSIENT_LOCAL"
            found[connection.topic].append(Qos(profile.reliability.name == "RELIABLE", latched))
    return found
