"""Publishes texts on the topic that it is given, until it is interrupted."""

import sys
import time

import rclpy
from std_msgs.msg import String

rclpy.init()
publisher = rclpy.create_node("other").create_publisher(String, sys.argv[1], 5)
while rclpy.ok():
    publisher.publish(String(data="text"))
    time.sleep(0.1)
