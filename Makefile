# Every target sets up what it needs itself, from Python >= 3.11 with pip and venv, inside this clone.
# Nothing outside it is touched, and no virtual environment need be active.

# python3.11 if there is one, else python3; `make PYTHON=/path/to/python` takes another.
PYTHON ?= $(shell for p in python3.11 python3; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; \
	done)
# Further arguments for pytest, such as `make test-stack-b PYTEST_ARGS='-k relay -x'`.
PYTEST_ARGS ?=
# `make lock LOCK_ARGS=--upgrade` moves every pin; without it only what no longer fits moves.
LOCK_ARGS ?=
# Further arguments for the demo.
DEMO_ARGS ?=
# Seconds for each target of `make fuzz`, and the targets.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= http xml listing answers text
# Further arguments for the benchmarks, such as `make bench BENCH_ARGS='--contender async-s3copy s5cmd'`.
BENCH_ARGS ?=

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

# An active virtual environment, or a path into another project, must not leak in.
unexport VIRTUAL_ENV CONDA_PREFIX PYTHONPATH PYTHONHOME UV_PROJECT_ENVIRONMENT
# The interpreter is the one found above.
export UV_PYTHON_DOWNLOADS := never
export UV_NO_PROGRESS := 1
# Trust what the machine trusts, like git does: a company's own certificate authority included.
export UV_SYSTEM_CERTS ?= 1

UV := .bootstrap/bin/uv
PY := .venv/bin/python
PY_B := .venv-b/bin/python
PY_DEMO := .venv-demo/bin/python
PY_DOCS := .venv-docs/bin/python
PY_BENCH := .venv-bench/bin/python
PY_FUZZ := .venv-fuzz/bin/python
# What is linted and type-checked: whichever of these folders exist.
CODE := $(wildcard src tests benchmarks examples)
# Two workers per core of a small machine, for the tests also wait for servers and other processes; a
# file's tests stay together, so a worker reuses its servers; in the order of their names, because
# the long ones (Airflow, chaos) have few tests and would otherwise come last.
PYTEST := -m pytest tests -n 4 --dist loadfile --no-loadscope-reorder

.PHONY: help
help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: demo
demo: .venv-demo/.installed ## Copy between two accounts on a real S3 server, started on this machine
	@$(PY_DEMO) -m async_s3copy demo $(DEMO_ARGS)

.PHONY: demo-serve
demo-serve: .venv-demo/.installed ## Start the demo's server and keep it until Ctrl-C
	@$(PY_DEMO) -m async_s3copy demo --serve $(DEMO_ARGS)

.PHONY: test
test: lint test-stack-a test-stack-b test-wheel ## Everything that must pass: lint, both stacks, the wheel

.PHONY: test-stack-a
test-stack-a: .venv/.installed ## All tests, on aioboto3 and the aiobotocore it pins
	$(PY) $(PYTEST) $(PYTEST_ARGS)

.PHONY: test-stack-b
test-stack-b: .venv-b/.installed ## The tests marked stack_b, on the newest aiobotocore
	$(PY_B) $(PYTEST) -m "stack_b" $(PYTEST_ARGS)

.PHONY: test-airflow
test-airflow: .venv/.installed .venv-b/.installed ## Copies in a whole Airflow: users, timeouts, kills; ten minutes
	$(PY) -m pytest tests/airflow_full.py $(PYTEST_ARGS)
	$(PY_B) -m pytest tests/test_airflow_e2e.py $(PYTEST_ARGS)

.PHONY: fuzz
fuzz: .venv-fuzz/.installed ## Search for bytes that break a parser, by what they reach in the code
	@for target in $(FUZZ_TARGETS); do \
		$(PY_FUZZ) -m tests.fuzz_run "$$target" $(FUZZ_SECONDS); \
	done

.PHONY: test-chaos
test-chaos: .venv/.installed ## Long copies through faults: both clients, relay, kills, cancelled twice; half an hour
	ASYNC_S3COPY_CHAOS_FEWER=20000 $(PY) -m pytest tests/test_chaos_boto.py tests/test_chaos_relay.py $(PYTEST_ARGS)
	$(PY) -m pytest tests/chaos_full.py $(PYTEST_ARGS)
	$(PY) -m pytest -n 2 tests/cancel_twice_full.py $(PYTEST_ARGS)

.PHONY: test-soak
test-soak: .venv/.installed ## A million objects through faults: memory and descriptors stay flat; ten minutes
	$(PY) -m pytest -s tests/soak.py $(PYTEST_ARGS)

.PHONY: test-wheel
test-wheel: build ## The built wheel, installed alone, imports and answers
	@rm -rf build/wheel-check
	@$(UV) venv -q --python .bootstrap/bin/python build/wheel-check
	@$(UV) pip sync -q --python build/wheel-check/bin/python --require-hashes requirements/demo.txt
	@$(UV) pip install -q --python build/wheel-check/bin/python --no-deps dist/async_s3copy-*.whl
	@$(UV) pip check -q --python build/wheel-check/bin/python
	@cd build/wheel-check && bin/python -I -c 'import async_s3copy, importlib.resources as r; \
		assert r.files(async_s3copy).joinpath("py.typed").is_file()'
	@cd build/wheel-check && bin/python -I -m async_s3copy --help >/dev/null
	@cd build/wheel-check && bin/async-s3copy --help >/dev/null
	@echo "the wheel installs, imports and answers: $$(ls dist/*.whl)"

.PHONY: lint
lint: .venv/.installed ## ruff, mypy --strict, import contracts
	$(PY) -m ruff check $(CODE)
	$(PY) -m ruff format --check $(CODE)
	$(PY) -m mypy --strict $(CODE)
	.venv/bin/lint-imports --no-cache

