# make quickstart   venv, install, retrain and compare two networks on real data
# make test         venv, install, every check and test

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
NNUNET := algorithms/hippocampus_segmentation/requirements-no-deps.txt

.PHONY: quickstart test check install wheelhouse clean

quickstart: install
	$(BIN)/reseed run studies/quickstart.yaml

test: check
	$(BIN)/pytest --numprocesses 2 --dist loadfile

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt $(NNUNET)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[train,algorithms,nnunet,parquet,service,postgres,test]"
	$(BIN)/pip install --quiet --constraint constraints.txt --no-deps --requirement $(NNUNET)
	touch $@

# The build of torch that pip finds on this machine, for the images.
wheelhouse: install
	$(BIN)/pip download --quiet --no-deps --constraint constraints.txt --dest wheelhouse torch

clean:
	rm -rf $(VENV) build dist
