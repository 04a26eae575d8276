"""What `metric_depth doctor` prints: topics, clocks and frames, findings, and the command to run."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import yaml

from metric_depth_ros.config import changed
from metric_depth_ros.config.parameter_file import load
from metric_depth_ros.errors import InputError, some_of
from metric_depth_ros.health.clocks import apart_s
from metric_depth_ros.health.facts import OURS, Facts, Plan, Topic, Tried
from metric_depth_ros.transforms import chain_of

# Topics that are listed, beside those used.
_LISTED = 100


def listed(facts: Facts, plan: Plan) -> Iterator[str]:
    """Topics by type, clocks, frames."""
    used = {plan.image: "image", plan.camera_info: "camera_info", **dict.fromkeys(plan.sensors, "anchors")}
    inputs = (t for t in facts.topics.values() if t.count or t.kind.startswith("sensor_msgs"))
    by_kind = sorted(inputs, key=lambda topic: (topic.kind, topic.name))
    kind = ""
    for topic in [t for number, t in enumerate(by_kind) if number < _LISTED or t.name in used]:
        if topic.kind != kind:
            kind = topic.kind
            yield kind
        parts = [f"{topic.name:32}", _rate(topic)]
        parts += [f"frame {topic.frame_id}"] if topic.frame_id else []
        parts += [topic.what] if topic.what else []
        parts += sorted({f"QoS {offer}" for offer in topic.offers})
        yield f"  {', '.join(parts)}{f'  <- {used[topic.name]}' if topic.name in used else ''}"
    if len(by_kind) > _LISTED:
        yield f"{len(by_kind)} topics, of which the first {_LISTED} and those used are listed"
    if any(topic.offers for topic in by_kind):
        yield f"QoS of the node: {OURS}, volatile, which hears all of these"
    yield from _clocks(facts, plan)
    yield from _frames(facts, plan)


def _rate(topic: Topic) -> str:
    """Of a latched topic the number alone: late subscribers get all at once."""
    steady = topic.rate_hz and not any(offer.latched for offer in topic.offers)
    return f"{topic.rate_hz:.3g} Hz" if steady else f"{topic.count} message(s)"


def _clocks(facts: Facts, plan: Plan) -> Iterator[str]:
    yield "clocks"
    images = facts.topics[plan.image].heard if plan.image in facts.topics else ()
    for name in (plan.image, plan.camera_info, *plan.sensors):
        topic = facts.topics.get(name)
        if topic is None:
            continue
        if not topic.heard:
            yield f"  {name}: no stamps"
            continue
        first = topic.heard[0]
        kind = _kind_of_clock(first.stamp_ns / 1e9, first.came_ns / 1e9, facts)
        # Of another clock than that of the arrival the difference says nothing.
        late = "" if kind else f", {(first.came_ns - first.stamp_ns) / 1e9:+.3f} s before it came"
        apart = f", {apart_s(images, topic.heard):+.3f} s from the image's" if images else ""
        yield f"  {name}: {first.stamp_ns / 1e9:.3f} s{kind}{late}{apart}"


def _kind_of_clock(stamp_s: float, came_s: float, facts: Facts) -> str:
    """What a stamp is counted from, in words."""
    if stamp_s > 1e8 or came_s < 1e8:
        return ""
    return " (simulated time)" if "/clock" in facts.topics else " (since the sensor's start, not 1970)"


def _frames(facts: Facts, plan: Plan) -> Iterator[str]:
    parents = facts.parents
    roots = sorted({*parents.values()} - {*parents})
    yield f"tf: {len({*parents, *parents.values()})} frames, roots {some_of(roots)}"
    for name in (plan.image, *plan.sensors):
        topic = facts.topics.get(name)
        if topic is None or not topic.frame_id:
            continue
        yield f"  {name}: {' < '.join(chain_of(topic.frame_id, parents))}"


def told(found: Sequence[str], tried: Sequence[Tried], works: bool) -> Iterator[str]:
    """Findings, and what became of the images that were tried."""
    yield ""
    yield from (f"{number}. {finding}" for number, finding in enumerate(found, 1))
    good = [one.anchors for one in tried if not one.error]
    if good:
        each = (
            f"{name} {np.median([one.get(name, 0) for one in good]):.0f}"
            for name in sorted({name for one in good for name in one})
        )
        yield f"{len(good)} of {len(tried)} images tried have all they need; anchors: {', '.join(each)}"
    elif tried:
        yield f"none of {len(tried)} images tried has all it needs"
    yield "depth will come" if works else "no depth will come"


def prescribed(
    args: argparse.Namespace, facts: Facts, plan: Plan, settings: Mapping[str, Any], works: bool
) -> Iterator[str]:
    """The command to run and the parameter file, which is written if the command line says so.

    Facts without topics are those of a folder of frames.
    """
    text = _yaml(settings, plan)
    if args.yaml is not None:
        try:
            args.yaml.write_text(text)
        except OSError as error:
            raise InputError(f"{args.yaml}: {error.strerror}; needed a file to write to.") from error
    command = _node_command if facts.live else _run_command
    words = command(args, facts, plan, settings)
    yield from ("", "run it with:" if works else "once that is mended:", f"  {shlex.join(words)}", "", text)


def _run_command(
    args: argparse.Namespace, facts: Facts, plan: Plan, settings: Mapping[str, Any]
) -> list[str]:
    """`metric_depth run` of the bag or folder."""
    topics = _topic_flags(args, plan) if facts.topics else []
    return ["metric_depth", "run", str(args.source), *topics, *_setting_flags(args, settings)]


def _topic_flags(args: argparse.Namespace, plan: Plan) -> list[str]:
    """How `metric_depth run` reads the bag, as options of the command line."""
    words = ["--image", plan.image or "TOPIC"]
    if args.calibration is not None:
        words += ["--calibration", str(args.calibration)]
    else:
        words += ["--camera-info", plan.camera_info or "TOPIC"]
    if not plan.sources:
        words += ["--anchors", plan.anchors or "TOPIC"] if plan.anchors else []
    named = {"--regions": args.regions, "--held-out": args.held_out, "--tf": args.tf}
    words += [word for flag, topic in named.items() if topic for word in (flag, topic)]
    words += [word for text in args.remap for word in ("--remap", text)]
    return words + (["--stamps", "recorded"] if args.stamps == "recorded" else [])


def _setting_flags(args: argparse.Namespace, settings: Mapping[str, Any]) -> list[str]:
    """Settings as options of the command line, or the file that has them and those that are not as there."""
    if args.yaml is not None:
        return ["--config", str(args.yaml)]
    there = changed(load(args.config)) if args.config else {}
    words = ["--config", str(args.config)] if there else []
    if not there.keys() <= settings.keys():  # some are the defaults again
        there, words = {}, []
    return words + [
        word
        for name, value in settings.items()
        if there.get(name) != value
        for word in ("--set", f"{name}={_text(value)}")
    ]


def _node_command(
    args: argparse.Namespace, facts: Facts, plan: Plan, settings: Mapping[str, Any]
) -> list[str]:
    """`metric_depth_node` on the graph."""
    moved = {"/tf_static" if topic.endswith("_static") else "/tf": topic for topic in facts.tf}
    topics = {
        "image": plan.image.removesuffix("/compressed"),
        "camera_info": plan.camera_info,
        "anchors": "" if plan.sources else plan.anchors,
        "regions": args.regions,
        **{name: topic for name, topic in moved.items() if name != topic},
    }
    words = ["metric_depth_node", "--ros-args"]
    words += [word for name, topic in topics.items() if topic for word in ("-r", f"{name}:={topic}")]
    if args.yaml is not None:
        words += ["--params-file", str(args.yaml)]
    else:
        words += [word for name, value in settings.items() for word in ("-p", f"{name}:={_node_text(value)}")]
    return words


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _node_text(value: Any) -> str:
    return f"[{_text(value)}]" if isinstance(value, list) else str(value)


def _yaml(settings: Mapping[str, Any], plan: Plan) -> str:
    """Parameter file with these settings."""
    tree: dict[str, Any] = {}
    for name, value in settings.items():
        *parents, leaf = name.split(".")
        part = tree
        for parent in parents:
            part = part.setdefault(parent, {})
        part[leaf] = value
    topics = {"image": plan.image, "camera_info": plan.camera_info, "anchors": plan.anchors}
    remapped = ", ".join(f"{name}:={topic}" for name, topic in topics.items() if topic)
    return f"# Topics: {remapped or 'none'}\n" + yaml.safe_dump(
        {"/**": {"ros__parameters": tree}}, sort_keys=False
    )
