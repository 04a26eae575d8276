"""What will not work with the inputs of a bag or a graph, and why: the true cause first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from metric_depth_ros.config import Config
from metric_depth_ros.health import findings
from metric_depth_ros.health.clocks import apart_s
from metric_depth_ros.health.facts import OURS, Facts, Plan, Qos, Topic, Tried
from metric_depth_ros.share import profile_variable
from metric_depth_ros.transforms import chain_of, why_unconnected
from metric_depth_ros.types import frame_name, same_frame

# A finding about fewer images than this is a note.
_SOME = 0.2
# Stamps that differ by more, compared by when messages came, may be wrong though depth comes.
_OFF_S = 0.2


def will_work(plan: Plan, tried: Sequence[Tried]) -> bool:
    """Whether depth will come with this plan."""
    return not plan.missing and any(not one.error for one in tried)


def diagnose(
    facts: Facts, plan: Plan, tried: Sequence[Tried], config: Config, skipped: Mapping[str, int] | None = None
) -> list[str]:
    """What is wrong, each in one line with the exact fix, in the order of cause; then what may be wrong.

    Args:
        tried: what became of some images with the plan; empty: none could be tried.
        config: settings of the plan.
        skipped: why messages were passed over, and how often.
    """
    causes = [
        *plan.missing,
        *_unheard(facts, plan),
        *plan.causes,
        *_calibration(facts, plan, tried),
        *_unconnected(facts, plan, tried, config),
        *_errors(tried, frequent=True),
    ]
    doubts = [
        *_errors(tried, frequent=False),
        *_useless(plan, tried, skipped or {}),
        *_doubts(facts, plan, tried, config),
        *plan.notes,
    ]
    return _once([*causes, *doubts])


def mismatch(what: str, topic: str, offer: Qos, wanted: Qos) -> str | None:
    """That a subscription gets nothing of a publisher, by the QoS of both; None if they meet."""
    if wanted.reliable and not offer.reliable:
        setting, value = "reliability", "best_effort"
    elif wanted.latched and not offer.latched:
        setting, value = "durability", "volatile"
    else:
        return None
    return (
        f"{what}: {topic} is published {offer}{f' by {offer.node}' if offer.node else ''} and subscribed "
        f"{wanted}, so nothing comes. Set qos_overrides.{topic}.subscription.{setting}: {value}."
    )


@dataclass(frozen=True)
class Ends:
    """Both ends of a topic in a running graph.

    Attributes:
        kinds: types that are published there.
        offers: QoS of its publishers.
        needed, wanted: type and QoS of our subscription.
        elsewhere: other topics of that type.
    """

    kinds: Sequence[str]
    offers: Sequence[Qos]
    needed: str
    wanted: Qos = OURS
    elsewhere: Sequence[str] = ()


def why_silent(what: str, topic: str, ends: Ends, change: str = "") -> str:
    """Why nothing comes of an input, and what to do; ``change`` its topic: "remap NAME" by default."""
    change, others = change or f"remap {what}", ", ".join(ends.elsewhere)
    if not ends.offers:
        fix = f"Start its driver, or {change}{f' to one of {others}' if others else ''}"
        return f"{what}: nothing on {topic}, which nobody publishes. {fix}."
    if ends.needed not in ends.kinds:
        there, found = f": {others}" if others else "", ", ".join(ends.kinds)
        fix = f"{change[0].upper()}{change[1:]} to a topic of that type{there}"
        return f"{what}: {topic} is {found}; needed {ends.needed}. {fix}."
    missed = [mismatch(what, topic, offer, ends.wanted) for offer in ends.offers]
    if all(missed):
        return missed[0] or ""
    return (
        f"{what}: nothing on {topic} ({len(ends.offers)} publishers, {ends.offers[0]}; subscribed "
        f"{ends.wanted}). See whether its driver sends: ros2 topic hz {topic}; if it does, large messages "
        f"get lost: set {profile_variable()} to config/fastdds.xml for it."
    )


def _unheard(facts: Facts, plan: Plan) -> Iterator[str]:
    """Points that are published once, before the node runs."""
    for what, topic in _inputs(facts, plan):
        once = topic.offers and all(offer.latched for offer in topic.offers) and what != "camera_info"
        if facts.live and once and topic.count <= 1:
            yield (
                f"{what}: {topic.name} is latched and was published once, but the node hears only what "
                f"comes while it runs. Set qos_overrides.{topic.name}.subscription: reliability reliable, "
                "durability transient_local."
            )


def _inputs(facts: Facts, plan: Plan) -> Iterator[tuple[str, Topic]]:
    names = [("image", plan.image), ("camera_info", plan.camera_info)]
    names += [("anchors", topic) for topic in plan.sensors]
    return ((what, facts.topics[name]) for what, name in names if name in facts.topics)


def _calibration(facts: Facts, plan: Plan, tried: Sequence[Tried]) -> Iterator[str]:
    """A camera_info that is another camera's, unless each image has its own by stamp."""
    image, info = (facts.topics.get(name) for name in (plan.image, plan.camera_info))
    if image is None or info is None or same_frame(image.frame_id, info.frame_id):
        return
    if any(not one.error for one in tried):
        return
    fitting = [
        name
        for name, topic in facts.topics.items()
        if topic.kind == info.kind and same_frame(topic.frame_id, image.frame_id)
    ]
    yield findings.another_camera(info.name, [info.frame_id], image.frame_id, fitting)


