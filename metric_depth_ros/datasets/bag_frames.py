"""Bags as datasets: the images that have true depth of their time, or all, with points for true depth."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from metric_depth_ros import messages
from metric_depth_ros.bags import BagReader, is_bag, open_bag
from metric_depth_ros.bags.guesses import guess, settings_of
from metric_depth_ros.bags.storage import readable_messages
from metric_depth_ros.bags.survey import survey
from metric_depth_ros.bags.topics import IMAGE, PICTURES, is_picture
from metric_depth_ros.config import Config, updated
from metric_depth_ros.datasets.dataset import Dataset, Frame, Picture
from metric_depth_ros.errors import InputError, MetricDepthError
from metric_depth_ros.health.facts import Facts, Plan, Topic
from metric_depth_ros.messages import depth_encoding, topic_name, words_of
from metric_depth_ros.types import FloatArray, Sample

# Words of topics of true depth, which beat those of a depth camera.
_TRUTH = ("truth", "gt", "ground")
# Poses of the camera are looked up for solvers with a memory alone.
_WITH_POSES = {"solver.temporal.memory_s": 1.0}


class _Shot(NamedTuple):
    """An image and its true depth, by the times of their recording."""

    stamp_ns: int
    image_ns: int
    depth_ns: int


class BagFrames(Dataset):
    """Frames of a bag. Image, calibration and anchors are chosen as ``metric_depth run`` chooses them.

    True depth is the topic of depth images that ``bag@TOPIC:PATH`` names, else one whose name has truth, gt
    or ground, else the only one of the images' size. Points are those of the anchors, in the image's frame.
    Without depth images, all images are frames, and known depth is that of points: those held out, if the
    bag has such, else the anchors'.
    """

    has_one_rig = True
    tells_scenes = False

    def __init__(self, path: str | Path, *, split: str = "") -> None:
        """Reads the times of images and depth. ``split``: topic of the true depth; empty: it is found.

        Raises:
            InputError: there is no bag, no topic of one kind, neither depth nor points, or no image with
                depth.
        """
        self.path, self.split = Path(path), split
        facts, _ = survey(self.path)
        plan, self._truth = self._chosen(facts, split)
        self._config = updated(_without_anchors(), {**settings_of(plan), **_WITH_POSES})
        self._topics = {"image": plan.image, "camera_info": plan.camera_info or None}
        self._anchors, self._sources = plan.anchors or None, plan.sources
        self._shots = self._paired(plan.image)
        if not self._shots:
            raise InputError(
                f"bag {self.path}: no image on {plan.image} with depth on {self._truth} within "
                f"{self._config.input.pairing_slop_s:g} s; needed some. Compare their stamps."
            )

    def _chosen(self, facts: Facts, asked: str) -> tuple[Plan, str]:
        """Topics for images and anchors, and that of the truth, which is no anchors'."""
        depths = [name for name, topic in facts.topics.items() if topic.count and _is_depth(topic)]
        named = [
            name
            for name in depths
            if (name == topic_name(asked) if asked else set(_TRUTH) & set(words_of(name)))
        ]
        if asked and not named:
            raise InputError(
                f"bag {self.path}: no depth images on {topic_name(asked)}; needed them. It has some on "
                f"{', '.join(depths) or 'no topic'}."
            )
        rest = {name: topic for name, topic in facts.topics.items() if name not in (named or depths)}
        plan = guess(replace(facts, topics=rest), _without_anchors(), {})
        if plan.missing:
            raise InputError(f"bag {self.path}: {plan.missing[0]}")
        size = facts.topics[plan.image].size
        fitting = named or [name for name in depths if facts.topics[name].size == size or not any(size)]
        if not depths and plan.sensors:
            return plan, ""
        if len(fitting) != 1:
            raise InputError(
                f"bag {self.path}: {len(fitting)} topics could be true depth: {', '.join(depths) or 'none'}; "
                f"needed one of the images' size, or points. Name it: bag@TOPIC:{self.path}."
            )
        return plan, fitting[0]

    def _paired(self, image: str) -> list[_Shot]:
        """Images with the depth nearest in time, if that is near enough; all, where points are the truth."""
        if not self._truth:
            return [_Shot(stamp_ns, image_ns, image_ns) for stamp_ns, image_ns in self._times(image)]
        depths, slop_ns = sorted(self._times(self._truth)), self._config.input.pairing_slop_s * 1e9
        found = []
        for stamp_ns, image_ns in self._times(image):
            at = bisect_left(depths, (stamp_ns, 0))
            near = min(
                depths[max(at - 1, 0) : at + 1], key=lambda each: abs(each[0] - stamp_ns), default=None
            )
            if near is not None and abs(near[0] - stamp_ns) < slop_ns:
                found.append(_Shot(stamp_ns, image_ns, near[1]))
        return found

    def _times(self, topic: str) -> list[tuple[int, int]]:
        """Stamps of a topic's messages, and when they were recorded; without those that cannot be read."""
        return [
            (messages.time_of_capture_ns(message), recorded_ns)
            for recorded_ns, message in readable_messages(self.path, topic)
            if not isinstance(message, InputError)
        ]

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether it is a bag with topics of pictures and of depth images."""
        if not is_bag(path):
            return False
        try:
            with open_bag(path) as bag:
                topics = bag.topics
        except InputError:
            return False
        depths = {name for name, kind in topics.items() if kind == IMAGE and _sounds_like_depth(name)}
        return bool(depths) and any(kind in PICTURES for name, kind in topics.items() if name not in depths)

    # ---- frames ------------------------------------------------------------------------------

    @property
    def ids(self) -> list[str]:
        """Names of the frames: their places in the bag."""
        return [f"{index:06d}" for index in range(len(self))]

    def __len__(self) -> int:
        return len(self._shots)

    def __getitem__(self, index: int) -> Frame:
        """One frame, read from the bag anew. Raises InputError if one of its messages cannot be used."""
        shot, name = self._shots[index], f"{index % len(self):06d}"
        sample = self._sample(shot)
        depth = self._depth(shot) if self._truth else None
        if depth is not None and depth.shape != sample.image.shape[:2]:
            sizes = [f"{each.shape[1]}x{each.shape[0]}" for each in (depth, sample.image)]
            raise InputError(
                f"bag {self.path}, frame {name}: depth on {self._truth} is {sizes[0]}; needed {sizes[1]}, "
                "the size of the image, with which it must be registered."
            )
        points = sample.points_camera
        if depth is None and sample.points_held_out is not None:
            points = sample.points_held_out
        return Frame(
            name,
            shot.stamp_ns,
            sample.image,
            sample.camera,
            depth,
            points if len(points) else None,
            np.eye(4) if len(points) else None,
            sample.T_fixed_camera,
            rectification=sample.rectification,
        )

    def _sample(self, shot: _Shot) -> Sample:
        """Image, camera and points, as ``metric_depth run`` reads them."""
        window = (shot.image_ns, shot.image_ns + 1)
        named: dict[str, Any] = dict(self._topics)
        if self._sources:
            named["sources"] = self._sources
        else:
            named["anchors"] = self._anchors
        with BagReader(self.path, **named, needs_points=False, window=window) as reader:
            for stamp_ns, outcome in reader.samples(self._config):
                if isinstance(outcome, MetricDepthError):
                    raise InputError(f"bag {self.path}: {outcome}") from outcome
                if stamp_ns == shot.stamp_ns:
                    return outcome
        raise InputError(f"bag {self.path}: the image at {shot.stamp_ns / 1e9:.3f} s is gone; needed it.")

    def _depth(self, shot: _Shot) -> FloatArray:
        for _, message in readable_messages(self.path, self._truth, (shot.depth_ns, shot.depth_ns + 1)):
            if isinstance(message, InputError):
                raise message
            return messages.read_depth(message)
        raise InputError(f"bag {self.path}: the depth at {shot.stamp_ns / 1e9:.3f} s is gone; needed it.")

    def picture(self, index: int) -> Picture:
        """One image with depth, to train on. Raises InputError if it is damaged or has no depth image."""
        frame = self[index]
        if frame.depth is None:
            raise InputError(f"bag {self.path}: no topic of true depth; needed one.")
        return Picture(frame.image, frame.depth, frame.camera)

    def has_depth(self, index: int, *, or_points: bool = False) -> bool:
        """Whether the bag has depth images, or points."""
        return bool(self._truth) or or_points

    def group(self, index: int) -> int:
        """Twenty frames in a row, or a fiftieth of few."""
        return index // max(1, min(20, len(self) // 50))

    def scene(self, index: int) -> int:
        """The frame's group, since the scenes are unknown."""
        return self.group(index)

    def stamp_ns(self, index: int) -> int:
        """Stamp of the image, ns."""
        return self._shots[index].stamp_ns


def _without_anchors() -> Config:
    """Settings with which a bag needs no anchors."""
    return updated(Config(), {"anchors.min_count": 0})


def _sounds_like_depth(name: str) -> bool:
    words = set(words_of(name))
    return bool(words & {"depth", *_TRUTH}) and "sigma" not in words


def _is_depth(topic: Topic) -> bool:
    """Whether messages are raw depth images; those of 16 bits may be a camera's grey ones, by their name."""
    grey = topic.encoding == "mono16" and is_picture(topic.name)
    return topic.kind == IMAGE and depth_encoding(topic.encoding) is not None and not grey
