# Every target sets up what it needs by itself: Python 3.11 to 3.13, make and git are enough.
PYTHONS := python3 python3.13 python3.12 python3.11
PYTHON ?= $(shell for python in $(PYTHONS); do $$python -c \
  'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$python && break; done)
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
READY := $(VENV)/ready
# The stages run `python`.
export PATH := $(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help repro tripadvisor test coverage test-fuzz test-faults reliability tour lint audit lock bench bench-gpu pr-summary clean-checkpoints clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

repro: $(READY) ## run the pipeline (what changed since the last time), and show the result
	@$(BIN)/dvc repro
	@$(BIN)/ordinal results

tripadvisor: $(READY) ## run the tutorial's experiment: needs the internet, and had better have a GPU
	@cp params.yaml .params.yaml.before
	@restore() { mv .params.yaml.before params.yaml; echo 'params.yaml is as it was before.' >&2; }; \
	trap 'restore; exit 130' INT TERM; \
	if $(BIN)/dvc exp run -S data.name=tripadvisor -S model.name=distilbert \
	    -S split.method=shuffle -S split.seed=1 -S train.loss=corn \
	    -S train.epochs=3 -S train.batch_size=12 -S train.lr=5e-5 -S train.schedule=constant_with_warmup \
	    -S train.warmup=0 -S train.layer_decay=1 -S train.weight_decay=0 -S train.clip=null \
	    -S train.attention_dropout=null; \
	then rm .params.yaml.before; $(BIN)/ordinal results; else restore; exit 1; fi

test: $(READY) ## run all tests
	@$(BIN)/pytest

coverage: $(READY) ## run all tests, and see that they reach 95 % of the branches of ordinal/
	@$(BIN)/pytest --cov --cov-report=term-missing:skip-covered

test-faults: $(READY) ## kill the pipeline at 20 moments, and see that it ends the same: half an hour
	@$(BIN)/python -m tests.pipeline.faults

test-fuzz: $(READY) ## feed 25,000 new damaged tables and parameter files to what reads them
	@FUZZ_EXAMPLES=5000 $(BIN)/pytest tests/test_fuzz.py

reliability: $(READY) ## write the tables of docs/reliability.md anew, from the cases of the tests
	@$(BIN)/python -m tests.pipeline.bad_input

tour: $(READY) ## write what the snippets of docs/tour.md print, after a `make repro`
	@$(BIN)/python -m tests.tour

lint: $(READY) ## check style, types and imports
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

audit: $(READY) ## check what is installed for known vulnerabilities, and for its licences
	@$(BIN)/pip-licenses > /dev/null && echo 'All licences are among those of pyproject.toml.'
	@$(BIN)/pip-audit --strict --disable-pip --require-hashes --progress-spinner off --requirement requirements.lock

lock: $(READY) ## pin the newest versions that pyproject.toml allows
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras --generate-hashes \
	  --no-emit-index-url --system-certs --custom-compile-command 'make lock' \
	  --output-file requirements.lock pyproject.toml

bench: $(READY) ## measure all that docs/performance.md says of a CPU; after `make repro`
	@$(BIN)/python -m benchmarks.idle
	@$(BIN)/python -m benchmarks.training
	@$(BIN)/python -m benchmarks.prediction
	@$(BIN)/python -m benchmarks.tokenization
	@$(BIN)/python -m benchmarks.growth

bench-gpu: $(READY) ## measure training on a GPU; after `dvc repro pretrained`
	@$(BIN)/python -m benchmarks.training --gpu

BASE ?= main
pr-summary: $(READY) ## tell, in Markdown, how this run differs from that of BASE (main)
	@.ci/pr-summary $(BASE)

clean-checkpoints: ## forget how far trainings came that were interrupted
	rm -rf checkpoints

clean: clean-checkpoints ## remove the environment and all that the pipeline made, but not DVC's cache
	rm -rf $(VENV) logs data/raw data/pretrained data/split data/tokenized data/predictions models dvc_plots report.html

# uv is several times as fast as pip, but knows neither pip's mirrors nor its proxies: pip is the
# second try.
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
