# HL7 Yeeter. `make` alone shows what there is.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help install services demo test coverage chaos mutants qualify lint format lock images

PYTHON ?= python3
BIN := .venv/bin

# Another environment that is active in the calling shell must not leak into ours.
# Nor a wish to compile every module anew in every process: a program would take three times as long to start.
unexport VIRTUAL_ENV CONDA_PREFIX PYTHONHOME PYTHONPATH PYTHONDONTWRITEBYTECODE
export PYTHON

help: ## Show the targets
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

install: ## Make .venv with everything that requirements.lock names
	@scripts/install

services: ## See that the services that tests run against are installed (Debian: installs them, as root)
	@scripts/services

demo: install ## Send 1,000 orders through a simulated department, nothing else needed
	$(BIN)/yeeter run mixed-department --orders 1000 --set study.pixels=tiny --set study.preset=compact

test: install services lint ## Check everything: style, types, import floors, and every test against real services
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

coverage: install services ## The same tests, and which lines of app/ none of them reaches
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --cov --cov-report=term

# Other seeds, or the ones of a run that is to be replayed: make chaos CHAOS_SEEDS="7 8"
CHAOS_SEEDS ?= $(shell od -An -N3 -tu4 /dev/urandom)
CHAOS_ORDERS ?= 10000
CHAOS_KILL_EVERY ?= 1

chaos: install services ## Send 10,000 orders while workers, services and connections are killed, cut and frozen
	YEETER_CHAOS_SEED="$(CHAOS_SEEDS)" YEETER_CHAOS_ORDERS="$(CHAOS_ORDERS)" \
	YEETER_CHAOS_KILL_EVERY="$(CHAOS_KILL_EVERY)" $(BIN)/python -m pytest -s tests/chaos/test_chaos.py tests/chaos/test_embedded.py

mutants: install services ## Break each guarantee in a copy of the source, and see that tests notice
	$(BIN)/python -m tests.mutants

# Some of it only, whether there is evidence or not: make qualify CHECKS="fuzz roles". Where each one stands: CHECKS=--list
qualify: install services ## Measure every figure of the reliability bar that has no evidence yet, into docs/evidence/ (hours)
	$(BIN)/python -m tests.qualify $(CHECKS)

lint: install ## Check style, types and import floors
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install ## Put code into the project's form
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: ## Resolve the dependencies of pyproject.toml anew into requirements.lock
	@scripts/lock

images: ## Build the container images yeeter and yeeter-worker, with docker, podman or buildah
	@scripts/images
