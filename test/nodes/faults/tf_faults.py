"""Faults of transforms: the camera moves in odom, clouds are moved through odom to the image's time."""

from fault_campaign import NONE_OR_RIGHT, RIGHT, Fault, Stream, broken, transform_bytes, within

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
    Fault("none for 0.5 s", broken(without, 10), "tf", NONE_OR_RIGHT),
    Fault("none for 3 s", broken(without, 60), "tf", NONE_OR_RIGHT),
    Fault("NaN", moved(x=NAN), "tf", NONE_OR_RIGHT),
    Fault("infinite", moved(x=INF), "tf", NONE_OR_RIGHT),
    Fault("quaternion of length 0", moved(q=(0.0, 0.0, 0.0, 0.0)), "tf", NONE_OR_RIGHT),
    Fault("quaternion NaN", moved(q=(NAN,) * 4), "tf", NONE_OR_RIGHT),
    Fault("quaternion of length 2", moved(q=(0.0, 0.0, 0.0, 2.0)), published=NONE_OR_RIGHT),
    Fault("one stamped an hour ahead", also("odom", "base", HOUR_NS, times=1), "tf", NONE_OR_RIGHT),
    Fault("some stamped an hour ahead", stamped(3600), "tf", NONE_OR_RIGHT),
    Fault("some stamped an hour ago", stamped(-3600), published=NONE_OR_RIGHT),
    Fault("some stamped 0.2 s late", stamped(-0.2), published=NONE_OR_RIGHT),
    Fault("one stamped 0", also("odom", "base", -(10**15), times=1), published=NONE_OR_RIGHT),
    Fault("a loop: odom below camera", also("camera", "odom", times=1), "tf", NONE_OR_RIGHT),
    Fault("a loop of statics", also("lidar", "base", times=1, static=True), "tf", NONE_OR_RIGHT),
    Fault("a frame below itself", also("base", "base"), "tf", RIGHT),
    Fault("no parent", also("", "base"), "tf", RIGHT),
    Fault("no child", also("odom", ""), "tf", RIGHT),
    Fault("a leading slash", also("/odom", "/other"), published=RIGHT),
    Fault("a name of 100,000 letters", also("odom", "n" * 100_000), published=RIGHT),
    Fault("500 bad ones at once", within(storm), "tf", RIGHT),
    Fault("the LiDAR hung elsewhere", elsewhere, "tf", NONE_OR_RIGHT),
    Fault("the camera hung elsewhere", away, "tf", NONE_OR_RIGHT),
    Fault("10,000 frames", within(many_frames, 1.0), published=NONE_OR_RIGHT),
    Fault("bytes that are no message", within(garbage), published=NONE_OR_RIGHT),
]
GROUPS = {"tf": ({"sync.fixed_frame": "odom", "sync.max_cloud_age_s": 0.1}, {"moving": True}, FAULTS)}
