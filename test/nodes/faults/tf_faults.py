"""Faults of transforms: the camera moves in odom, clouds are moved through odom to the image's time."""

from fault_campaign import NONE_OR_RIGHT, QUIET, RIGHT, Fault, Stream, broken, within
from fault_messages import transform_bytes

NAN, INF, HOUR_NS = float("nan"), float("inf"), 3600 * 10**9


def also(parent, child, ahead_ns=0, *, times=3, static=False, **values):
    """Sends a transform beside the right ones."""

    def act(stream: Stream) -> None:
        tf = stream.peer.tf if static else stream.peer.moving_tf
        for _ in range(times):
            tf.pub_tf.publish(transform_bytes(parent, child, stream.now_ns() + ahead_ns, **values))
            stream.go_on(0.15)

    return act


def moved(**values):
    """The camera's own transform is another one."""

    def change(sample):
        sample.moved = transform_bytes("odom", "base", sample.stamp_ns, **values)

    return broken(change)


def without(sample):
    sample.moved = None


def stamped(seconds):
    """All transforms of some time, stamped earlier or later."""

    def change(sample):
        at_ns = sample.stamp_ns + round(seconds * 1e9)
        sample.moved = transform_bytes("odom", "base", at_ns, x=0.1 * at_ns / 1e9)

    return broken(change)


def storm(stream: Stream) -> None:
    """Five hundred bad transforms of changing values."""
    for index in range(500):
        data = transform_bytes(
            "odom", f"other{index}", stream.now_ns(), x=NAN, q=(NAN, 0.0, 0.0, index * 1.0)
        )
        stream.peer.moving_tf.pub_tf.publish(data)


def many_frames(stream: Stream) -> None:
    stream.peer.moving_tf.pub_tf.publish(transform_bytes("odom", "leaf", stream.now_ns(), count=10_000))


def garbage(stream: Stream) -> None:
    # Not none at all: Fast DDS then delivers nothing more of this publisher to reliable subscribers.
    for data in (b"\0\1\0\0", b"\0\1\0\0" + b"\xff" * 40, bytes(range(256))):
        stream.peer.moving_tf.pub_tf.publish(data)
        stream.peer.tf.pub_tf.publish(data)


def elsewhere(stream: Stream) -> None:
    """A second publisher says for a moment that the LiDAR is on another robot."""
    stream.peer.mount("moon", "lidar")
    stream.go_on(0.3)
    stream.peer.mount("base", "lidar")


def away(stream: Stream) -> None:
    """The chain between camera and LiDAR is broken."""
    stream.peer.mount("moon", "camera")
    stream.go_on(0.3)
    stream.peer.mount("base", "camera")


FAULTS = [
    Fault("none for 0.5 s", broken(without, 10), "is known from", NONE_OR_RIGHT),
    Fault("none for 3 s", broken(without, 60), "is known from", NONE_OR_RIGHT),
    Fault("NaN", moved(x=NAN), "transform: translation", NONE_OR_RIGHT),
    Fault("infinite", moved(x=INF), "translation [inf", NONE_OR_RIGHT),
    Fault("quaternion of length 0", moved(q=(0.0, 0.0, 0.0, 0.0)), "rotation [0. 0. 0. 0.]", NONE_OR_RIGHT),
    Fault("quaternion NaN", moved(q=(NAN,) * 4), "rotation [nan", NONE_OR_RIGHT),
    Fault("quaternion of length 2", moved(q=(0.0, 0.0, 0.0, 2.0)), QUIET, NONE_OR_RIGHT),
    Fault(
        "one stamped an hour ahead",
        also("odom", "base", HOUR_NS, times=1),
        "came once stamped +3",
        NONE_OR_RIGHT,
    ),
    Fault("some stamped an hour ahead", stamped(3600), "is known from", NONE_OR_RIGHT),
    Fault("some stamped an hour ago", stamped(-3600), "is known from", NONE_OR_RIGHT),
    Fault("some stamped 0.2 s late", stamped(-0.2), "is known from", NONE_OR_RIGHT),
    Fault("one stamped 0", also("odom", "base", -(10**15), times=1), "stamp: -", NONE_OR_RIGHT),
    Fault(
        "a loop: odom below camera",
        also("camera", "odom", times=1),
        "'odom' in 'camera' closes a loop",
        NONE_OR_RIGHT,
    ),
    Fault(
        "a loop of statics",
        also("lidar", "base", times=1, static=True),
        "'base' in 'lidar' closes a loop",
        NONE_OR_RIGHT,
    ),
    Fault("a frame below itself", also("base", "base"), "from 'base' to 'base'", RIGHT),
    Fault("no parent", also("", "base"), "from 'base' to ''", RIGHT),
    Fault("no child", also("odom", ""), "from '' to 'odom'", RIGHT),
    Fault("a leading slash", also("/odom", "/other"), QUIET, RIGHT),
    Fault("a name of 100,000 letters", also("odom", "n" * 100_000), "100000 characters", RIGHT),
    Fault("500 bad ones at once", within(storm), "'odom' to 'other", RIGHT),
    Fault("the LiDAR hung elsewhere", elsewhere, "not connected", NONE_OR_RIGHT),
    Fault("the camera hung elsewhere", away, "'camera' is below 'moon'", NONE_OR_RIGHT),
    Fault("10,000 frames", within(many_frames, 1.0), "over 10000 frames", NONE_OR_RIGHT),
    Fault("bytes that are no message", within(garbage), QUIET, NONE_OR_RIGHT),
]
GROUPS = {"tf": ({"sync.fixed_frame": "odom", "sync.max_cloud_age_s": 0.1}, {"moving": True}, FAULTS)}
