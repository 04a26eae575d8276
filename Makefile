# make demo   replays a small bag through the live node graph, writes pictures to demo_output/
# make test   runs all tests, on ROS 2 Kilted from PyPI; TESTS names some of them
# make test-jazzy  the same on Jazzy, without torch; PYTHON_JAZZY is a Python 3.12
# make lint   style and types
# make bench  benchmarks, as Markdown tables
# Each creates what it needs in .venv. PYTHON chooses the interpreter.
# METRIC_DEPTH_DATA names a folder of real frames for the tests and the benchmarks.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PYTHON_JAZZY ?= python3.12
VENV_JAZZY ?= .venv-jazzy
BIN_JAZZY := $(VENV_JAZZY)/bin
JAZZY_READY := $(VENV_JAZZY)/.ready
TESTS ?=
DEMO_READY := $(VENV)/.demo_ready

.PHONY: demo test test-jazzy lint bench clean

# By an interpreter, in a folder, with $(EXTRAS).
define install
$(1) -m venv $(2)
$(2)/bin/python -m pip install --quiet --upgrade pip
$(2)/bin/python -m pip install --quiet $(PIP_OPTIONS) --editable '.[$(EXTRAS)]'
touch $@
endef

# With the programs of $(1): on all cores at once, but for the tests of a live node, which mostly wait: two of them.
define run_tests
$(if $(TESTS),$(1)/python -m pytest $(TESTS),OMP_NUM_THREADS=1 $(1)/python -m pytest -n logical --dist loadfile \
  --ignore=test/nodes
$(1)/python -m pytest -n 2 --dist loadfile test/nodes)
endef

$(READY): EXTRAS := ros,synthetic,train,export,test,lint
$(READY): setup.py pyproject.toml
	$(call install,$(PYTHON),$(VENV))

$(JAZZY_READY): EXTRAS := ros-jazzy,synthetic,test
$(JAZZY_READY): setup.py pyproject.toml
	@$(PYTHON_JAZZY) --version > /dev/null 2>&1 || { echo "make: $(PYTHON_JAZZY) does not run; needed Python 3.12 \
	for ROS 2 Jazzy. Install it, or set PYTHON_JAZZY=/path/python3.12." >&2; exit 1; }
	$(call install,$(PYTHON_JAZZY),$(VENV_JAZZY))

# The demo needs neither torch nor a renderer, which are large, nor what Python compiles only when it is used.
$(DEMO_READY): EXTRAS := ros
$(DEMO_READY): PIP_OPTIONS := --no-compile
$(DEMO_READY): setup.py pyproject.toml
	$(call install,$(PYTHON),$(VENV))

demo: $(DEMO_READY)
	$(BIN)/metric_depth demo --out demo_output --overwrite

test: $(READY)
	$(call run_tests,$(BIN))

test-jazzy: $(JAZZY_READY)
	$(call run_tests,$(BIN_JAZZY))

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)
	for file in benchmarks/bench_*.py; do $(BIN)/python $$file || exit 1; done

clean:
	rm -rf $(VENV) $(VENV_JAZZY) demo_output build dist *.egg-info
