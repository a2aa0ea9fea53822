# Every target does its own set-up: `make demo` and `make test` are enough in a fresh clone.
#
#   make setup   .venv with the pinned packages     make lint    ruff, mypy --strict, import rules
#   make demo    convert sample_series/ to demo/    make bench   every tests/bench/bench_*.py; ONLY="convert memory"
#   make test    the tests                          make soak    the long form of tests/faults
#   make quick   lint, types, the tests of less than a second each
#   make sbom    sbom.cdx.json, the packages of .venv in CycloneDX
#   make hashes  hashes.txt, the digests of what `make setup` installs
#   make docs    docs/{cli,conformance,metrics}.md and NOTICE from the code, drawings from their text, links checked
#
# `make test` and `make soak` hand ARGS to pytest: make test ARGS="tests/support/test_orthanc.py -x"
# WORKERS=0 runs the tests in one process, where -s and --pdb work.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup programs viewer demo test quick lint bench soak docs sbom hashes

# Debian keeps Orthanc and ip where only root looks.
export PATH := $(PATH):/usr/sbin:/sbin

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
	@sed -n '2,11s/^# \{0,1\}//p' Makefile

setup: $(READY)

EXTRAS := dev,codecs,export,metrics,mlflow,openvino,tensorboard,wandb
PIP := $(BIN)/python -m pip install -q

# hashes.txt holds the digests of the files for one platform, that of continuous integration: there, every file
# but torch is checked, and what is missing is an error, not fetched. Elsewhere other files are right.
define HAS_HASHES
import platform, sys
right = sys.version_info[:2] == (3, 11) and sys.implementation.name == "cpython" and sys.platform == "linux"
sys.exit(not (right and platform.machine() == "x86_64" and platform.libc_ver()[0] == "glibc"))
endef
export HAS_HASHES

# torch first and pinned: left to the resolver, a newer one with gigabytes of GPU libraries may come in.
$(READY): pyproject.toml constraints.txt hashes.txt
	@if [ -z "$(PYTHON)" ]; then echo "Python 3.11 or newer is needed" >&2; exit 1; fi
	@if ! $(PYTHON) -c 'import ensurepip' 2>/dev/null; then \
		if $(AS_ROOT); then $(APT_INSTALL) python3-venv; \
		else echo "$(PYTHON) has no ensurepip: install the package python3-venv" >&2; exit 1; fi; fi
	$(PYTHON) -m venv $(VENV)
	@set -x; if $(BIN)/python -c "$$HAS_HASHES"; then \
		$(PIP) --require-hashes --no-deps -r hashes.txt; \
		$(PIP) --no-deps -c constraints.txt torch; \
		$(PIP) --no-deps --no-build-isolation -e .; \
		$(BIN)/python -m pip check; \
	else \
		$(PIP) --upgrade pip; \
		$(PIP) -c constraints.txt torch; \
		$(PIP) -c constraints.txt -e '.[$(EXTRAS)]'; \
	fi
	touch $@

# What the tests run besides Python, as program:package or file:package. Where these cannot be installed, the tests
# that need them skip and say so. Debian would start Orthanc at once and at every boot, open to all: it comes
# without its service. It would make a database of its own for PostgreSQL: told not to, it makes none. The programs
# of that server are not on PATH.
INITDB := $(or $(lastword $(wildcard /usr/lib/postgresql/*/bin/initdb)),initdb)
NO_CLUSTER := /etc/postgresql-common/createcluster.d/none.conf
DICOMWEB := /usr/share/orthanc/plugins/libOrthancDicomWeb.so
PROGRAMS := chromium:chromium dcmdump:dcmtk dot:graphviz ip:iproute2 Orthanc:orthanc strace:strace \
	systemd-analyze:systemd $(DICOMWEB):orthanc-dicomweb $(INITDB):postgresql
NO_SERVICE := $(foreach file,/etc/init.d/orthanc */orthanc.service,-o Dpkg::Options::='--path-exclude=$(file)')

programs:
	@packages=; \
	for program in $(PROGRAMS); do \
		command -v $${program%:*} >/dev/null || [ -f $${program%:*} ] || packages="$$packages $${program#*:}"; done; \
	if [ -z "$$packages" ]; then exit 0; fi; \
	if $(AS_ROOT); then \
		case $$packages in *postgresql*) mkdir -p $(dir $(NO_CLUSTER)); \
			echo "create_main_cluster = false" >$(NO_CLUSTER);; esac; \
		$(APT_INSTALL) $(NO_SERVICE) $$packages; \
	else echo "not installed:$$packages; the tests that need them skip" >&2; fi

# OHIF, a viewer, from npm. Fetched now: the tests that show it what we wrote run where there is only loopback.
viewer: $(READY)
	@$(BIN)/python -m tests.viewer.ohif || true

demo: $(READY)
	$(BIN)/casgan-dicom convert sample_series -o demo --preview

# Orthanc binds every address, so what needs it runs in a network namespace, where there is only loopback.
IN_NAMESPACE := bash tests/support/in_namespace.sh --if-permitted
ARGS :=

# A worker for each core; more than four only take memory. A worker computes with one thread: two that take both
# cores each wait for one another. Idle workers take over tests of busy ones.
WORKERS := $(shell n=$$(nproc 2>/dev/null || echo 2); echo $$((n > 4 ? 4 : n)))
PYTEST = $(if $(filter-out 0 1,$(WORKERS)),OMP_NUM_THREADS=1) $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal
SLOWEST := --durations=50 --durations-min=1

# Two runs, both to their ends. Status 5 is "no test selected": if ARGS says which, one of the two may have none.
test: $(READY) programs viewer
	@trap 'exit 130' INT; plain=0; inside=0; \
	$(PYTEST) -m 'not orthanc' $(SLOWEST) $(ARGS) || plain=$$?; \
	$(IN_NAMESPACE) env $(PYTEST) -m orthanc $(SLOWEST) $(ARGS) || inside=$$?; \
	case $$plain,$$inside in 0,0) ;; 0,5|5,0) $(if $(ARGS),,exit 5) ;; *) exit 1 ;; esac

# tests/support/slow_tests.txt says which tests are slow; `make test ARGS=--measure-tiers` writes it again.
quick: lint
	$(PYTEST) -q -m 'not orthanc and not slow' $(ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# A bench that ends with 3 found the machine too busy to compare.
# make bench ONLY="convert memory" measures these alone.
bench: $(READY) programs
	@for bench in $(if $(ONLY),$(ONLY:%=tests/bench/bench_%.py),tests/bench/bench_*.py); do \
		name=$$(basename $$bench .py); echo "== $$name"; $(IN_NAMESPACE) $(BIN)/python -m tests.bench.$$name || test $$? = 3; done

soak: $(READY) programs
	$(IN_NAMESPACE) $(BIN)/python -m pytest tests/faults --soak -s $(ARGS)

docs: $(READY)
	$(BIN)/python -m docs.build

hashes: $(READY)
	$(BIN)/python -m tests.support.package_hashes '$(EXTRAS)'

# What is in the environment, for those who have to know; the tool that looks has one of its own.
sbom: $(READY)
	$(PYTHON) -m venv $(VENV)-sbom
	$(VENV)-sbom/bin/python -m pip install -q cyclonedx-bom==7.5.0
	$(VENV)-sbom/bin/cyclonedx-py environment --pyproject pyproject.toml --of JSON -o sbom.cdx.json $(BIN)/python
