"""What ROS packages missing on PyPI offer, as far as this package calls it. See ``nodes.ros``.

Each module has the name and the interface of the package it stands in for; tests run both against
the same contract where the real one is installed.
"""
