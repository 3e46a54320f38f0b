# Two commands do everything:
#   make run    install, index the sample corpus once, open the app (PORT=8501, HEADLESS=1, COLLECTION=sample)
#   make test   install with the test tools and a browser, then check everything
# Others: make install, make format, make clean.
#
# With an NVIDIA GPU: make run FAISS=gpu CONSTRAINTS=

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.PHONY: run test install install-dev browser lint types tests format clean help

PORT ?= 8501
HEADLESS ?=
COLLECTION ?= sample
FAISS ?= cpu
CONSTRAINTS ?= constraints-cpu.txt
VENV ?= .venv
# The first that runs and is new enough; a name on the PATH may be a shim that does not run.
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11; do $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)

BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check $(if $(CONSTRAINTS),-c $(CONSTRAINTS))
INPUTS := pyproject.toml $(wildcard constraints-*.txt)

help:
	@sed -n '1,6p' Makefile | sed 's/^# \{0,1\}//'

run: install
	@if ! $(BIN)/gircse collections show $(COLLECTION) >/dev/null 2>&1; then \
		echo "Indexing the sample corpus into the collection '$(COLLECTION)' ..."; \
		$(BIN)/gircse index data/sample/documents --collection $(COLLECTION); \
	fi
	@echo "Opening the app on http://127.0.0.1:$(PORT) (Ctrl-C ends it) ..."
	@exec $(BIN)/gircse app --port $(PORT) $(if $(HEADLESS),--headless)

test: install-dev browser lint types tests

install: $(VENV)/.installed-$(FAISS)
install-dev: $(VENV)/.installed-$(FAISS)-dev

$(BIN)/python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "Python 3.11 or newer is needed and none was found on the PATH. Install it, or name it: make PYTHON=/path/to/python3.12"; \
		exit 1; \
	fi
	@echo "Creating the environment $(VENV) with $(PYTHON) ..."
	@$(PYTHON) -m venv $(VENV) || { echo "The venv module is missing. On Debian and Ubuntu: apt install python3-venv"; exit 1; }

$(VENV)/.installed-$(FAISS): $(BIN)/python $(INPUTS)
	@echo "Installing GIRCSE Search (faiss-$(FAISS)); the first time takes some minutes ..."
	@$(PIP_INSTALL) -e '.[$(FAISS)]' || { echo "The installation failed: see pip's message above. It needs a package registry and about 3 GB of disk."; exit 1; }
	@touch $@

$(VENV)/.installed-$(FAISS)-dev: $(BIN)/python $(INPUTS)
	@echo "Installing GIRCSE Search with its test tools (faiss-$(FAISS)) ..."
	@$(PIP_INSTALL) -e '.[$(FAISS),dev]' || { echo "The installation failed: see pip's message above. It needs a package registry and about 3 GB of disk."; exit 1; }
	@touch $@ $(VENV)/.installed-$(FAISS)

browser:
	@if ! command -v chromium >/dev/null && [ ! -x /usr/bin/chromium ]; then \
		echo "Installing Chromium for the browser tests ..."; \
		if ! command -v apt-get >/dev/null; then echo "The browser tests need Chromium as /usr/bin/chromium: install it and run make test again."; exit 1; fi; \
		as_root=; if [ "$$(id -u)" != 0 ]; then as_root="sudo"; fi; \
		{ $$as_root apt-get update -qq && $$as_root apt-get install -y -qq --no-install-recommends chromium >/dev/null; } \
			|| { echo "Chromium could not be installed. Run: sudo apt-get install chromium"; exit 1; }; \
	fi

lint: install-dev
	@echo "Checking style ..."
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { echo "Run: make format"; exit 1; }

types: install-dev
	@echo "Checking types ..."
	@$(BIN)/mypy

tests: install-dev
	@echo "Running the tests ..."
	@$(BIN)/python -m pytest

format: install-dev
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

clean:
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info
