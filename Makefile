# Two commands do everything: `make demo` and `make test`. Both set up what they need.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help setup demo test lint types check clean

help:
	@echo "make demo   train and certify on bundled data, ending in two reports"
	@echo "make test   run the tests"
	@echo "make check  lint, types and import rules"

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $(STAMP)

demo: setup
	$(BIN)/featureconvex run mnist-mini-3-8 --out runs/mnist-mini-3-8
	$(BIN)/featureconvex run breast-cancer --out runs/breast-cancer
	@echo
	@echo "Open in a browser:"
	@echo "  runs/mnist-mini-3-8/report.html"
	@echo "  runs/breast-cancer/report.html"

test: setup
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint types

clean:
	rm -rf $(VENV) runs
