"""Reads and writes rosbags without ROS: ROS 1 ``.bag`` (read only), ROS 2 sqlite3 and mcap."""

from metric_depth_ros.bags.definitions import ros2_type
from metric_depth_ros.bags.reader import BagReader, Outcome
from metric_depth_ros.bags.search import find_bags
from metric_depth_ros.bags.storage import Bag, is_bag, open_bag, read_depths, read_messages
from metric_depth_ros.bags.writer import BagWriter

__all__ = [
    "Bag",
    "BagReader",
    "BagWriter",
    "Outcome",
    "find_bags",
    "is_bag",
    "open_bag",
    "read_depths",
    "read_messages",
    "ros2_type",
]
