# make demo and make test need nothing but a Debian machine with Python 3.11 or newer: setup sees to the rest.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help setup demo test lint clean

help:
	@echo "make demo    generate Verilog from the example, simulate and evaluate it (into out/digits)"
	@echo "make test    lint, and run all tests"
	@echo "make lint    style and types of the Python, and elaboration of the Verilog units"
	@echo "make setup   simulators from the distribution, Python packages into .venv (the others do this first)"
	@echo "make clean   remove what was made, but for .venv"

setup: $(READY)

# Touched last, so that an interrupted setup is taken up again.
$(READY): pyproject.toml constraints.txt tools/setup.sh
	PYTHON="$(PYTHON)" tools/setup.sh
	@touch $@

demo: $(READY)
	tools/demo.sh

test: lint
	$(BIN)/python -m pytest -n 2 --dist loadgroup

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	tools/lint_verilog.sh

clean:
	rm -rf build dist out sim_build .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name .venv -prune -o -name __pycache__ -type d -exec rm -rf {} +
