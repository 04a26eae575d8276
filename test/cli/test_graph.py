"""Graphs of their own, for processes that are started together."""

import random
import subprocess
import sys

from metric_depth_ros.cli.live import Graph, own_domain

TAKE = "from metric_depth_ros.cli.live import own_domain; print(own_domain()); input()"


def test_what_another_process_has_taken_is_passed_over(monkeypatch):
    other = subprocess.Popen(
        [sys.executable, "-c", TAKE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        theirs = int(other.stdout.readline())
        monkeypatch.setattr(
            random.SystemRandom, "sample", lambda self, domains, k: sorted(domains, key=lambda n: n != theirs)
        )
        assert own_domain() != theirs
    finally:
        other.communicate("\n", timeout=20)


def test_a_domain_that_is_set_is_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("ROS_DOMAIN_ID", "7")
    assert Graph(tmp_path).env["ROS_DOMAIN_ID"] == "7"
    monkeypatch.delenv("ROS_DOMAIN_ID")
    assert 1 <= int(Graph(tmp_path).env["ROS_DOMAIN_ID"]) <= 100
