# Two commands matter: `make run` and `make test`. Both set up what is missing; `make help` lists the rest.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
# The first interpreter that is new enough; PYTHON3=/path/to/python overrules.
PYTHON3 ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
# Stamps carry the lock's checksum: a new lock installs, a touched file does not.
stamp = $(VENV)/.installed-$(1)-$(shell cksum < $(1) | cut -d' ' -f1)
RUN_STAMP := $(call stamp,requirements.txt)
DEV_STAMP := $(call stamp,requirements-dev.txt)
NODE_MODULES := tests/javascript/node_modules
NODE_STAMP := $(NODE_MODULES)/.installed-$(shell cksum < tests/javascript/package-lock.json | cut -d' ' -f1)
# Of the modules a fifth is ever imported: each is compiled then.
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-compile
ARGS ?=
# Processes of `make test`, each with a PostgreSQL and a Valkey of its own; WORKERS=0 for one, which starts sooner.
WORKERS ?= auto
# Of tests on running platforms: most of their time is waiting, and each process has platforms of its own.
PLATFORM_WORKERS ?= 3

export PYTHONPATH := $(CURDIR):$(CURDIR)/platform
# A platform has a dozen processes of Python, and each would compile all of our modules anew.
unexport PYTHONDONTWRITEBYTECODE

# Settings are read, nothing is connected: enough for linters and for comparing models with migrations.
PLACEHOLDERS := NAUTILUS_SECRET_KEY=only-for-reading-the-settings-not-for-serving \
	DATABASE_URL=postgresql://nobody@localhost/none REDIS_URL=redis://localhost/0

.PHONY: help
help: ## Lists every target
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | awk -F '\t' '{printf "  make %-18s %s\n", $$1, $$2}'

.PHONY: run
run: $(RUN_STAMP) ## Starts everything on this machine and serves until Ctrl-C (ARGS=--once: runs the sample jobs and stops)
	@exec $(BIN)/python -m nautilus.local run $(ARGS)

