# Two commands do everything: `make demo` and `make test`. Both set up what they need.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Compiled modules are kept, whatever the shell says: every process that a test starts would compile anew.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 2 --dist worksteal

# Another processor: older kernels, and the tests whose numbers depend on them.
OTHER_KERNELS := ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=AVX2 MKL_ENABLE_INSTRUCTIONS=AVX2
ROUNDING_TESTS := tests/rounding tests/certificates/levels/sound tests/certificates/attacks/test_attack.py \
	tests/certificates/test_certify.py tests/certificates/levels/test_closed_form.py \
	tests/certificates/levels/test_domain_aware.py tests/certificates/levels/tight/test_upper.py \
	tests/testing/test_soundness_campaign.py tests/testing/test_soundness_wild.py
ORDER_TESTS := tests/certificates/test_certify.py tests/certificates/levels/test_domain_aware.py \
	$(addprefix tests/certificates/levels/sound/test_,deployed.py line.py level.py)

.PHONY: help setup demo test test-fast test-thorough slow-list test-processors lint types check docs clean

help:
	@echo "make demo   train and certify on bundled data, ending in two reports"
	@echo "make test   run all tests (6 to 13 minutes on two cores)"
	@echo "make test-fast   without the tests that tests/slow.txt names (2 minutes on two cores)"
	@echo "make slow-list   choose those by what the last make test measured, on a quiet machine"
	@echo "make test-processors   the certificate tests with older kernels, and sums in another order"
	@echo "make check  lint, types and import rules"
	@echo "make docs   the documentation as a site, into build/docs"

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
	$(PYTEST)

# While working: what tests/slow.txt does not name. Everything must pass `make test` in the end.
test-fast: setup
	$(PYTEST) -m "not slow"

slow-list: setup
	$(BIN)/python tests/slow.py

# Before a release: properties with 500 examples each, drawn anew (those that say how many keep their number).
test-thorough: setup
	HYPOTHESIS_PROFILE=thorough $(PYTEST)

# A verdict must not depend on the processor: older kernels, then sums permuted (tests/sum_order.py).
test-processors: setup
	$(OTHER_KERNELS) $(PYTEST) -m "not slow" $(ROUNDING_TESTS)
	SUM_ORDER=1 $(PYTEST) -m "not slow" $(ORDER_TESTS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint types

# Strict (a warning is an error, a reference must resolve) and without a network.
docs: setup
	$(BIN)/python -m sphinx -W -n --keep-going -q -b html -d build/doctrees docs build/docs
	@echo "build/docs/index.html"

clean:
	rm -rf $(VENV) runs build
