"""The fixtures themselves, where a test could pass or fail for a reason of theirs."""

import logging
import sys
from types import SimpleNamespace


def test_the_log_of_launch_s_loggers_is_heard(monkeypatch, request):
    """With the plugin of launch_testing every later logger is of launch's class."""

    class LaunchLogger(logging.Logger):
        def __init__(self, name):
            super().__init__(name)
            self.propagate = False

    monkeypatch.setitem(sys.modules, "launch.logging", SimpleNamespace(LaunchLogger=LaunchLogger))
    before = LaunchLogger("made before")
    caplog = request.getfixturevalue("caplog")
    for logger in (before, LaunchLogger("made after")):
        logger.parent = logging.root
        logger.warning("from one %s", logger.name)
    assert "from one made before" in caplog.text
    assert "from one made after" in caplog.text
