# make demo and make test need nothing but a Debian machine with Python 3.11 or newer: setup sees to the rest.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help setup demo test soak coverage lint clean

# Of `make soak`: how many random networks of each sort, and the first one's number.
SEEDS ?= 600
FIRST_SEED ?= 1000

help:
	@echo "make demo    generate Verilog from the example, simulate and evaluate it (into out/digits)"
	@echo "make test    lint, and run all tests"
	@echo "make soak    prove more random networks: SEEDS=600 of each sort, from FIRST_SEED=1000 on, and the largest examples"
	@echo "make coverage  which lines of cnn2rtl the tests reach (into out/coverage)"
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
	$(BIN)/python -m pytest -n 2

soak: $(READY)
	CNN2RTL_LARGE=1 CNN2RTL_SEEDS=$(SEEDS) CNN2RTL_FIRST_SEED=$(FIRST_SEED) $(BIN)/python -m pytest -n 2 -m soak

coverage: $(READY)
	mkdir -p out/coverage
	$(BIN)/python -m pytest -n 2 --cov --cov-report=term --cov-report=html:out/coverage/html

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --config-file tools/mypy_tests.ini tests benchmarks
	$(BIN)/mypy --config-file tools/mypy_tests.ini rtl_tests examples
	$(BIN)/lint-imports
	tools/lint_verilog.sh

clean:
	rm -rf build dist out sim_build .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name .venv -prune -o -name __pycache__ -type d -exec rm -rf {} +
