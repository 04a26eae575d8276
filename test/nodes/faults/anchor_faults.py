"""Faults of points: clouds, and sensors of other kinds."""

import time
from functools import partial
from operator import attrgetter

import numpy as np
from fault_acts import setting, stamped
from fault_campaign import (
    HANG_S,
    LIES,
    NONE_OR_RIGHT,
    QUIET,
    RIGHT,
    SCALE,
    Fault,
    Stream,
    broken,
    scale_at,
    within,
)
from image_faults import garbage
from peer import scene
from sensor_msgs.msg import Image, LaserScan, PointCloud2, PointField, Range

from metric_depth_ros import messages
from metric_depth_ros.nodes.outputs import fill_image

HOUR_S, HUGE = 3600, 2**32 - 1
cloud = attrgetter("cloud")
changed = partial(setting, cloud)


def points(make):
    """Replaces the points (N, 3) by a function of them."""

    def change(sample):
        found = np.frombuffer(sample.cloud.data, "<f4").reshape(-1, 3)
        sample.cloud.data = np.asarray(make(found), "<f4").tobytes()
        sample.cloud.width = len(sample.cloud.data) // 12
        sample.cloud.row_step = len(sample.cloud.data)

    return change


def every_fifth(change, count=20):
    """Only every fifth sample is changed."""

    def act(stream: Stream) -> None:
        for index in range(count):
            sample = stream.sample()
            if index % 5 == 2:
                change(sample)
            stream.send(sample)

    return act


def cut(sample):
    sample.cloud.data = sample.cloud.data[:50]


def no_z(sample):
    sample.cloud.fields = sample.cloud.fields[:2]


def fields_of(**values):
    def change(sample):
        for each in sample.cloud.fields:
            for name, value in values.items():
                setattr(each, name, value)

    return broken(change)


def many_fields(sample):
    sample.cloud.fields = [PointField(name=f"f{i}", offset=i, datatype=7, count=1) for i in range(10_000)]


def field_names(sample):
    sample.cloud.fields = [PointField(name="n" * 100_000, datatype=7, count=1)]


def framed(name):
    def change(sample):
        sample.cloud.header.frame_id = name

    return broken(change)


def without(sample):
    sample.cloud = None


def some_nan(found):
    return np.where(np.arange(len(found))[:, None] % 2 == 0, np.nan, found)


def millimetres(found):
    return found * 1000


def two(found):
    return found[:2]


def on_a_spot(found):
    return np.repeat(found[:1], len(found), axis=0)


