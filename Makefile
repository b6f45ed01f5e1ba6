# Each target first sets up the environment in .venv. Requires Python 3.11 to 3.13, make and git.
# Paths are relative, so that the name of the project's folder may contain spaces.
PYTHONS := python3 python3.13 python3.12 python3.11
PYTHON ?= $(shell for python in $(PYTHONS); do $$python -c \
  'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
ifneq (,$(findstring :,$(CURDIR)))
$(error the path $(CURDIR) contains a colon, which separates the folders of PATH: rename that folder)
endif
# DVC runs the stages with the `python` on PATH.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help repro tripadvisor test coverage test-browser test-fuzz test-faults lint audit lock bench bench-gpu pr-summary clean-checkpoints clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' Makefile

repro: $(READY) ## run the stages that changed, and print the results
	@$(BIN)/dvc repro
	@$(BIN)/ordinal results

# `dvc exp run -S` edits params.yaml before it runs the stages, so a failed run restores the file.
tripadvisor: $(READY) ## run the tutorial's experiment (requires internet access; a GPU is recommended)
	@cp params.yaml .params.yaml.before
	@trap 'exit 130' INT TERM; \
	trap 'if mv .params.yaml.before params.yaml 2>/dev/null; then echo "params.yaml is as it was before." >&2; fi' EXIT; \
	$(BIN)/dvc exp run -S data.name=tripadvisor -S model.name=distilbert \
	  -S split.method=shuffle -S split.seed=1 -S train.loss=corn \
	  -S train.epochs=3 -S train.batch_size=12 -S train.lr=5e-5 -S train.schedule=constant_with_warmup \
	  -S train.warmup=0 -S train.layer_decay=1 -S train.weight_decay=0 -S train.clip=null \
	  -S train.attention_dropout=null && rm .params.yaml.before && $(BIN)/ordinal results

test: $(READY) ## run all tests
	@$(BIN)/pytest

coverage: $(READY) ## run all tests, and check that they cover 95 % of the branches of ordinal/
	@$(BIN)/pytest --cov --cov-report=term-missing:skip-covered

test-browser: $(READY) ## test the web pages in Chromium, which root gets with apt-get if it is missing
	@.ci/chromium
	@$(BIN)/pytest --numprocesses=0 tests/browser

test-faults: $(READY) ## kill the full-size pipeline 20 times, and compare its results (half an hour)
	@$(BIN)/python -m tests.pipeline.faults

test-fuzz: $(READY) ## read 25,000 new damaged tables and parameter files
	@FUZZ_EXAMPLES=5000 $(BIN)/pytest tests/pipeline/test_fuzz.py

lint: $(READY) ## check style, types and imports
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

audit: $(READY) ## check the installed packages for known vulnerabilities, and their licences
	@$(BIN)/pip-licenses > /dev/null && echo 'All licences are among those of pyproject.toml.'
	@$(BIN)/pip-audit --strict --disable-pip --require-hashes --progress-spinner off --requirement requirements.lock

lock: $(READY) ## pin the newest versions that pyproject.toml allows
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras --generate-hashes \
	  --no-emit-index-url --system-certs --custom-compile-command 'make lock' \
	  --output-file requirements.lock pyproject.toml

bench: $(READY) ## measure the speed on a CPU (requires a `make repro` first)
	@$(BIN)/python -m benchmarks.idle
	@$(BIN)/python -m benchmarks.training
	@$(BIN)/python -m benchmarks.recipes
	@$(BIN)/python -m benchmarks.prediction
	@$(BIN)/python -m benchmarks.int8
	@$(BIN)/python -m benchmarks.tokenization
	@$(BIN)/python -m benchmarks.growth
	@$(BIN)/python -m benchmarks.on_ray

bench-gpu: $(READY) ## measure training and prediction on a GPU (requires a `dvc repro pretrained` first)
	@$(BIN)/python -m benchmarks.gpu

export BASE ?= main
pr-summary: $(READY) ## print in Markdown how this run differs from the run of BASE (default: main)
	@.ci/pr-summary "$$BASE"

clean-checkpoints: ## remove the checkpoints of interrupted runs
	rm -rf checkpoints

clean: clean-checkpoints ## remove the environment and all outputs of the pipeline, but not DVC's cache
	rm -rf $(VENV) logs data/raw data/pretrained data/split data/tokenized data/predictions models dvc_plots report.html

# uv is several times faster than pip, but it ignores pip's configuration of mirrors and proxies. If
# uv fails, pip installs the packages.
$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo 'error: no Python 3.11, 3.12 or 3.13 on PATH' >&2; exit 1; }
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > $(VENV)/uv.lock
	$(VENV)/bin/pip install --disable-pip-version-check --quiet --require-hashes -r $(VENV)/uv.lock
	$(VENV)/bin/uv pip install --quiet --compile-bytecode --python $(VENV) --system-certs --require-hashes -r requirements.lock \
	  || $(VENV)/bin/pip install --disable-pip-version-check --require-hashes -r requirements.lock
	$(VENV)/bin/pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
	@touch $@
