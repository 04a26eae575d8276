"""Guesses which topics are image, camera_info and anchors, and what measures the anchors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from metric_depth_ros.bags import topics as kinds
from metric_depth_ros.bags.sources import choose_anchors
from metric_depth_ros.bags.topics import HELD_OUT, choose_topic, flag, image_type, is_picture
from metric_depth_ros.config import MODELS, Config, SourceConfig, updated
from metric_depth_ros.errors import InputError, some_of
from metric_depth_ros.health.clocks import Reason, limits_of, why_apart
from metric_depth_ros.health.doctor import Ends, why_silent
from metric_depth_ros.health.facts import Facts, Plan, Topic
from metric_depth_ros.messages import (
    NEED_CAMERA,
    SENSOR_TYPES,
    camera_info_beside,
    depth_encoding,
    sensor_type,
    topic_name,
    words_of,
)
from metric_depth_ros.sync import Source
from metric_depth_ros.transforms import FIXED_FRAMES, chain_of, is_named_fixed
from metric_depth_ros.types import SENSOR_MESSAGES, same_frame

# How words of topics begin by what measures; a LiDAR's beat those of what is made of its points.
_WORDS = {
    "lidar": "lidar velodyne ouster livox rslidar hesai pandar robosense laser scan multiscan os0 os1",
    "radar": "radar ars408 mmwave conti smartmicro",
    "vio": "vio vins feature landmark slam sfm sparse msckf tracked keyframe mappoints",
    "depth_camera": "depth stereo zed realsense tof kinect oak",
}
# Fewer points than these, of no known sensor, are tracked ones.
_FEW_POINTS = 300
# Words of pictures that only tests have.
_TRUTH = ("truth", "gt", "ground")
# Models with so few points in an image that those of earlier ones are needed.
_NEED_FIXED = ("range_finder", "radar")


def guess(facts: Facts, config: Config, asked: Mapping[str, str], *, calibration: bool = False) -> Plan:
    """Topics and settings with which depth should come.

    Args:
        config: settings that the user gives; sources in it are taken as they are.
        asked: topics that the user names: image, camera_info, anchors.
        calibration: the user gives a file in place of camera_info.
    """
    plan = Plan(sources=config.sources, anchors=asked.get("anchors", ""))
    if not plan.sources:
        plan = _with_anchors(plan, facts, config)
    plan = _with_image(plan, facts, config, asked.get("image"))
    if not calibration:
        plan = _with_camera_info(plan, facts, asked.get("camera_info"))
    return _with_times(_with_settings(plan, facts, config), facts, config)


# ---- anchors ---------------------------------------------------------------------------------


def _with_anchors(plan: Plan, facts: Facts, config: Config) -> Plan:
    if plan.anchors:
        try:
            found = choose_anchors(plan.anchors, facts.kinds, needed=True)
        except InputError as error:
            missing = _silent("anchors", facts, plan.anchors, kinds.POINT_CLOUD) or str(error)
            return replace(plan, anchors="", missing=[*plan.missing, missing])
        return replace(plan, anchors=found[0] if found else "")
    sensors = _sensors(facts)
    if not sensors:
        if not config.anchors.min_count:
            return plan
        needed = ", ".join(kind.rsplit("/", 1)[1] for kind in SENSOR_TYPES.values())
        missing = (
            f"anchors: no topic of a sensor among {len(facts.topics)}; needed one of {needed}. Record or "
            "publish one, or set solver.prior: scale_cnn for depth without."
        )
        missing = _silent("anchors", facts, None, kinds.POINT_CLOUD) or missing
        return replace(plan, missing=[*plan.missing, missing])
    (name, model), *others = sensors.items()
    if not others and model == "lidar":
        return replace(plan, anchors=name)
    return replace(plan, sources=_named(facts, sensors))


def _sensors(facts: Facts) -> dict[str, str]:
    """Model of each topic that may give anchors; of several that measure alike, from one place, the best."""
    found = {
        name: _model(topic) for name, topic in facts.topics.items() if topic.count and _measures(topic, facts)
    }
    best: dict[tuple[str, str], Topic] = {}
    for name, model in found.items():
        topic = facts.topics[name]
        place = model, topic.frame_id if model in ("lidar", "depth_camera") else name
        if place not in best or _worth(best[place]) < _worth(topic):
            best[place] = topic
    order = [*MODELS]
    kept = sorted((topic.name for topic in best.values()), key=lambda name: (order.index(found[name]), name))
    return {name: found[name] for name in kept}


def _worth(topic: Topic) -> float:
    """Points a second, or as good as."""
    return topic.points * max(topic.rate_hz, 0.1)


def _measures(topic: Topic, facts: Facts) -> bool:
    """Whether a topic is a sensor's: no picture, nothing that is made of depth or kept to measure with."""
    kind = sensor_type(topic.kind)
    if kind is None or topic.name.endswith(HELD_OUT) or _is_ours(topic.name, facts):
        return False
    if kind not in NEED_CAMERA:
        return True
    if kind == "compressed_depth" and not topic.name.endswith("/compressedDepth"):
        return False
    is_depth = kind == "compressed_depth" or depth_encoding(topic.encoding) is not None
    beside = facts.topics.get(camera_info_beside(topic.name))
    truth = any(word in words_of(topic.name) for word in _TRUTH)
    return is_depth and not is_picture(topic.name) and beside is not None and not truth


