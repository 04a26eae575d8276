"""Graphs of their own, for processes that are started together."""

import random
import subprocess
import sys

from metric_depth_ros.cli.live import Graph, own_domain
from metric_depth_ros.share import on_this_machine

TAKE = "from metric_depth_ros.cli.live import own_domain; domain, kept = own_domain(); print(domain); input()"


def test_what_another_process_has_taken_is_passed_over(monkeypatch):
    other = subprocess.Popen(
        [sys.executable, "-c", TAKE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        theirs = int(other.stdout.readline())
        monkeypatch.setattr(
            random.SystemRandom, "sample", lambda self, domains, k: sorted(domains, key=lambda n: n != theirs)
        )
        assert own_domain()[0] != theirs
    finally:
        other.communicate("\n", timeout=20)


def test_a_graph_is_apart_from_the_robot_s_unless_it_is_to_join(monkeypatch, tmp_path):
    monkeypatch.setenv("ROS_DOMAIN_ID", "107")
    for name in on_this_machine():
        monkeypatch.setenv(name, "SUBNET")
    own = Graph(tmp_path).env
    assert 1 <= int(own["ROS_DOMAIN_ID"]) <= 100
    assert on_this_machine().items() <= own.items()
    assert Graph(tmp_path, apart=False).env["ROS_DOMAIN_ID"] == "107"


def test_the_domain_of_a_graph_that_has_ended_is_free_again(monkeypatch, tmp_path):
    monkeypatch.setattr(random.SystemRandom, "sample", lambda self, domains, k: list(domains))
    with Graph(tmp_path) as first, Graph(tmp_path) as second:
        assert first.env["ROS_DOMAIN_ID"] != second.env["ROS_DOMAIN_ID"]
    with Graph(tmp_path) as again:
        assert again.env["ROS_DOMAIN_ID"] == first.env["ROS_DOMAIN_ID"]
