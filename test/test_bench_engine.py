"""The benchmark of the runtimes goes on when one of them does not."""

import importlib.util
from pathlib import Path

import pytest

from metric_depth_ros.config import EngineConfig
from metric_depth_ros.runtimes import PORTABLE
from metric_depth_ros.runtimes.openvino import OpenVinoBackend

BENCHMARK = Path(__file__).parents[1] / "benchmarks/bench_engine.py"


@pytest.mark.parametrize("broken", ["load", "precisions"])
def test_a_runtime_that_breaks_leaves_the_others_and_percentiles_are_told(
    toy_manifest, monkeypatch, capsys, broken
):
    if not BENCHMARK.is_file():
        pytest.skip("no benchmarks beside an installed package")
    spec = importlib.util.spec_from_file_location("bench_engine", BENCHMARK)
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)

    class Broken(OpenVinoBackend):
        def missing(self):
            return ""

        def precisions(self, model):
            return ("fp32",)

    def breaks(*_, **__):
        raise RuntimeError("a broken installation")

    monkeypatch.setattr(Broken, broken, breaks)
    monkeypatch.setattr(bench, "BACKENDS", (Broken(), PORTABLE))
    monkeypatch.setattr(bench, "ROUND_S", 0.001)
    bench.runtimes_row("toy", EngineConfig(manifest=str(toy_manifest)), 1)
    row = capsys.readouterr().out
    assert "does not run (a broken installation)" in row
    assert len(row.split("| onnxruntime fp32 ")[1].split(" |")[0].split("/")) == 3
