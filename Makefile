# `make` alone prints this help.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= .causeway
SERVICES := $(notdir $(patsubst %/app.py,%,$(wildcard services/*/app.py)))

.DEFAULT_GOAL := help
.PHONY: help demo test lint types bench schemas flow up down lock

help: ## Print this help
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/embedded ## Send real DICOM and an order through everything and show what is proven where (DICOM=path for yours)
	$(BIN)/causeway demo $(if $(DICOM),--dicom "$(DICOM)")

test: $(VENV)/test ## Run every test
	sh tests/run.sh

lint: $(VENV)/test ## Check style and formatting
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(VENV)/test ## Check types
	$(BIN)/mypy

bench: $(VENV)/test ## Run the benchmarks, or one: BENCH=name
	$(BIN)/python -m bench $(BENCH)

schemas: $(VENV)/test ## Freeze the schemas of events that have none yet
	$(BIN)/python -m contracts.freeze

flow: $(VENV)/test ## Generate flow.md, the AsyncAPI documents, the services' tables and the conformance statement
	$(BIN)/python -m cli.describe

up: $(VENV)/embedded ## Start a whole site here, in the background
	$(BIN)/causeway up --data $(DATA) --detach

down: $(VENV)/embedded ## Stop it
	$(BIN)/causeway down --data $(DATA)

lock: $(VENV)/test ## Resolve the requirement files again
	sh requirements.sh $(SERVICES)

$(VENV)/embedded: requirements.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/test: requirements-test.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement requirements-test.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@ $(VENV)/embedded
