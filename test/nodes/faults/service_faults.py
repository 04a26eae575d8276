"""Faults of the node's services: memory is reset and samples are saved while images come."""

from fault_acts import asked
from fault_campaign import NONE_OR_RIGHT, QUIET, RIGHT, Fault, Stream
from lifecycle_faults import ACTIVATE, DEACTIVATE, change
from std_srvs.srv import Trigger


class Saving(Stream):
    """A stream whose node saves samples in a folder of this stream.

    Attributes:
        saved: the folder.
    """

    def start(self, **settings):
        self.saved = self.folder / "saved"
        super().start(**{"save.folder": str(self.saved), **settings})


def reset(times):
    """Resets, without waiting for one another's answer; a queue may drop some, but never the last one."""

    def act(stream: Stream) -> None:
        client = stream.peer.create_client(Trigger, "/metric_depth_node/reset")
        assert client.wait_for_service(10.0)
        futures = [client.call_async(Trigger.Request()) for _ in range(times)]
        stream.go_on(0.3)
        assert stream.peer.wait(futures[-1].done)
        assert all(future.result().success for future in futures if future.done())
        stream.peer.destroy_client(client)

    return act


def saved(stream: Saving) -> None:
    answer = asked(stream, Trigger, "save_sample")
    assert answer.success, answer.message
    assert answer.message.startswith(f"{stream.saved}/") and any(stream.saved.iterdir())


def into(make):
    """In place of the folder is something into which nothing can be written, until an answer came."""

    def act(stream: Saving) -> None:
        kept = stream.saved.with_name("kept")
        if stream.saved.exists():
            stream.saved.rename(kept)
        make(stream.saved)
        answer = asked(stream, Trigger, "save_sample")
        stream.saved.unlink()
        if kept.exists():
            kept.rename(stream.saved)
        assert not answer.success
        stream.answers.append(answer.message)

    return act


def waiting(then):
    """A sample is to be saved, and meanwhile something else happens."""

    def act(stream: Saving) -> None:
        client = stream.peer.create_client(Trigger, "/metric_depth_node/save_sample")
        assert client.wait_for_service(10.0)
        future = client.call_async(Trigger.Request())
        then(stream)
        assert stream.peer.wait(lambda: stream.go_on(0.1) or future.done())
        stream.answers.append(future.result().message)
        stream.peer.destroy_client(client)

    return act


def nobody_waits(stream: Saving) -> None:
    """Whoever asked for a sample is gone before the answer."""
    client = stream.peer.create_client(Trigger, "/metric_depth_node/save_sample")
    assert client.wait_for_service(10.0)
    client.call_async(Trigger.Request())
    stream.go_on(0.1)
    stream.peer.destroy_client(client)
    stream.go_on(0.5)


def deactivated(stream: Saving) -> None:
    stream.go_on(0.05)
    assert change(stream, DEACTIVATE)
    stream.go_on(0.2)
    assert change(stream, ACTIVATE)


FAULTS = [
    Fault("reset", reset(1), QUIET, RIGHT),
    Fault("200 resets at once", reset(200), QUIET, NONE_OR_RIGHT),
    Fault("a sample saved", saved, QUIET, RIGHT),
    Fault("two samples saved at once", waiting(saved), "metric_depth run", RIGHT),
    Fault("a sample saved while reset", waiting(reset(5)), "metric_depth run", RIGHT),
    Fault("a sample for nobody", nobody_waits, QUIET, RIGHT),
    Fault("a sample saved into a file", into(lambda path: path.write_text("x")), "needed a", RIGHT),
    Fault(
        "a sample saved where nothing can be",
        into(lambda path: path.symlink_to("/proc/none")),
        "save_sample: ",
        RIGHT,
    ),
    Fault("deactivated while a sample is saved", waiting(deactivated), "Activate it.", NONE_OR_RIGHT),
]
GROUPS = {"services": ({}, {"kind": Saving}, FAULTS)}
