# Each target makes the environment it needs: on a fresh machine, `make demo` is all there is to do.
# PYTHON names the interpreter that .venv is made from (3.11 or later).

PYTHON ?= python3
BIN := .venv/bin

.PHONY: help demo test lint format clean
.NOTPARALLEL:

help:
	@echo "make demo    ocean data from NetCDF-4 to Zarr and back, checked, with a picture in build/"
	@echo "make test    all tests"
	@echo "make lint    ruff (rules and format) and mypy"
	@echo "make format  let ruff format and fix what it can"
	@echo "make clean   remove the environment and what was built"

demo: .venv/installed-demo
	$(BIN)/python examples/ocean.py --out build

test: .venv/installed-test
	$(BIN)/python -m pytest $(ARGS)

lint: .venv/installed-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/installed-lint
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp of a group of requirements is older than pyproject.toml when they may have changed.
.venv/installed-%: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is older than Python 3.11: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv .venv
