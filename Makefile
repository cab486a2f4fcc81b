.DEFAULT_GOAL := help
.PHONY: help setup run rollout penguins test test-cluster lint format compile report serve images sbom up deploy status promote rollback bench bench-rollout lock clean
PYTHON ?= python3
BIN := .venv/bin

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Make the environments from the lock files (the other targets do it by themselves)
	@$(PYTHON) requirements/install.py

run: setup ## The main job: the flights of New York, from raw data to a pushed model, and a rollout of the next one
	@$(BIN)/lockgate run examples/flights && $(BIN)/lockgate rollout demo examples/flights

rollout: setup ## That rollout alone; BAD=slow, errors, skewed or crash shows how a bad candidate is taken back
	@$(BIN)/lockgate rollout demo examples/flights $(if $(BAD),--bad $(BAD))

penguins: setup ## The small example: three classes, 344 rows, cross-validation
	@$(BIN)/lockgate run examples/penguins

test: setup ## All tests that pass anywhere
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder -m "not root and not gcs and not cluster"

test-cluster: setup ## The tests on the cluster of KUBECONFIG, with images built by `make images TAG=dev`
	@$(BIN)/python -m pytest -q -m cluster tests/cluster

lint: setup ## Ruff, mypy --strict on lockgate/, the layers, the compiled pipeline
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports
	@$(BIN)/python -m pipelines.compile --check

format: setup ## Put the code into its form
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

compile: setup ## Compile the pipelines and write the components' READMEs
	@$(BIN)/python -m pipelines.compile

report: setup ## Write the last run's report again and say where it is
	@$(BIN)/lockgate report examples/flights

serve: setup ## Serve the pushed flights model on 127.0.0.1:8080
	@$(BIN)/lockgate serve examples/flights

images: ## Build the images with docker, podman or buildah; TAG=… (default: the version), TENSORFLOW=gpu
	@images/build

sbom: ## Write what is in each image, as CycloneDX, into dist/
	@images/sbom

up: ## Make a Kubernetes on this machine with what Lockgate needs (kind; Docker needed)
	@manifests/kind/up

OVERLAY ?= local
deploy: ## Show what OVERLAY=local changes on the cluster of KUBECONFIG, and apply it
	@manifests/deploy $(OVERLAY)

status: setup ## Models, rollouts, training jobs and verdicts on the cluster of KUBECONFIG
	@$(if $(KUBECONFIG),,$(patsubst %,KUBECONFIG=%,$(wildcard .lockgate/kind.kubeconfig))) $(BIN)/python -m components.cluster.status

NAMESPACE ?= lockgate
promote: setup ## Give MODEL's candidate all of the traffic now, on the cluster of KUBECONFIG; NAMESPACE=lockgate
	@$(BIN)/lockgate rollout promote $(or $(MODEL),$(error Name the model: make promote MODEL=flights)) --namespace $(NAMESPACE)

rollback: setup ## Take MODEL's candidate back now, on the cluster of KUBECONFIG; NAMESPACE=lockgate
	@$(BIN)/lockgate rollout abort $(or $(MODEL),$(error Name the model: make rollback MODEL=flights)) --namespace $(NAMESPACE)

bench: setup ## Measure what README claims: a table of ratios (about 20 minutes)
	@$(BIN)/python -m bench

bench-rollout: setup ## Simulate rollouts: one table, our rule beside the field's (about 15 minutes)
	@OMP_NUM_THREADS=1 $(BIN)/python -m bench.rollout

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-annotate --no-header --override requirements/overrides.txt

IMAGE_LOCKS := build controller pipeline runtime sbom shared trainer-cpu trainer-gpu

lock: setup ## Resolve the lock files again from requirements/*.in
	@$(LOCK) requirements/tfdv-1.21.in -o requirements/tfdv-1.21.txt
	@$(LOCK) requirements/dev.in -c requirements/tfdv-1.21.txt -o requirements/dev.txt
	@$(LOCK) requirements/lockgate.in -c requirements/tfdv-1.21.txt -o requirements/lockgate.txt
	@$(foreach lock,$(IMAGE_LOCKS),$(subst 3.11,3.13,$(LOCK)) requirements/$(lock).in -c requirements/tfdv-1.21.txt -o requirements/$(lock).txt &&) true
	@$(subst --universal,--python-platform x86_64-manylinux_2_28,$(LOCK)) requirements/tfdv-1.16.in -o requirements/tfdv-1.16.txt

clean: ## Remove the environments (data and runs stay)
	rm -rf .venv .venv-tfdv .mypy_cache .ruff_cache .pytest_cache
