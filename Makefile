# make report   sets everything up, runs the flagship ablation at scale=mini, prints where the report lies
# make test     sets everything up, runs the tests
# make browser  opens the reports of synthetic records in chromium, where the machine has it
# make lint     ruff, mypy, import rules

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: setup report test browser lint clean

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
	@$(BIN)/python -m pytest -n 2 --ignore tests/processes --ignore tests/e2e --ignore tests/browser

browser: setup
	@.ci/browser

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

clean:
	rm -rf $(VENV) store
