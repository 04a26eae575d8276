"""Faults of several parts at once: they stop and come back in any order, overlapping."""

import random

from fault_acts import white
from fault_campaign import NONE_OR_RIGHT, QUIET, Fault, Stream
from fault_networks import fails_on_white
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

ROUNDS = 8
DRIVERS = {
    "camera": (("images", Image, "image"), ("infos", CameraInfo, "camera_info")),
    "sensor": (("clouds", PointCloud2, "anchors"),),
    "TF": (),
    "clock": (("_clock", Clock, "/clock"),),
    "runtime": (),
}


class Parts(Stream):
    """A stream whose parts can be stopped and started, each by itself.

    Attributes:
        gone: those that are stopped.
    """

    def __init__(self, *told, **further):
        super().__init__(*told, **further)
        self.gone = set()

    def toggle(self, part):
        """Stops a part, or starts it if it is stopped; a driver's publishers end and are made anew."""
        self.gone ^= {part}
        for name, kind, topic in DRIVERS[part]:
            owner = self if name == "_clock" else self.peer
            if part in self.gone:
                self.peer.destroy_publisher(getattr(owner, name))
                setattr(owner, name, None)
            else:
                setattr(owner, name, self.peer.create_publisher(kind, topic, 5))

    def send(self, sample):
        """Sends what comes from the parts that run; without its runtime the network fails."""
        if "runtime" in self.gone:
            white(sample)
        if "camera" in self.gone:
            sample.image = sample.info = None
        if "sensor" in self.gone:
            sample.cloud = None
        if "TF" in self.gone:
            sample.moved = None
        super().send(sample)


def shuffled(seed):
    """All parts stop and start once, in an order by chance."""
    chance = random.Random(seed)
    order = 2 * list(DRIVERS)
    chance.shuffle(order)
    steps = [(part, chance.uniform(0.0, 0.25)) for part in order]

    def act(stream: Parts) -> None:
        for part, pause_s in steps:
            stream.toggle(part)
            stream.go_on(pause_s)

    signs, seen = [], set()
    for part in order:
        signs.append(f"{'+' if part in seen else '-'}{part}")
        seen.add(part)
    return Fault(" ".join(signs), act, QUIET, NONE_OR_RIGHT)


FAULTS = [shuffled(seed) for seed in range(ROUNDS)]
GROUPS = {
    "any order": (
        {"use_sim_time": True, "sync.fixed_frame": "odom"},
        {"kind": Parts, "network": fails_on_white, "clock": True, "moving": True},
        FAULTS,
    )
}
