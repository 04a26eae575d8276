"""What every bag that is written has: its format, and the QoS of its topics."""

from __future__ import annotations

from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

# Bag format 8 is the newest that Humble's rosbag2 reads (9 writes QoS in a way it does not parse);
# Iron to Kilted and Lyrical read it too.
FORMAT = 8

_FOREVER = QosTime(sec=2147483647, nsec=4294967295)


def bag_qos(*, depth: int, reliable: bool, latched: bool) -> Qos:
    """QoS of a topic, as its publisher has it."""
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=depth,
        reliability=QosReliability.RELIABLE if reliable else QosReliability.BEST_EFFORT,
        durability=QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        deadline=_FOREVER,
        lifespan=_FOREVER,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=_FOREVER,
        avoid_ros_namespace_conventions=False,
    )