def _is_ours(name: str, facts: Facts) -> bool:
    """Whether a topic is what this node publishes: depth/image_rect and depth/points side by side."""
    base, _, last = name.rpartition("/")
    ours = f"{base}/image_rect" in facts.topics and f"{base}/points" in facts.topics
    return last in ("image_rect", "points", "sigma") and base.endswith("/depth") and ours


def _model(topic: Topic) -> str:
    """What measures on a topic; empty if its messages are no sensor's."""
    kind = sensor_type(topic.kind)
    if kind not in ("point_cloud2", "point_cloud"):
        return SENSOR_MESSAGES[kind].model if kind else ""
    said = words_of(topic.name.lower())  # LiDAR, MapPoints
    for model, words in _WORDS.items():
        if any(each.startswith(tuple(words.split())) for each in said):
            return model
    if {"doppler", "rcs", "velocity"} & set(topic.what.lower().split()):
        return "radar"
    return "vio" if 0 < topic.points < _FEW_POINTS else "lidar"


def _named(facts: Facts, sensors: Mapping[str, str]) -> dict[str, SourceConfig]:
    named: dict[str, SourceConfig] = {}
    for topic, model in sensors.items():
        name, number = model, 2
        while name in named:
            name, number = f"{model}_{number}", number + 1
        usual = SENSOR_MESSAGES[sensor_type(facts.topics[topic].kind) or ""].model
        named[name] = SourceConfig(topic=topic, model="auto" if model == usual else model)
    return named


# ---- image and calibration -------------------------------------------------------------------


def _with_image(plan: Plan, facts: Facts, config: Config, asked: str | None) -> Plan:
    taken = set(plan.sensors) if asked is None else set()
    pictures = {
        name: topic.kind
        for name, topic in facts.topics.items()
        if topic.count and name not in taken and not (asked is None and _is_no_picture(topic, facts))
    }
    pictures = pictures or {name: kind for name, kind in facts.kinds.items() if name not in taken}
    kind = image_type(config.input.image_transport, asked, pictures)
    try:
        return replace(plan, image=choose_topic("image", asked, kind, pictures))
    except InputError as error:
        same = [name for name, found in pictures.items() if found == kind and is_picture(name)]
        if asked is not None or not same:
            missing = _silent("image", facts, asked, kind) or str(error)
            return replace(plan, missing=[*plan.missing, missing])
    best = min(same, key=lambda name: _rank(name, facts))
    return replace(plan, image=best, notes=[*plan.notes, _of_several("image", best, same)])


def _is_no_picture(topic: Topic, facts: Facts) -> bool:
    return depth_encoding(topic.encoding) not in (None, "mono16") or _is_ours(topic.name, facts)


def _rank(name: str, facts: Facts) -> tuple[Any, ...]:
    """The less, the rather it is the image: with a calibration beside it, in colour, the first by name."""
    words = words_of(name)
    colour = any(word in words for word in ("color", "rgb", "colour"))
    grey = any(word.startswith(("infra", "ir", "mono", "thermal", "gray", "grey")) for word in words)
    return camera_info_beside(name) not in facts.topics, grey, not colour, -facts.topics[name].count, name


def _of_several(what: str, best: str, names: list[str]) -> str:
    others = some_of(sorted(set(names) - {best}))
    return f"{what}: {best} is taken; {others} could be it too. Choose with {flag(what)}."


def _with_camera_info(plan: Plan, facts: Facts, asked: str | None) -> Plan:
    beside = camera_info_beside(plan.image)
    try:
        chosen = choose_topic("camera_info", asked, kinds.CAMERA_INFO, facts.kinds, beside=beside)
    except InputError as error:
        names = [name for name, kind in facts.kinds.items() if kind == kinds.CAMERA_INFO]
        if asked is not None or not names or not plan.image:
            missing = _silent("camera_info", facts, asked, kinds.CAMERA_INFO) or str(error)
            return replace(plan, missing=[*plan.missing, missing])
        best = min(names, key=lambda name: (not _fits(plan, facts, name), name))
        note = _of_several("camera_info", best, names)
        return replace(plan, camera_info=best, notes=[*plan.notes, note])
    return replace(plan, camera_info=chosen)


