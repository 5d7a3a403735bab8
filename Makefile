# Dormouse. Each target says after ## what it is for; `make` alone lists them.
# Go is needed for all of it. What else a target would like and does not find, it names in one line and leaves out.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

GO ?= go
FUZZTIME ?= 10s
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.7.0

npm := $(shell command -v npm)
node20 := $(shell node -e 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)' 2>/dev/null && echo yes)
packages := e2e/node_modules/.package-lock.json
bundle := server/web/phoenix.mjs

.PHONY: help run build client test check lint unit race fuzz e2e browser bench benchmarks density clean

help: ## List the targets.
	@awk 'BEGIN { FS = ":.*## " } /^[a-z0-9]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## Build with the chat page and serve it; ARGS="--addr :4001" is passed on.
	bin/dormouse serve $(ARGS)

build: ## Build bin/dormouse, with the phoenix client bundled where npm is at hand.
	@$(MAKE) -s client || echo "left out: the chat page's client could not be fetched, so the page will say how to get it"
	$(GO) build -o bin/dormouse .

ifneq ($(npm),)
client: $(bundle) ## Fetch the phoenix client from npm and bundle it for the chat page.
else ifeq ($(wildcard $(bundle)),)
client:
	@echo "left out: the chat page's client, as npm is missing; install Node.js 20 or newer with npm, then make again"
endif

# The client as npm ships it, and the licence it asks to be passed on with.
$(bundle): $(packages)
	@cd e2e/node_modules/phoenix && { cat priv/static/phoenix.mjs; echo '/*!'; cat LICENSE.md; echo '*/'; } > ../../../$@.new
	@mv $@.new $@

$(packages): e2e/package.json e2e/package-lock.json
	cd e2e && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

test: check unit race ## Run everything that CI runs: gofmt, vet, tests, races, a short fuzz, the real clients.
	@$(MAKE) fuzz FUZZTIME=20000x
	@$(MAKE) e2e

check:
	@unformatted=$$(gofmt -l $$(find . -name '*.go' -not -path '*/node_modules/*')); \
	if [ -n "$$unformatted" ]; then echo "gofmt would change:" $$unformatted; exit 1; fi
	$(GO) vet ./...

lint: check ## gofmt, vet and staticcheck.
	$(GO) run $(STATICCHECK) ./...

unit:
	$(GO) test -count=1 -shuffle=on ./...

race: ## Run the Go tests under the race detector.
	@if ! command -v "$$($(GO) env CC)" >/dev/null; then \
	  echo "left out: the race detector needs a C compiler; on Debian: apt-get install -y gcc"; \
	else set -x; CGO_ENABLED=1 $(GO) test -race -count=1 -shuffle=on ./...; fi

fuzz: ## Fuzz every fuzz target for FUZZTIME each, 10s unless told.
	@fuzzed=$$(grep -rlE '^func Fuzz' --include='*_test.go' --exclude-dir=node_modules . | xargs -r -n1 dirname | sort -u || true); \
	for package in $$fuzzed; do \
	  for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz'); do \
	    echo "fuzz $$package $$target"; \
	    $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package; \
	  done; \
	done

ifeq ($(and $(npm),$(node20)),)
e2e:
	@echo "left out: the tests with the phoenix client and with a browser; they need Node.js 20 or newer with npm"
else
e2e: build browser $(packages) ## Run the phoenix client and a real browser against the real programs.
	$(GO) build -o bin/fixture ./e2e/fixture
	$(GO) build -o bin/echoserver ./e2e/echoserver
	cd e2e && DORMOUSE_BIN=../bin/dormouse FIXTURE_BIN=../bin/fixture ECHOSERVER_BIN=../bin/echoserver node --test --test-reporter=spec
endif

# A browser for the tests of the page: the one that is there, else Debian's where we may install it.
browser:
	@for name in $${CHROMIUM:-chromium chromium-browser google-chrome google-chrome-stable}; do \
	  if command -v $$name >/dev/null; then exit 0; fi; \
	done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  export DEBIAN_FRONTEND=noninteractive; \
	  if apt-get update -qq && apt-get install -y -qq chromium >/dev/null; then exit 0; fi; \
	fi; \
	echo "left out: the tests of the page in a browser, as there is no Chromium; on Debian: apt-get install -y chromium"

bench: build ## Broadcast to 15,000 connections and write report.html; ARGS="--connections 5k" is passed on.
	bin/dormouse bench broadcast --html report.html --json report.json $(ARGS)

benchmarks: ## Run the Go benchmarks.
	$(GO) test -run '^$$' -bench . -benchmem ./...

density: build ## Measure the memory of idle connections: 1,000 and 15,000 real ones, each engine.
	$(GO) run ./e2e/density

clean: ## Remove what was built and fetched.
	rm -rf bin e2e/node_modules $(bundle)
