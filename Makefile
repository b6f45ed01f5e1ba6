# Every target sets up what it needs by itself: Python 3.11 to 3.13, make and git are enough.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/ready
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help repro tripadvisor test lint lock bench clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

repro: $(READY) ## run the pipeline (what changed since the last time), and show the result
	@dvc repro
	@ordinal results

tripadvisor: $(READY) ## run the tutorial's experiment: needs the internet, and had better have a GPU
	@cp params.yaml .params.yaml.before
	@if dvc exp run -S data.name=tripadvisor -S model.name=distilbert \
	    -S split.method=shuffle -S split.seed=1 \
	    -S train.epochs=3 -S train.batch_size=12 -S train.lr=5e-5; \
	then rm .params.yaml.before; ordinal results; \
	else mv .params.yaml.before params.yaml; echo 'params.yaml is as it was before.' >&2; exit 1; fi

test: $(READY) ## run all tests
	@pytest

lint: $(READY) ## check style and types
	@ruff check
	@ruff format --check
	@mypy

lock: $(READY) ## pin the newest versions that pyproject.toml allows
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras --generate-hashes \
	  --no-emit-index-url --system-certs --custom-compile-command 'make lock' \
	  --output-file requirements.lock pyproject.toml

bench: $(READY) ## measure what DVC and the stages' imports cost when nothing is to be done
	@python -m benchmarks.idle

clean: ## remove the environment and all that the pipeline made, but not DVC's cache
	rm -rf $(VENV) data/raw data/pretrained data/split data/tokenized data/predictions models dvc_plots

# uv is several times as fast as pip, but knows neither pip's mirrors nor its proxies: pip is the
# second try.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo 'error: Python 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.12 …' >&2; exit 1; }
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > $(VENV)/uv.lock
	$(VENV)/bin/pip install --disable-pip-version-check --quiet --require-hashes -r $(VENV)/uv.lock
	$(VENV)/bin/uv pip install --quiet --compile-bytecode --python $(VENV) --system-certs --require-hashes -r requirements.lock \
	  || $(VENV)/bin/pip install --disable-pip-version-check --require-hashes -r requirements.lock
	$(VENV)/bin/pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
	@touch $@