def _silent(what: str, facts: Facts, asked: str | None, kind: str) -> str | None:
    """Why nothing comes on the topic that was asked for, or else the first of its type; None without one."""
    for name, topic in facts.topics.items():
        if not topic.count and (topic.kind == kind if asked is None else name == topic_name(asked)):
            return why_silent(what, name, Ends([topic.kind], topic.offers, kind))
    return None


def _fits(plan: Plan, facts: Facts, name: str) -> bool:
    image, info = facts.topics[plan.image], facts.topics[name]
    return same_frame(image.frame_id, info.frame_id) and image.size in ((0, 0), info.size)


# ---- settings --------------------------------------------------------------------------------


def _with_settings(plan: Plan, facts: Facts, config: Config) -> Plan:
    settings, causes, notes = dict(plan.settings), [*plan.causes], [*plan.notes]
    info = facts.topics.get(plan.camera_info)
    if info is not None and info.only_rectified and config.input.rectification != "rectified":
        settings["input.rectification"] = "rectified"
        causes.append(
            f"camera_info: {plan.camera_info}: K is zero and P is not: it is that of rectified images. "
            "Set input.rectification: rectified."
        )
    models = {_model(facts.topics[name]) for name in plan.sensors if name in facts.topics}
    frame = facts.topics[plan.image].frame_id if plan.image in facts.topics else ""
    if plan.sources is not config.sources and models & set(_NEED_FIXED) and not config.sync.names_frame:
        if not any(map(is_named_fixed, chain_of(frame, facts.parents)[1:])):
            notes.append(
                "anchors: a range or radar has few points in each image, and tf has none of "
                f"{', '.join(FIXED_FRAMES)} above the camera. Publish odometry in tf."
            )
        elif not config.sync.moves:
            settings["sync.fixed_frame"] = "auto"
    if models == {"range_finder"} and len(plan.sources) < config.anchors.min_count:
        settings["anchors.min_count"] = 1
    return replace(plan, settings=settings, causes=causes, notes=notes)


def _with_times(plan: Plan, facts: Facts, config: Config) -> Plan:
    """Finds clocks that differ, missing stamps, and limits of age and lead that are too small; mends them."""
    used = [facts.topics[name] for name in (plan.image, *plan.sensors) if name in facts.topics]
    unset = [topic for topic in used if len(topic.bad_stamps) > len(topic.heard)]
    reasons = dict[str, Reason]()
    if plan.image in facts.topics and not unset:
        told = updated(config, settings_of(plan))
        names = [*plan.sources] or ["anchors"] * bool(plan.anchors)
        for name, topic in zip(names, plan.sensors, strict=True):
            if topic in facts.topics and (found := _apart(name, topic, plan.image, facts, told)):
                reasons[topic] = found
    stamps = [f"stamp: {topic.name}: {topic.bad_stamps[0].removeprefix('stamp: ')}" for topic in unset]
    clocks = [f"anchors: {topic}: {reason.words}" for topic, reason in reasons.items() if reason.clocks]
    limits = {topic: reason for topic, reason in reasons.items() if not reason.clocks}
    causes = [*plan.causes, *(f"anchors: {topic}: {reason.words}" for topic, reason in limits.items())]
    settings = {**plan.settings, **{r.setting: r.value for r in limits.values() if r.setting}}
    if facts.live:  # nothing that the command says can replace these
        return replace(plan, settings=settings, causes=causes, missing=[*plan.missing, *stamps, *clocks])
    recorded = bool(stamps or clocks)
    return replace(plan, settings=settings, causes=[*stamps, *clocks, *causes], recorded=recorded)


def _apart(name: str, topic: str, image: str, facts: Facts, config: Config) -> Reason | None:
    """Why a sensor's messages do not go with the images; None too for a topic that is no sensor's."""
    kind = sensor_type(facts.topics[topic].kind)
    if kind is None:
        return None
    source = Source(name, kind, config)
    clouds = [replace(each, stamp_ns=each.stamp_ns + source.offset_ns) for each in facts.heard(topic)]
    return why_apart(facts.heard(image), clouds, limits_of(source, live=facts.live))


def settings_of(plan: Plan) -> dict[str, Any]:
    """Settings of a plan, those of its sources among them, by their names."""
    named = {
        f"sources.{name}.{key}": value
        for name, source in plan.sources.items()
        for key, value in source.given().items()
    }
    sources = {"anchors.sources": [*plan.sources]} if plan.sources else {}
    return {**sources, **named, **plan.settings}
