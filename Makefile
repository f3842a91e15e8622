# openserd: `make run` starts it, `make test` tests it, `make help` lists the rest.

PYTEST = .venv/bin/pytest
PREFIX ?= /opt/openserd
JOBS ?= 2
SERVERS ?= 4

# Compiled modules are kept: a start of the daemon takes 0.24 s with them, 0.47 s where each is compiled again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run test check process conformance sipp bench soak fuzz lint format docs hot-functions coverage-table install clean venv-test test-tools

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run:  ## install into .venv and start openserd in the foreground (CFG=file, ARGS="-l udp:127.0.0.1:5070")
	@scripts/run.sh $(ARGS)

test: test-tools  ## everything: check, process and sipp, with what they need installed first
	@$(MAKE) --no-print-directory check
	@$(MAKE) --no-print-directory process
	@$(MAKE) --no-print-directory sipp
	@echo "== all tests passed"

check: lint  ## style, types, layers and unit tests: the minute before a commit
	@echo "== unit tests"
	$(PYTEST) tests/unit -n $(JOBS)

process: venv-test test-tools  ## real master and workers on loopback
	@echo "== process tests, several at once"
	$(PYTEST) tests/process -m "not quiet" -n $(SERVERS) --dist loadgroup
	@echo "== process tests that measure time, two at once"
	$(PYTEST) tests/process -m quiet -n 2 --dist loadgroup

sipp: venv-test test-tools  ## call scenarios played by SIPp (OPENSERD_SIPP_SECONDS=60 for the long form)
	@echo "== SIPp scenarios"
	$(PYTEST) tests/sipp

conformance: venv-test test-tools  ## what the RFCs ask, row by row, with the tests that prove it
	$(PYTEST) tests/unit tests/process -m conformance

bench: venv-test  ## CPU per call, REGISTER, OPTIONS and lookup, beside Kamailio where it is installed (WORKLOADS="register rss")
	@bench/run $(WORKLOADS)

soak: venv-test test-tools  ## 5000 kills each (OPENSERD_SOAK_KILLS), 60 s of kills under load (OPENSERD_KILL_SECONDS), 1000 calls on each bad line (OPENSERD_LOSS_CALLS)
	OPENSERD_LOSS_CALLS=$${OPENSERD_LOSS_CALLS:-1000} OPENSERD_SOAK_KILLS=$${OPENSERD_SOAK_KILLS:-5000} OPENSERD_KILL_SECONDS=$${OPENSERD_KILL_SECONDS:-60} $(PYTEST) tests/unit tests/process -m soak --timeout=7200

fuzz: venv-test test-tools  ## random and mutated datagrams, 100000 of them (OPENSERD_FUZZ_DATAGRAMS)
	OPENSERD_FUZZ_DATAGRAMS=$${OPENSERD_FUZZ_DATAGRAMS:-100000} $(PYTEST) tests/unit tests/process -m fuzz --timeout=7200

lint: venv-test  ## ruff and mypy --strict
	@echo "== style"
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	@echo "== types"
	.venv/bin/mypy

format: venv-test  ## put the source into ruff's form
	.venv/bin/ruff check --fix-only .
	.venv/bin/ruff format .

docs: venv-test  ## write docs/modules and the other reference pages from the declarations
	.venv/bin/python -m scripts.document

hot-functions: venv-test  ## write openserd/data/hot_functions.txt: what messages run, to lie together in memory
	.venv/bin/python -m scripts.hot_functions

coverage-table: venv-test  ## write COVERAGE.md: which part of OpenSER 1.2 is there
	.venv/bin/python -m scripts.coverage_table

install:  ## install into PREFIX, a virtual environment made when absent (PREFIX=/opt/openserd)
	@scripts/install.sh $(PREFIX)

clean:  ## remove the private environment and everything generated
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

venv-test:
	@scripts/venv.sh test

test-tools:
	@scripts/test-tools.sh
