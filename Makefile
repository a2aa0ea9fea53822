# Every target does its own set-up: `make demo` and `make test` are enough in a fresh clone.
#
#   make setup   .venv with the pinned packages     make lint    ruff, mypy --strict, import rules
#   make demo    convert sample_series/ to demo/    make bench   every tests/bench/bench_*.py
#   make test    the tests                          make docs    docs/cli.md from --help, links checked

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup programs demo test lint bench docs

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# The first interpreter that runs and is new enough: a version manager may list some that do not run.
PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

# Debian ships Python without ensurepip; root may fetch it.
AS_ROOT := [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null
APT_INSTALL := apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends

help:
	@sed -n '2,6s/^# \{0,1\}//p' Makefile

setup: $(READY)

# torch first and pinned: left to the resolver, a newer one with gigabytes of GPU libraries may come in.
$(READY): pyproject.toml constraints.txt
	@if [ -z "$(PYTHON)" ]; then echo "Python 3.11 or newer is needed" >&2; exit 1; fi
	@if ! $(PYTHON) -c 'import ensurepip' 2>/dev/null; then \
		if $(AS_ROOT); then $(APT_INSTALL) python3-venv; \
		else echo "$(PYTHON) has no ensurepip: install the package python3-venv" >&2; exit 1; fi; fi
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip
	$(BIN)/python -m pip install -q -c constraints.txt torch
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[openvino,metrics,dev]'
	touch $@

# What the tests run besides Python. Where these cannot be installed, the tests that need them skip and say so.
programs:
	@if ! command -v dcmdump >/dev/null; then \
		if $(AS_ROOT); then $(APT_INSTALL) dcmtk; else echo "dcmtk is not installed: its tests skip" >&2; fi; fi

demo: $(READY)
	$(BIN)/casgan-dicom convert sample_series -o demo --preview

test: $(READY) programs
	$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	@for bench in tests/bench/bench_*.py; do \
		name=$$(basename $$bench .py); echo "== $$name"; $(BIN)/python -m tests.bench.$$name; done

docs: $(READY)
	$(BIN)/python -m docs.build
