# make report   sets everything up, runs the flagship ablation at scale=mini, prints where the report lies
# make test     sets everything up, runs the tests
# make browser  opens the reports of synthetic records in chromium, where the machine has it
# make docs     builds the documentation into site/, which opens from a file
# make lint     ruff, mypy, import rules

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
DOCS   := .venv-docs

.PHONY: setup report test browser docs lint clean

setup: $(VENV)/.installed

$(VENV)/.installed: requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the pinned environment (the first time this takes a few minutes)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@$(BIN)/python -m dsm_repro.reasoning.sandbox --install
	@touch $@

report: setup
	@$(BIN)/dsm run sweep=rl_algorithm

test: setup
	@$(BIN)/python -m pytest -n 2 --ignore tests/processes --ignore tests/adversarial --ignore tests/e2e --ignore tests/browser \
		--ignore tests/docs --ignore tests/scales

browser: setup
	@.ci/browser

# an environment of its own: nothing of the project is imported
docs: $(DOCS)/.installed
	@NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --strict --quiet
	@echo "documentation: $(CURDIR)/site/index.html"

$(DOCS)/.installed: requirements-docs.lock
	@test -x $(DOCS)/bin/python || $(PYTHON) -m venv $(DOCS)
	@$(DOCS)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-docs.lock
	@touch $@

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

clean:
	rm -rf $(VENV) $(DOCS) site store
