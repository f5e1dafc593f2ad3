# Everything a person or CI does. The two that matter: `make bench` and `make test`.
.DEFAULT_GOAL := help
SHELL := /bin/sh

VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	"$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& { echo "$$p"; break; }; done)
UV = $(shell command -v uv 2>/dev/null || echo $(BIN)/uv)
PIP := $(BIN)/python -m pip install --disable-pip-version-check
STUDY ?= overview
STORE ?= runs/$(STUDY)
TEST ?= tests
MEASURE ?=
FUZZ ?= tests/fuzz
MINUTES ?= 60
EXAMPLES ?= 200

.PHONY: help bench test fuzz docs notebook lint types format lock clean environment results verify-entries bench-performance bench-growth

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 28

environment: $(READY) ## the virtual environment, from the lock

# uv takes 20 seconds; where there is none, it is put into the environment first. The last resort is
# pip, which takes some minutes. Both check the hashes.
$(READY): requirements.lock requirements-uv.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: Python 3.11, 3.12 or 3.13 is needed; set PYTHON=/path/to/python"; exit 2; }
	@if command -v uv >/dev/null 2>&1; then \
		test -x $(BIN)/python || uv venv --quiet --python "$$(command -v $(PYTHON))" $(VENV); \
	else \
		test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || exit; \
		test -x $(BIN)/uv || $(PIP) --quiet --require-hashes -r requirements-uv.lock || \
			echo "make: uv cannot be installed, and pip needs some minutes"; \
	fi
	@if command -v $(UV) >/dev/null 2>&1; then \
		install="$(UV) pip install --python $(BIN)/python"; \
	else \
		install="$(PIP)"; \
	fi; \
	$$install --quiet --require-hashes -r requirements.lock && \
	$$install --quiet --no-deps -e .
	@touch $@

bench: $(READY) ## run the default study on embedded data and build its report
	@status=0; $(BIN)/attnbench sweep $(STUDY) --store $(STORE) || status=$$?; \
	test $$status -le 1 || exit $$status; \
	$(BIN)/attnbench report $(STORE) --wandb auto && exit $$status

test: $(READY) ## the whole suite
	$(BIN)/python -m pytest $(TEST) -m "not performance" -n logical --dist worksteal

# In rounds of so many examples for each part; what fails is kept in .hypothesis and tried first.
fuzz: $(READY) ## odd input of every kind for MINUTES (60), part by part; stops at what it finds
	@end=$$(( $$(date +%s) + 60 * $(MINUTES) )); \
	while test $$(date +%s) -lt $$end; do \
		FUZZ_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest $(FUZZ) -n 0 --timeout 0 || exit; \
	done

bench-performance: $(READY) ## speed, as one table (MEASURE="training_step --out FILE"; see docs/performance.md)
	PYTHONPATH=tests/support $(BIN)/python tests/performance/run.py $(MEASURE)

bench-growth: $(READY) ## what thousands of trials cost, kills included (an hour; asserts no times)
	$(BIN)/python -m pytest tests/performance -m performance -s

docs: $(READY) ## the documentation as a site: build/docs/index.html
	$(BIN)/sphinx-build -W --keep-going -q -b html docs build/docs
	@echo build/docs/index.html

results: $(READY) ## docs/results.md and README's table, of the entries in reports/leaderboard/entries
	$(BIN)/attnbench leaderboard results --docs docs --readme README.md

# With DATA=DIR outputs are scored again on real data too, where they may be shared.
verify-entries: $(READY) ## work every figure of the entries out again (DATA=DIR: with the real data)
	@for entry in reports/leaderboard/entries/*.zip; do \
		test -e "$$entry" || { echo "make: there are no entries yet"; continue; }; \
		$(BIN)/attnbench leaderboard verify "$$entry" $(if $(DATA),--data-root "$(DATA)") || exit; \
	done

notebook: $(READY) ## docs/notebooks/first.ipynb: the lines of docs/notebook.md with what they give
	$(BIN)/python tests/support/page_as_notebook.py docs/notebook.md docs/notebooks/first.ipynb

lint: $(READY) ## style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY) ## mend style and formatting
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(READY) ## type checker
	$(BIN)/mypy

COMPILE = $(UV) pip compile --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --quiet
lock: ## pin every dependency, and uv itself, with hashes (needs uv)
	$(COMPILE) pyproject.toml --extra dev -o requirements.lock
	echo uv | $(COMPILE) - -o requirements-uv.lock

clean: ## remove the environment, caches and runs
	rm -rf $(VENV) runs report build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
