# make demo   renders a drive, replays it through the live node graph, writes pictures to demo_output/
# make test   runs all tests
# make lint   style and types
# make bench  benchmarks, as Markdown tables
# Each creates what it needs in .venv. PYTHON chooses the interpreter.
# METRIC_DEPTH_DATA names a folder of real frames for the tests and the benchmarks.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO_READY := $(VENV)/.demo_ready

.PHONY: demo test lint bench clean

$(READY): setup.py pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[ros,synthetic,train,export,test,lint]'
	touch $@

# The demo needs no torch, which is large.
$(DEMO_READY): setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[ros,synthetic]'
	touch $@

demo: $(DEMO_READY)
	$(BIN)/metric_depth demo --out demo_output

test: $(READY)
	$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)
	for file in benchmarks/bench_*.py; do $(BIN)/python $$file || exit 1; done

clean:
	rm -rf $(VENV) demo_output build dist *.egg-info
