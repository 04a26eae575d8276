"""What is known of the inputs that a bag or a running graph offers, in plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from metric_depth_ros.config import SourceConfig
from metric_depth_ros.health.clocks import Heard
from metric_depth_ros.messages import topic_name


@dataclass(frozen=True)
class Qos:
    """What decides whether a publisher and a subscription meet: reliable or best effort, latched or volatile.

    ``node`` has the topic's other end.
    """

    reliable: bool = False
    latched: bool = False
    node: str = ""

    def __str__(self) -> str:
        return f"{'reliable' if self.reliable else 'best effort'}{', latched' if self.latched else ''}"


# The node's inputs, unless qos_overrides say otherwise.
OURS = Qos()


@dataclass(frozen=True)
class Topic:
    """One topic.

    Attributes:
        kind: type of its messages.
        count: messages in the bag, or that were heard.
        rate_hz: of all messages; 0 of fewer than two.
        heard: times of those looked at; only of those with a usable stamp.
        bad_stamps: why those looked at had none.
        frame_id: of the first message.
        what: the first message in words; if it cannot be read, why.
        size: of a picture or calibration, pixels.
        encoding: of a picture.
        points: median number in a message, of sensors.
        only_rectified: a calibration of rectified images alone: K is zero and P is not.
        distorted: a calibration of a distorted lens.
        offers: QoS of its publishers.
    """

    name: str
    kind: str
    count: int = 0
    rate_hz: float = 0.0
    heard: tuple[Heard, ...] = ()
    bad_stamps: tuple[str, ...] = ()
    frame_id: str = ""
    what: str = ""
    size: tuple[int, int] = (0, 0)
    encoding: str = ""
    points: int = 0
    only_rectified: bool = False
    distorted: bool = False
    offers: tuple[Qos, ...] = ()


@dataclass(frozen=True)
class Facts:
    """All topics by name, parents of the frames in tf, and how the times of the messages came about.

    Attributes:
        live: of a running graph, where clocks cannot be replaced by the times of recording.
        tf: topics of the transforms, moving ones first.
        tf_hint: why transforms may be missing; empty: unknown.
        settled_ns: when what was heard had begun everywhere; times before it are not compared.
    """

    topics: Mapping[str, Topic]
    parents: Mapping[str, str] = field(default_factory=dict)
    live: bool = False
    tf: tuple[str, ...] = ()
    tf_hint: str = ""
    settled_ns: int = 0

    @property
    def kinds(self) -> dict[str, str]:
        """Type of every topic that has messages."""
        return {name: topic.kind for name, topic in self.topics.items() if topic.count}

    def of_graph(self, topics: Mapping[str, Topic]) -> Facts:
        """The same of a running graph that has these topics, some of which were silent."""
        heard = {
            name: replace(topic, offers=topics.get(name, topic).offers) for name, topic in self.topics.items()
        }
        return replace(self, topics={**topics, **heard}, live=True)

    def heard(self, topic: str) -> list[Heard]:
        """Times of a topic's messages once all had begun."""
        return [each for each in self.topics[topic].heard if each.came_ns >= self.settled_ns]


@dataclass(frozen=True)
class Plan:
    """Topics and settings to run with.

    Attributes:
        image, camera_info, anchors: topics; empty: none, or not needed.
        sources: instead of ``anchors``, sources by name.
        settings: that differ from the defaults or from those given.
        missing: what prevents a choice, each in one line with the fix.
        notes: what was chosen of several, and why.
        recorded: whether times of recording replace the stamps.
        causes: what is wrong, each in one line with the fix; settings and ``recorded`` mend what they can.
    """

    image: str = ""
    camera_info: str = ""
    anchors: str = ""
    sources: Mapping[str, SourceConfig] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    missing: Sequence[str] = ()
    notes: Sequence[str] = ()
    recorded: bool = False
    causes: Sequence[str] = ()

    @property
    def sensors(self) -> list[str]:
        """Topics of all anchors."""
        named = [topic_name(source.topic) for source in self.sources.values()]
        return named or [self.anchors] * bool(self.anchors)


@dataclass(frozen=True)
class Tried:
    """What became of one image, tried with a plan up to the network: an error, or anchors by source.

    ``in_view`` counts a source's points in the picture, whether or not others' are surer there.
    """

    anchors: Mapping[str, int] = field(default_factory=dict)
    in_view: Mapping[str, int] = field(default_factory=dict)
    doubts: Sequence[str] = ()
    error: str = ""
