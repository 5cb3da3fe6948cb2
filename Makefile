# make demo   a simulated data set, two trained networks, their pictures and table, in demo/
# make test   the test suite
# make dev    the tools for work on the code;  make check  ruff, mypy, import-linter
# Each makes the virtual environment when it is missing. VENV=path puts it elsewhere.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test dev check clean
.DELETE_ON_ERROR:

$(VENV)/installed: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing mrsim into $(VENV)"
	@$(PIP) -e .
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	@$(PIP) -e '.[test]'
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed-test
	@$(PIP) -e '.[dev]'
	@touch $@

demo: $(VENV)/installed
	@BIN=$(BIN) sh docs/demo.sh

test: $(VENV)/installed-test
	$(BIN)/python -m pytest

dev: $(VENV)/installed-dev

check: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) demo build dist
