# `make demo` and `make test` need Python 3.11 or newer and nothing else.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test bench torture check lint types format lock clean

demo: .venv/ready
	$(BIN)/yekbar demo $(ARGS)

# Three processes, each with a stack of its own: much of a test is waiting.
test: check
	$(BIN)/pytest -n 3 --dist worksteal $(ARGS)

bench: .venv/ready
	$(BIN)/python tests/bench/pipeline.py
	$(BIN)/python tests/bench/onramps.py
	$(BIN)/python tests/bench/evidence.py

torture: .venv/ready
	$(BIN)/python tests/faults/torture.py $(ARGS)

check: lint types

lint: .venv/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/ready
	$(BIN)/mypy

format: .venv/ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else f"yekbar needs Python 3.11 or newer, {sys.executable} is {sys.version.split()[0]}; run make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# Needs uv on PATH: resolves pyproject.toml anew into the pinned, hashed lock for every platform.
lock:
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-header --output-file requirements.lock

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache
