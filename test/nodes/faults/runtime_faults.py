"""Faults of the network's runtime: it fails or hangs while it runs, for some images."""

from fault_acts import white
from fault_campaign import NONE_OR_RIGHT, Fault, Stream, broken
from fault_messages import texts
from fault_networks import fails_on_white, hangs_on_white

FAILED, HANGS = "out of data bounds", "no end after 0.5 s"


def one(words):
    """One image; another if the node says nothing, as a busy machine may have dropped it."""

    def act(stream: Stream) -> None:
        log, told = len(stream.log()), len(stream.peer.statuses)

        def named():
            said = [stream.log()[log:], *texts(stream.peer.statuses[told:])]
            return any(words in text for text in said)

        for _ in range(3):
            broken(white, 1)(stream)
            if stream.peer.wait(named, 0.7):
                break

    return act


def in_turn(stream: Stream) -> None:
    """Every second image fails: the network is loaded anew again and again."""
    for _ in range(5):
        broken(white, 1)(stream)
        stream.send(stream.sample())


def without_file(stream: Stream) -> None:
    """The network fails, and cannot be loaded anew, as its file is gone meanwhile."""
    content = stream.model.read_bytes()
    stream.model.unlink()
    broken(white)(stream)
    stream.model.write_bytes(content)


def settings_meanwhile(stream: Stream) -> None:
    """New settings come while the network fails."""
    for focus_m in (3.0, 0.0):
        broken(white, 3)(stream)
        assert stream.peer.set_parameter("solver.focus_m", focus_m).successful


def stopped_meanwhile(stream: Stream) -> None:
    """The node ends while a network fails, and starts again."""
    broken(white, 4)(stream)
    stream.stop()
    stream.start()


FAILING = [
    Fault("one image", one(FAILED), FAILED),
    Fault("7 images in a row", broken(white), FAILED),
    Fault("for 2 s", broken(white, 40), FAILED),
    Fault("every second image", in_turn, FAILED, NONE_OR_RIGHT),
    Fault("while the model is gone", without_file, FAILED),
    Fault("while settings change", settings_meanwhile, FAILED),
]
HANGING = [
    Fault("one image", one(HANGS), HANGS),
    Fault("for 1.2 s", broken(white, 24), HANGS),
]
ENDING = [Fault("the node ends meanwhile", stopped_meanwhile, "", NONE_OR_RIGHT)]
GROUPS = {
    "runtime fails": ({}, {"network": fails_on_white}, [*FAILING, *ENDING]),
    "runtime hangs": ({"engine.timeout_s": 0.5}, {"network": hangs_on_white}, [*HANGING, *ENDING]),
}
