"""The planted mutations of benchmarks/mutations.py: each can be applied, and its tests exist."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / "benchmarks/mutations.py"
pytestmark = pytest.mark.skipif(not PROGRAM.is_file(), reason="no benchmarks beside an installed package")


@pytest.fixture(scope="module")
def mutations():
    spec = importlib.util.spec_from_file_location("mutations", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    sys.modules["mutations"] = module  # where dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["mutations"]


def test_every_mutation_changes_one_place_and_names_tests_that_exist(mutations):
    assert len(mutations.MUTATIONS) >= 20
    for mutation in mutations.MUTATIONS:
        text = (ROOT / "metric_depth_ros" / mutation.file).read_text(encoding="utf-8")
        assert text.count(mutation.old) == 1 and mutation.new != mutation.old, mutation.what
        file, _, test = mutation.tests.partition("::")
        assert f"def {test}(" in (ROOT / "test" / file).read_text(encoding="utf-8") or not test, mutation.what


def test_the_page_has_every_mutation(mutations):
    page = (ROOT / "docs/benchmarks/mutations.md").read_text(encoding="utf-8")
    for mutation in mutations.MUTATIONS:
        assert f"| {mutation.what} | `{mutation.file}` | killed |" in page, mutation.what


def test_what_no_test_sees_survives(mutations, tmp_path):
    (tmp_path / "metric_depth_ros").mkdir()
    (tmp_path / "test").mkdir()
    code, test = tmp_path / "metric_depth_ros/code.py", tmp_path / "test/test_code.py"
    code.write_text("A, B = 1, 2\n")
    test.write_text("from metric_depth_ros.code import A\n\ndef test_a():\n    assert A == 1\n")
    seen = mutations.Mutation("a", "code.py", "A, B = 1, 2", "A, B = 3, 2", "test_code.py")
    unseen = replace(seen, what="b", new="A, B = 1, 3")
    assert mutations.kills(seen, tmp_path) and not mutations.kills(unseen, tmp_path)
    assert code.read_text() == "A, B = 1, 2\n"
    told = mutations.table([(seen, True), (unseen, False)]).splitlines()
    assert told[2:] == [
        "| a | `code.py` | killed | `test_code.py` |", "| b | `code.py` | **survived** | `test_code.py` |",
    ]  # fmt: skip
    with pytest.raises(SystemExit, match="0 times; needed once"):
        mutations.kills(replace(seen, old="C = 1"), tmp_path)
    with pytest.raises(SystemExit, match="status 2"):  # what cannot be imported is no test that failed
        mutations.kills(replace(seen, new="A, B ="), tmp_path)
