# `make help` lists what there is. Everything is installed into .venv (.venv-jazzy with ROS=jazzy, .venv-oldest with
# OLDEST=1, .venv-jazzy-oldest with both).
ROS ?= kilted
OLDEST ?=
ARGS ?=
# Most tests wait as much as they compute. With more, the trainer's thread, which takes only idle processors, gets none.
WORKERS ?= 4
# Those of `make check` only compute, and each worker has to import torch first.
CHECKERS ?= 2
# Exit status of pytest where there was nothing to run.
NO_TESTS := 5
# Images of Python set this: several hundred processes of the tests would each compile the package anew.
export PYTHONDONTWRITEBYTECODE :=
PYTHON ?= python3
VENV := .venv$(if $(filter-out kilted,$(ROS)),-$(ROS))$(if $(OLDEST),-oldest)
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CONSTRAINTS := $(if $(OLDEST),constraints-oldest.txt,constraints.txt) constraints-$(ROS).txt

# What the wheels need of Debian: EGL and Mesa to render, the libraries of OpenCV's windows, librealsense's USB.
DEBIAN := libegl1 libgl1-mesa-dri libgl1 libglib2.0-0 libusb-1.0-0
# What compiles the action and its messages (interfaces/).
COMPILER := g++ make python3-dev
# What the tests need beside: a browser for the operator's page (tests/test_page.py).
BROWSER := chromium chromium-driver

.DEFAULT_GOAL := help
.PHONY: help sim test check lint format docs clean system browser interfaces

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo '  ARGS="..." goes to the command (make sim ARGS="--goals 10"), ROS=jazzy takes ROS 2 Jazzy instead of Kilted.'
	@echo '  OLDEST=1 takes the oldest versions that setup.py allows (constraints-oldest.txt) instead of the newest tested ones.'

sim: $(STAMP) ## Install, then run the whole system in simulation; pictures of each goal in out/sim
	$(BIN)/rig sim --images out/sim $(ARGS)

test: $(STAMP) browser ## Install, then run all tests, side by side
	@# The tests of the action say so when they are skipped: nothing else needs it.
	-@$(MAKE) --no-print-directory interfaces
	@status=0; $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m 'not alone' $(ARGS) || status=$$?; \
	  [ $$status != $(NO_TESTS) ] || status=0; \
	  $(BIN)/python -m pytest -m alone $(ARGS) || { alone=$$?; [ $$alone = $(NO_TESTS) ] || status=$$alone; }; \
	  exit $$status

check: $(STAMP) lint ## Style, types and the quick tests that start no process: before a commit
	$(BIN)/python -m pytest -n $(CHECKERS) --dist loadgroup -m 'not processes and not slow' -q $(ARGS)

lint: $(STAMP) ## Style, formatting and types
	@# Without its cache: which imports are the project's own depends on the folders that are there, and the cache does not know.
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP) ## Format the code
	$(BIN)/ruff check --no-cache --fix .
	$(BIN)/ruff format .

docs: $(STAMP) ## Build the documentation as a site, in site/
	$(BIN)/mkdocs build --strict

clean: ## Remove what was installed and built here
	rm -rf .venv .venv-* build install log out site *.egg-info .pytest_cache .hypothesis .ruff_cache .mypy_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): setup.py $(CONSTRAINTS)
	@$(MAKE) --no-print-directory system
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet $(addprefix -c ,$(CONSTRAINTS)) torch
	$(BIN)/pip install --quiet $(addprefix -c ,$(CONSTRAINTS)) -e '.[ros,dev,scale,realsense]'
	touch $@

interfaces: $(VENV)/.interfaces ## Compile the action that sends a goal picture (docs/goals.md), into the same place

$(VENV)/.interfaces: $(STAMP) $(shell find interfaces -type f)
	@$(MAKE) --no-print-directory system DEBIAN="$(COMPILER)"
	$(BIN)/pip install --quiet $(addprefix -c ,$(CONSTRAINTS)) -e '.[ros,interfaces]'
	$(BIN)/python interfaces/build_with_wheels.py build/interfaces-$(VENV)
	touch $@

browser:
	@$(MAKE) --no-print-directory system DEBIAN="$(BROWSER)"

system:
	@command -v dpkg-query >/dev/null || { echo 'This is no Debian or Ubuntu: install EGL and Mesa yourself.'; exit 0; }; \
	missing=""; $(PYTHON) -c 'import ensurepip' 2>/dev/null || missing=" python3-venv"; \
	for package in $(DEBIAN); do \
	  dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$package"; done; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" = 0 ]; then apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$missing; \
	  else echo "Missing packages. Run:  sudo apt-get install$$missing"; exit 1; fi; fi
