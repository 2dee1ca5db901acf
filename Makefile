# Everything below works in a fresh clone on Debian 12 with git, make and python3-venv. `make` alone lists the targets.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/ready

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test test-slow test-kit check format lint types bench requirements debian toolchains clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 15

setup: $(READY) ## create .venv with the pinned, hash-checked dependencies

$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Clew needs Python 3.11 or newer; set PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Python's venv is missing: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY) ## start everything on this machine: traces, sample services, attacks, Prometheus, Clew
	@$(BIN)/clew demo $(DEMO)

serve: $(READY) ## start Clew against your own Tempo and Prometheus (settings: docs/configuration.md)
	@$(BIN)/clew serve

debian: ## as root: install the Debian packages that tests use; else say which are missing
	@.ci/debian-packages

toolchains: $(READY) ## as root: also install what the kit needs; Go and Node.js come into .cache where none is new enough
	@.ci/debian-packages toolchains

test: $(READY) debian ## run the tests
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not kit" $(TESTS)

test-slow: $(READY) debian ## run the proofs that take minutes each
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "slow and not kit" $(TESTS)

test-kit: toolchains ## prove the telemetry kit: a real Collector, four languages, a container (Go, Node.js, Java; the first run builds)
	$(BIN)/python -m pytest -n 2 --dist loadfile -m kit tests/kit $(TESTS)

check: format lint types test ## format, lint, types and tests

format: $(READY) ## check the format (make format FIX=1 rewrites)
	$(BIN)/ruff format $(if $(FIX),,--check) .

lint: $(READY) ## lint
	$(BIN)/ruff check $(if $(FIX),--fix) .

types: $(READY) ## check types
	$(BIN)/mypy

bench: $(READY) ## measure: see benchmarks/README.md
	$(BIN)/python -m benchmarks $(BENCH)

requirements: ## resolve the pins of pyproject.toml anew (needs uv); the files hold hashes and no addresses
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--extra postgres pyproject.toml --output-file requirements/run.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--all-extras pyproject.toml --output-file requirements/dev.txt
	sed -n 's/^requires = \["\(.*\)"\]/\1/p' pyproject.toml | uv pip compile --quiet --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate - --output-file requirements/build.txt

clean: ## remove what make made, demo data included
	rm -rf $(VENV) .cache demo-data dist build .pytest_cache .mypy_cache .ruff_cache
