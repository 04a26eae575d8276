"""Faults of files: the network and its manifest, before and after they are loaded."""

import hashlib
import os
import shutil
import time
from pathlib import Path

import onnx
import yaml
from fault_campaign import HANG_S, NONE_OR_RIGHT, QUIET, RIGHT, START_S, Fault, Stream
from fault_networks import hangs

MISSING = "needed the network's file"
ENDLESS = "no end after 0.5 s"


# ---- before they are loaded --------------------------------------------------------------------


class Waiting(Stream):
    """A stream whose node waits for the network's file; it has recovered when it says so again."""

    def start(self, *, wait=True, **settings):
        self.good = {path: path.read_bytes() for path in (self.manifest, self.model)}
        self.model.unlink()
        super().start(wait=False, **settings)
        assert self.recover(START_S) is not None, self.log()[-3000:]

    def recover(self, timeout_s):
        began_s, first = time.monotonic(), len(self.peer.statuses)
        said = self.peer.wait(
            lambda: not self.alive() or any(MISSING in s.message for s in self.peer.statuses[first:]),
            timeout_s,
        )
        return time.monotonic() - began_s if said and self.alive() else None

    def renew(self):
        for path, content in getattr(self, "good", {}).items():
            path.write_bytes(content)
        super().renew()


def damaged(name, write, words):
    """A fault of the files: they are damaged until the node says so, and then as before."""

    def act(stream: Waiting) -> None:
        told = len(stream.peer.statuses)
        write(stream)
        stream.peer.wait(
            lambda: not stream.alive() or any(words in s.message for s in stream.peer.statuses[told:]), HANG_S
        )
        for path in (stream.model, stream.manifest):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        stream.manifest.write_bytes(stream.good[stream.manifest])

    return Fault(name, act, words)


def model(change):
    return lambda stream: stream.model.write_bytes(change(stream.good[stream.model]))


def manifest(change):
    """The model is right, the manifest's text another one."""

    def write(stream: Waiting) -> None:
        replaced(stream.manifest, change(stream.good[stream.manifest].decode()))
        stream.model.write_bytes(stream.good[stream.model])

    return write


def replaced(path: Path, text: str) -> None:
    """At once, so that no half of it is read."""
    other = path.with_suffix(".new")
    other.write_text(text, encoding="latin-1")
    other.replace(path)


def signed(content):
    """Another model with a manifest that has its sha256."""

    def write(stream: Waiting) -> None:
        tree = yaml.safe_load(stream.good[stream.manifest])
        tree["sha256"] = hashlib.sha256(content).hexdigest()
        replaced(stream.manifest, yaml.safe_dump(tree))
        stream.model.write_bytes(content)

    return write


def special(which, make):
    """In place of a file something that is none."""

    def write(stream: Waiting) -> None:
        stream.model.write_bytes(stream.good[stream.model])
        path = getattr(stream, which)
        path.unlink()
        make(path)

    return write


def with_keys(**values):
    return lambda text: yaml.safe_dump({**yaml.safe_load(text), **values})


DEEP = "[" * 20_000
LOADING = [
    damaged("model empty", model(lambda content: b""), "sha256"),
    damaged("model cut short", model(lambda content: content[:-1]), "sha256"),
    damaged(
        "a bit of the model flipped", model(lambda content: content[:-9] + b"!" + content[-8:]), "sha256"
    ),
    damaged("model is a folder", special("model", Path.mkdir), "not a regular file"),
    damaged("model is a pipe", special("model", os.mkfifo), "not a regular file"),
    damaged("model is no ONNX, but has the sha256", signed(bytes(range(256))), "not an ONNX file"),
    damaged(
        "model without a graph",
        signed(onnx.ModelProto(ir_version=9).SerializeToString()),
        "it holds no graph",
    ),
    damaged("manifest empty", manifest(lambda text: ""), "found nothing"),
    damaged("manifest no YAML", manifest(lambda text: "a: [b"), "toy.yaml: not valid YAML"),
    damaged("manifest of other bytes", manifest(lambda text: "\xff\xfe\x00"), "UTF-8"),
    damaged("manifest of 20,000 brackets", manifest(lambda text: DEEP), "nested too deeply"),
    damaged("manifest with an alias", manifest(lambda text: f"a: &a 1\nb: *a\n{text}"), "toy.yaml"),
    damaged("unknown key", manifest(with_keys(licens="x")), "Did you mean licence?"),
    damaged("wrong type", manifest(with_keys(input=3)), "toy.yaml: input"),
    damaged("a file elsewhere", manifest(with_keys(file="../../etc/passwd")), "toy.yaml: file"),
    damaged(
        "a size of 10^9", manifest(with_keys(input={"name": "image", "width": 10**9, "height": 48})), "8192"
    ),
    damaged(
        "another input's name", manifest(with_keys(input={"name": "x", "width": 64, "height": 48})), "says x"
    ),
    damaged("manifest is a folder", special("manifest", Path.mkdir), "a folder, no file"),
    damaged("manifest is a pipe", special("manifest", os.mkfifo), "a pipe, no regular file"),
]


# ---- after they are loaded, and a network that never ends ----------------------------------------


def changed(change):
    """The files are others while the node runs, which has loaded them."""

    def act(stream: Stream) -> None:
        kept = stream.folder / "kept"
        shutil.copytree(stream.manifest.parent, kept)
        change(stream)
        stream.go_on(0.4)
        shutil.rmtree(stream.manifest.parent, ignore_errors=True)
        kept.rename(stream.manifest.parent)

    return act


def endless_at_first(stream: Stream) -> None:
    """The node is started with a network that never ends, and says so; then the file is replaced."""
    stream.stop()
    good = {path: path.read_bytes() for path in (stream.model, stream.manifest)}
    hangs(stream.manifest)
    stream.start(wait=False, **{"engine.timeout_s": 0.5})
    said = stream.peer.wait(lambda: stream.go_on(0.1) or ENDLESS in stream.log(), START_S)
    for path, content in good.items():
        path.write_bytes(content)
    assert said, stream.log()[-2000:]
    assert stream.recover(START_S) is not None, stream.log()[-2000:]


FILES = [
    Fault("model removed", changed(lambda stream: stream.model.unlink()), QUIET, RIGHT),
    Fault("model overwritten", changed(lambda stream: stream.model.write_bytes(b"x")), QUIET, RIGHT),
    Fault("manifest overwritten", changed(lambda stream: stream.manifest.write_text("x")), QUIET, RIGHT),
    Fault("folder removed", changed(lambda stream: shutil.rmtree(stream.model.parent)), QUIET, RIGHT),
    Fault("a network that never ends", endless_at_first, ENDLESS, NONE_OR_RIGHT),
]
GROUPS = {"loading": ({}, {"kind": Waiting}, LOADING), "files": ({}, {}, FILES)}
