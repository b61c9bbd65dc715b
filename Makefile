# fathom: one non-recursive Makefile. `make help` lists the targets.
BUILD   ?= build
PREFIX  ?= /usr/local
ifeq ($(origin CC),default)
CC      := gcc
endif
VERSION := 0.1.0

PACKAGES := libjansson-dev libnuma-dev libpcre2-dev libutf8proc-dev libedit-dev
PKGS     := jansson libpcre2-8 libutf8proc numa

WARN     := -Wall -Wextra -Werror -Wno-format-zero-length
CPPFLAGS += -I. -D_GNU_SOURCE -DFATHOM_VERSION='"$(VERSION)"'
CFLAGS   ?= -O2 -g
CFLAGS   += -std=gnu11 $(WARN) -ffp-contract=off -fopenmp -fvisibility=hidden $(SANITIZE)
LDFLAGS  += -fopenmp $(SANITIZE)
LDLIBS   += $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lm

# the library is everything under host/ but the command line; quant/ belongs to it
LIB_SRC  := $(wildcard host/base/*.c host/format/*.c host/text/*.c host/backend/*.c host/backend/*/*.c \
              host/cache/*.c host/model/*.c host/engine/*.c host/server/*.c quant/*.c)
CLI_SRC  := $(wildcard host/cli/*.c)
TEST_SRC := $(wildcard tests/unit/*.c tests/conformance/*.c tests/golden/*.c tests/fuzz/*.c)
TLIB_SRC := $(wildcard tests/lib/*.c)
BENCH_SRC := $(wildcard tests/bench/*.c)

obj       = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
LIB_OBJ  := $(call obj,$(LIB_SRC))
PIC_OBJ  := $(patsubst %.c,$(BUILD)/pic/%.o,$(LIB_SRC))
TESTS    := $(patsubst tests/%.c,$(BUILD)/tests/%,$(TEST_SRC))
BENCHES  := $(patsubst tests/%.c,$(BUILD)/tests/%,$(BENCH_SRC))

# kernels for one instruction set live in files that say so
$(BUILD)/obj/%_avx2.o $(BUILD)/pic/%_avx2.o: CFLAGS += -mavx2 -mfma -mf16c
$(BUILD)/obj/%_avx512.o $(BUILD)/pic/%_avx512.o: CFLAGS += -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mf16c

.PHONY: all
all: $(BUILD)/fathom $(BUILD)/libfathom.a

$(BUILD)/libfathom.a: $(LIB_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/fathom: $(call obj,$(CLI_SRC)) $(BUILD)/libfathom.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) -ledit

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/pic/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -MMD -MP -c -o $@ $<

$(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(call obj,$(TLIB_SRC)) $(BUILD)/libfathom.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

.PHONY: tests
tests: $(TESTS)

# make test T=name runs the tests whose path contains name
.PHONY: test
test: all $(TESTS)
	@tests/run.sh $(BUILD) $(T)

.PHONY: clean
clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD)/obj $(BUILD)/pic -name '*.d' 2>/dev/null)
