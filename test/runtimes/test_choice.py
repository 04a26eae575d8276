"""Which runtime is chosen: made-up backends behind the protocol, around the real ONNX Runtime."""

import hashlib
import logging
import threading
import time

import numpy as np
import pytest
from conftest import write_toy_model

from metric_depth_ros.errors import ModelError
from metric_depth_ros.runtimes import Model, ModelFile, PlanCache, Request, Size
from metric_depth_ros.runtimes.choice import choose
from metric_depth_ros.runtimes.fingerprint import Fingerprint
from metric_depth_ros.runtimes.onnxruntime import OnnxRuntimeBackend
from metric_depth_ros.runtimes.plan_cache import PlanError
from metric_depth_ros.runtimes.self_test import compare
from metric_depth_ros.runtimes.stopping import StoppedError, stoppable_by

SHAPE = (1, 3, 48, 64)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = write_toy_model(tmp_path_factory.mktemp("toy"), gain=2.0, bias=3.0).with_suffix(".onnx")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return Model(ModelFile(path, sha256), sizes={"image": Size(SHAPE, SHAPE, SHAPE)})


@pytest.fixture
def cache(tmp_path):
    return PlanCache(tmp_path)


class Portable(OnnxRuntimeBackend):
    """The real one, slowed down so that timings do not hang on the machine; counts its loads."""

    def __init__(self, pause_s=0.005):
        super().__init__("cpu")
        self.pause_s, self.loads = pause_s, 0

    def load(self, *args, **kwargs):
        self.loads += 1
        runtime = super().load(*args, **kwargs)
        return Slowed(runtime, self.pause_s)


class Slowed:
    cancel = None

    def __init__(self, runtime, pause_s):
        self.runtime, self.pause_s = runtime, pause_s

    def run(self, inputs):
        time.sleep(self.pause_s)
        return self.runtime.run(inputs)


class Fake:
    """A backend whose "plan" is a rule: what it makes of the right outputs, by precision."""

    automatic, any_thread = True, False

    def __init__(self, name="fast", *, device="gpu", pause_s=0.0, release="1", why_missing="", **rules):
        self.name, self.device, self.pause_s = name, device, pause_s
        self.release, self.why_missing = release, why_missing
        self.rules = rules or {"fp32": lambda right: right}
        self.loads, self.builds = [], []

    def missing(self):
        return self.why_missing

    def version(self):
        return self.release

    def hardware(self):
        return "made-up GPU", "8.7"

    def precisions(self, model):
        return tuple(self.rules)

    def load(self, model, precision, *, threads, cache):
        self.loads.append(precision)
        made_of = Fingerprint(
            "plan", model.full.sha256, self.name, self.release, *self.hardware(), precision=precision
        )
        plan = cache.load_or_build(made_of, lambda: self.builds.append(precision) or precision.encode())
        rule, pause_s = self.rules[plan.decode()], self.pause_s
        if isinstance(rule, Exception):
            raise rule

        class Running:
            cancel = None

            def run(self, inputs):
                time.sleep(pause_s)
                mean = inputs["image"].mean(axis=1, keepdims=True)
                return {"depth": rule(2 * mean + 3)}

        return Running()


def chosen(model, cache, *backends, runtime="auto", precision="auto", portable=None):
    portable = portable or Portable()
    request = Request(runtime, precision, threads=1)
    return choose(model, request, backends=(*backends, portable), portable=portable, cache=cache)


def right(values):
    return values