.PHONY: test
test: $(DEV_STAMP) $(NODE_STAMP) ## Runs the tests against real servers of their own, but for those below (ARGS='-k word' picks some)
	@exec $(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 4 -m 'not platform and not faults and not operations and not thorough and not docker and not browser' $(ARGS)

.PHONY: test-platform
test-platform: $(DEV_STAMP) $(NODE_STAMP) ## Follows clients through a running platform, and the README and how-to word by word
	@exec $(BIN)/python -m pytest -m platform $(ARGS)

.PHONY: test-browser
test-browser: $(DEV_STAMP) ## Walks through the dashboard's pages in a real browser, on a running platform
	@exec $(BIN)/python -m pytest -o testpaths=tests/browser_pages -m browser $(ARGS)

.PHONY: test-thorough
test-thorough: $(DEV_STAMP) ## Runs the tests that go through thousands of cases
	@exec $(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 4 -m thorough $(ARGS)

.PHONY: test-faults
test-faults: $(DEV_STAMP) ## Kills, stops, wipes and overloads a running platform: nothing that was submitted is lost
	@exec $(BIN)/python -m pytest -n $(PLATFORM_WORKERS) --dist loadscope -m 'faults and not endurance' $(ARGS)

.PHONY: test-docker
test-docker: $(DEV_STAMP) ## Carries docker/Dockerfile out in an empty Debian and runs what comes out (root, debootstrap; not part of .ci/run)
	@exec $(BIN)/python -m pytest -m docker $(ARGS)

.PHONY: test-operations
test-operations: $(DEV_STAMP) ## Runs the launcher, the scripts and every command of the runbook; backs up, destroys, restores
	@exec $(BIN)/python -m pytest -n 2 --dist loadscope -m operations $(ARGS)

.PHONY: test-running
test-running: $(DEV_STAMP) $(NODE_STAMP) ## test-platform, test-operations and the main part of test-browser side by side
	@exec $(BIN)/python -m pytest -n $(PLATFORM_WORKERS) --dist loadscope -m '(platform or operations or browser) and not details' $(ARGS)

.PHONY: test-endurance
test-endurance: $(DEV_STAMP) ## Repeats the faults that only show now and then (not part of .ci/run)
	@exec $(BIN)/python -m pytest -m endurance $(ARGS)

.PHONY: lint
lint: $(DEV_STAMP) ## Checks format, style, types, the layering of the apps, and the scripts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(PLACEHOLDERS) $(BIN)/mypy .
	$(BIN)/lint-imports
	shellcheck --external-sources scripts/*.sh scripts/lib/*.sh docker/*.sh docker/redis/*.sh .ci/run

.PHONY: format
format: $(DEV_STAMP) ## Formats the code and mends what can be mended by itself
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: bench
bench: $(DEV_STAMP) ## Runs the benchmarks beside their bare counterparts
	@exec $(BIN)/python -m benchmarks $(ARGS)

.PHONY: screenshots
screenshots: $(DEV_STAMP) ## Draws docs/images/dashboard anew: every page in light and dark, on a running platform
	@exec $(BIN)/python -m tests.browser_pages.pictures

.PHONY: migrations-check
migrations-check: $(RUN_STAMP) ## Fails where the models have changed and no migration says so
	$(PLACEHOLDERS) $(BIN)/python -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run

.PHONY: shell
shell: $(RUN_STAMP) ## Opens Django's shell on the platform that `make run` serves
	@eval "$$($(BIN)/python -m nautilus.local env)" && exec $(BIN)/python manage.py shell

.PHONY: backup
backup: $(RUN_STAMP) ## Makes a backup and proves that it loads (ARGS='--to FOLDER --keep 14')
	@exec scripts/backup.sh --verify $(ARGS)

.PHONY: status
status: $(RUN_STAMP) ## Shows what runs, and where
	@exec $(BIN)/python -m nautilus.local status

.PHONY: venv
venv: $(RUN_STAMP) ## Makes the virtual environment and installs the lock
	@:

.PHONY: venv-dev
venv-dev: $(DEV_STAMP) ## The same with the developers' tools
	@:

.PHONY: lock
lock: $(DEV_STAMP) ## Makes requirements.txt and requirements-dev.txt anew from pyproject.toml
	$(LOCK) -o requirements.txt
	$(LOCK) --extra dev -c requirements.txt -o requirements-dev.txt

LOCK = $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command "make lock"

.PHONY: clean
clean: ## Removes the virtual environment and caches; the data in .nautilus stay
	rm -rf $(VENV) $(NODE_MODULES) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@if [ -z "$(PYTHON3)" ]; then \
		echo "Nautilus needs Python 3.11 or later; found: $$(python3 --version 2>&1 || true)." >&2; \
		echo "Install one, or name it: make $(MAKECMDGOALS) PYTHON3=/path/to/python3.11" >&2; exit 1; fi
	@$(PYTHON3) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON3) cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(PYTHON3) -m venv --clear $(VENV)

$(RUN_STAMP): | $(BIN)/python
	@echo "Installing requirements.txt ..."
	@$(PIP_INSTALL) -r requirements.txt
	@rm -f $(VENV)/.installed-requirements.txt-* && touch $@

# The development lock contains the other one, so that one installation is enough.
$(DEV_STAMP): | $(BIN)/python
	@echo "Installing requirements-dev.txt ..."
	@$(PIP_INSTALL) -r requirements-dev.txt
	@rm -f $(VENV)/.installed-* && touch $@ $(RUN_STAMP)

# Without npm the tests that need it fail, and say so; the others run.
$(NODE_STAMP):
	@if command -v npm >/dev/null; then echo "Installing tests/javascript/package-lock.json ..." && \
		npm ci --prefix tests/javascript --no-audit --no-fund --silent && touch $@; fi