.PHONY: format
format: .venv/.installed ## Rewrite the code in the house format
	$(PY) -m ruff check --fix-only --exit-zero $(CODE)
	$(PY) -m ruff format $(CODE)

.PHONY: docs
docs: .venv-docs/.installed ## Build the documentation into site/
	$(PY_DOCS) -m mkdocs build --strict

.PHONY: bench
bench: bench-env ## The short set of benchmarks, within ten minutes: benchmarks/results/quick
	@rm -rf benchmarks/results/quick
	-$(PY_BENCH) -m benchmarks run --quick --output benchmarks/results/quick/raw.jsonl $(BENCH_ARGS)
	$(PY_BENCH) -m benchmarks report benchmarks/results/quick/raw.jsonl --output benchmarks/results/quick

.PHONY: bench-full
bench-full: bench-env ## All benchmarks, for hours: benchmarks/results
	@rm -f benchmarks/results/raw.jsonl
	-$(PY_BENCH) -m benchmarks run --output benchmarks/results/raw.jsonl $(BENCH_ARGS)
	$(PY_BENCH) -m benchmarks report benchmarks/results/raw.jsonl --output benchmarks/results

.PHONY: bench-env
bench-env: .venv/.installed .venv-bench/.installed .venv-bench-aws/.installed .venv-bench-airflow/.installed ## The environments of the benchmarks

.PHONY: build
build: .venv/.installed ## Build sdist and wheel into dist/
	@rm -rf dist
	$(UV) build -q --python $(PY) --no-build-isolation --out-dir dist

.PHONY: clean
clean: ## Remove everything made here
	rm -rf .bootstrap .venv .venv-* build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# ------------------------------------------------------------------------------- environments
# The stamp is older than a changed lock or project file: then, and only then, the step is redone.

.bootstrap/.installed: requirements/uv.txt
	@[ -n "$(PYTHON)" ] || { echo "error: Python 3.11 or newer is needed: no python3.11 and no such python3 on PATH (make PYTHON=...)" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "error: Python 3.11 or newer is needed, and $(PYTHON) is not (make PYTHON=...)" >&2; exit 1; }
	@echo "setting up uv in .bootstrap"
	@"$(PYTHON)" -m venv --clear .bootstrap
	@.bootstrap/bin/python -m pip install -q --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/uv.txt
	@touch $@

# $(call install,FOLDER,LOCK): exactly what the lock names, then this package, editable.
define install
	@echo "setting up $(1) from $(2)"
	@[ -x $(1)/bin/python ] || $(UV) venv -q --clear --python .bootstrap/bin/python $(1)
	@$(UV) pip sync -q --python $(1)/bin/python --require-hashes $(2)
	@$(UV) pip install -q --python $(1)/bin/python --no-deps --no-build-isolation -e .
	@touch $@
endef

.venv/.installed: requirements/test.txt pyproject.toml .bootstrap/.installed
	$(call install,.venv,requirements/test.txt)

.venv-b/.installed: requirements/stack-b.txt pyproject.toml .bootstrap/.installed
	$(call install,.venv-b,requirements/stack-b.txt)

.venv-demo/.installed: requirements/demo.txt pyproject.toml .bootstrap/.installed
	$(call install,.venv-demo,requirements/demo.txt)

.venv-fuzz/.installed: requirements/fuzz.txt pyproject.toml .bootstrap/.installed
	$(call install,.venv-fuzz,requirements/fuzz.txt)

.venv-docs/.installed: requirements/docs.txt pyproject.toml .bootstrap/.installed
	$(call install,.venv-docs,requirements/docs.txt)

.venv-bench/.installed: requirements/bench.txt pyproject.toml .bootstrap/.installed
	$(call install,.venv-bench,requirements/bench.txt)

# Only a contender lives there, not this package.
.venv-bench-%/.installed: requirements/bench-%.txt .bootstrap/.installed
	@echo "setting up .venv-bench-$* from $<"
	@[ -x .venv-bench-$*/bin/python ] || $(UV) venv -q --clear --python .bootstrap/bin/python .venv-bench-$*
	@$(UV) pip sync -q --python .venv-bench-$*/bin/python --require-hashes $<
	@touch $@

# ------------------------------------------------------------------------------------- locks
# Universal: one file for every platform and every Python from 3.11 on, each artefact by its hash.
COMPILE = $(UV) pip compile -q pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(LOCK_ARGS)

.PHONY: lock
lock: .bootstrap/.installed ## Resolve requirements/*.txt anew from pyproject.toml
	$(COMPILE) --extra aioboto3 --extra airflow --extra cli --extra demo --group build --group test --group lint -o requirements/test.txt
	$(COMPILE) --extra airflow --extra cli --group build --group test --group stack-b -o requirements/stack-b.txt
	$(COMPILE) --extra aioboto3 --extra cli --extra demo --group build -o requirements/demo.txt
	$(COMPILE) --group build --group fuzz -o requirements/fuzz.txt
	$(COMPILE) --group build --group docs -o requirements/docs.txt
	$(COMPILE) --extra aioboto3 --extra cli --extra demo --group build --group bench -o requirements/bench.txt
	$(COMPILE:pyproject.toml=) --group bench-aws -o requirements/bench-aws.txt
	$(COMPILE:pyproject.toml=) --group bench-airflow -o requirements/bench-airflow.txt
	$(COMPILE:pyproject.toml=) --group bootstrap -o requirements/uv.txt
	@! grep -nE '^--|://|find-links|file:' requirements/*.txt || { echo "error: a lock names a host or a path" >&2; exit 1; }