def _unconnected(facts: Facts, plan: Plan, tried: Sequence[Tried], config: Config) -> Iterator[str]:
    """Sensors whose frame tf does not connect with the image's, unless trying has told."""
    image = facts.topics.get(plan.image)
    told = any(not one.error or findings.place(one.error) == "tf" for one in tried)
    if image is None or config.extrinsics.source != "tf" or told:
        return
    for name in plan.sensors:
        topic = facts.topics.get(name)
        if topic is None or not topic.frame_id or same_frame(topic.frame_id, image.frame_id):
            continue
        target, source = frame_name(image.frame_id), frame_name(topic.frame_id)
        if set(chain_of(target, facts.parents)).isdisjoint(chain_of(source, facts.parents)):
            hint = f" {facts.tf_hint}" if facts.tf_hint else ""
            yield f"tf: {why_unconnected(target, source, facts.parents)}{hint}"


def _errors(tried: Sequence[Tried], *, frequent: bool) -> Iterator[str]:
    """Errors of the images tried, the most frequent first: of many images, or of few."""
    errors = Counter(findings.place(one.error) for one in tried if one.error)
    for place, count in errors.most_common():
        first = next(one.error for one in tried if one.error and findings.place(one.error) == place)
        if (count > _SOME * len(tried)) == frequent:
            yield first if frequent else f"{count} of {len(tried)} images: {first}"


def _useless(plan: Plan, tried: Sequence[Tried], skipped: Mapping[str, int]) -> Iterator[str]:
    """Sources that give nothing, or less than they could, while others serve."""
    good = [one.in_view for one in tried if not one.error]
    for name, source in plan.sources.items() if good else ():
        passed = {reason: count for reason, count in skipped.items() if reason.startswith(f"source {name}:")}
        seen = any(in_view.get(name) for in_view in good)
        if passed:
            times = f"passed over {sum(passed.values())} time(s): " if seen else ""
            yield f"{times}{max(passed, key=lambda reason: passed[reason])}"
        elif not seen:
            yield (
                f"source {name}: no point of {source.topic} is in view in {len(good)} images. Leave it out, "
                "or check the transform from its frame to the image's."
            )


def _doubts(facts: Facts, plan: Plan, tried: Sequence[Tried], config: Config) -> Iterator[str]:
    """What may be wrong although depth comes."""
    for one in tried:
        yield from one.doubts
    yield from _rectification(facts, plan, config)
    yield from _off(facts, plan)
    for what, topic in _inputs(facts, plan):
        if what != "image" and 0 < len(topic.bad_stamps) <= len(topic.heard):  # images are tried
            yield (
                f"{what}: {topic.name}: {len(topic.bad_stamps)} of "
                f"{len(topic.bad_stamps) + len(topic.heard)} messages are passed over: {topic.bad_stamps[0]}"
            )


def _rectification(facts: Facts, plan: Plan, config: Config) -> Iterator[str]:
    """How images are taken whose name or calibration leaves it open."""
    image, info = (facts.topics.get(name) for name in (plan.image, plan.camera_info))
    if image is None or config.input.rectification != "auto":
        return
    note = findings.taken_as_rectified("auto", image.name)
    if note is not None:
        yield note
    elif info is not None and info.distorted and "raw" not in image.name.lower():
        yield (
            f"image: {image.name} is taken as raw, as it is not called rect and {info.name} has a distorted "
            "lens. If the images are rectified, set input.rectification: rectified."
        )


def _off(facts: Facts, plan: Plan) -> Iterator[str]:
    """Sensors whose stamps are off the image's by less than a cause would be."""
    if plan.image not in facts.topics or plan.recorded:
        return
    for name in plan.sensors:
        apart = apart_s(facts.heard(plan.image), facts.heard(name)) if name in facts.topics else 0.0
        told = any(cause.startswith(f"anchors: {name}:") for cause in (*plan.causes, *plan.missing))
        if abs(apart) > _OFF_S and not told:
            yield (
                f"anchors: {name}: its stamps are {apart:+.3f} s off the camera's, compared by when messages "
                "came. If a clock is off, and no message late, set it, or the source's time_offset_s: "
                f"{-apart:.3f}."
            )


def _once(found: Sequence[str]) -> list[str]:
    """Findings without those that say again, of the same place, what an earlier one says."""
    kept: dict[str, str] = {}
    for finding in found:
        kept.setdefault(_key(finding), finding)
    return list(kept.values())


def _key(finding: str) -> str:
    return findings.place(finding) if findings.place(finding) in ("tf", "camera_info") else finding
