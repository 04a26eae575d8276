"""Faults of a second camera, whose node shares process and network with the first one's."""

from fault_acts import white
from fault_campaign import HANG_S, NONE_OR_RIGHT, QUIET, RIGHT, Fault, Stream
from fault_networks import fails_on_white
from peer import Peer

from metric_depth_ros import messages
from metric_depth_ros.cli.live import NODE


class TwoCameras(Stream):
    """A stream of two cameras; the first one is judged.

    Attributes:
        rear: the second one, or None.
        change: what it does to its samples.
    """

    command = (*NODE, "--cameras", "/", "/rear")

    def __init__(self, *told, **further):
        super().__init__(*told, **further)
        self.rear, self.change = Peer(namespace="/rear"), lambda sample: None

    def send(self, sample):
        super().send(sample)
        if self.rear is not None:
            other = self.sample()
            self.change(other)
            self.rear.send(other.image, other.info, other.cloud)

    def rear_recovers(self):
        """Whether the second camera has right depth, too, of an image from now on."""
        began_ns = self.now_ns()

        def right():
            self.send(self.sample())
            new = [d for d in self.rear.depths if messages.stamp_ns(d) > began_ns]
            return any(self.judge(depth) == "right" for depth in new)

        return self.peer.wait(right, HANG_S)

    def close(self):
        self.unplug()
        super().close()

    def unplug(self):
        if self.rear is not None:
            self.rear.close()
        self.rear = None


def gone(seconds):
    """The second camera and its subscribers end, and come back."""

    def act(stream: TwoCameras) -> None:
        stream.unplug()
        stream.go_on(seconds)
        stream.rear = Peer(namespace="/rear")
        assert stream.rear_recovers(), stream.log()[-2000:]

    return act


def rear(change, seconds=0.5):
    """The second camera's samples are bad for a while."""

    def act(stream: TwoCameras) -> None:
        good, stream.change = stream.change, change
        stream.go_on(seconds)
        stream.change = good
        assert stream.rear_recovers(), stream.log()[-2000:]

    return act


def first_gone(stream: TwoCameras) -> None:
    """The first camera ends; the second one must have depth all the same."""
    send = stream.peer.send
    stream.peer.send = lambda *_: None
    assert stream.rear_recovers(), stream.log()[-2000:]
    stream.go_on(0.5)
    stream.peer.send = send


def flood(stream: TwoCameras) -> None:
    for _ in range(200):
        sample = stream.sample()
        stream.rear.send(sample.image, sample.info, sample.cloud)
    assert stream.rear_recovers()


def cut(sample):
    sample.image.data = sample.image.data[:100]


def without_info(sample):
    sample.info = None


def without_cloud(sample):
    sample.cloud = None


FAULTS = [
    Fault("gone for 1 s", gone(1.0), QUIET, RIGHT),
    Fault("restarted at once", gone(0.0), QUIET, RIGHT),
    Fault("its images cut short", rear(cut), "cut short", RIGHT),
    Fault("its calibration silent", rear(without_info), QUIET, RIGHT),
    Fault("its sensor silent", rear(without_cloud), "no cloud for the image", RIGHT),
    Fault("200 images of it at once", flood, QUIET, NONE_OR_RIGHT),
    Fault("the shared network fails for its images", rear(white), "out of data bounds", NONE_OR_RIGHT),
    Fault("the first camera gone", first_gone, QUIET, NONE_OR_RIGHT),
]
GROUPS = {"second camera": ({}, {"kind": TwoCameras, "network": fails_on_white}, FAULTS)}
