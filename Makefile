# SPDX-License-Identifier: BSD-2-Clause
# libcma's own build: the tool, the tests, the reports. `make help` lists what to type.
#
# Integrators need none of this: `cc -c -std=c11 -Iinclude src/libcma.c` and one port file is all.
# The source list is src/libcma.c. A configuration is a row of the table below; its objects are in
# $(BUILD)/<configuration>/. BUILD=dir keeps two checkouts or two people apart.

BUILD ?= build
CC ?= cc
CLANG ?= clang
SHELL := /bin/bash
WERROR ?= -Werror
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
OPS ?= 10000000
SEED ?= 1

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

# --- what there is ---------------------------------------------------------------------------
CORE := $(shell sed -n 's|^ *\#include "\(.*\.c\)".*|src/\1|p' src/libcma.c)
SIM := $(sort $(wildcard ports/sim/*.c))
TOOL := $(sort $(wildcard tool/*.c))
TOOL_PARTS := $(filter-out tool/main.c,$(TOOL))
HOST := $(filter-out %/main.c,$(sort $(wildcard examples/host/*.c examples/driver/*.c)))
DRIVERS := $(sort $(wildcard examples/drivers/*.c))
SUPPORT := $(sort $(wildcard tests/support/*.c))
UNIT := $(sort $(wildcard tests/unit/test_*.c))
MODEL := $(sort $(wildcard tests/model/*.c))
THREADS := $(sort $(wildcard tests/threads/*.c))

# Libraries of the tool, only when a source of it uses them.
uses = $(if $(TOOL),$(shell grep -l '^ *\# *include <$(1)' $(TOOL) /dev/null))
LDLIBS := -lfdt $(if $(call uses,png.h),-lpng) $(if $(call uses,cjson/),-lcjson) $(if $(call uses,cairo/),-lcairo -lfontconfig) -lm -pthread

# --- how it is compiled ----------------------------------------------------------------------
BASE_FLAGS := -std=c11 -D_GNU_SOURCE -Iinclude -pthread -g -MMD -MP
WARNINGS := -Wall -Wextra $(WERROR)
CORE_WARNINGS := $(WARNINGS) -Wconversion -Wvla -Wstrict-prototypes -Wmissing-prototypes
SANITIZERS := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

# --- configurations --------------------------------------------------------------------------
CONFIGS := release checked asan tsan clang
FLAGS_release := -O2
FLAGS_checked := -O1 -DCMA_CHECKED=1
FLAGS_asan := -O1 -DCMA_CHECKED=1 $(SANITIZERS)
# TSan does not see fences; where one orders more than a test's hook, TSan reports a race.
FLAGS_tsan := -O1 -DCMA_CHECKED=1 -fsanitize=thread -Wno-tsan
FLAGS_clang := -O2
CC_clang := $(CLANG)

# Rules of configuration $(1). Archives, so that a test that includes a .c file to see its insides
# is linked without a second copy of it.
define configuration
$(1)_CC := $$(or $$(CC_$(1)),$$(CC))
$(1)_DIR := $$(BUILD)/$(1)
$(1)_CORE := $$(CORE:%.c=$$(BUILD)/$(1)/%.o)
$(1)_SIM := $$(SIM:%.c=$$(BUILD)/$(1)/%.o)
$(1)_HOST := $$(HOST:%.c=$$(BUILD)/$(1)/%.o)
$(1)_DRIVERS := $$(DRIVERS:%.c=$$(BUILD)/$(1)/%.o)
$(1)_SUPPORT := $$(SUPPORT:%.c=$$(BUILD)/$(1)/%.o)
$(1)_PARTS := $$(TOOL_PARTS:%.c=$$(BUILD)/$(1)/%.o)
$(1)_ARCHIVES := $$(patsubst %,$$(BUILD)/$(1)/lib%.a,support tool drivers host sim core)
$$($(1)_CORE): EXTRA := $$(CORE_WARNINGS)
$$(BUILD)/$(1)/%.o: EXTRA ?= $$(WARNINGS)
$$(BUILD)/$(1)/%.o: %.c Makefile
	@mkdir -p $$(@D)
	@echo "  CC    $$@"
	@$$($(1)_CC) $$(BASE_FLAGS) $$(FLAGS_$(1)) $$(EXTRA) $$(CFLAGS) -c $$< -o $$@
$$(BUILD)/$(1)/libcore.a: $$($(1)_CORE) src/libcma.c
	@rm -f $$@; ar rcs $$@ $$($(1)_CORE)
$$(BUILD)/$(1)/libsim.a: $$($(1)_SIM)
	@mkdir -p $$(@D); rm -f $$@; ar rcs $$@ $$^
$$(BUILD)/$(1)/libhost.a: $$($(1)_HOST)
	@mkdir -p $$(@D); rm -f $$@; ar rcs $$@ $$^
$$(BUILD)/$(1)/libdrivers.a: $$($(1)_DRIVERS)
	@mkdir -p $$(@D); rm -f $$@; ar rcs $$@ $$^
$$(BUILD)/$(1)/libsupport.a: $$($(1)_SUPPORT)
	@mkdir -p $$(@D); rm -f $$@; ar rcs $$@ $$^
$$(BUILD)/$(1)/libtool.a: $$($(1)_PARTS)
	@mkdir -p $$(@D); rm -f $$@; ar rcs $$@ $$^
$$(BUILD)/$(1)/cma: $$(BUILD)/$(1)/tool/main.o $$($(1)_ARCHIVES)
	@echo "  LD    $$@"
	@$$($(1)_CC) $$(FLAGS_$(1)) $$(LDFLAGS) $$^ $$(LDLIBS) -o $$@
$$(BUILD)/$(1)/tests/unit/%: $$(BUILD)/$(1)/tests/unit/%.o $$($(1)_ARCHIVES)
	@echo "  LD    $$@"
	@$$($(1)_CC) $$(FLAGS_$(1)) $$(LDFLAGS) $$^ -lcmocka $$(LDLIBS) -o $$@
$$(BUILD)/$(1)/examples/%: $$(BUILD)/$(1)/examples/%.o $$($(1)_ARCHIVES)
	@echo "  LD    $$@"
	@$$($(1)_CC) $$(FLAGS_$(1)) $$(LDFLAGS) $$^ $$(LDLIBS) -o $$@
$$(BUILD)/$(1)/tests/%: $$(BUILD)/$(1)/tests/%.o $$($(1)_ARCHIVES)
	@echo "  LD    $$@"
	@$$($(1)_CC) $$(FLAGS_$(1)) $$(LDFLAGS) $$^ $$(LDLIBS) -o $$@
.PRECIOUS: $$(BUILD)/$(1)/%.o
endef
$(foreach config,$(CONFIGS),$(eval $(call configuration,$(config))))
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

programs = $(patsubst %.c,$(BUILD)/$(1)/%,$(2))
TESTS := $(call programs,checked,$(UNIT)) $(call programs,asan,$(UNIT)) \
	$(call programs,checked,$(MODEL)) $(call programs,asan,$(MODEL)) \
	$(call programs,tsan,$(THREADS)) $(BUILD)/checked/tests/threads/live \
	$(BUILD)/checked/examples/host/main $(BUILD)/checked/examples/driver/main \
	$(BUILD)/release/tests/model/arithmetic $(BUILD)/release/tests/unit/test_buffers \
	$(if $(wildcard tool/main.c),$(BUILD)/cma $(BUILD)/asan/cma $(BUILD)/clang/cma)

# --- what to type ----------------------------------------------------------------------------
.PHONY: all demo check bare bench check-build check-long check-boards size help format clean

all: $(BUILD)/cma ## the tool, at build/cma (the default)

$(BUILD)/cma: $(BUILD)/release/cma
	@cp $< $@

demo: ## installs what is needed, builds the tool and shows a board at work
	@scripts/deps tool
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@CMA=$(abspath $(BUILD))/cma scripts/demo

check: ## every test and check that a change must pass; the last line has the counts
	@scripts/deps check
	@scripts/deps bare || echo "check: goes on without QEMU, see what is skipped"
	@scripts/deps i386 || echo "check: goes on without 32-bit programs, see what is skipped"
	@$(MAKE) --no-print-directory -k -j$(JOBS) check-build; \
		BUILD=$(BUILD) JOBS=$(JOBS) scripts/check --built $$?

bare: ## libcma on bare metal: the aarch64 image on QEMU (a part of check)
	@scripts/deps check
	@scripts/deps bare
	@BUILD=$(BUILD) scripts/check-bare

bench: ## the same work with Linux's cma.c and others: bench/RESULTS.md (QUICK=1: two minutes)
	@scripts/deps tool
	@scripts/deps bench || echo "bench: goes on without these, see what is skipped"
	@BUILD=$(abspath $(BUILD)) CC="$(CC)" bench/build
	@BUILD=$(abspath $(BUILD)) QUICK=$(QUICK) bench/matrix
	@bench/report $(abspath $(BUILD))/bench/results.json $(if $(QUICK),$(BUILD)/bench,bench)

check-build: $(TESTS)
	@:

check-long: ## 10 million random operations, long thread tests, seeded bugs, all of 8-bit addresses (hours)
	@scripts/deps check
	@$(MAKE) --no-print-directory -j$(JOBS) $(call programs,release,$(MODEL)) \
		$(addprefix $(BUILD)/release/tests/threads/,live guarantee promised) \
		$(call programs,tsan,$(THREADS))
	$(BUILD)/release/tests/threads/live --ops 10000000 --runs 10 --control 10 --seed $(SEED)
	$(BUILD)/release/tests/threads/guarantee --ops $$(($(OPS) * 6)) --seed $(SEED)
	$(BUILD)/release/tests/threads/promised --ops $$(($(OPS) * 13)) --seed $(SEED)
	@for program in $(call programs,release,$(MODEL)); do \
		echo "$$program --ops $(OPS) --seed $(SEED)"; \
		time $$program --ops $(OPS) --seed $(SEED) || exit 1; \
	done
	@for program in $(call programs,tsan,$(THREADS)); do \
		echo "$$program --ops $$(($(OPS) / 5)) --seed $(SEED)"; \
		time setarch -R $$program --ops $$(($(OPS) / 5)) --seed $(SEED) || exit 1; \
	done
	time $(BUILD)/release/tests/model/arithmetic --bits 8 --jobs $(JOBS)
	@$(MAKE) --no-print-directory -j$(JOBS) $(BUILD)/cma
	CMA=$(abspath $(BUILD))/cma tests/tool/promises.sh 1000 $(SEED)
	CMA=$(abspath $(BUILD))/cma tests/tool/scenarios.sh 600
	@BUILD=$(BUILD) tests/spin/run --all --jobs $(JOBS)
	@BUILD=$(BUILD) tests/mutants/run --jobs $(JOBS)

check-boards: ## all device trees that Debian ships, against an independent reading
	@scripts/deps boards
	@$(MAKE) --no-print-directory -j$(JOBS) $(BUILD)/cma $(BUILD)/asan/cma
	@CMA=$(abspath $(BUILD))/asan/cma CMA_FAST=$(abspath $(BUILD))/cma scripts/check-boards; \
		status=$$?; [ $$status -ne 77 ] && exit $$status; echo "check-boards: SKIPPED in part, see above"

size: ## code, data and stack for three processors, bytes of metadata a page
	@scripts/deps check
	@BUILD=$(BUILD) scripts/size

format: ## lays all C files out with clang-format
	@git ls-files -co --exclude-standard '*.c' '*.h' | xargs clang-format -i

help: ## this list
	@echo "make [target] [BUILD=dir] [JOBS=n] [CC=compiler] [WERROR=]"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' Makefile | \
		while IFS='|' read -r name text; do printf '%-16s %s\n' "$$name" "$$text"; done

clean: ## removes what was built, but not the trees, sources and the library that were fetched
	@if [ -d $(BUILD) ]; then \
		find $(BUILD) -mindepth 1 -maxdepth 1 ! -name boards ! -name libfdt-arm64 ! -name linux-sources \
			-exec rm -rf {} +; fi
