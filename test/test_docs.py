"""README and docs against the code: what they name exists, what they count is right, what they print runs."""

import ast
import contextlib
import dataclasses
import importlib
import inspect
import io
import pkgutil
import re
import shlex

import pytest
import yaml
from pages import PAGES, ROOT, blocks_of, text_of

from metric_depth_ros import solve, stamps, sync
from metric_depth_ros.cli.main import build_parser
from metric_depth_ros.config import SETTINGS
from metric_depth_ros.config.parameter_file import load
from metric_depth_ros.engines.manifest import InputManifest, OutputManifest, load_engine_manifest
from metric_depth_ros.health import backoff, status
from metric_depth_ros.near_far import FOCUS_WORDS
from metric_depth_ros.nodes import worker
from metric_depth_ros.runtimes import choice, plan_cache, self_test

FOLDERS = (ROOT, ROOT / "metric_depth_ros", ROOT / "metric_depth_synthetic")  # where the paths named begin
CODE = ("metric_depth_ros", "metric_depth_synthetic", "test", "benchmarks", "examples", "launch", "setup.py")
every_page = pytest.mark.parametrize("page", sorted(PAGES))

SOLVERS = SETTINGS["solver.name"].choices
SETTING = rf"(?:{'|'.join(sorted({name.split('.')[0] for name in SETTINGS}))})(?:\.[a-z0-9_]+)+"
SECTIONS = {name.rsplit(".", n)[0] for name in SETTINGS for n in (1, 2)}
# A manifest has sections named input and output too.
MANIFEST_KEYS = {f"input.{field.name}" for field in dataclasses.fields(InputManifest)} | {
    f"output.{field.name}" for field in dataclasses.fields(OutputManifest)
}
FOREIGN_FLAGS = {"--ros-args", "--params-file", "--break-system-packages", "--system-site-packages"}


# ---- what a page holds ---------------------------------------------------------------------------


def fenced(page, language):
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(page), re.DOTALL | re.MULTILINE)


def prose(page):
    """The page without blocks of code."""
    text = re.sub(r"^```.*?^```", "", text_of(page), flags=re.DOTALL | re.MULTILINE)
    return "\n".join(line for line in text.split("\n") if not line.startswith("    "))


def quoted(page):
    """What stands in backticks."""
    return [" ".join(found.split()) for found in re.findall(r"`([^`]+)`", prose(page))]


def shell_lines(page):
    """The commands of this package, without the brackets around what may be left out."""
    lines = [line for block in blocks_of(page) for line in block.lines]
    lines = [line for line in lines if not re.match("ros2 (?:launch|run) (?!metric_depth_ros)", line)]
    return [re.sub(r" \[(-.*?)\](?=\s|$)", r" \1", line) for line in lines]


def code_of(page):
    """All that is written as code, but for fenced blocks."""
    return "\n".join([*quoted(page), *shell_lines(page)])


def rows(page, column):
    """(first cell, cell of that column) of every row of the tables that have the column."""
    found, at = [], None
    for line in text_of(page).split("\n"):
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            at = None
        elif column in cells:
            at = cells.index(column)
        elif at is not None and not set(line) <= set("|-: "):
            found.append((cells[0], cells[at]))
    return found


# ---- names ---------------------------------------------------------------------------------------


@every_page
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", text_of(page)):
        name, _, heading = target.partition("#")
        if name.startswith("http"):
            continue
        file = (PAGES[page].parent / name).resolve() if name else PAGES[page]
        assert file.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
            assert heading in slugs, target