# What a broken plan may give.
WRONG = {
    "garbage": lambda v: np.random.default_rng(0).standard_normal(v.shape).astype(np.float32),
    "zeros": np.zeros_like,
    "constant": lambda v: np.full_like(v, v.mean()),
    "NaN": lambda v: np.full_like(v, np.nan),
    "one NaN": lambda v: np.where(np.arange(v.size).reshape(v.shape) == 7, np.nan, v),
    "infinity": lambda v: v * np.float32(np.inf),
    "another scale": lambda v: v * np.float32(1.1),
    "an offset": lambda v: v + np.float32(0.2),
    "the sign": lambda v: -v,
    "mirrored": lambda v: v[..., ::-1],
    "shifted by a pixel": lambda v: np.roll(v, 1, axis=-1),
    "another shape": lambda v: v[..., :-1],
    "the lower half lost": lambda v: np.where(np.arange(v.shape[2])[:, None] < v.shape[2] // 2, v, 0),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_numbers_are_caught_and_the_next_precision_serves(model, cache, caplog, wrong):
    fake = Fake(fp16=WRONG[wrong], fp32=right)
    found = chosen(model, cache, fake)
    assert found.label == "fast fp32 on gpu"
    assert fake.loads == ["fp16", "fp32"]
    assert "fast fp16 on gpu is not used: self-test" in caplog.text
    assert "refused: fast fp16 on gpu" in found.why


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_numbers_in_every_precision_leave_the_next_runtime(model, cache, caplog, wrong):
    found = chosen(model, cache, Fake(fp16=WRONG[wrong], fp32=WRONG[wrong]))
    assert found.label == "onnxruntime fp32 on cpu"
    assert "refused: fast fp16 on gpu, fast fp32 on gpu" in found.why
    assert [r.levelno for r in caplog.records if "is not used" in r.message] == [logging.WARNING] * 2
    image = np.ones(SHAPE, np.float32)
    np.testing.assert_allclose(found.runtime.run({"image": image})["depth"], 5.0)


def test_a_reference_without_a_number_proves_nothing():
    nothing = {"depth": np.full(SHAPE, np.nan, np.float32)}
    with pytest.raises(ModelError, match="gives no number in 'depth'"):
        compare([nothing], [nothing], "fp32")


def test_rounding_of_half_precision_passes(model, cache):
    fake = Fake(fp16=lambda v: v.astype(np.float16).astype(np.float32))
    assert chosen(model, cache, fake).label == "fast fp16 on gpu"


def test_rounding_of_half_precision_does_not_pass_for_single(model, cache):
    noise = np.random.default_rng(0).standard_normal(SHAPE[2:]).astype(np.float32)
    rough = Fake(fp16=lambda v: v + 0.02 * v.std() * noise, fp32=lambda v: v + 0.02 * v.std() * noise)
    assert chosen(model, cache, rough).label == "fast fp16 on gpu"
    assert chosen(model, cache, rough, precision="fp32").label == "onnxruntime fp32 on cpu"


@pytest.mark.parametrize(
    "error", [ModelError("no such layer"), RuntimeError("CUDA went away"), OSError("no lib")]
)
def test_a_backend_that_fails_in_any_way_is_passed_over(model, cache, caplog, error):
    found = chosen(model, cache, Fake(fp32=error))
    assert found.label == "onnxruntime fp32 on cpu"
    assert str(error) in caplog.text


def test_the_fastest_that_passes_is_taken_and_named_with_the_times(model, cache):
    slow, fast, wrong = Fake("slow", pause_s=0.03), Fake("quick"), Fake("wrong", fp32=WRONG["zeros"])
    found = chosen(model, cache, wrong, slow, fast)
    assert found.label == "quick fp32 on gpu"
    assert found.why.startswith("the fastest here (slow fp32 on gpu ")
    assert found.why.count(" ms") == 3
    assert chosen(model, PlanCache(cache.root / "b"), slow).label == "onnxruntime fp32 on cpu"


def test_a_broken_installation_is_passed_over(model, cache, caplog):
    def broken(*_, **__):
        raise ModelError("TensorRT: version 8.6.1; needed 10.3 or newer, below 12.")

    fake = Fake()
    fake.version = fake.hardware = fake.precisions = fake.load = broken
    found = chosen(model, cache, fake, Fake("quick"))
    assert found.label == "quick fp32 on gpu"
    assert "version 8.6.1" in caplog.text


def test_a_failure_that_may_pass_is_not_remembered(model, cache):
    busy = Fake("busy", fp32=RuntimeError("out of memory"))
    assert chosen(model, cache, busy).label == "onnxruntime fp32 on cpu"
    assert chosen(model, cache, Fake("busy")).label == "busy fp32 on gpu"


def test_a_gain_of_nothing_keeps_the_portable_one(model, cache, monkeypatch):
    times = iter([0.95, 1.0])
    monkeypatch.setattr("metric_depth_ros.runtimes.choice._seconds", lambda *_: next(times))
    assert chosen(model, cache, Fake()).label == "onnxruntime fp32 on cpu"


def test_the_choice_is_kept_and_only_tested_again(model, cache, monkeypatch):
    portable, fake = Portable(), Fake()
    first = chosen(model, cache, fake, portable=portable)
    loads = portable.loads
    monkeypatch.setattr(
        "metric_depth_ros.runtimes.choice._seconds", lambda *_: pytest.fail("timed once more")
    )
    again = chosen(model, cache, fake, portable=portable)
    assert (again.label, again.why) == (first.label, first.why + ", found earlier")
    assert portable.loads == loads  # what it gave is stored too
    assert fake.builds == ["fp32"]


@pytest.mark.parametrize("change", ["version", "candidates", "threads"])
def test_a_choice_is_made_anew_when_anything_changed(model, cache, change):
    chosen(model, cache, Fake())
    faster = Fake(release="2") if change == "version" else Fake()
    others = (Fake("other"),) if change == "candidates" else ()
    portable = Portable()
    request = Request(threads=2 if change == "threads" else 1)
    found = choose(model, request, backends=(faster, *others, portable), portable=portable, cache=cache)
    assert "found earlier" not in found.why


def test_a_kept_choice_that_fails_now_is_made_anew(model, cache, caplog):
    assert chosen(model, cache, Fake()).label == "fast fp32 on gpu"
    found = chosen(model, cache, Fake(fp32=WRONG["garbage"]))
    assert found.label == "onnxruntime fp32 on cpu"
    assert "self-test" in caplog.text


def test_alone_the_portable_one_costs_nothing(model, tmp_path):
    portable, absent = Portable(), Fake(why_missing="not installed")
    found = chosen(model, PlanCache(tmp_path / "cache"), absent, portable=portable)
    assert (found.label, found.why) == ("onnxruntime fp32 on cpu", "the only one here")
    assert portable.loads == 1
    assert absent.loads == []
    assert not (tmp_path / "cache").exists()


def test_a_runtime_that_is_set_is_tested_not_timed(model, cache, monkeypatch):
    monkeypatch.setattr("metric_depth_ros.runtimes.choice._seconds", lambda *_: pytest.fail("timed"))
    slow = Fake("slow", pause_s=0.01)
    found = chosen(model, cache, slow, Fake("quick"), runtime="slow")
    assert (found.label, found.why) == ("slow fp32 on gpu", "as set")


def test_a_runtime_that_is_set_and_wrong_falls_back_loudly(model, cache, caplog):
    found = chosen(model, cache, Fake("odd", fp32=WRONG["NaN"]), runtime="odd")
    assert (found.label, found.why) == ("onnxruntime fp32 on cpu", "the fallback; refused: odd fp32 on gpu")
    assert "odd was set and cannot be used; falling back to onnxruntime" in caplog.text


def test_a_runtime_that_is_set_and_missing_is_an_error_with_the_remedy(model, cache):
    with pytest.raises(ModelError, match=r"engine\.runtime: odd: pip install odd\. Or set it to auto"):
        chosen(model, cache, Fake("odd", why_missing="pip install odd"), runtime="odd")


def test_a_plan_is_built_once_and_again_for_a_new_version(model, cache):
    fake = Fake()
    for _ in range(3):
        chosen(model, cache, fake, runtime="fast")
    assert (fake.builds, fake.loads) == (["fp32"], ["fp32"] * 3)
    newer = Fake(release="2")
    chosen(model, cache, newer, runtime="fast")
    assert newer.builds == ["fp32"]


class Stored(Fake):
    """A backend whose plans give what was true when they were built, as after a driver's bad tactic."""

    def __init__(self, *plans):
        super().__init__()
        self.plans = list(plans)

    def load(self, model, precision, *, threads, cache):
        made_of = Fingerprint("plan", model.full.sha256, self.name, self.release, *self.hardware())
        content = cache.load_or_build(made_of, lambda: self.builds.append(1) or self.plans.pop(0))
        if content == b"broken":
            raise PlanError("the plan cannot be loaded")
        gain = {b"good": 1.0, b"bad": 1.5}[content]

        class Running:
            cancel = None

            def run(self, inputs):
                return {"depth": gain * (2 * inputs["image"].mean(axis=1, keepdims=True) + 3)}

        return Running()


@pytest.mark.parametrize("plan", [b"bad", b"broken"])
def test_a_plan_that_fails_its_test_is_not_stored(model, cache, plan):
    assert chosen(model, cache, Stored(plan), runtime="fast").label == "onnxruntime fp32 on cpu"
    later = Stored(b"good")
    assert chosen(model, cache, later, runtime="fast").label == "fast fp32 on gpu"
    assert later.builds == [1]


@pytest.mark.parametrize("plan", [b"bad", b"broken"])
@pytest.mark.parametrize("runtime", ["auto", "fast"])
def test_a_stored_plan_that_fails_is_built_anew_once(model, cache, caplog, plan, runtime):
    made_of = Fingerprint("plan", model.full.sha256, "fast", "1", "made-up GPU", "8.7")
    cache.store(made_of, plan)
    better = Stored(b"good")
    assert chosen(model, cache, better, runtime=runtime).label == "fast fp32 on gpu"
    assert better.builds == [1]
    assert "a stored plan fails and is built anew" in caplog.text
    assert cache.load(made_of) == b"good"
    cache.store(made_of, plan)
    never = Stored(plan, plan)
    assert chosen(model, PlanCache(cache.root), never, runtime="fast").label == "onnxruntime fp32 on cpu"
    assert never.builds == [1]
    assert cache.load(made_of) is None


def test_what_a_library_stored_itself_goes_with_a_failure(model, cache):
    """As ONNX Runtime's TensorRT provider does."""

    class Keeps(Fake):
        def load(self, *args, cache, **kwargs):
            folder = cache.folder("of the library")
            plan = folder / "plan"
            self.rules = {"fp32": WRONG["zeros"] if plan.exists() else right}
            plan.write_bytes(b"plan")
            return super().load(*args, cache=PlanCache(cache.root / "none"), **kwargs)

    cache.folder("of the library").joinpath("plan").write_bytes(b"old")
    assert chosen(model, cache, Keeps(), runtime="fast").label == "fast fp32 on gpu"


def test_a_choice_is_made_anew_when_asked_for(model, cache):
    assert chosen(model, cache, Fake()).label == "fast fp32 on gpu"
    portable, request = Portable(), Request(threads=1, anew=True)
    slow = Fake(pause_s=0.03)
    found = choose(model, request, backends=(slow, portable), portable=portable, cache=cache)
    assert found.label == "onnxruntime fp32 on cpu"
    assert "found earlier" not in found.why
    assert chosen(model, cache, Fake()).why == f"{found.why}, found earlier"


def test_a_kept_choice_that_fails_now_is_tried_once(model, cache):
    assert chosen(model, cache, Fake()).label == "fast fp32 on gpu"
    gone = Fake(fp32=RuntimeError("CUDA went away"))
    found = chosen(model, PlanCache(cache.root), gone)
    assert found.why.count("fast fp32 on gpu") == 1
    assert (gone.loads, gone.builds) == (["fp32"], [])
    assert (
        chosen(model, cache, Fake(), runtime="fast").label == "fast fp32 on gpu"
    )  # by the plan that is kept


def test_a_stored_plan_that_cannot_be_removed_is_tried_twice_at_most(model, cache, monkeypatch):
    cache.store(Fingerprint("plan", model.full.sha256, "fast", "1", "made-up GPU", "8.7"), b"bad")
    monkeypatch.setattr("metric_depth_ros.runtimes.plan_cache._remove", lambda path: None)
    assert chosen(model, cache, Stored(b"good"), runtime="fast").label == "onnxruntime fp32 on cpu"


@pytest.mark.parametrize("record", [b"{}", b"[]", b"no json", b'{"label": "x"}'])
def test_a_kept_choice_that_says_nothing_is_made_anew(model, cache, record, monkeypatch):
    assert chosen(model, cache, Fake()).label == "fast fp32 on gpu"
    load = PlanCache.load
    monkeypatch.setattr(
        PlanCache, "load", lambda self, made_of: record if made_of.kind == "choice" else load(self, made_of)
    )
    assert "found earlier" not in chosen(model, cache, Fake()).why


def test_a_manifest_that_does_not_fit_blames_no_runtime(model, cache, caplog):
    wrong = Model(model.full, sizes={"pixels": Size(SHAPE, SHAPE, SHAPE)})
    fake = Fake()
    with pytest.raises(ModelError, match="takes the inputs image; the manifest says pixels"):
        chosen(wrong, cache, fake)
    assert fake.loads == []
    assert "is not used" not in caplog.text


def test_a_trial_that_is_stopped_tries_no_more(model, cache):
    stop = threading.Event()
    first, second = Fake("first", fp16=right, fp32=right), Fake("second")
    load = first.load

    def stopping(*args, **kwargs):
        stop.set()
        load(*args, **kwargs)
        raise RuntimeError("ended")

    first.load = stopping
    with stoppable_by(stop), pytest.raises(StoppedError):
        chosen(model, cache, first, second)
    assert (first.loads, second.loads) == (["fp16"], [])


def test_a_file_that_is_not_the_one_wanted_reaches_no_runtime(model, cache):
    fake = Fake()
    wrong = Model(ModelFile(model.full.path, "0" * 64), sizes=model.sizes)
    with pytest.raises(ModelError, match="sha256"):
        chosen(wrong, cache, fake)
    assert fake.loads == []


def test_other_weights_beside_the_same_graph_are_another_network(tmp_path):
    """A graph that keeps its weights in further files is the same for every training of it."""
    first, second = (ModelFile(tmp_path / "net.onnx", "a" * 64, {"net.data": n * 64}) for n in "bc")
    assert len({first.identity, second.identity, ModelFile(tmp_path / "net.onnx", "a" * 64).identity}) == 3


def test_a_network_of_many_sizes_is_tested_at_the_extremes_of_each_side(cache, tmp_path):
    seen = []

    class Watching(Fake):
        def load(self, *args, **kwargs):
            runtime = super().load(*args, **kwargs)

            class Running:
                cancel = None

                def run(self, inputs):
                    seen.append(inputs["image"].shape)
                    return runtime.run(inputs)

            return Running()

    path = write_toy_model(tmp_path, gain=2.0, bias=3.0, width="w", height="h").with_suffix(".onnx")
    size = Size(SHAPE, (1, 3, 24, 24), (1, 3, 96, 96))
    file = ModelFile(path, hashlib.sha256(path.read_bytes()).hexdigest())
    chosen(Model(file, sizes={"image": size}), cache, Watching(), runtime="fast")
    assert seen == [SHAPE, (1, 3, 96, 24), (1, 3, 24, 96)]
