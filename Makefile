# Fallline's commands. `make race` and `make test` need only Python >= 3.10, pip and make: both make the
# environment they need in .venv, in either order. Another Python: make PYTHON=/path/to/python3.12 test
# Part of the speed table: make speed SPEED="--lists resnet50 --rows 'adamw-auto*'"; the rest: make speed SPEED=--help

PYTHON ?= python3
WORKLOADS ?= digits chars
LIVES ?= 3000

VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python

# The two variables hold the build backend to the tested versions too: older pips read the first, newer the second.
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt $(PY) -m pip
INSTALL := $(PIP) install --constraint constraints.txt --editable

# Not among the constraints: torch's CUDA builds pin a Triton of their own, which `make triton` leaves in place.
TRITON := triton==3.9.0
# Its interpreter tests the CUDA kernels beside a CPU build of torch on Linux; elsewhere those tests are skipped.
WANTS_TRITON := import sys, platform as p, torch; sys.exit(not torch.version.cuda and (p.system(), p.machine()) == ("Linux", "x86_64"))

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help race test check format slow crash fuzz triton table norms suite suite-quick listen transfer speed polar figures conformance hosts clean distclean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

race: $(VENV)/.race  ## Command 1: install, run the first race, end with a table and a picture
	$(BIN)/fallline race $(WORKLOADS) --quick

test: check  ## Command 2: install, run every check and every test
	$(PY) -m pytest --numprocesses auto --dist worksteal

check: $(VENV)/.test  ## lint, format and types, without the tests
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

format: $(VENV)/.test  ## rewrite the code in the project's format
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

slow: $(VENV)/.test  ## the tests that take minutes
	$(PY) -m pytest -m slow

crash: $(VENV)/.test  ## kill -9 and Ctrl-C, hundreds of times, while it trains, saves and compiles
	$(PY) -m pytest tests/test_crash.py -m "slow or not slow"

fuzz: $(VENV)/.test  ## thousands of random lives of optimizers, an hour or more (make fuzz LIVES=300 for fewer)
	FALLLINE_FUZZ=$(LIVES) $(PY) -m pytest tests/test_fuzz.py -m slow --hypothesis-show-statistics

triton: $(VENV)/.test  ## the tests of the CUDA kernels in Triton's interpreter (the first time this downloads 280 MB)
	$(PY) -c 'import triton' 2>/dev/null || $(PIP) install $(TRITON)
	$(PY) -m pytest tests/test_triton.py

table: $(VENV)/.race  ## write the results table of README.md anew
	$(PY) -m benchmarks.table

norms: $(VENV)/.race  ## race the optimizers of norms and roles against AdamW, and write their table of README.md anew
	$(PY) -m benchmarks.table norms

suite: $(VENV)/.race  ## every optimizer on sixteen kinds of problems, and docs/suite.* anew (hours; resumable)
	$(PY) -m benchmarks.suite

suite-quick: $(VENV)/.race  ## the same with one seed, half the steps and thin sweeps (five minutes)
	$(BIN)/fallline race suite --quick --out runs/suite-quick

listen: $(VENV)/.race  ## measure the ear anew: cost, error bars, alarms, advice and its use; docs/listen.* (an hour)
	$(PY) -m benchmarks.listen cost
	$(PY) -m benchmarks.listen truth
	$(PY) -m benchmarks.listen looks
	$(PY) -m benchmarks.listen alarms
	$(PY) -m benchmarks.counsel 50
	$(PY) -m benchmarks.valley 50
	$(PY) -m benchmarks.usefulness

transfer: $(VENV)/.race  ## does the best lr move with the width? docs/transfer.* anew (20 minutes)
	$(PY) -m benchmarks.transfer

speed: $(VENV)/.bench  ## time steps against torch's and other libraries', and write docs/speed.* anew (an hour)
	$(PY) -m benchmarks.speed $(SPEED)

polar: $(VENV)/.race  ## compare ways to a polar factor with torch's, and write docs/polar.* anew (five minutes)
	$(PY) -m benchmarks.polar $(POLAR)

figures: $(VENV)/.race  ## draw the pictures of docs/theory anew
	for script in docs/theory/figure_*.py; do echo $$script; $(PY) $$script || exit 1; done

# Part of it, without what needs a host's packages or several processes: make conformance CONFORMANCE=--quick
conformance: $(VENV)/.hosts  ## examine ours and torch's optimizers line by line, and write docs/conformance.* anew
	$(PY) -m benchmarks.conformance $(CONFORMANCE)

hosts: $(VENV)/.hosts  ## the tests and pages that need transformers, Accelerate, Lightning, timm, PEFT or a dashboard
	$(PY) -m pytest -m host

clean:  ## remove caches and build products
	rm -rf build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find src tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

distclean: clean  ## remove the environment too
	rm -rf $(VENV)

# --- the environment: made once, installed again when the pins change --------------------------------------------

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "Fallline needs Python 3.10 or newer, and '$(PYTHON)' is missing or older."; \
	  echo "Install one, or name one: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)"; exit 1; } >&2
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@if $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then \
	  $(PYTHON) -m venv $(VENV); \
	else \
	  $(PYTHON) -m venv --without-pip $(VENV) && $(PYTHON) -m pip --python $(PY) install --quiet pip; \
	fi || { \
	  echo "'$(PYTHON)' cannot make a virtual environment: it lacks the modules venv and ensurepip."; \
	  echo "On Debian and Ubuntu: apt install python3-venv. Elsewhere: make PYTHON=/path/to/a/full/python3 $(MAKECMDGOALS)"; \
	  exit 1; } >&2
	@touch $@

$(VENV)/.race: $(VENV)/.made pyproject.toml constraints.txt
	@echo "Installing Fallline and what a race needs (the first time this downloads PyTorch)"
	@$(INSTALL) ".[race]"
	@touch $@

# Where a peer cannot be installed, the page says so, and the others are timed all the same.
$(VENV)/.bench: $(VENV)/.made pyproject.toml constraints.txt
	@echo "Installing Fallline and the libraries that it is compared with (the first time this downloads PyTorch)"
	@$(INSTALL) ".[bench]" || { echo "Not all of them can be installed here; going on without." >&2; $(INSTALL) ".[race]"; }
	@touch $(VENV)/.race $@

# Where a host cannot be installed, its tests are skipped and say so.
$(VENV)/.hosts: $(VENV)/.test
	@echo "Installing the libraries that train with Fallline in tests"
	@$(INSTALL) ".[test,hosts]" || echo "Not all of them can be installed here; going on without." >&2
	@touch $@

$(VENV)/.test: $(VENV)/.made pyproject.toml constraints.txt
	@echo "Installing Fallline and what the tests need (the first time this downloads PyTorch)"
	@$(INSTALL) ".[test]"
	@$(PY) -c '$(WANTS_TRITON)' || $(PIP) install --quiet $(TRITON) || echo "Without Triton its kernels' tests are skipped."
	@touch $(VENV)/.race $@
