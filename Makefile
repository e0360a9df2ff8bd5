# make search recipe=cnn [trials=20 seed=3 …]   set up and search
# make test                                     set up and run the tests, but for the slow ones
# make slow                                     the slow ones: whole searches, kills, every command of the README
# make secrets                                  passwords and tokens for docker compose up
# make faults                                   strike searches, hundreds of times; takes hours
# make docs                                     the pages of docs/ as a site, in the folder site
# make check                                    ruff, mypy and the floors

.PHONY: search test slow secrets faults docs check clean
.DEFAULT_GOAL := test

# The first Python that is new enough.
NEW_ENOUGH := -c 'import sys; sys.exit(sys.version_info < (3, 11))'
PYTHON ?= $(shell for it in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$it $(NEW_ENOUGH) 2>/dev/null && echo $$it && break; done)
VENV := .venv
BIN := $(VENV)/bin
# Every word given to make (recipe=cnn trials=20) goes on to hpo, except those that mean make itself.
WORDS = $(filter-out PYTHON=% VENV=%,$(MAKEOVERRIDES))

# Installed once, and again only if what is declared has changed.
$(VENV)/.search: pyproject.toml
	@$(PYTHON) $(NEW_ENOUGH) 2>/dev/null || { \
		echo 'hpo needs Python 3.11 or later. Install it, or name it: make PYTHON=/path/to/python3.12' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.search
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

search: $(VENV)/.search
	$(BIN)/hpo search $(WORDS)

test: $(VENV)/.dev
	$(BIN)/python -m pytest --numprocesses 2 --dist loadgroup -m 'not slow'

slow: $(VENV)/.dev
	$(BIN)/python -m pytest --numprocesses 2 --dist loadgroup -m slow

secrets:
	$(PYTHON) deploy/make_secrets.py

faults: $(VENV)/.dev
	$(BIN)/python tests/search/storm.py --seeds 3000
	$(BIN)/python benchmarks/faults.py --runs 200 --to faults.jsonl --page docs/faults.md

docs: $(VENV)/.dev
	$(BIN)/python -m mkdocs build --strict --quiet

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --quiet tests/test_floors.py

clean:
	rm -rf $(VENV) dist build site
