"""What conftest does, where a test could pass or fail for a reason of its own."""

import logging

from conftest import let_propagate


def test_loggers_that_keep_their_records_are_heard(caplog):
    """As those of launch, which with its plugin of pytest are all."""

    class LaunchLogger(logging.Logger):
        def __init__(self, name):
            super().__init__(name)
            self.parent = logging.root
            self.propagate = False

    before = LaunchLogger("before")
    before.warning("unheard")
    let_propagate(LaunchLogger)
    for logger in (before, LaunchLogger("after")):
        logger.warning("from one made %s", logger.name)
    assert "unheard" not in caplog.text
    assert "from one made before" in caplog.text
    assert "from one made after" in caplog.text
