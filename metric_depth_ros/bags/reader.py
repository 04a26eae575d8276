"""Reads samples from a rosbag, one per image, the same that the live node would build."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from metric_depth_ros import messages
from metric_depth_ros.bags import topics as kinds
from metric_depth_ros.bags.calibration import read_calibration
from metric_depth_ros.bags.followers import Clouds, Companions, TimedImage
from metric_depth_ros.bags.sources import choose_anchors, find_sources, without_sources
from metric_depth_ros.bags.storage import Window, open_bag
from metric_depth_ros.bags.streams import Stamped, Stamps, TopicStream, stamped_messages
from metric_depth_ros.bags.topics import HELD_OUT, choose_topic, image_type, transform_topics
from metric_depth_ros.bags.tree import read_transforms
from metric_depth_ros.config import Config, SourceConfig
from metric_depth_ros.errors import AnchorError, InputError, MetricDepthError, TransformError
from metric_depth_ros.motion import Places
from metric_depth_ros.samples import Picture, build_sample, read_picture
from metric_depth_ros.stamps import jumps_back
from metric_depth_ros.sync import Source, gather_points
from metric_depth_ros.transforms import TransformTree
from metric_depth_ros.types import FloatArray, Sample, frame_name

# Stamp in ns of an image, and its sample or the error that prevented it.
Outcome = tuple[int, "Sample | MetricDepthError"]
# What belongs to the images of a window is recorded this much before it and after it.
_BEFORE_NS, _AFTER_NS = 4_000_000_000, 1_000_000_000


class BagReader:
    """Reads one bag: its transforms, and a sample for each image. Use as a context manager.

    Memory stays bounded: images are streamed, and only clouds that an image can use are kept. Only
    transforms are read completely, on entry, so that they can be interpolated.

    Attributes:
        image_topic, camera_info_topic: the chosen topics; camera_info_topic is None with a calibration.
        sources: topic and type of source of what gives anchors, by name: "anchors", or those of the settings;
            empty if the bag has none and none is needed.
        held_out_topic: points, or images of true depth, held out for evaluation; or None.
        image_count: images in the bag.
        transforms: all of the bag's transforms.
        skipped: number of messages passed over, and missing sources, by reason.
        notes: what else there is to know of the images read so far.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        image: str | None = None,
        camera_info: str | None = None,
        anchors: str | None = None,
        regions: str | None = None,
        anchors_held_out: str | None = None,
        tf: str | None = None,
        tf_static: str | None = None,
        image_transport: str = "auto",
        needs_points: bool = True,
        calibration: Path | None = None,
        stamps: Stamps = "header",
        sources: Mapping[str, SourceConfig] | None = None,
        window: Window | None = None,
    ) -> None:
        """Topics that are None are chosen by ``topics.choose_topic``; held-out points are optional.

        Args:
            regions: label images, for ``regions.source: topic`` alone.
            tf: transforms; the default is /tf or a robot's NAME/tf. ``tf_static`` is beside it by default.
            needs_points: whether an image without a cloud is an error, or a sample without points.
            calibration: file that is used in place of camera_info.
            stamps: whether the times of messages are their stamps, or when they were recorded.
            sources: those of the settings, instead of the one topic ``anchors``.
            window: when the images that are read were recorded, ns; None: all.
        """
        self.path = Path(path)
        self._asked = {"image": image, "camera_info": camera_info, "anchors": anchors, "regions": regions}
        self._asked_held_out = anchors_held_out
        self._asked_tf = tf, tf_static
        self._calibration_file = calibration
        self._calibration: Any = None
        self._stamps: Stamps = stamps
        self._window = window
        self._transport = image_transport
        self._needs_points = needs_points
        self._named_sources = sources or {}
        self.transforms = TransformTree()
        self._tf_hint = ""  # why there may be no transforms
        self.skipped: Counter[str] = Counter()
        self.notes: set[str] = set()
        self._open = ExitStack()

    def __enter__(self) -> BagReader:
        """Chooses the topics and reads the transforms. Raises InputError."""
        with open_bag(self.path) as bag:
            self._topics = topics = bag.topics
            self._window_of = bag.window_of
        asked = self._asked
        self.sources: dict[str, tuple[str, str]] = {}
        if self._named_sources:
            self.sources = find_sources(self._named_sources, topics, self.skipped)
        elif chosen := choose_anchors(asked["anchors"], topics, needed=self._needs_points):
            self.sources = {"anchors": chosen}
        pictures = topics if asked["image"] is not None else without_sources(topics, self.sources)
        kind = image_type(self._transport, asked["image"], pictures)
        self._compressed = kind == kinds.COMPRESSED_IMAGE
        self.image_topic = choose_topic("image", asked["image"], kind, pictures)
        self.camera_info_topic: str | None = None
        if self._calibration_file is not None:
            self._calibration = read_calibration(self._calibration_file, self.image_topic)
        else:
            self.camera_info_topic = choose_topic(
                "camera_info",
                asked["camera_info"],
                kinds.CAMERA_INFO,
                topics,
                beside=messages.camera_info_beside(self.image_topic),
            )
        self.held_out_topic = self._find_held_out(topics)
        self.image_count = bag.count(self.image_topic)
        self._read_transforms(topics)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def _find_held_out(self, topics: dict[str, str]) -> str | None:
        if self._asked_held_out is not None:
            found = topics.get(messages.topic_name(self._asked_held_out))
            kind = found if found in kinds.PICTURES else kinds.POINT_CLOUD
            return choose_topic("anchors_held_out", self._asked_held_out, kind, topics)
        beside = (f"{topic}{HELD_OUT}" for topic, _ in self.sources.values())
        return next((topic for topic in beside if topics.get(topic) == kinds.POINT_CLOUD), None)

    def _read_transforms(self, topics: dict[str, str]) -> None:
        try:
            chosen = transform_topics(*self._asked_tf, topics)
        except InputError as error:
            if any(self._asked_tf):
                raise
            self._tf_hint = f" {error}"  # the transforms may not be needed
            return
        parts = list(self.path.parent.glob(f"*{self.path.suffix}")) if self.path.is_file() else []
        if not chosen and len(parts) > 1:
            self._tf_hint = " If it is one part of the recording in its folder, run on the folder."
        self.transforms = read_transforms(
            self.path,
            chosen,
            self.skipped,
            recorded=self._stamps == "recorded",
            windows={topic: [self._around(topic)] for topic in chosen},
        )

    # ---- samples -----------------------------------------------------------------------------

    def samples(self, config: Config) -> Iterator[Outcome]:
        """Yields (stamp_ns, Sample or the error that prevented it) for every image, in recorded order.

        Which clouds belong to an image is decided by ``sync.Source`` from the stamps alone, as in
        the live node; nothing is dropped.

        The camera_info of an image is the one whose stamp is within ``input.pairing_slop_s``. If there
        is none, as with drivers that publish it once or rarely, it is the newest before the image with
        the same frame, else the first one after it.

        Raises:
            InputError: the bag is damaged.
        """
        infos = labels = held_out = truths = None
        slop_s = config.input.pairing_slop_s
        if self.camera_info_topic is not None:
            infos = Companions(self._stream(self.camera_info_topic), slop_s)
        clouds = [self._clouds(name, *found, config) for name, found in self.sources.items()]
        if config.regions.source == "topic":
            topic = choose_topic("regions", self._asked["regions"], kinds.IMAGE, self._topics)
            labels = Companions(self._stream(topic), slop_s)
        if self._topics.get(self.held_out_topic or "") in kinds.PICTURES:
            truths = Companions(self._stream(str(self.held_out_topic)), slop_s)
        elif self.held_out_topic is not None:
            held_out = self._clouds("", self.held_out_topic, "point_cloud2", config)
        stretch = messages.Stretch(config.input.clip_percent)
        for image in self._images():
            if isinstance(image, InputError):
                yield 0, image
                continue
            info = (infos.find(image) or infos.of_frame(image)) if infos else self._calibration
            region = labels.find(image) if labels else None
            truth = truths.find(image) if truths else None
            for each in filter(None, (*clouds, held_out)):
                each.advance(image)
            try:
                picture = self._picture(image.message, info, stretch, config)
                sample = self._sample(image, picture, region, clouds, held_out, config)
                yield image.stamp_ns, replace(sample, true_depth=self._true_depth(truth, sample))
            except TransformError as error:
                yield image.stamp_ns, TransformError(f"{error}{self._tf_hint}")
            except MetricDepthError as error:
                yield image.stamp_ns, error

    def _images(self) -> Iterator[TimedImage | InputError]:
        last_ns = 0
        for image in self._read(self.image_topic, messages.time_of_capture_ns):
            if isinstance(image, InputError):
                yield InputError(f"image: {image}")
                continue
            jumped = jumps_back(last_ns, image.stamp_ns)
            yield TimedImage(image.message, image.stamp_ns, image.recorded_ns, jumped)
            last_ns = image.stamp_ns

    def _picture(self, image: Any, info: Any, stretch: messages.Stretch, config: Config) -> Picture:
        """The picture of an image, with its camera. Raises InputError."""
        if info is None:
            raise InputError(
                f"camera_info: none on {self.camera_info_topic} for frame {messages.frame_id(image)!r} near "
                f"{messages.stamp_ns(image) / 1e9:.3f} s. Choose its topic with --camera-info, or give the "
                "calibration with --calibration FILE."
            )
        read = messages.read_compressed_image if self._compressed else messages.read_image
        picture = read_picture(image, info, self.image_topic, config.input, partial(read, stretch=stretch))
        if picture.note is not None:
            self.notes.add(picture.note)
        return picture

    def _sample(
        self,
        image: TimedImage,
        picture: Picture,
        regions: Any,
        clouds: list[Clouds],
        held_out: Clouds | None,
        config: Config,
    ) -> Sample:
        stamp_ns = image.stamp_ns
        chosen = [(each.source, each.source.ring.select(stamp_ns)) for each in clouds]
        used = any(selected for _, selected in chosen)
        if not used and self._needs_points:
            raise AnchorError(self._no_cloud(image, clouds))
        places = Places(messages.frame_id(image.message), stamp_ns, self.transforms, config)
        kept = None if held_out is None else gather_points(held_out.source.ring.select(stamp_ns), places)
        sample = build_sample(picture, chosen, regions, places, self._skip, kept)
        if used and not places.in_full:
            self.notes.add(f"tf: fixed frame of some images: {places.fixed_frame}, not known at their time")
        return sample

    def _true_depth(self, truth: Any, sample: Sample) -> FloatArray | None:
        """The true depth of a sample's image, if a message has it."""
        if truth is None:
            return None
        try:
            if frame_name(messages.frame_id(truth)) != frame_name(sample.frame_id):
                raise InputError(
                    f"frame {messages.frame_id(truth)!r}, but the image's is {sample.frame_id!r}; needed the "
                    "true depth of the image's pixels."
                )
            if sample.camera.distorted and messages.is_named_rectified(str(self.held_out_topic)):
                raise InputError("is rectified, the image is not. Take the rectified image with --image.")
            return messages.read_depth_image(truth, (sample.camera.width, sample.camera.height))
        except InputError as error:
            self.skipped[f"{self.held_out_topic}: {error}"] += 1
            return None

    def _no_cloud(self, image: TimedImage, clouds: list[Clouds]) -> str:
        """Why an image has no anchors."""
        refused = "; ".join(f"{each.source.name}: {each.refused}" for each in clouds if each.refused)
        topics = [topic for topic, _ in self.sources.values()]
        at = f"anchors: no cloud on {', '.join(topics)} for the image at {image.stamp_ns / 1e9:.3f} s"
        if refused:
            return f"{at} that can be used. The last was refused: {refused}"
        found = ((each.source.name, each.why_none()) for each in clouds)
        reasons = [f"source {name}: {why}" if self._named_sources else why for name, why in found if why]
        passed = (why for why in self.skipped if why.startswith(tuple(f"{topic}:" for topic in topics)))
        advice = next(iter((*reasons, *passed)), "Compare the clocks of camera and sensor.")
        return f"{at}. {advice}"

    def _skip(self, name: str, error: MetricDepthError) -> None:
        """Counts what a source cannot use; the one topic without a name goes unnamed."""
        self.skipped[f"source {name}: {error}" if name in self._named_sources else str(error)] += 1

    def _read(
        self, topic: str, stamp_of: Callable[[Any], int] = messages.stamp_ns
    ) -> Iterator[Stamped | InputError]:
        window = self._window if topic == self.image_topic else self._around(topic)
        return stamped_messages(self.path, topic, self._stamps, stamp_of, window)

    def _around(self, topic: str) -> Window | None:
        """Window of what belongs to the images on a topic; None: all."""
        if self._window is None:
            return None
        return self._window_of(topic, (self._window[0] - _BEFORE_NS, self._window[1] + _AFTER_NS))

    def _stream(self, topic: str, stamp_of: Callable[[Any], int] = messages.stamp_ns) -> TopicStream:
        stream = TopicStream(self._read(topic, stamp_of), self.skipped)
        return self._open.enter_context(closing(stream))

    def _clouds(self, name: str, topic: str, kind: str, config: Config) -> Clouds:
        infos = self._depth_infos(name, topic) if kind in messages.NEED_CAMERA else None
        stream = self._stream(topic, messages.time_of_capture_ns)
        return Clouds(topic, stream, infos, Source(name, kind, config), self._skip)

    def _depth_infos(self, name: str, topic: str) -> TopicStream | None:
        """Calibrations of a depth image; None if the bag has none."""
        own = self._named_sources.get(name, SourceConfig()).camera_info
        info_topic = messages.topic_name(own or messages.camera_info_beside(topic))
        return self._stream(info_topic) if self._topics.get(info_topic) == kinds.CAMERA_INFO else None
