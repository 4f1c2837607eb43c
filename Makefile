# Every target makes its own virtual environment first, so each works on a fresh machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup doctor train reproduce-figures figures verify-results dashboard wandb-sync test test-fast bench docs check format clean

help: ## Show this help
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | \
		while IFS='|' read -r target text; do printf '  make %-17s %s\n' "$$target" "$$text"; done

setup: $(READY) ## Make .venv with everything in it

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

doctor: $(READY) ## Say whether this machine is fit to run, and what to do where it is not
	$(BIN)/python -m hskd_lightning.doctor $(ARGS)

train: $(READY) ## Run a cell: make train, or make train ARGS='depth=uniform width=pca'
	$(BIN)/python train.py $(ARGS)

# The study: DATA=toy is generated; for GLUE say DATA=cola ROOT=path/to/glue (or no ROOT: the hub), and who teaches.
DATA ?= toy
TEACHER ?= bert_base
PLAN = $(if $(filter toy,$(DATA)),toy,all)
GLUE = $(if $(filter-out toy,$(DATA)),data=$(DATA) teacher=$(TEACHER) $(if $(ROOT),data.root=$(ROOT)),$(if $(ROOT),$(error ROOT is of GLUE: say DATA=cola or another task, too)))

reproduce-figures: $(READY) ## Run every sweep of the study and draw it: DATA=cola ROOT=path/to/glue; goes on where it stopped
	$(BIN)/python train.py --config-dir sweeps --config-name $(PLAN) -m $(GLUE) hydra.sweeper.to=results/$(DATA) $(ARGS)

figures: $(READY) ## Draw figures and report again from the results that are there, without training
	@for results in $(wildcard results/*/results.csv results/*/bits/results.csv results/*/minimum/results.csv); do \
		$(BIN)/python -m hskd_lightning.study figures --to $$(dirname $$results) $(ARGS) || exit 1; done

verify-results: $(READY) ## Run a few settings of each committed study again, from nothing, and hold them against results.csv
	@for recipe in $(wildcard results/*/verify.yaml results/*/*/verify.yaml); do \
		$(BIN)/python -m hskd_lightning.study verify --to $$(dirname $$recipe) $(ARGS) || exit 1; done

dashboard: $(READY) ## Publish the W&B dashboards, or write them to dashboard/ where there is no key; ARGS='--entity me'
	$(BIN)/python -m hskd_lightning.dashboard $(ARGS)

wandb-sync: $(READY) ## Upload the W&B runs that cells left offline
	@set -- $${HSKD_ROOT:-.}/runs/*/wandb/offline-run-*; \
	if [ -e "$$1" ]; then $(BIN)/wandb sync $(ARGS) "$$@"; else echo "no offline run below $${HSKD_ROOT:-.}/runs"; fi

test: $(READY) ## Run all tests (minutes; no network)
	$(BIN)/python -m pytest -n auto --dist loadscope --no-loadscope-reorder $(ARGS)

test-fast: $(READY) ## Run the tests that neither train nor start processes
	$(BIN)/python -m pytest -n auto -m 'not slow' $(ARGS)

bench: $(READY) ## Measure speed and size as ratios (an hour and a half; HSKD_MINILM and GLUE_ROOT for real text)
	$(BIN)/python -m benchmarks.anatomy
	$(BIN)/python -m benchmarks.savings
	$(BIN)/python -m benchmarks.plain_loop
	@if $(BIN)/python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then \
		$(BIN)/python -m benchmarks.gpu; else echo "gpu: skipped, there is none"; fi
	$(BIN)/python -m benchmarks.offline_speedup
	$(BIN)/python -m benchmarks.store_io
	$(BIN)/python -m benchmarks.sweep_jobs
	$(BIN)/python -m benchmarks.start_up
	$(BIN)/python -m benchmarks.claims --studies 4000 --to results/benchmarks/claims.json
	@if [ -n "$$GLUE_ROOT" ] && [ -n "$$HSKD_MINILM" ]; then \
		$(BIN)/python -m benchmarks.store_size && $(BIN)/python -m benchmarks.bits_error; \
	else echo "store_size, bits_error: skipped, they need GLUE_ROOT and HSKD_MINILM"; fi

docs: $(READY) ## Build the documentation into site/; no network, and a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

check: $(READY) ## Check format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## Remove .venv, site/ and caches; runs/ and artifacts/ stay
	rm -rf $(VENV) site .pytest_cache .mypy_cache .ruff_cache
