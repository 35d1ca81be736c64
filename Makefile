# Portolan. `make help` lists the targets; V=1 shows the commands.
SHELL := /bin/bash
.DEFAULT_GOAL := build
Q := $(if $(V),,@)

CLANG ?= clang
CC ?= cc
BUILD := build
ARCH_INCLUDE := /usr/include/$(shell uname -m)-linux-gnu

BPF_CFLAGS := -g -O2 -target bpf -mcpu=v3 -Wall -Wextra -Wno-unused-parameter -Werror -Ibpf -I$(ARCH_INCLUDE)
BPF_HEADERS := $(wildcard bpf/*.h)
BPF_OBJECTS := $(patsubst bpf/%.bpf.c,$(BUILD)/%.bpf.o,$(wildcard bpf/*.bpf.c))

NATIVE_CFLAGS := -O2 -g -fPIC -Wall -Wextra -Werror -fvisibility=hidden -D_GNU_SOURCE
NATIVE_SOURCES := $(wildcard native/*.c)
NATIVE_LIBRARY := $(BUILD)/libportolan.so
PEER := $(BUILD)/peer

.PHONY: help build deps bpf native ts gen check test test-unit demo playground bench clean

help: ## this list
	$(Q)grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

build: bpf native $(PEER) ts ## everything: BPF objects, native library, agent

deps: ## installs what is missing (Debian packages, npm packages)
	$(Q)scripts/deps.sh

node_modules/.package-lock.json: package-lock.json
	$(Q)npm ci --no-fund --no-audit --loglevel=error
	$(Q)touch $@

bpf: $(BPF_OBJECTS)

$(BUILD)/%.bpf.o: bpf/%.bpf.c $(BPF_HEADERS) Makefile
	$(Q)mkdir -p $(BUILD)
	$(Q)$(CLANG) $(BPF_CFLAGS) -c $< -o $@

native: $(NATIVE_LIBRARY)

$(NATIVE_LIBRARY): $(NATIVE_SOURCES) $(wildcard native/*.h) native/portolan.map
	$(Q)mkdir -p $(BUILD)
	$(Q)$(CC) $(NATIVE_CFLAGS) -shared -Wl,--version-script=native/portolan.map -o $@ $(NATIVE_SOURCES) -lbpf -lelf -lz

$(PEER): lab/peer.c $(wildcard lab/peer/*.h)
	$(Q)mkdir -p $(BUILD)
	$(Q)$(CC) -O2 -g -Wall -Wextra -Werror -D_GNU_SOURCE -o $@ $< -lpthread

ts: dist/.built

dist/.built: node_modules/.package-lock.json tsconfig.json tsconfig.build.json $(shell find src -name '*.ts')
	$(Q)npx tsc -p tsconfig.build.json
	$(Q)touch $@

gen: $(BPF_OBJECTS) ## generates src/abi/layout.gen.ts from the objects' BTF
	$(Q)npx tsx scripts/gen-abi.ts

check: ## types, format, lint
	$(Q)npx tsc -p tsconfig.json
	$(Q)npx biome check .
	$(Q)npx oxlint --type-aware --quiet src test lab scripts

test: ## installs what it needs and runs every test
	$(Q)scripts/test.sh

test-unit: node_modules/.package-lock.json ## the tests that need no root
	$(Q)npx vitest run --project unit

demo: ## real connections to a small shop's Services, in network namespaces
	$(Q)scripts/as-root.sh demo

playground: ## the same, left running, with a shell in the client
	$(Q)scripts/as-root.sh playground

bench: ## what it costs, against what it may cost; QUICK=1 takes a minute, BENCH='--json --only packet' passes options
	$(Q)scripts/as-root.sh bench $(if $(QUICK),--quick) $(BENCH)

clean: ## removes what was built
	$(Q)rm -rf $(BUILD) dist
