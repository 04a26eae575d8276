"""Stand-ins for ROS packages that PyPI lacks: the part that this package calls. See ``nodes.ros``.

Each module has the name and the interface of the package it replaces; if the real one is installed, the
same tests run on both.
"""
