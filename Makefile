# Where every piece of work begins: `make demo` and `make test` need nothing done before them.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup demo test soak test-page test-emacs vscode check-vscode test-vscode check fix bench bench-peers bench-quality train test-training docs clean

BIN := $(if $(filter Windows_NT,$(OS)),.venv/Scripts,.venv/bin)

# These tests write what has drifted, and fail; the second time they say whether all is well.
WRITE_DOCS = $(BIN)/python -m pytest --quiet tests/test_docs.py tests/test_readme.py

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

# As tests/http/chromium.py looks for it.
HAS_CHROMIUM = { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null

setup: .venv/.has-local ## make .venv with all that runs a model here (once, some minutes)
	@echo "Ready, in .venv."

demo: .venv/.has-local ## watch the language server complete code, key by key, with timings
	@$(BIN)/tabby-lsp demo

# A file's tests stay together and in order: those of one file share a server.
test: check build/clients/node ## check, then run every test
	@$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder
	@$(HAS_CHROMIUM) || echo "NOT TESTED: the web page, for there is no Chromium here; apt-get install chromium."

# Part of `test` in small. Two hours; what it prints stands in docs/reliability.md.
soak: .venv/.has-test ## every fault as often as docs/reliability.md promises
	@$(BIN)/python -m pytest tests/faults --soak

# Part of `test` where there is a Chromium.
test-page: .venv/.has-test ## use the web page in the real Chromium
	@$(HAS_CHROMIUM) || { echo "Missing: Chromium. Debian has it: apt-get install chromium."; exit 1; }
	@$(BIN)/python -m pytest tests/http/test_page_in_chromium.py

# Not part of `test`, which asks nobody to have an Emacs.
test-emacs: .venv/.has-test ## complete in the real Emacs; needs one with eglot (29, or the package)
	@emacs --batch --eval "(progn (package-initialize) (require 'eglot))" 2>/dev/null || { \
		echo "Missing: Emacs 29 or newer, or an older one with the package eglot."; exit 1; }
	@$(BIN)/python -m pytest tests/e2e/emacs/check_eglot.py

# Apart, for the same reason; Node comes along, so these ask for nothing but Python.
vscode: ## pack the VSCode extension into build/vscode/
	@$(call make_vscode,pack)

check-vscode: ## type-check, test and pack the VSCode extension
	@$(call make_vscode,check)

test-vscode: .venv/.has-test ## use it in a real VSCode; needs Chromium, and fetches 800 MB
	@$(BIN)/python .ci/make_vscode.py test

check: .venv/.has-test ## formatting, lint and types; changes nothing
	@$(BIN)/ruff format --quiet --check . || { echo "Not formatted; make fix does it."; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/mypy .ci/make_venv.py .ci/make_vscode.py .ci/make_clients.py

fix: .venv/.has-test ## format, and mend what the linter can mend
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: .venv/.has-test ## measure what a key costs, and print the figures (ARGUMENTS="--help" for more)
	@cd benchmarks && for file in [a-z]*.py; do \
		(cd .. && $(BIN)/python -m "benchmarks.$${file%.py}") || exit 1; done
	@$(BIN)/python -m benchmarks.keystrokes $(ARGUMENTS)

# Builds the server once, from the source of llama-cpp-python that pip has: ten minutes of processor time.
bench-peers: .venv/.has-test ## prove the engines on a real llama-server, and measure them beside llama.vim
	@$(BIN)/python -c "from benchmarks.peers.server_build import llama_server; llama_server()"
	@$(BIN)/python -m pytest tests/model/check_llama_server.py
	@$(BIN)/python -m benchmarks.peers

# The starter at places in code that it was not trained on; ARGUMENTS are those of the program.
bench-quality: .venv/.has-test ## measure how good completions are (ARGUMENTS="--help" for more)
	@$(BIN)/python -m benchmarks.quality $(ARGUMENTS)

# MINUTES of this machine's processors, or its GPU; START=FILE.gguf goes on from a model.
train: .venv/.has-local build/training/venv/.has-training ## make a model like the starter in MINUTES=10, and measure it
	@$(TRAINING_PYTHON) -m training make --minutes $(or $(MINUTES),10) \
		$(if $(START),--start $(START))
	@$(BIN)/python -m training.evaluate --model build/training/model.gguf \
		--context siblings --places 60 --lines 5

test-training: .venv/.has-local build/training/venv/.has-training ## test what needs torch: llama.cpp computes the same
	@$(TRAINING_PYTHON) -m pytest --noconftest --override-ini addopts=--import-mode=importlib \
		--override-ini filterwarnings= tests/training/check_*.py

docs: .venv/.has-test ## write the pages that come from the code
	@$(WRITE_DOCS) >/dev/null || $(WRITE_DOCS)

clean: ## remove what make has made here (the next set-up compiles llama.cpp again)
	@rm -rf .venv build dist editors/vscode/node_modules editors/vscode/dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# .ci/make_venv.py picks the Python of .venv itself, or takes the one of `make PYTHON=python3.12 setup`.
# Each stamp says that .venv has what pyproject.toml asked for under that extra.
export PYTHON
ANY_PYTHON = $(shell command -v python3 || command -v python || command -v "$(PYTHON)")

.venv/.has-local: pyproject.toml .ci/make_venv.py
	@$(call make_venv,local)

.venv/.has-test: pyproject.toml .ci/make_venv.py
	@$(call make_venv,local$(comma)test)

# Torch is large and nothing but training needs it.
TRAINING_PYTHON := $(subst .venv,build/training/venv,$(BIN))/python
build/training/venv/.has-training: pyproject.toml
	@echo "Installing what trains a model into build/training/venv."
	@mkdir -p build/training
	@$(BIN)/python -m venv build/training/venv
	@$(TRAINING_PYTHON) -m pip install --quiet --disable-pip-version-check --editable '.[training]'
	@touch $@

# The same for the clients written for Node that the tests drive.
build/clients/node: tests/http/clients/package-lock.json .ci/make_clients.py .ci/node.py
	@$(with_python) .ci/make_clients.py

comma := ,
make_venv = $(with_python) .ci/make_venv.py $(1)
make_vscode = $(with_python) .ci/make_vscode.py $(1)

define with_python
test -n "$(ANY_PYTHON)" || { \
	echo "Missing: Python 3.11 or newer. Get it with"; \
	echo "  Debian, Ubuntu  apt-get install python3 python3-venv"; \
	echo "  Fedora          dnf install python3"; \
	echo "  macOS           brew install python@3.13"; \
	echo "  Windows         winget install Python.Python.3.13"; \
	exit 1; }; \
"$(ANY_PYTHON)"
endef