@every_page
def test_files_that_are_named_exist(page):
    """All Python files; other paths where their first folder is one of the repository's."""
    ours = {
        f"/{path.relative_to(ROOT)}" for name in CODE for path in [ROOT / name, *(ROOT / name).rglob("*.py")]
    }
    roots = {path.name for folder in FOLDERS for path in folder.iterdir() if path.is_dir()}
    for name in re.findall(r"(?<![\w/.$<~*)-])[\w-][\w./-]*", code_of(page)):
        if re.search(r"\b[A-Z]+\b(?!\.md)", name):
            continue  # NAME stands for a name
        if name.endswith(".py"):
            assert any(path.endswith(f"/{name}") for path in ours), name
        elif "/" in name and name.split("/")[0] in roots and re.search(r"/$|\.[a-z0-9]+$", name):
            assert any((folder / name).exists() for folder in FOLDERS), name


@pytest.mark.parametrize(
    "page", sorted(PAGES.keys() - {"docs/architecture.md"})
)  # which names classes and fields
def test_settings_that_are_named_exist(page):
    for said in quoted(page):
        if match := re.fullmatch(rf"({SETTING})(?:(?:: |=)(.+))?", said):
            check_setting(*match.groups())
    for line in shell_lines(page):
        for name in re.findall(rf"(?<![\w./]){SETTING}(?!\.?\w)", line):
            check_setting(name)
    for name, value in re.findall(rf"(?:--set |param set /\w+ )({SETTING})[= ](\S+)", code_of(page)):
        check_setting(name, value)


def check_setting(name, value=None):
    """A setting, a section of settings or a manifest's key; a value that the setting allows."""
    assert name in SETTINGS or name in SECTIONS or name in MANIFEST_KEYS, name
    if value is not None and name in SETTINGS:
        SETTINGS[name].checked(yaml.safe_load(value))


def test_defaults_that_are_stated_are_right():
    stated = []
    for page in PAGES:
        for names, value in rows(page, "Default"):
            stated += [(name, value.strip("`")) for name in re.findall(rf"`({SETTING})`", names)]
        text = " ".join(prose(page).split())
        stated += re.findall(rf"`({SETTING})`[^`.|]{{0,20}}\(default `?([\w.-]+)", text)
        stated += re.findall(rf"`({SETTING})` is `?([\w.-]+)`? by default", text)
        stated += re.findall(rf"`({SETTING}): ([\w.-]+)`,? \(?(?:the )?default\b", text)
    assert len(stated) > 10
    for name, value in stated:
        default = "" if value == "empty" else yaml.safe_load(value)
        assert SETTINGS[name].default == default, (name, value)


def test_solvers_are_counted_and_named():
    """``auto`` chooses; the others are solvers."""
    counts = {page: re.findall(r"\b(\d+) \[?solvers\b", text_of(page)) for page in PAGES}
    assert counts["README.md"], "README.md does not say how many solvers there are"
    assert {int(n) for found in counts.values() for n in found} == {len(SOLVERS) - 1}
    assert set(SOLVERS) <= set(re.findall(r"\w+", text_of("docs/solvers.md")))
    for page in PAGES:
        code = "\n".join([code_of(page), *fenced(page, "python")])
        listed = r"--solvers? ([a-z_]\w*(?:,[a-z_]\w*)*)"
        named = re.findall(rf"{listed}|\bsolver=\"(\w+)\"|\b(paper_[a-z]+)\b", code)
        for name in re.findall(r"\w+", " ".join("".join(groups) for groups in named)):
            assert name in SOLVERS, (page, name)


