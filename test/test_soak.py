"""The soak of benchmarks/soak.py for five minutes, or for METRIC_DEPTH_SOAK_S seconds; 0: not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = float(os.environ.get("METRIC_DEPTH_SOAK_S", "300"))
SOAK = Path(__file__).parents[1] / "benchmarks" / "soak.py"


@pytest.mark.timeout(SECONDS + 120)
@pytest.mark.skipif(not SECONDS, reason="METRIC_DEPTH_SOAK_S is 0: it runs beside the tests")
def test_memory_threads_descriptors_and_latency_stay_as_they_are():
    pytest.importorskip("rclpy")
    command = [sys.executable, str(SOAK), "--minutes", str(SECONDS / 60)]
    done = subprocess.run(command, capture_output=True, text=True)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
