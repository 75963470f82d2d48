# The commands a person needs; `make` alone lists them. What each step does stands in .ci/.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test check chaos score learn bench bench-peers bench-daemon agree docs console venv kafka million adversity advisories

# Where cargo puts what it builds; whoever sets CARGO_TARGET_DIR finds the binary there.
BUILT := $(or $(CARGO_TARGET_DIR),target)
CONSOLE := $(shell find console -path console/node_modules -prune -o -path console/dist -prune -o -type f -print 2>/dev/null)

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# No cloud SDK and no Kafka library: the demo needs neither and builds in a fraction of the time.
demo: ## build Lapwing and watch it find an attack in a day of sample logs
	@.ci/need cargo cc
	@if .ci/node; then $(MAKE) --no-print-directory console; fi
	cargo build --release --locked --no-default-features
	exec "$(BUILT)/release/lapwing" demo

test: ## formatting, lints, dependencies, console, dashboards, all tests
	@.ci/need cargo cc c++ make rustfmt clippy
	@.ci/test

check: ## formatting and lints only: quick, for while you work
	@.ci/need cargo cc c++ make rustfmt clippy
	@.ci/test --quick

# A test build: a release has no fail points. LAPWING_LIVES asks for another number, LAPWING_SEED repeats a run.
chaos: ## 500 lives of the service ended by SIGKILL at every step, and clocks, pauses and sinks that misbehave
	@.ci/need cargo cc
	LAPWING_LIVES=$${LAPWING_LIVES:-500} cargo test --locked --no-default-features --test chaos -- --nocapture

# As the demo: what is measured needs neither cloud SDK nor Kafka.
bench: ## the engine, a user's day end to end, a restart with a million keys: speed, delay, memory, what was found
	@.ci/need cargo cc
	cargo bench --locked --no-default-features --bench engine
	cargo bench --locked --no-default-features --bench day
	cargo bench --locked --no-default-features --bench restart

score: ## what the shipped rules find in a synthetic world, and what they cost on its ordinary days
	@.ci/need cargo cc
	cargo bench --locked --no-default-features --bench score

learn: ## rules that learn: whether their ranks can be believed, what they cost and keep
	@.ci/need cargo cc
	cargo bench --locked --no-default-features --bench learn

# Outside the workspace: another engine is no part of the product. What it reads lies in the shared data folder.
bench-peers: ## our engine beside rsigma, same bytes, same run: ratios (`make bench-peers ROWS=windows` for some)
	@.ci/need cargo cc
	CARGO_TARGET_DIR="$(abspath $(BUILT))" cargo build --release --locked --manifest-path benches/peers/Cargo.toml
	"$(BUILT)/release/peers" ratios $(ROWS)

# rsigma's program is installed into the build folder: the newest that Rust 1.95 builds. What is read lies in the shared
# data folder, and so do the rules.
RSIGMA := 0.23.0
bench-daemon: ## our service beside rsigma's daemon, same bytes, same run: throughput, delay, memory (CORPUS=tuned for one)
	@.ci/need cargo cc
	cargo build --release --locked --no-default-features
	CARGO_TARGET_DIR="$(abspath $(BUILT))" cargo build --release --locked --manifest-path benches/daemon/Cargo.toml
	"$(BUILT)/rsigma/bin/rsigma" --version 2>/dev/null | grep -qF "$(RSIGMA)" || CARGO_TARGET_DIR="$(abspath $(BUILT))/rsigma/build" \
		cargo install rsigma --version "=$(RSIGMA)" --locked --root "$(abspath $(BUILT))/rsigma"
	CARGO_TARGET_DIR="$(abspath $(BUILT))" "$(BUILT)/release/daemon" $(CORPUS)

million: kafka venv ## a million records through Kafka and CloudWatch Logs, with kills in their middle: speed, lag, what was found
	@.ci/need cargo cc c++ make
	PATH="$(CURDIR)/.venv/bin:$$PATH" cargo test --release --locked --test kafka --test aws -- --ignored --nocapture

# LAPWING_RUNS asks for another number, LAPWING_SEED repeats a run.
adversity: ## 1,000 runs of everything that CloudWatch Logs may do to its readers, with crashes: 0 lost, 0 doubled
	@.ci/need cargo cc
	LAPWING_RUNS=$${LAPWING_RUNS:-1000} cargo test --release --locked -p connect --lib adversity

agree: ## whether our engine and rsigma find the same, over all rules and all events that we have
	@.ci/need cargo cc
	CARGO_TARGET_DIR="$(abspath $(BUILT))" cargo build --release --locked --manifest-path benches/peers/Cargo.toml
	"$(BUILT)/release/peers" agree

docs: ## the pages of docs/ that are made from the source
	@.ci/need cargo cc
	cargo run --locked --no-default-features -- docs

# Before any cargo build that is to contain it: the binary embeds console/dist.
console: ## build the console into console/dist
	@.ci/need node npm
	@$(MAKE) --no-print-directory console/dist/index.html

console/dist/index.html: $(CONSOLE)
	npm --prefix console ci --no-audit --no-fund
	npm --prefix console run build
	@touch $@

venv: ## .venv with the Python servers and schema checkers that some tests talk to
	@.ci/need python3
	@$(MAKE) --no-print-directory .venv/ready

.venv/ready: .ci/requirements.txt
	python3 -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check -r .ci/requirements.txt
	@touch $@

kafka: ## .kafka with the jars of Apache Kafka, whose brokers some tests start
	@.ci/need mvn java
	@$(MAKE) --no-print-directory .kafka/ready

.kafka/ready: tests/kafka/pom.xml
	rm -rf .kafka
	mvn --quiet --batch-mode --file tests/kafka/pom.xml dependency:copy-dependencies -DincludeScope=runtime \
		-DoutputDirectory="$(CURDIR)/.kafka"
	@touch $@

advisories: ## known vulnerabilities in dependencies (asks the network)
	@.ci/need cargo cargo-deny
	cargo deny --locked check advisories
