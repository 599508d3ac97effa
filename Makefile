# The commands of this project; `make` alone lists them. Every one does the set-up it needs, and does not repeat work
# that is up to date (cargo knows for Rust; this file knows for the pages).

PORT ?= 8080
FLY_API_PORT ?= 4280
PLAYERS ?= 50
SECONDS ?= 10
MINUTES ?= 60
REGION ?=
JSON ?=
NAME ?=

# One place for everything compiled, whatever the shell says: the scripts and the browser tests look for it there.
export CARGO_TARGET_DIR := $(CURDIR)/target

MODULES := web-client/node_modules/.package-lock.json
PACKAGES := web-client/pkg/.built
PAGES := web-client/dist/.built
PAGE_SOURCES := $(shell find web-client -type d \( -name node_modules -o -name dist -o -name pkg -o -name wasm -o -name session-json \
	-o -name bindgen -o -name e2e \) -prune -o -type f -print)
# Always all of them together: cargo would compile shared dependencies again for another choice of features.
PROGRAMS := -p lobby -p net -p fly-local -p bots
SAY := @printf '\033[1m==>\033[0m %s\n'

.DEFAULT_GOAL := help
.PHONY: help setup tools web build run test bots bench soak deploy fuzz deny fmt clean FORCE

help: ## List the commands
	@echo 'make COMMAND [NAME=value ...]'
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: tools $(MODULES) ## Check the tools and install the web packages

tools:
	@scripts/check-tools.sh

$(MODULES): web-client/package-lock.json web-client/package.json | tools
	$(SAY) 'Installing the web packages'
	@cd web-client && npm ci --no-progress
	@touch $@

# Always asked, because only cargo knows whether the Rust sources changed; it touches the packages only if they did.
$(PACKAGES): FORCE | tools
	@scripts/build-wasm.sh

$(PAGES): $(PACKAGES) $(MODULES) $(PAGE_SOURCES)
	$(SAY) 'Building the pages'
	@cd web-client && npm run --silent build
	@touch $@

web: setup $(PAGES) ## Build the pages and their wasm (web-client/dist)

build: web ## Build everything: the programs in target/release, with the pages inside
	$(SAY) 'Building lobby, gameserver, fly-local and bots (the first time takes minutes)'
	@cargo build --release $(PROGRAMS)

run: build ## Play: a local Fly with lobby and gameservers (PORT, FLY_API_PORT)
	@exec target/release/fly-local --port $(PORT) --api-port $(FLY_API_PORT)

test: setup ## Run every test and check, as continuous integration does
	$(SAY) 'Looking for a Chromium'
	@scripts/find-chromium.sh
	$(SAY) 'Checking the format'
	@cargo fmt --all -- --check
	@$(MAKE) --no-print-directory web
	$(SAY) 'Checking the types of the pages, and testing them'
	@cd web-client && npm run --silent check && npm run --silent test
	$(SAY) 'Checking the Rust code with clippy'
	@cargo clippy --workspace --all-targets -- -D warnings
	@cargo clippy --locked --manifest-path fuzz/Cargo.toml --no-default-features -- -D warnings
	$(SAY) 'Testing the Rust code'
	@cargo test --workspace
	@$(MAKE) --no-print-directory build
	$(SAY) 'Walking through the game in a browser'
	@CHROMIUM="$$(scripts/find-chromium.sh)" && export CHROMIUM && cd web-client && npm run --silent e2e
	$(SAY) 'All tests passed'

bots: ## Send bots to whatever `make run` has up (KIND, PLAYERS or MIX=arena=50,lounge=500; SECONDS, REGION, JSON=file, PORT)
	@cargo build --release $(PROGRAMS)
	@target/release/bots --lobby http://127.0.0.1:$(PORT) --seconds $(SECONDS) \
		$(if $(MIX),--mix $(MIX),--players $(PLAYERS) $(if $(KIND),--kind $(KIND))) \
		$(if $(REGION),--region $(REGION)) $(if $(JSON),--json $(JSON))

bench: ## Measure every claim: a table, and target/bench/report.json (NAME=one of them)
	@cargo build --release $(PROGRAMS) -p bench
	@mkdir -p target/bench
	@target/release/bench $(NAME) --json target/bench/report.json

deploy: ## Deploy both apps to Fly with flyctl, after checks (CHECK=1: the checks only)
	@scripts/deploy.sh $(if $(CHECK),--check)

soak: setup build ## Look for what grows: MINUTES of 300 bots, then seven in a browser at 150 ms (NAME=programs or browser)
	@cargo build --release $(PROGRAMS) -p bench
	@mkdir -p target/bench
	@$(if $(filter browser,$(NAME)),,target/release/bench soak --minutes $(MINUTES) --json target/bench/soak.json)
	@$(if $(filter programs,$(NAME)),,CHROMIUM="$$(scripts/find-chromium.sh)" && export CHROMIUM && cd web-client && \
		npm run --silent soak)

fuzz: ## Feed the decoders nonsense for SECONDS each (needs cargo-fuzz and a nightly Rust)
	@cargo fuzz --version >/dev/null 2>&1 || { echo 'cargo-fuzz is missing: cargo install cargo-fuzz' >&2; exit 1; }
	for target in decode frame; do \
		cargo +nightly fuzz run $$target -- -max_total_time=$(SECONDS) || exit 1; done

deny: ## Check licences, advisories and sources of the dependencies (needs cargo-deny)
	@cargo deny --version >/dev/null 2>&1 || { echo 'cargo-deny is missing: cargo install cargo-deny' >&2; exit 1; }
	@cargo deny check

fmt: ## Format the Rust code
	@cargo fmt --all

clean: ## Delete everything that was built or fetched into this folder
	@rm -rf target web-client/dist web-client/pkg web-client/node_modules
