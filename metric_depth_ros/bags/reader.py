"""Reads samples from a rosbag, one per image, the same that the live node would build."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from metric_depth_ros import messages
from metric_depth_ros.bags import topics as kinds
from metric_depth_ros.bags.storage import TopicStream, open_bag, read_messages
from metric_depth_ros.bags.topics import HELD_OUT, choose_topic, image_type
from metric_depth_ros.config import Config
from metric_depth_ros.errors import AnchorError, InputError, MetricDepthError
from metric_depth_ros.sync import CloudRing, gather_points, jumps_back, points_up
from metric_depth_ros.transforms import TransformTree
from metric_depth_ros.types import Cloud, FloatArray, Sample

# Stamp in ns of an image, and its sample or the error that prevented it.
Outcome = tuple[int, "Sample | MetricDepthError"]


class BagReader:
    """Reads one bag: its transforms, and a sample for each image. Use as a context manager.

    Memory stays bounded: images are streamed, and only clouds that an image can use are kept. Only
    transforms are read completely, on entry, so that they can be interpolated.

    Attributes:
        image_topic, camera_info_topic, anchors_topic: the chosen topics; anchors_topic is None if the bag
            has no points and none are needed.
        held_out_topic: points held out for evaluation, or None.
        image_count: images in the bag.
        transforms: all of /tf and /tf_static.
        skipped: number of unusable clouds and transforms, by reason.
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
        image_transport: str = "auto",
        needs_points: bool = True,
    ) -> None:
        """Topics that are None are chosen by ``topics.choose_topic``; held-out points are optional.

        Args:
            regions: label images, for ``regions.source: topic`` alone.
            needs_points: whether an image without a cloud is an error, or a sample without points.
        """
        self.path = Path(path)
        self._asked = {"image": image, "camera_info": camera_info, "anchors": anchors, "regions": regions}
        self._asked_held_out = anchors_held_out
        self._transport = image_transport
        self._needs_points = needs_points
        self.transforms = TransformTree()
        self.skipped: Counter[str] = Counter()
        self._open = ExitStack()

    def __enter__(self) -> BagReader:
        """Chooses the topics and reads the transforms. Raises InputError."""
        with open_bag(self.path) as bag:
            self._topics = topics = {c.topic: c.msgtype for c in bag.connections if c.msgcount}
            counts: Counter[str] = Counter()
            for connection in bag.connections:
                counts[connection.topic] += connection.msgcount
        asked = self._asked
        kind = image_type(self._transport, asked["image"], topics)
        self._compressed = kind == kinds.COMPRESSED_IMAGE
        self.image_topic = choose_topic("image", asked["image"], kind, topics)
        near = self.image_topic.removesuffix("/compressed")
        self.camera_info_topic = choose_topic(
            "camera_info", asked["camera_info"], kinds.CAMERA_INFO, topics, near=near
        )
        self.anchors_topic: str | None = None
        if self._needs_points or asked["anchors"] is not None or kinds.POINT_CLOUD in topics.values():
            self.anchors_topic = choose_topic("anchors", asked["anchors"], kinds.POINT_CLOUD, topics)
        self.held_out_topic = self._find_held_out(topics)
        self.image_count = counts[self.image_topic]
        self._read_transforms(topics)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def _find_held_out(self, topics: dict[str, str]) -> str | None:
        if self._asked_held_out is not None:
            return choose_topic("anchors_held_out", self._asked_held_out, kinds.POINT_CLOUD, topics)
        beside = f"{self.anchors_topic}{HELD_OUT}"
        return beside if topics.get(beside) == kinds.POINT_CLOUD else None

    def _read_transforms(self, topics: dict[str, str]) -> None:
        for topic in ("/tf", "/tf_static"):
            if topics.get(topic) in kinds.TF:
                for _, message in read_messages(self.path, topic):
                    self._add_transforms(message, static=topic == "/tf_static")

    def _add_transforms(self, message: Any, *, static: bool) -> None:
        try:
            for parent, child, T, stamp_ns in messages.read_transforms(message):
                self.transforms.add(parent, child, T, stamp_ns, static=static)
        except InputError as error:
            self.skipped[str(error)] += 1

    # ---- samples -----------------------------------------------------------------------------

    def samples(self, config: Config) -> Iterator[Outcome]:
        """Yields (stamp_ns, Sample or the error that prevented it) for every image, in recorded order.

        Which clouds belong to an image is decided by ``sync.CloudRing`` from the stamps alone, as in
        the live node; nothing is dropped.

        The camera_info of an image is the one whose stamp is within ``input.pairing_slop_s``. If there
        is none, as with drivers that publish it once or rarely, it is the newest before the image with
        the same frame, else the first one after it.

        Raises:
            InputError: the bag is damaged.
        """
        infos = _Companions(self._stream(self.camera_info_topic), config.input.pairing_slop_s)
        clouds = labels = held_out = None
        if self.anchors_topic is not None:
            clouds = _Clouds(self._stream(self.anchors_topic), config, self.skipped)
        if config.regions.source == "topic":
            topic = choose_topic("regions", self._asked["regions"], kinds.IMAGE, self._topics)
            labels = _Companions(self._stream(topic), config.input.pairing_slop_s)
        if self.held_out_topic is not None:
            held_out = _Clouds(self._stream(self.held_out_topic), config, self.skipped)
        for image in self._images():
            info = infos.find(image) or infos.of_frame(image)
            region = labels.find(image) if labels else None
            for source in filter(None, (clouds, held_out)):
                source.advance(image)
            try:
                yield image.stamp_ns, self._sample(image.message, info, region, clouds, held_out, config)
            except MetricDepthError as error:
                yield image.stamp_ns, error

    def _images(self) -> Iterator[_Image]:
        last_ns = 0
        for recorded_ns, message in read_messages(self.path, self.image_topic):
            stamp_ns = messages.stamp_ns(message)
            yield _Image(message, stamp_ns, recorded_ns, jumped=jumps_back(last_ns, stamp_ns))
            last_ns = stamp_ns

    def _sample(
        self,
        image: Any,
        info: Any,
        regions: Any,
        clouds: _Clouds | None,
        held_out: _Clouds | None,
        config: Config,
    ) -> Sample:
        stamp_ns, frame_id = messages.stamp_ns(image), messages.frame_id(image)
        if info is None:
            raise InputError(
                f"camera_info: none on {self.camera_info_topic} for frame {frame_id!r} near "
                f"{stamp_ns / 1e9:.3f} s. Choose its topic with --camera-info."
            )
        rectified = messages.is_rectified(config.input.rectification, self.image_topic)
        camera = messages.read_camera(info, rectified=rectified)
        pixels = messages.read_compressed_image(image) if self._compressed else messages.read_image(image)
        chosen = clouds.ring.select(stamp_ns) if clouds is not None else []
        if not chosen and self._needs_points:
            raise AnchorError(
                f"anchors: no cloud on {self.anchors_topic} from {config.sync.max_cloud_age_s:g} s before "
                f"the image at {stamp_ns / 1e9:.3f} s on. Compare the clocks of camera and sensor, or raise "
                "sync.max_cloud_age_s."
            )
        kept: FloatArray | None = None
        if held_out is not None:
            kept = gather_points(held_out.ring.select(stamp_ns), frame_id, stamp_ns, self.transforms, config)
        return Sample(
            pixels,
            camera,
            gather_points(chosen, frame_id, stamp_ns, self.transforms, config),
            stamp_ns,
            frame_id,
            tuple(cloud.stamp_ns for cloud in chosen),
            points_held_out=kept,
            rectification=None if rectified else messages.read_rectification(info),
            regions=None if regions is None else messages.read_labels(regions),
            points_up=points_up(chosen, frame_id, stamp_ns, self.transforms, config),
        )

    def _stream(self, topic: str) -> TopicStream:
        return self._open.enter_context(closing(TopicStream(self.path, topic)))


