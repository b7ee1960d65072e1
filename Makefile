# Each target makes the environment it needs: on a fresh machine, `make demo` is all there is to do.
# PYTHON names the interpreter that .venv is made from (3.11 or later).

PYTHON ?= python3
BIN := .venv/bin
CRATE := --manifest-path native/Cargo.toml
# The crate's own tests need no Python, and look at every overflow.
CHECKED := $(CRATE) --profile checked --no-default-features
NATIVE := native/Cargo.toml native/Cargo.lock $(shell find native/src -name '*.rs')
FLOOR := build/floor/release/floor
ZARR2 := build/zarr2/zarr/__init__.py
AZURITE := build/azurite/installed

.PHONY: help demo test bench torture consumers lint platforms format clean
.NOTPARALLEL:

help:
	@echo "make demo    ocean data from NetCDF-4 to Zarr and back, checked, with a picture in build/"
	@echo "make test    all tests, of the native crate and of the package"
	@echo "make bench   time it against the other libraries, and keep the table in bench/README.md"
	@echo "make torture kill, starve and fail it at every system call; 15 minutes at most, and a table"
	@echo "make consumers  the suites of libraries that import zarr, with fastzarr in its place; a table"
	@echo "make lint    ruff (rules and format), mypy, rustfmt and clippy"
	@echo "make platforms  does the crate compile for macOS and Windows?"
	@echo "make format  let ruff and rustfmt format, and ruff fix what it can"
	@echo "make clean   remove the environment and what was built"

demo: .venv/installed-demo
	$(BIN)/python examples/ocean.py --out build

test: .venv/installed-test $(AZURITE)
	@echo "Building the native crate with its tests (cargo) ..."
	cargo test --no-run $(CHECKED)
	cargo test --quiet $(CHECKED)
	$(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 \
		--dist=loadfile --no-loadscope-reorder $(ARGS)

bench: .venv/installed-bench $(FLOOR) $(ZARR2)
	PYTHONPATH=tests $(BIN)/python -m bench $(ARGS)

torture: .venv/installed-test
	PYTHONPATH=tests $(BIN)/python -m torture $(ARGS)

# It makes environments of its own, with a Python of 3.12 or later: ARGS="--python python3.13".
consumers: .venv/installed-test
	PYTHONPATH=tests $(BIN)/python -m consumers $(ARGS)

# mypy looks into what the tests and the optional parts import, so both are installed.
lint: .venv/installed-test .venv/installed-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	cargo fmt $(CRATE) --check
	cargo clippy --quiet $(CHECKED) --all-targets -- --deny warnings
	cargo clippy --quiet $(CRATE) --profile checked -- --deny warnings

platforms:
	@native/platforms

format: .venv/installed-lint
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	cargo fmt $(CRATE)

clean:
	rm -rf .venv build dist native/target .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# It decompresses as fast as this machine can; without cargo, its column of the table stays empty.
$(FLOOR): bench/floor/Cargo.toml bench/floor/Cargo.lock $(wildcard bench/floor/src/*.rs)
	@if command -v cargo > /dev/null; then \
		RUSTFLAGS="-C target-cpu=native" cargo build --quiet --release --locked \
			--manifest-path bench/floor/Cargo.toml --target-dir build/floor && touch $@; \
	else echo "no cargo: the benchmark goes without its floor"; fi

# zarr-python 2 and its packages, which come first on the path of one process of the benchmark.
$(ZARR2): | .venv/installed-bench
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --target build/zarr2 \
		'zarr==2.18.7' 'numcodecs<0.16' lmdb redis

# Microsoft's emulator of Azure; without npm, the tests that need it are skipped, and say so.
$(AZURITE):
	@mkdir -p $(@D)
	@if command -v npm > /dev/null; then \
		echo "Fetching Azurite (npm): half a minute ..."; \
		npm install --prefix $(@D) --no-audit --no-fund --no-save --loglevel=error azurite@3.35.0 \
			&& touch $@; \
	else echo "no npm: the tests go without a server of Azure"; fi

# The stamp of a group of requirements is older than pyproject.toml when they may have changed.
.venv/installed-%: pyproject.toml setup.py $(NATIVE) | $(BIN)/python
	@echo "Fetching what '$*' needs, and building the extension (pip, cargo): a few minutes at first ..."
	FASTZARR_NATIVE=1 $(BIN)/python -m pip install --disable-pip-version-check --editable '.[$*]'
	@$(BIN)/python -c 'import fastzarr._native' \
		|| { echo "the native extension was not built: is cargo installed?"; exit 1; }
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is older than Python 3.11: make PYTHON=python3.12 ..."; exit 1; }
	@echo "Making the environment .venv ..."
	$(PYTHON) -m venv .venv
