# daogym: everything runs in .venv, which `make install` builds from requirements.lock.

PYTHON ?= $(firstword $(shell command -v python3.11 python3.12 python3.13 python3))
JOBS ?= 2
TESTS ?= tests
PYTEST_ARGS ?=

BIN := .venv/bin
INSTALLED := .venv/.installed
BENCH_INSTALLED := .venv/.installed-bench
PRICES := .venv/ev2gym
ARTEFACT := contracts/build/contracts.json
SOLIDITY_INSTALLED := contracts/node_modules/.package-lock.json
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
SCRIPTS := $(wildcard *.py benchmarks/*.py tools/*.py)

.DEFAULT_GOAL := help
.PHONY: help install train test lint format typing bench data contracts clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED)  ## make .venv with every pinned dependency and daogym itself

# torch goes first, alone and pinned: resolved later, from another package's open range, it could
# come as a release that weighs gigabytes.
$(INSTALLED): pyproject.toml requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP_INSTALL) --constraint requirements.lock $$(grep '^torch==' requirements.lock)
	$(PIP_INSTALL) --requirement requirements.lock
	$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	touch $@

train: $(INSTALLED)  ## train the default policy (about five minutes on two cores)
	$(BIN)/python train.py

test: $(INSTALLED)  ## run the whole test suite (TESTS=path, PYTEST_ARGS=..., JOBS=processes)
	$(BIN)/python -P -m pytest -n $(JOBS) --dist worksteal $(PYTEST_ARGS) $(TESTS)

lint: $(INSTALLED) typing  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .typing/daogym $(SCRIPTS)

format: $(INSTALLED)  ## let ruff format the code and mend what it safely can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# daogym.envs is envs/ only once installed; mypy reads source files, so it gets a folder of links.
typing:
	mkdir -p .typing/daogym
	find .typing -xtype l -delete
	for path in daogym/*.py daogym/py.typed; do ln -sfn ../../$$path .typing/$$path; done
	ln -sfn ../../envs .typing/daogym/envs
	ln -sfn ../../agents .typing/daogym/agents

bench: $(BENCH_INSTALLED)  ## measure steps/s and power flows/s beside the peers', as JSON
	$(BIN)/python -m benchmarks.throughput --json

$(BENCH_INSTALLED): $(INSTALLED) requirements-bench.lock
	$(PIP_INSTALL) --requirement requirements.lock --requirement requirements-bench.lock
	touch $@

# Of ev2gym only the price file is read, so its dependencies stay out.
data: $(INSTALLED)  ## rebuild the committed data files from their sources
	test -d $(PRICES) || $(PIP_INSTALL) --no-deps --target $(PRICES) ev2gym==2.0.0
	PYTHONPATH=$(PRICES) $(BIN)/python tools/build_energy_data.py

contracts: $(ARTEFACT)  ## compile the Solidity contracts of the differential tests (needs node and npm)

$(ARTEFACT): $(SOLIDITY_INSTALLED) contracts/compile.js $(wildcard contracts/src/*.sol)
	cd contracts && node compile.js

$(SOLIDITY_INSTALLED): contracts/package.json contracts/package-lock.json
	cd contracts && npm ci --no-audit --no-fund --loglevel=error
	touch $@

clean:  ## remove caches and build output (.venv and runs/ stay)
	rm -rf .typing build dist contracts/build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