# Page, words around the numbers, and what the code has.
NUMBERS = [
    ("docs/node.md", r"SIGTERM let each worker thread finish its image \((\d+) s at most",
     [worker.PATIENCE_S]),
    ("docs/node.md", r"(?:retried|tried again,) after (\d+) s, .*? up to (\d+) s",
     [backoff._FIRST_S, backoff._LONGEST_S]),
    ("docs/node.md", r"stamped more than (\d+) s before the last", [stamps.JUMP_NS / 1e9]),
    ("docs/bags.md", r"a stamp more than (\d+) s back is a jump", [stamps.JUMP_NS / 1e9]),
    ("docs/node.md", r"The last (\d+) \+ `sync.accumulate` clouds are kept", [sync._CAPACITY]),
    ("docs/node.md", r"until the next depth or for (\d+) s\. The log repeats one every (\d+) s",
     [status._FORGET_S, status._LOG_PERIOD_S]),
    ("docs/runtimes.md", r"at most ([\d.]+) \(fp32\) or ([\d.]+) \(fp16, bf16\)",
     [self_test.TOLERANCE["fp32"], self_test.TOLERANCE["fp16"]]),
    ("docs/runtimes.md", r"unless another is (\d+) % faster", [round(100 * (choice._GAIN - 1))]),
    ("docs/runtimes.md", r"unused for (\d+) days", [plan_cache._UNUSED_S / 86400]),
    ("docs/focus.md", r"Names of tasks .*?: (.*?)\.",
     [", ".join(f"`{word}` {f'{m:g} m' if m else 'none'}" for word, m in FOCUS_WORDS.items())]),
]  # fmt: skip


@pytest.mark.parametrize(("page", "words", "wanted"), NUMBERS)
def test_numbers_are_those_of_the_code(page, words, wanted):
    """On that page, and on any other that says it."""
    said = {each: re.search(words, " ".join(text_of(each).split())) for each in PAGES}
    assert said[page], f"{page} does not say: {words}"
    for each, found in said.items():
        if found:
            assert list(found.groups()) == [w if isinstance(w, str) else f"{w:g}" for w in wanted], each


# ---- the node ------------------------------------------------------------------------------------


def topics_of_readme():
    """Topic to its messages' type, as the README's table has them."""
    found = {}
    for topics, kinds in rows("README.md", "Type"):
        names = re.findall(r"`(/?[a-z_/]+)`(?! mm)", topics)
        found.update(zip(names, re.findall(r"`(\w+/\w+)`", kinds), strict=True))
    return found


def test_topics_of_the_readme_are_those_of_the_node(ros):
    from rclpy.parameter import Parameter

    from metric_depth_ros.nodes.metric_depth_node import MetricDepthNode

    of_every_node = {"/parameter_events", "/rosout", "/tf", "/tf_static"}
    of_every_node.add("/metric_depth_node/transition_event")
    found = {}
    for name, value in (("regions.source", "topic"), ("input.image_transport", "compressed")):
        node = MetricDepthNode(parameter_overrides=[Parameter(name, value=value)])
        for ends in (node.get_publisher_names_and_types_by_node, node.get_subscriber_names_and_types_by_node):
            found.update(ends(node.get_name(), node.get_namespace()))
        node.destroy_node()
    said = {
        f"/{topic.strip('/')}": [kind.replace("/", "/msg/")] for topic, kind in topics_of_readme().items()
    }
    assert said == {topic: kinds for topic, kinds in found.items() if topic not in of_every_node}


@every_page
def test_topics_of_depth_are_those_of_the_readme(page):
    for name in re.findall(r"(?<![\w./])/?(depth/[a-z_]+)\b(?![./])", code_of(page)):
        assert name in topics_of_readme(), name


@every_page
def test_launch_arguments_exist(page):
    files = [ast.walk(ast.parse(file.read_text())) for file in (ROOT / "launch").glob("*.py")]
    known = {node.value for nodes in files for node in nodes if isinstance(node, ast.Constant)}
    lines = [line for line in shell_lines(page) if "ros2 launch" in line]
    for name in re.findall(r"(?<!\S)(\w+):=", " ".join([*lines, *quoted(page)])):
        assert name in known, name


def test_messages_of_the_table_are_said_by_the_code():
    files = [ast.walk(ast.parse(file.read_text())) for file in (ROOT / "metric_depth_ros").rglob("*.py")]
    said = [str(node.value) for nodes in files for node in nodes if isinstance(node, ast.Constant)]
    table = rows("docs/node.md", "Cause, and what to do")
    assert len(table) > 5
    for message in re.findall(r"`([^`]+)`", " ".join(cell for cell, _ in table)):
        parts = re.split(r"#|\.\.\.|\d|camera_info", message)  # what the code puts in
        for piece in filter(None, (part.strip(" ():") for part in parts)):
            assert any(piece in each for each in said), (message, piece)


# ---- commands and code ---------------------------------------------------------------------------


def help_of(words):
    """What `metric_depth WORDS --help` prints, or None where there is no such verb."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        try:
            build_parser().parse_args([*words, "--help"])
        except SystemExit as end:
            return None if end.code else out.getvalue()
    raise AssertionError("--help went on")


def flags(text):
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))


def flags_of_all_verbs(words=()):
    """Those of a verb and of the verbs below it."""
    text = help_of(words)
    below = re.findall(r"^    ([a-z][a-z0-9-]*)\b", text, re.MULTILINE)
    return flags(text).union(*(flags_of_all_verbs([*words, verb]) for verb in below))


@every_page
def test_commands_parse(page):
    for line in shell_lines(page):
        command = re.match(r"(?:\.venv/bin/|ros2 run metric_depth_ros )?metric_depth (?!\.\.\.)(.*)", line)
        if command is None:
            continue
        words = shlex.split(re.split(r" [|>] | --ros-args", command[1])[0], comments=True)
        for i in range(1, len(words)):
            if words[i - 1].startswith("--") and words[i].isupper():
                words[i] = "1"  # stands for a number or a name
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors):
            try:
                build_parser().parse_args(words)
            except SystemExit:
                pytest.fail(f"{line}\n{errors.getvalue()}")


@every_page
def test_verbs_and_flags_that_are_named_exist(page):
    programs = [*(ROOT / "benchmarks").glob("*.py"), ROOT / "metric_depth_ros" / "nodes" / "process.py"]
    texts = (file.read_text(encoding="utf-8") for file in programs)
    known = FOREIGN_FLAGS.union(flags_of_all_verbs(), *map(flags, texts))
    for said in quoted(page):
        if match := re.match(r"(?:\.venv/bin/)?metric_depth ((?:[a-z][a-z0-9-]*(?: |$))+)(.*)", said):
            words = match[1].split()
            text = help_of(words[:2]) or help_of(words[:1])
            assert text, f"no verb {words[0]}"
            assert flags(match[2]) <= flags(text), said
        elif said.startswith("--"):
            assert flags(said) <= known, said


@every_page
def test_extras_and_make_targets_exist(page):
    extras = re.search(r"extras_require=(.*?)\n    }", (ROOT / "setup.py").read_text(), re.DOTALL)[1]
    for name in re.findall(r"(?:metric_depth_ros|\.)\[(\w+)\]", code_of(page)):
        assert f'"{name}": ' in extras, name
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"\bmake ([a-z]+)", code_of(page))) <= set(targets)


@every_page
def test_python_names_exist(page):
    for said in quoted(page):
        if re.fullmatch(r"metric_depth_(?:ros|synthetic)(?:\.\w+)+", said):
            pkgutil.resolve_name(said)


def test_arguments_of_solve_are_all_described():
    described = {
        name for cell, _ in rows("docs/python.md", "Argument") for name in re.findall(r"`(\w+)`", cell)
    }
    taken = inspect.signature(solve).parameters.values()
    assert described == {each.name for each in taken if each.kind is not each.VAR_KEYWORD}


@every_page
def test_examples_in_python_and_yaml_are_right(page, tmp_path):
    for block in fenced(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module)
                assert all(hasattr(module, alias.name) for alias in node.names)
    for block in fenced(page, "yaml"):
        path = tmp_path / "example.yaml"
        path.write_text(block.replace("COMPLETE", "a" * 64))
        is_manifest = yaml.safe_load(block).keys() & {"file", "encoder"}
        assert load_engine_manifest(path) if is_manifest else load(path)
