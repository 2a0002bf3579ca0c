# The one door to everything. `make help` lists it.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.PHONY: help demo build test soak simulate mutants bench score lint fmt release images clean

CARGO ?= cargo
DIST := target/dist

help: ## This list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## A container runs out of GPU memory and is healed, before your eyes.
	@CARGO="$(CARGO)" tests/demo/run

build: ## target/release/libout_healer.so and target/release/healer.
	$(CARGO) build --release

test: ## The quick ladder: everything that runs in ten minutes on two cores.
	@CARGO="$(CARGO)" tests/run quick

soak: ## The same with the long counts: hours.
	@CARGO="$(CARGO)" tests/run soak

SEEDS ?= 20000
simulate: ## The policy in a faulty world, seed by seed: make simulate SEEDS=20000
	SIM_SEEDS=$(SEEDS) $(CARGO) test --locked --release -p policy --test sim -- --nocapture

mutants: ## Spoils the policy in every way we know; the simulation must find each.
	$(CARGO) test --locked -p policy --test mutants -- --ignored

bench: ## What it costs and how quick it is, as a table (some minutes).
	$(CARGO) build --release --locked
	$(CARGO) bench --locked --bench flush --bench table
	$(CARGO) bench --locked -p rules --bench scan

score: ## How well the rules tell failures apart: make score CORPUS=labelled.jsonl
	@test -n "$(CORPUS)" || { echo 'make score: name the labelled lines: make score CORPUS=labelled.jsonl' >&2; exit 2; }
	@$(CARGO) run --quiet --release --locked -p rules --example score -- "$(CORPUS)" $(SCORE_ARGS)

lint: ## Formatting and clippy; warnings are errors.
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

fmt: ## Formats the sources.
	$(CARGO) fmt --all

release: ## The plugin for old glibc and the static executor, in target/dist.
	@CARGO="$(CARGO)" docker/release $(DIST)

images: release ## Both container images (pulls the Fluent Bit image).
	docker build -f docker/executor.Dockerfile -t log-healer/executor:0.1.0 .
	docker build -f docker/plugin.Dockerfile -t log-healer/fluent-bit:0.1.0 .

clean: ## Removes target/.
	$(CARGO) clean
