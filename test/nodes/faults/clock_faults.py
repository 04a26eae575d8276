"""Faults of time: stamps of all inputs together, and a simulated clock."""

from fault_campaign import NONE_OR_RIGHT, QUIET, Fault, Stream, within
from fault_messages import clock_at

HOUR_S = 3600.0


def jump(*seconds, times=1):
    """Time jumps, for good; between two jumps the stream goes on for a while."""

    def act(stream: Stream) -> None:
        for _ in range(times):
            for each in seconds:
                stream.jump(each)
                stream.go_on(0.3)

    return act


def later(act):
    """A fault of which the log told a moment ago: it says the same again only after 5 s."""

    def wait(stream: Stream) -> None:
        stream.go_on(5.0)
        act(stream)

    return wait


def slip(seconds, count=1):
    """Some samples of another time."""

    def act(stream: Stream) -> None:
        for _ in range(count):
            stream.send(stream.sample(stream.now_ns() + round(seconds * 1e9)))
        stream.go_on(0.3)

    return act


def of_stamp(stamp_ns, count=6):
    """Samples that are all stamped alike."""

    def act(stream: Stream) -> None:
        for _ in range(count):
            stream.send(stream.sample(stamp_ns))

    return act


def to_and_fro(stream: Stream) -> None:
    """Every sample is an hour from the last one."""
    for index in range(12):
        stream.send(stream.sample(stream.now_ns() + index % 2 * 3600 * 10**9))


def backwards(stream: Stream) -> None:
    """A bag that is played backwards."""
    begin_ns = stream.now_ns()
    for index in range(20):
        stream.send(stream.sample(begin_ns - index * 50_000_000))


def out_of_order(stream: Stream) -> None:
    begin_ns = stream.now_ns()
    for index in (1, 0, 3, 2, 5, 4, 7, 6):
        stream.send(stream.sample(begin_ns + index * 50_000_000))


def same_time(stream: Stream) -> None:
    stream.jump(0.0)
    of_stamp(stream.now_ns(), 10)(stream)


def years_ahead(stream: Stream) -> None:
    of_stamp((2**31 - 1) * 10**9)(stream)


def fast(stream: Stream) -> None:
    """A bag at ten times its pace."""
    for _ in range(10):
        stream.jump(0.45)
        stream.send(stream.sample())


STAMPS = [
    Fault("all stamps an hour ahead from now on", jump(HOUR_S), QUIET, NONE_OR_RIGHT),
    Fault("all stamps an hour back from now on", jump(-HOUR_S), "jumped back", NONE_OR_RIGHT),
    Fault("a bag loops", later(jump(-5.0)), "jumped back", NONE_OR_RIGHT),
    Fault("a bag of 0.3 s loops five times", later(jump(-2.0, times=5)), "jumped back", NONE_OR_RIGHT),
    Fault("ahead and back", later(jump(100.0, -100.0)), "jumped back", NONE_OR_RIGHT),
    Fault("one sample 2 s ahead", slip(2.0), QUIET, NONE_OR_RIGHT),
    Fault("one sample an hour ahead", slip(HOUR_S), "ahead of images that came later", NONE_OR_RIGHT),
    Fault("one sample an hour ago", slip(-HOUR_S), "far from those around it", NONE_OR_RIGHT),
    Fault("an hour to and fro", later(to_and_fro), "far from those around it", NONE_OR_RIGHT),
    Fault("stamps of 0", of_stamp(0), "stamp: 0 s", NONE_OR_RIGHT),
    Fault("stamps of 2038", years_ahead, "jumped back", NONE_OR_RIGHT),
    Fault("one stamp for all", same_time, QUIET, NONE_OR_RIGHT),
    Fault("out of order", out_of_order, QUIET, NONE_OR_RIGHT),
    Fault("backwards", backwards, QUIET, NONE_OR_RIGHT),
    Fault("ten times as fast", fast, QUIET, NONE_OR_RIGHT),
]


# ---- simulated time --------------------------------------------------------------------------


def stopped(seconds):
    """The clock stands still, and the messages stop or go on without it."""

    def act(stream: Stream) -> None:
        clock, stream._clock = stream._clock, None
        stream.go_on(seconds)
        stream._clock = clock

    return act


def clock_of(stamp_ns):
    def act(stream: Stream) -> None:
        for _ in range(5):
            stream._clock.publish(clock_at(stamp_ns))
            stream.go_on(0.1)

    return act


def clock_storm(stream: Stream) -> None:
    for index in range(2000):
        stream._clock.publish(clock_at(stream.now_ns() - index % 2 * 10**9))


SIMULATED = [
    Fault("the clock stops for 1 s", stopped(1.0), QUIET, NONE_OR_RIGHT),
    Fault("the clock says 0", clock_of(0), QUIET, NONE_OR_RIGHT),
    Fault("the clock says 2038", clock_of((2**31 - 1) * 10**9), QUIET, NONE_OR_RIGHT),
    Fault("the simulation restarts", jump(-900.0), "jumped back", NONE_OR_RIGHT),
    Fault("the simulation jumps ahead", jump(500.0), "stamps jumped by", NONE_OR_RIGHT),
    Fault("2,000 clocks to and fro", within(clock_storm), QUIET, NONE_OR_RIGHT),
]
GROUPS = {
    "clock": ({"sync.max_cloud_age_s": 0.1}, {}, STAMPS),
    "simulated clock": ({"use_sim_time": True}, {"clock": True, "moving": True}, SIMULATED),
}
