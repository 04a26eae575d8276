from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy")

from metric_depth_ros.nodes import replayer
from metric_depth_ros.nodes.replayer import Replayer


@pytest.mark.parametrize(
    ("come_s", "found", "until_s"),
    [
        ([], False, 5.0),
        ([0.0], True, 0.5),
        ([0.3, 0.7, 1.1], True, 1.6),  # late ones, as on a busy machine
        ([4.8], True, 5.0),
        ([0.4 * number for number in range(99)], True, 5.0),  # without end
    ],
)
def test_replay_waits_until_no_further_subscriber_comes(monkeypatch, come_s, found, until_s):
    clock = SimpleNamespace(now_s=100.0)
    clock.monotonic = lambda: clock.now_s
    clock.sleep = lambda seconds: setattr(clock, "now_s", clock.now_s + seconds)
    monkeypatch.setattr(replayer, "time", clock)

    def count():
        return sum(100.0 + second <= clock.now_s for second in come_s)

    bag = SimpleNamespace(_publishers_by_topic={"/image": SimpleNamespace(get_subscription_count=count)})
    assert Replayer.wait_for_subscribers(bag, 5.0) is found
    assert clock.now_s - 100.0 == pytest.approx(until_s, abs=0.05)