def large(count, times):
    """Clouds of many points, as fast as they go."""

    def act(stream: Stream) -> None:
        found = scene()[2]
        for _ in range(times):
            stamp_ns = stream.now_ns()
            repeated = np.tile(found, (1 + count // len(found), 1))[:count]
            stream.peer.clouds.publish(stream.cloud(repeated * (scale_at(stamp_ns) / SCALE), stamp_ns))

    return within(act)


def storm(stream: Stream) -> None:
    """Two thousand small clouds at once."""
    for _ in range(2000):
        stream.peer.clouds.publish(stream.sample().cloud)


CLOUDS = [
    Fault("cut short", broken(cut), "cut short", NONE_OR_RIGHT),
    Fault("empty", broken(points(lambda found: found[:0])), "0 usable", NONE_OR_RIGHT),
    Fault("all NaN", broken(points(lambda found: found * np.nan)), "0 usable", NONE_OR_RIGHT),
    Fault("all infinite", broken(points(lambda found: found * np.inf)), "0 usable", NONE_OR_RIGHT),
    Fault("half NaN", broken(points(some_nan)), QUIET, RIGHT),
    Fault("all zero", broken(points(lambda found: found * 0)), "0 usable", NONE_OR_RIGHT),
    Fault("behind the camera", broken(points(lambda found: -found)), "behind", NONE_OR_RIGHT),
    Fault("1e38 m away", broken(points(lambda found: found * 1e37)), "anchors", NONE_OR_RIGHT),
    Fault("millimetres", broken(points(millimetres)), "millimetres", NONE_OR_RIGHT),
    Fault("two points", broken(points(two)), "need 3", NONE_OR_RIGHT),
    Fault("all on one spot", broken(points(on_a_spot)), QUIET, NONE_OR_RIGHT),
    Fault("no z", broken(no_z), "no field z", NONE_OR_RIGHT),
    Fault("no fields", changed(fields=[]), "no field", NONE_OR_RIGHT),
    Fault("datatype 0", fields_of(datatype=0), "datatypes", NONE_OR_RIGHT),
    Fault("datatype INT8", fields_of(datatype=1), "datatypes", NONE_OR_RIGHT),
    Fault("offsets 2^32 - 1", fields_of(offset=HUGE), "point cloud", NONE_OR_RIGHT),
    Fault("counts 2^32 - 1", fields_of(count=HUGE), QUIET, NONE_OR_RIGHT),
    Fault("10,000 fields", broken(many_fields), "no field x", NONE_OR_RIGHT),
    Fault("a field's name of 100,000 letters", broken(field_names), "no field x", NONE_OR_RIGHT),
    Fault("size 2^32 - 1", changed(width=HUGE, height=HUGE), QUIET, NONE_OR_RIGHT),
    Fault("point_step 0", changed(point_step=0), QUIET, NONE_OR_RIGHT),
    Fault("row_step 2^32 - 1", changed(row_step=HUGE), QUIET, NONE_OR_RIGHT),
    Fault(
        "stamped 0",
        broken(lambda s: setattr(s.cloud.header.stamp, "sec", 0)),
        "no cloud for the image",
        NONE_OR_RIGHT,
    ),
    Fault(
        "stamped an hour ahead",
        broken(stamped(cloud, HOUR_S), 12),
        "source anchors: stamped up to",
        NONE_OR_RIGHT,
    ),
    Fault(
        "stamped an hour ago", broken(stamped(cloud, -HOUR_S), 12), "no cloud for the image", NONE_OR_RIGHT
    ),
    Fault("stamped before time", broken(stamped(cloud, -200_000)), "stamp: ", NONE_OR_RIGHT),
    Fault("no frame", framed(""), "no frame_id", NONE_OR_RIGHT),
    Fault("unknown frame", framed("moon"), "moon", NONE_OR_RIGHT),
    Fault("frame of 100,000 letters", framed("m" * 100_000), "mmm", NONE_OR_RIGHT),
    Fault("none for 0.5 s", broken(without, 10), "no cloud for the image", NONE_OR_RIGHT),
    Fault("none for 3 s", broken(without, 60), "anchors: no cloud for the image", NONE_OR_RIGHT),
    Fault("doubled", broken(points(lambda found: 2 * found)), "range jump", LIES),
    Fault(
        "every fifth doubled", every_fifth(points(lambda found: 2 * found)), "range jump: 2 ", NONE_OR_RIGHT
    ),
    Fault(
        "every fifth halved", every_fifth(points(lambda found: found / 2)), "range jump: 0.5 ", NONE_OR_RIGHT
    ),
    Fault("2,000 at once", within(storm), QUIET, NONE_OR_RIGHT),
    Fault("two of 2 million points", large(2_000_000, 2), QUIET, NONE_OR_RIGHT),
    Fault("40 of a million points", large(1_000_000, 40), QUIET, NONE_OR_RIGHT),
    Fault("bytes that are no message", garbage(lambda peer: peer.clouds), QUIET, NONE_OR_RIGHT),
]


# ---- other sensors -----------------------------------------------------------------------------


class Several(Stream):
    """A stream with a LiDAR, a 2D scan, a range finder and a depth camera, all named sources."""

    def __init__(self, *args, **how):
        super().__init__(*args, **how)
        kinds = {"lidar": PointCloud2, "scan": LaserScan, "front": Range, "tof": Image}
        self.sensors = {name: self.peer.create_publisher(kind, name, 5) for name, kind in kinds.items()}

    def start(self, **how):
        super().start(**how)
        until_s = time.monotonic() + HANG_S
        while not self.peer.status_value("tof used") and time.monotonic() < until_s:
            self.go_on(0.2)  # the types of all topics are found one after another

    def sample(self, stamp_ns=None):
        sample = super().sample(stamp_ns)
        lidar, sample.cloud = sample.cloud, None
        head = sample.image.header
        depth = scene()[1] * (scale_at(sample.stamp_ns) / SCALE)
        fields = messages.depth_fields(depth.astype(np.float32), "32FC1")
        sample.others = {
            "lidar": lidar,
            "scan": LaserScan(header=head, angle_increment=0.1, range_max=9.0, ranges=[2.0] * 7),
            "front": Range(header=head, field_of_view=0.1, max_range=20.0, range=0.2),
            "tof": fill_image(fields, stamp_ns=sample.stamp_ns, frame_id="camera"),
        }
        return sample

    def send(self, sample):
        for name, message in sample.others.items():
            self.sensors[name].publish(message)
        super().send(sample)


def of(sensor, **values):
    """Changes fields of a sensor's message."""
    return setting(lambda sample: sample.others[sensor], **values)


def silent(*names):
    return broken(lambda sample: [sample.others.pop(name) for name in names], 24)


def wrong_unit(sample):
    tof = sample.others["tof"]
    tof.data = (np.frombuffer(tof.data, "<f4") * 1000).tobytes()


NAN = float("nan")
SENSORS = [
    Fault("depth image cut short", of("tof", data=b"1234"), "source tof: ", RIGHT),
    Fault("depth image of colours", of("tof", encoding="rgb8"), "source tof: ", RIGHT),
    Fault("depth image in millimetres", broken(wrong_unit), "millimetres", NONE_OR_RIGHT),
    Fault("scan of NaN", of("scan", ranges=[NAN] * 7), QUIET, RIGHT),
    Fault("scan without step", of("scan", angle_increment=0.0), QUIET, NONE_OR_RIGHT),
    Fault("scan of 100,000 ranges", of("scan", ranges=[1.0] * 100_000), QUIET, NONE_OR_RIGHT),
    Fault("scan's step NaN", of("scan", angle_increment=NAN), "source scan", RIGHT),
    Fault("range NaN", of("front", range=NAN), QUIET, RIGHT),
    Fault("range's beam infinite", of("front", field_of_view=float("inf")), QUIET, RIGHT),
    Fault("LiDAR silent", silent("lidar"), "source lidar", RIGHT),
    Fault("depth camera silent", silent("tof"), "source tof", RIGHT),
    Fault("all silent", silent("lidar", "scan", "front", "tof"), "older points", NONE_OR_RIGHT),
]
SETTINGS = {
    "anchors.sources": "[lidar,scan,front,tof]",
    **{f"sources.{name}.topic": name for name in ("lidar", "scan", "front", "tof")},
    "sources.tof.camera_info": "camera_info",
    "sync.max_cloud_age_s": 0.1,
    "input.frame": "optical",  # the scan lies in the camera's frame, though it sees nothing of the picture
}
GROUPS = {
    "cloud": ({"sync.max_cloud_age_s": 0.1}, {}, CLOUDS),
    "sensors": (SETTINGS, {"kind": Several}, SENSORS),
}