@dataclass(frozen=True, eq=False)
class _Image:
    """Image message with its times; ``jumped``: time has jumped back since the previous image."""

    message: Any
    stamp_ns: int
    recorded_ns: int
    jumped: bool


class _Clouds:
    """Buffer of clouds that follows the images through one cloud topic."""

    def __init__(self, stream: TopicStream, config: Config, skipped: Counter[str]) -> None:
        self.ring = CloudRing(config.sync)
        self._lead_ns = round(config.sync.max_cloud_lead_s * 1e9)
        self._stream = stream
        self._skipped = skipped

    def advance(self, image: _Image) -> None:
        """Reads every cloud that the image may use."""
        if image.jumped:
            self.ring.forget_after(image.stamp_ns)
        until_ns = image.stamp_ns + self._lead_ns
        for message in self._stream.take(until_ns, image.recorded_ns, jumped=image.jumped):
            try:
                points = messages.read_points(message)
            except InputError as error:
                self._skipped[str(error)] += 1
                continue
            self.ring.add(Cloud(points, messages.frame_id(message), messages.stamp_ns(message)))


class _Companions:
    """Finds an image's message in another topic: its camera_info or its label image."""

    def __init__(self, stream: TopicStream, slop_s: float) -> None:
        self._stream = stream
        self._slop_ns = round(slop_s * 1e9)
        self._recent: deque[Any] = deque(maxlen=100)

    def find(self, image: _Image) -> Any:
        """The message closest in stamp to the image, within the slop, or None."""
        until_ns = image.stamp_ns + self._slop_ns
        self._recent.extend(self._stream.take(until_ns, image.recorded_ns, jumped=image.jumped))
        return messages.nearest(self._recent, image.stamp_ns, self._slop_ns)

    def of_frame(self, image: _Image) -> Any:
        """The newest message before the image with the same frame, else the first one after it, or None."""
        frame = messages.frame_id(image.message).lstrip("/")
        older = [*reversed(self._recent), self._stream.upcoming]
        return next((i for i in older if i is not None and messages.frame_id(i).lstrip("/") == frame), None)
