# Two commands do everything on a fresh machine: `make demo` and `make test`.
# Each builds .venv from the pinned versions when it is missing or older than what pins it.

PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed
OUT ?= demo

.PHONY: demo test slow lint types benchmarks constraints clean

demo: $(STAMP)
	$(VENV)/bin/shortlist demo --out $(OUT)

test: $(STAMP)
	$(VENV)/bin/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

slow: $(STAMP)
	$(VENV)/bin/python -m pytest -m slow

lint: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(STAMP)
	$(VENV)/bin/pyright

# every_task tries all of TaskSet and takes hours; profile_step explains one case. Both are run by hand.
benchmarks: $(STAMP)
	for name in population lists read_logs report_load; do $(VENV)/bin/python -m benchmarks.$$name || exit 1; done

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Shortlist needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $(STAMP)

# Everything that the ranges of pyproject.toml resolve to today: names and versions only.
constraints:
	rm -rf $(VENV) && $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --editable '.[dev,images]'
	(sed '/^[^#]/,$$d' constraints.txt; $(VENV)/bin/pip freeze --exclude-editable) > constraints.new
	mv constraints.new constraints.txt
	touch $(STAMP)

clean:
	rm -rf $(VENV) $(OUT)
