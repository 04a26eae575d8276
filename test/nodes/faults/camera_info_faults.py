"""Faults of camera_info, and of label images that come beside each image."""

from functools import partial
from operator import attrgetter

import numpy as np
from fault_acts import setting, stamped
from fault_campaign import NONE_OR_RIGHT, QUIET, RIGHT, Fault, Stream, broken, within
from image_faults import garbage
from sensor_msgs.msg import Image

from metric_depth_ros import messages
from metric_depth_ros.nodes.outputs import fill_image

HOUR_S = 3600
info, regions = attrgetter("info"), attrgetter("regions")
changed, labels = partial(setting, info), partial(setting, regions)


def without(sample):
    sample.info = None


def other_frame(sample):
    sample.info.header.frame_id = "moon"


def negative(sample):
    sample.info.header.stamp.sec = -1


def others(stream: Stream) -> None:
    """A second camera's on the same topic."""
    for _ in range(8):
        sample = stream.sample()
        other = stream.sample(sample.stamp_ns).info
        other.header.frame_id, other.k = "other", np.diag([5.0, 5.0, 1.0]).ravel()
        stream.peer.infos.publish(other)
        stream.send(sample)


def storm(stream: Stream) -> None:
    """Five hundred at once, most of other stamps."""
    for index in range(500):
        stream.peer.infos.publish(stream.sample(stream.now_ns() - index * 1_000_000).info)


NAN9, K = [float("nan")] * 9, np.diag([50.0, 50.0, 1.0]).ravel()
NOT_INVERTIBLE = [0.0, 50.0, 31.5, 0.0, 50.0, 23.5, 0.0, 0.0, 1.0]

CAMERA_INFO = [
    Fault("K and P zero", changed(k=np.zeros(9), p=np.zeros(12)), "not calibrated"),
    Fault("K NaN", changed(k=NAN9, p=np.zeros(12)), "camera_info"),
    Fault("P NaN", changed(p=[float("nan")] * 12), "camera_info: P"),
    Fault("P infinite", changed(p=[float("inf")] * 12), "camera_info: P"),
    Fault("focal lengths negative", changed(k=-K, p=np.zeros(12)), "camera_info"),
    Fault("K not invertible", changed(k=NOT_INVERTIBLE, p=np.zeros(12)), "camera_info"),
    Fault("R NaN", changed(r=NAN9), "needed a rotation"),
    Fault("R no rotation", changed(r=np.arange(9.0)), "needed a rotation"),
    Fault("another size", changed(width=1280, height=960), "1280x960"),
    Fault("size 2^32 - 1", changed(width=2**32 - 1, height=2**32 - 1), "4294967295"),
    Fault("unknown distortion", changed(distortion_model="thin_plate", d=[0.1]), "thin_plate"),
    Fault("100,000 coefficients", changed(d=[0.1] * 100_000), "100000", NONE_OR_RIGHT),
    Fault("coefficients NaN", changed(d=[float("nan")] * 5), "finite"),
    Fault("coefficients of 1e300", changed(d=[1e300] * 5), "camera_info", NONE_OR_RIGHT),
    Fault("binning 2^32 - 1", changed(binning_x=2**32 - 1, binning_y=2**32 - 1), QUIET, NONE_OR_RIGHT),
    Fault("none for 0.5 s", broken(without, 10), QUIET, NONE_OR_RIGHT),
    Fault("none for 4.5 s", broken(without, 90), "camera_info", NONE_OR_RIGHT),
    Fault("of another frame", broken(other_frame), QUIET, NONE_OR_RIGHT),
    Fault(
        "stamped an hour ahead", broken(stamped(info, HOUR_S), 60), "camera_info: the clock", NONE_OR_RIGHT
    ),
    Fault("stamped an hour ago", broken(stamped(info, -HOUR_S), 60), "camera_info: the clock", NONE_OR_RIGHT),
    Fault("stamped before time", broken(negative), "camera_info: stamp: -1 s", NONE_OR_RIGHT),
    Fault("a second camera's on the topic", others, QUIET, RIGHT),
    Fault("500 at once", within(storm), QUIET, NONE_OR_RIGHT),
    Fault("bytes that are no message", garbage(lambda peer: peer.infos), QUIET, NONE_OR_RIGHT),
]


# ---- regions ---------------------------------------------------------------------------------


class Labelled(Stream):
    """A stream with a label image of two halves beside each image."""

    def __init__(self, *args, **how):
        super().__init__(*args, **how)
        self.labels = self.peer.create_publisher(Image, "regions", 5)

    def sample(self, stamp_ns=None):
        sample = super().sample(stamp_ns)
        halves = np.repeat(np.where(np.arange(64) < 32, 0.001, 0.002)[None], 48, axis=0)
        fields = messages.depth_fields(halves.astype(np.float32), "16UC1")
        sample.regions = fill_image(fields, stamp_ns=sample.stamp_ns, frame_id="camera")
        return sample

    def send(self, sample):
        if sample.regions is not None:
            self.labels.publish(sample.regions)
        super().send(sample)


REGIONS = [
    Fault("colours", labels(encoding="rgb8"), "regions"),
    Fault("cut short", labels(data=b"12"), "regions"),
    Fault("size 0", labels(width=0, height=0), "regions"),
    Fault("stamped an hour ahead", broken(stamped(regions, HOUR_S), 90), "regions"),
    Fault("none for 4.5 s", broken(lambda sample: setattr(sample, "regions", None), 90), "regions"),
]
GROUPS = {
    "camera_info": ({}, {}, CAMERA_INFO),
    "regions": (
        {"regions.source": "topic", "solver.name": "region_aware"}, {"kind": Labelled}, REGIONS,
    ),
}  # fmt: skip
