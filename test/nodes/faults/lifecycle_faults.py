"""Faults of the node's life: a manager changes its state, rightly and wrongly, while images come."""

from fault_acts import asked
from fault_campaign import NONE_OR_RIGHT, QUIET, RIGHT, START_S, Fault, Stream
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState

CONFIGURE, CLEANUP = Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_CLEANUP
ACTIVATE, DEACTIVATE = Transition.TRANSITION_ACTIVATE, Transition.TRANSITION_DEACTIVATE


class Managed(Stream):
    """A stream whose node is configured and activated from outside."""

    def start(self, *, wait=True, **settings):
        super().start(wait=False, **{"lifecycle.autostart": "false", **settings})
        through(CONFIGURE, ACTIVATE, pause_s=0.0)(self)
        if wait:
            assert self.recover(START_S) is not None, self.log()[-3000:]


def change(stream: Stream, transition: int) -> bool:
    """Whether the transition succeeded; images come meanwhile."""
    return asked(stream, ChangeState, "change_state", transition=Transition(id=transition)).success


def through(*transitions, pause_s=0.3, times=1):
    """Transitions that must succeed, with images between them."""

    def act(stream: Stream) -> None:
        for transition in transitions * times:
            assert change(stream, transition), (transition, stream.log()[-2000:])
            stream.go_on(pause_s)

    return act


def refused(*transitions):
    """Transitions that the node cannot make."""

    def act(stream: Stream) -> None:
        for transition in transitions:
            assert not change(stream, transition), transition

    return act


def configured_without_model(stream: Stream) -> None:
    """The network is gone when the node is configured; it comes, and the node is configured again."""
    through(DEACTIVATE, CLEANUP, pause_s=0.0)(stream)
    content = stream.model.read_bytes()
    stream.model.unlink()
    refused(CONFIGURE, ACTIVATE)(stream)
    stream.model.write_bytes(content)
    through(CONFIGURE, ACTIVATE, pause_s=0.0)(stream)


def shut_down(stream: Stream) -> None:
    """Finalised, which is for good: the process is started anew."""
    assert change(stream, Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert not change(stream, CONFIGURE)
    stream.stop()
    stream.start()


FAULTS = [
    Fault("deactivated and activated", through(DEACTIVATE, ACTIVATE), "inactive", NONE_OR_RIGHT),
    Fault(
        "deactivated and activated five times",
        through(DEACTIVATE, ACTIVATE, pause_s=0.0, times=5),
        QUIET,
        NONE_OR_RIGHT,
    ),
    Fault(
        "cleaned up and configured",
        through(DEACTIVATE, CLEANUP, CONFIGURE, ACTIVATE, pause_s=0.1),
        "engine ready",
        NONE_OR_RIGHT,
    ),
    Fault("configured and cleaned up while active", refused(CONFIGURE, CLEANUP), QUIET, RIGHT),
    Fault("activated while active", refused(ACTIVATE), QUIET, RIGHT),
    Fault("transitions that there are not", refused(0, 77, 255), QUIET, RIGHT),
    Fault("configured without a network", configured_without_model, "cannot configure", NONE_OR_RIGHT),
    Fault("shut down", shut_down, QUIET, NONE_OR_RIGHT),
]
GROUPS = {"lifecycle": ({}, {"kind": Managed}, FAULTS)}
