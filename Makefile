# fathom: one non-recursive Makefile. `make help` lists the targets. Objects and programs go to $(BUILD).
VERSION := 0.1.0
SOVERSION := 1
BUILD  ?= build
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
ifeq ($(origin CC),default)
CC := gcc
endif
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:

# V=1 shows whole command lines
quiet = $(if $(V),,@echo "  $(1) $(patsubst $(BUILD)/%,%,$(2))";)

# Debian packages: to build, to fetch the example model, to draw, to test, to package, to lint
BUILD_PACKAGES := gcc libc6-dev pkg-config libjansson-dev libnuma-dev libpcre2-dev libutf8proc-dev libedit-dev libinih-dev libmicrohttpd-dev libsqlite3-dev libsodium-dev uuid-dev libexpat1-dev libseccomp-dev ocl-icd-opencl-dev opencl-headers libxrt-dev libpng-dev libjpeg62-turbo-dev libwebp-dev
FETCH_PACKAGES := python3 python3-pip ca-certificates
PLOT_PACKAGES  := gnuplot-nox
TEST_PACKAGES  := valgrind pocl-opencl-icd oclgrind verilator g++ yosys clang python3 python3-jsonschema python3-venv python3-pip curl openssl libopenmpi-dev openmpi-bin iproute2 python3-selenium chromium chromium-driver qemu-system-x86 haproxy scdoc man-db bash-completion zsh pahole
PACKAGE_PACKAGES := debhelper fakeroot lintian scdoc
LINT_PACKAGES  := clang-format clang-tidy cppcheck verilator clang python3

# what libfathom links to
LIB_PKGS := libmicrohttpd jansson libpcre2-8 libutf8proc numa inih sqlite3 libsodium libseccomp uuid expat OpenCL libpng libjpeg libwebp
LIBS     := $(shell pkg-config --libs $(LIB_PKGS) 2>/dev/null)

WARN          := -Wall -Wextra -Werror -Wno-format-zero-length
CFLAGS        ?= -O2 -g
ALL_CPPFLAGS   = -I. -D_GNU_SOURCE -DFATHOM_VERSION='"$(VERSION)"' $(CPPFLAGS)
ALL_CFLAGS     = -std=gnu11 $(WARN) -ffp-contract=off -fopenmp -fPIC -fvisibility=hidden $(CFLAGS) $(ISA_CFLAGS) $(SANITIZE)
ALL_LDFLAGS    = -fopenmp $(SANITIZE) $(LDFLAGS)

# kernels that know their number of weight ports, and their table, are compiled for each number a board may have
HLS_PORT_COUNTS := 1 2 4 8 16
HLS_EACH  := hls/matmul.c hls/mla.c hls/table.c
HLS_OBJ    = $(foreach p,$(HLS_PORT_COUNTS),$(patsubst hls/%.c,$(BUILD)/obj/hls/p$(p)/%.o,$(HLS_EACH)))

# the library is everything under host/ but the command line; quant/ belongs to it
LIB_SRC   := $(wildcard host/base/*.c host/format/*.c host/text/*.c host/grammar/*.c host/sandbox/*.c host/backend/*.c host/backend/*/*.c host/cache/*.c \
               host/image/*.c host/vision/*.c host/model/*.c host/cluster/*.c host/engine/*.c host/server/*.c quant/*.c boards/*.c sim/device/*.c \
               sim/planner/*.c sim/scale/*.c \
               $(filter-out $(HLS_EACH) hls/check.c,$(wildcard hls/*.c)))
CLI_SRC   := $(wildcard host/cli/*.c)
# programs that fathom starts: XRT's host process, and the device model that XRT's emulation starts
HELPERS   := $(BUILD)/fathom-xrt-host $(BUILD)/fathom-xrt-device
# and, where Open MPI is, a rank of a cluster
MPI_LIBS  := $(shell pkg-config --libs ompi-c 2>/dev/null)
HELPERS   += $(if $(MPI_LIBS),$(BUILD)/fathom-rank)
RANK_SRC  := $(wildcard host/cluster/rank/*.c)
TLIB_SRC  := $(wildcard tests/lib/*.c)
TEST_SRC  := $(wildcard tests/unit/*.c tests/conformance/*.c tests/golden/*.c tests/cli/*.c tests/fuzz/*.c tests/server/*.c tests/page/*.c \
               tests/rtl/*.c tests/cluster/test_*.c tests/numa/*.c)
BENCH_SRC := $(wildcard tests/bench/*.c)

object    = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
BOARDS   := $(sort $(wildcard boards/*.board))
LIB_OBJ   = $(call object,$(LIB_SRC)) $(HLS_OBJ) $(BUILD)/obj/boards/embedded.o
TESTS    := $(patsubst tests/%.c,$(BUILD)/tests/%,$(TEST_SRC))
BENCHES  := $(patsubst tests/%.c,$(BUILD)/tests/%,$(BENCH_SRC))
LIB_SO   := $(BUILD)/libfathom.so.$(VERSION)

# a missing compiler or library is said once and plainly, not by the first file that fails
SETS_UP := help deps run run-smollm2 test lint asan tsan valgrind clean uninstall dist deb
ifneq ($(filter-out $(SETS_UP),$(or $(MAKECMDGOALS),all)),)
ifeq ($(and $(LIBS),$(shell command -v $(CC))),)
$(error The compiler or a library is missing: run `make deps` (as root, or where sudo works), then make again)
endif
endif

.PHONY: all
all: $(BUILD)/fathom $(BUILD)/libfathom.a $(LIB_SO) $(HELPERS) ## build the program and the library (the default)

$(BUILD)/libfathom.a: $(LIB_OBJ)
	@rm -f $@
	$(call quiet,ar,$@)$(AR) rcs $@ $^

# only what host/fathom.h marks FATHOM_API is visible
$(LIB_SO): $(LIB_OBJ) host/fathom.map
	$(call quiet,ld,$@)$(CC) -shared -Wl,-soname,libfathom.so.$(SOVERSION) -Wl,--version-script=host/fathom.map $(if $(SANITIZE),,-Wl,-z,defs) $(ALL_LDFLAGS) -o $@ $(LIB_OBJ) $(LIBS) -lm
	@ln -sf $(@F) $(BUILD)/libfathom.so.$(SOVERSION)
	@ln -sf $(@F) $(BUILD)/libfathom.so

$(BUILD)/fathom: $(call object,$(CLI_SRC)) $(BUILD)/libfathom.a
	$(call quiet,ld,$@)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS) -ledit -lm

# its sleep and usleep stand before the C library's in XRT too (host/xrt/sleep.h)
$(BUILD)/fathom-xrt-host: $(call object,$(wildcard host/xrt/*.c)) $(BUILD)/libfathom.a
	$(call quiet,ld,$@)$(CC) $(ALL_LDFLAGS) -rdynamic -o $@ $^ $(LIBS) -lm

$(BUILD)/fathom-xrt-device: $(call object,$(wildcard sim/xrt_device/*.c)) $(BUILD)/libfathom.a
	$(call quiet,ld,$@)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS) -lm

$(BUILD)/fathom-rank: $(call object,$(RANK_SRC)) $(BUILD)/libfathom.a
	$(call quiet,ld,$@)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(MPI_LIBS) $(LIBS) -lm

MPI_INCLUDE := $(patsubst -I%,-isystem %,$(shell pkg-config --cflags-only-I ompi-c 2>/dev/null))
$(BUILD)/obj/host/cluster/rank/%.o $(BUILD)/obj/tests/cluster/ranks.o: ISA_CFLAGS := $(MPI_INCLUDE)

# XRT's headers include each other as <xrt.h>
$(BUILD)/obj/host/xrt/%.o: ISA_CFLAGS := -isystem /usr/include/xrt

# kernels for one instruction set live in files that say so
$(BUILD)/obj/%_avx2.o: ISA_CFLAGS := -mavx2 -mfma -mf16c
AVX512 := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mf16c
$(BUILD)/obj/%_avx512.o: ISA_CFLAGS := $(AVX512)
$(BUILD)/obj/%_avx512bf16.o: ISA_CFLAGS := $(AVX512) -mavx512bf16 -mavx512vbmi

# kernels that are part of the program as text
$(BUILD)/obj/host/server/page.o: $(wildcard host/server/page/* host/server/page/vendor/* host/server/page/vendor/fonts/*)
$(BUILD)/obj/host/backend/opencl/sources.o: $(wildcard opencl/*.cl opencl/*.clh opencl/*.h)

# kernels: pragmas are for HLS, buffers on chip start undefined, unrolled loops become vectors
HLS_CFLAGS = -Wno-unknown-pragmas -Wno-maybe-uninitialized $(if $(findstring clang,$(CC)),,-ftree-vectorize -fvect-cost-model=dynamic)
$(BUILD)/obj/hls/%.o: ISA_CFLAGS := $(HLS_CFLAGS)
$(BUILD)/obj/tests/unit/test_hls_%.o $(BUILD)/obj/tests/rtl/%.o: ISA_CFLAGS := -Wno-unknown-pragmas

# the kernels for tests: with checked streams, and by clang where it is
HLS_TEST   := $(addprefix $(BUILD)/obj/hls/check/,$(notdir $(patsubst %.c,%.o,$(HLS_EACH) hls/gqa.c hls/rowwise.c hls/check.c)))
HLS_CLANG  := $(if $(SANITIZE),,$(shell command -v clang))
ifneq ($(HLS_CLANG),)
HLS_TEST   += $(addprefix $(BUILD)/obj/hls/clang/,$(notdir $(patsubst %.c,%.o,$(HLS_EACH) hls/gqa.c hls/rowwise.c)))
$(BUILD)/obj/tests/lib/hls.o: ISA_CFLAGS := -DHLS_WITH_CLANG
endif
# programs of conformance whose kernels for 2 ports (those of three-units.board) are clang's: found before the library's
HLS_BY_CLANG    := $(addprefix $(BUILD)/obj/hls/clang2/,$(notdir $(patsubst %.c,%.o,$(HLS_EACH) hls/gqa.c hls/rowwise.c)))
HLS_CLANG_TESTS := $(if $(HLS_CLANG),$(patsubst %,$(BUILD)/tests/hls-clang/test_%,matmul experts attention rowwise))
HLS_NAMES   = -DHLS_SUFFIX=_$(1) -DHLS_SHARED_SUFFIX=_$(1)

$(BUILD)/obj/hls/check/%.o: hls/%.c
	@mkdir -p $(@D)
	$(call quiet,cc,$<)$(CC) $(ALL_CPPFLAGS) -DHLS_CHECK -DHLS_PORTS=2 -DHLS_ROWS=3 $(call HLS_NAMES,check) $(ALL_CFLAGS) $(HLS_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/obj/hls/clang/%.o: hls/%.c
	@mkdir -p $(@D)
	$(call quiet,clang,$<)$(HLS_CLANG) $(ALL_CPPFLAGS) -DHLS_PORTS=4 $(call HLS_NAMES,clang) -std=gnu11 -Wall -Wextra -Werror \
	  -Wno-unknown-pragmas -ffp-contract=off -O2 -MMD -MP -c -o $@ $<

$(BUILD)/obj/hls/clang2/%.o: hls/%.c
	@mkdir -p $(@D)
	$(call quiet,clang,$<)$(HLS_CLANG) $(ALL_CPPFLAGS) -DHLS_PORTS=2 -DHLS_SUFFIX=_p2 -std=gnu11 -Wall -Wextra -Werror \
	  -Wno-unknown-pragmas -ffp-contract=off -O2 -MMD -MP -c -o $@ $<

$(BUILD)/tests/hls-clang/%: $(BUILD)/obj/tests/conformance/%.o $(HLS_BY_CLANG) $(BUILD)/libcheck.a $(BUILD)/libfathom.a
	@mkdir -p $(@D)
	$(call quiet,ld,$@)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS) -lm

$(BUILD)/tests/conformance/test_hls_clang: | $(HLS_CLANG_TESTS)

define HLS_RULE
$(BUILD)/obj/hls/p$(1)/%.o: hls/%.c
	@mkdir -p $$(@D)
	$$(call quiet,cc,$$<)$$(CC) $$(ALL_CPPFLAGS) -DHLS_PORTS=$(1) -DHLS_SUFFIX=_p$(1) $$(ALL_CFLAGS) -MMD -MP -c -o $$@ $$<
endef
$(foreach p,$(HLS_PORT_COUNTS),$(eval $(call HLS_RULE,$(p))))

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call quiet,cc,$<)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# the board files, compiled in
$(BUILD)/obj/boards/embedded.c: boards/embed.sh $(BOARDS)
	@mkdir -p $(@D)
	$(call quiet,gen,$@)boards/embed.sh $(BOARDS) >$@

$(BUILD)/obj/boards/embedded.o: $(BUILD)/obj/boards/embedded.c
	$(call quiet,cc,$<)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/libcheck.a: $(call object,$(TLIB_SRC)) $(HLS_TEST)
	@rm -f $@
	$(call quiet,ar,$@)$(AR) rcs $@ $^

$(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(BUILD)/libcheck.a $(BUILD)/libfathom.a
	@mkdir -p $(@D)
	$(call quiet,ld,$@)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS) -lm

# all that ranks do, compared with one process: started by mpirun in tests/cluster/test_ranks
RANKS := $(if $(MPI_LIBS),$(BUILD)/tests/cluster/ranks)
$(BUILD)/tests/cluster/ranks: $(call object,tests/cluster/ranks.c $(filter-out %/main.c,$(RANK_SRC))) $(BUILD)/libcheck.a $(BUILD)/libfathom.a
	@mkdir -p $(@D)
	$(call quiet,ld,$@)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(MPI_LIBS) $(LIBS) -lm

$(BUILD)/tests/cluster/link: $(BUILD)/obj/tests/cluster/link.o
	@mkdir -p $(@D)
	$(call quiet,ld,$@)$(CC) $(ALL_LDFLAGS) -o $@ $^

$(BUILD)/tests/cluster/test_ranks: | $(RANKS) $(BUILD)/tests/cluster/link

# hls/rtl as C++ by Verilator; without it the programs of tests/rtl skip
RTL_MODEL := $(if $(shell command -v verilator),$(BUILD)/rtl/libmodel.so)
$(BUILD)/rtl/libmodel.so: tests/rtl/bench.v tests/rtl/model.cpp tests/rtl/model.h $(wildcard hls/rtl/*.v)
	@mkdir -p $(@D)
	$(call quiet,verilator,$@)verilator --cc --exe --build -Wno-fatal -Mdir $(@D) --top-module bench --prefix bench \
	  -CFLAGS "-O1 -fPIC -I$(CURDIR)" -LDFLAGS -shared -o $(@F) $(filter %.v,$^) $(CURDIR)/tests/rtl/model.cpp \
	  >$(@D)/log 2>&1 || { cat $(@D)/log; exit 1; }

RTL_LIBS := -Wl,--no-as-needed $(abspath $(RTL_MODEL)) -Wl,-rpath,$(abspath $(BUILD)/rtl)
$(BUILD)/tests/rtl/test_dot: LIBS += $(if $(RTL_MODEL),$(RTL_LIBS))
$(BUILD)/tests/rtl/test_dot: $(RTL_MODEL)

# XRT's reader of xclbin files, which it has for C++ alone; without libxrt-dev the cases that ask it skip. Not by pkg-config: Debian's
# xrt.pc names folders that are not there.
XRT_READER := $(if $(and $(wildcard /usr/include/xrt/xclbin.h),$(shell command -v g++)),$(BUILD)/tests/xrt/reader)
$(BUILD)/tests/xrt/reader: tests/xrt/reader.cpp
	@mkdir -p $(@D)
	$(call quiet,c++,$@)g++ -std=c++17 -O1 -Wall -Wextra -Werror -I/usr/include/xrt -o $@ $< -lxrt_coreutil -luuid

$(BUILD)/tests/unit/test_xclbin: | $(XRT_READER)

# put between the program and the C library, or OpenCL's loader and its driver, by the tests of faults
$(BUILD)/tests/layers/%.so: tests/layers/%.c $(wildcard tests/layers/*.h)
	@mkdir -p $(@D)
	$(call quiet,ld,$@)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -shared $(LDFLAGS) -o $@ $<

$(BUILD)/tests/golden/test_opencl_faults: | $(BUILD)/tests/layers/opencl_faults.so
$(BUILD)/tests/cli/test_faults: | $(BUILD)/tests/layers/kth.so

.PRECIOUS: $(BUILD)/obj/%.o $(BUILD)/obj/fuzz/%.o $(BUILD)/obj/hls/clang2/%.o # kept, but made again when missing
-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

# ---- set-up, then the real work in a second make that sees what was installed
SMOLLM2 := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/fathom/SmolLM2-135M-Instruct.Q4_1.gguf
KERNEL  := $(dir $(SMOLLM2))vmlinuz-cloud
FETCH   := $(if $(wildcard $(SMOLLM2)),,$(FETCH_PACKAGES))
AGAIN    = +@$(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))

.PHONY: deps
deps: ## install the missing Debian packages that building needs
	@.ci/deps.sh $(BUILD_PACKAGES)

.PHONY: run
run: ## set everything up and ask the shipped model a question
	@.ci/deps.sh $(BUILD_PACKAGES)
	$(AGAIN) all
	$(BUILD)/fathom run --temp 0 "What is 47 * 68?"

.PHONY: run-smollm2
run-smollm2: ## the same with SmolLM2-135M-Instruct, fetched once (98 MB)
	@.ci/deps.sh $(BUILD_PACKAGES) $(FETCH)
	@models/fetch-smollm2.sh "$(SMOLLM2)"
	$(AGAIN) all
	$(BUILD)/fathom run --model "$(SMOLLM2)" "What is the capital of France?"

.PHONY: test
test: ## set everything up and run the tests; T=name runs those whose path or case contains name
	@.ci/deps.sh $(BUILD_PACKAGES) $(PLOT_PACKAGES) $(TEST_PACKAGES) $(FETCH)
	$(AGAIN) check

.PHONY: tests
tests: $(TESTS) $(BENCHES) $(BUILD)/validate-sim

# the clients of tests/clients; without PyPI their test skips
CLIENTS := $(BUILD)/clients/bin/python
$(BUILD)/clients/installed: tests/clients/requirements.txt
	@mkdir -p $(BUILD)
	$(call quiet,pip,$@)rm -rf $(@D) && python3 -m venv $(@D) && $(@D)/bin/pip install -q --disable-pip-version-check --retries 1 -r $< && touch $@

.PHONY: check
check: all tests ## the tests without the set-up
	@$(MAKE) --no-print-directory $(BUILD)/clients/installed || { rm -rf $(BUILD)/clients; echo "the clients could not be installed: their test is skipped"; }
	@models/fetch-smollm2.sh "$(SMOLLM2)" || echo "SmolLM2 could not be fetched: the tests that need it are skipped"
	@tests/numa/fetch-kernel.sh "$(KERNEL)" || echo "A kernel could not be fetched: the tests in guests are skipped"
	@$(if $(LSAN_OPTIONS),LSAN_OPTIONS=$(LSAN_OPTIONS)) FATHOM_BIN=$(BUILD)/fathom FATHOM_BUILD=$(BUILD) FATHOM_SANITIZE="$(SANITIZE)" \
	  FATHOM_SMOLLM2="$$(find "$(SMOLLM2)" 2>/dev/null)" FATHOM_KERNEL="$(KERNEL)" FATHOM_CLIENTS=$(CLIENTS) tests/run.sh "$(T)" $(TESTS)

.PHONY: test-rtl
test-rtl: ## only the Verilog of hls/rtl: equal to the C, and as large as counts.h says
	@.ci/deps.sh $(BUILD_PACKAGES) $(TEST_PACKAGES)
	$(AGAIN) check-rtl

.PHONY: check-rtl
check-rtl: $(filter $(BUILD)/tests/rtl/%,$(TESTS))
	@FATHOM_BUILD=$(BUILD) tests/run.sh "$(T)" $^

.PHONY: asan
asan: ## the tests under the address, leak and undefined-behaviour sanitizers
	@.ci/deps.sh $(BUILD_PACKAGES) $(FETCH)
	$(AGAIN) check BUILD=build-asan CFLAGS="-O1 -g" LSAN_OPTIONS=suppressions=$(CURDIR)/.ci/lsan.txt:print_suppressions=0 \
	  SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"

# one CPU for a test: what worker threads of OpenMP agree on is hidden from this sanitizer, and one CPU has one worker
TSAN     := BUILD=build-tsan CFLAGS="-O1 -g" SANITIZE=-fsanitize=thread
TSAN_RUN  = TSAN_OPTIONS=log_path=$(CURDIR)/build-tsan/race taskset -c $$(($$(nproc) - 1)) $(MAKE) --no-print-directory check $(TSAN)

.PHONY: tsan
tsan: ## the tests of the service under the thread sanitizer
	@.ci/deps.sh $(BUILD_PACKAGES) $(FETCH)
	$(AGAIN) all tests $(TSAN)
	@rm -f build-tsan/race.*
	@$(TSAN_RUN) T=server/ && $(TSAN_RUN) T=unit/test_server
	@! cat build-tsan/race.* 2>/dev/null

.PHONY: reliability
reliability: all $(BUILD)/tests/unit/test_server_crash ## the service under load, crashes and spies: figures and verdicts; P="idle soak" runs these parts
	@FATHOM_BIN=$(BUILD)/fathom FATHOM_MODEL=$(firstword $(SHIPPED)) tests/reliability/run.py $(P)
	@$(if $(P),,FATHOM_KILLS=200 $(BUILD)/tests/unit/test_server_crash)

# libFuzzer: what reads requests and files compiled by clang to be watched, the arithmetic as it is
FUZZ_FILES := safetensors gguf pytorch tokenizer config board xclbin trace requests placement schema messages
FUZZ_SRC  := $(wildcard host/base/*.c host/format/*.c host/image/*.c host/text/*.c host/grammar/*.c host/server/*.c boards/*.c) \
               $(wildcard host/model/config*.c) host/model/trace.c sim/scale/recording.c tests/lib/openers.c
FUZZ_OBJ   = $(patsubst %.c,$(BUILD)/obj/fuzz/%.o,$(FUZZ_SRC) tests/fuzz/fuzz_$(if $(filter $(T),$(FUZZ_FILES)),file,$(T)).c)
FUZZ_SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZ_FLAGS = -max_len=$(if $(filter $(T),$(FUZZ_FILES)),65536,4096) -timeout=60 -print_final_stats=1 -artifact_prefix=$(BUILD)/
TIME      ?= 60

$(BUILD)/obj/fuzz/%.o: %.c
	@mkdir -p $(@D)
	$(call quiet,clang,$<)clang $(ALL_CPPFLAGS) -DFATHOM_LIBFUZZER -std=gnu11 -Wall -ffp-contract=off -O1 -g $(FUZZ_SANITIZE) -fsanitize=fuzzer-no-link \
	  -MMD -MP -c -o $@ $<

$(BUILD)/fuzz_%: $(FUZZ_OBJ) $(BUILD)/libcheck.a $(BUILD)/libfathom.a
	$(call quiet,ld,$@)clang $(FUZZ_SANITIZE) -fsanitize=fuzzer -o $@ $^ $(LIBS) -lgomp -lm

.PHONY: fuzz
fuzz: $(BUILD)/fuzz_$(T) ## look for inputs that do harm, TIME=60 seconds long: T=http, image, safetensors, gguf, pytorch, tokenizer, config, ..
	@mkdir -p $(BUILD)/corpus-$(T) tests/fuzz/corpus-$(T)
	@TMPDIR=$(or $(wildcard /dev/shm),/tmp) LSAN_OPTIONS=suppressions=.ci/lsan.txt $< -max_total_time=$(TIME) $(FUZZ_FLAGS) \
	  $(BUILD)/corpus-$(T) tests/fuzz/corpus-$(T)

.PHONY: bench-cluster
bench-cluster: all $(BENCHES) $(BUILD)/tests/cluster/link ## how much of a cluster's messages is hidden behind work, with 200 us of delay; as root
	@mkdir -p $(BENCH_MODELS)/v3-moe-1gb && $(BUILD)/tests/bench/make_model v3-moe-1gb $(BENCH_MODELS)/v3-moe-1gb
	@tests/bench/overlap.py --build $(BUILD) --model $(BENCH_MODELS)/v3-moe-1gb

.PHONY: cluster-kills
cluster-kills: all $(BUILD)/tests/cluster/test_faults ## kill a rank of a served cluster at 50 random moments
	@FATHOM_BIN=$(BUILD)/fathom FATHOM_BUILD=$(BUILD) FATHOM_KILLS=50 $(BUILD)/tests/cluster/test_faults killed

.PHONY: valgrind
valgrind: ## look for leaks in `fathom run`
	@$(MAKE) --no-print-directory test T=valgrind

$(BUILD)/tests/numa/test_guests: | $(BUILD)/tests/numa/test_numa

$(BUILD)/validate-sim: $(call object,$(wildcard sim/validation/*.c)) $(BUILD)/libfathom.a
	$(call quiet,ld,$@)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS) -lm

.PHONY: validate-sim
validate-sim: $(BUILD)/validate-sim ## predict published results from their configurations; draws build/validation.svg
	@.ci/deps.sh $(PLOT_PACKAGES)
	@$(BUILD)/validate-sim $(BUILD)/validation.svg

BENCH_MODELS ?= $(BUILD)/bench-models

.PHONY: bench
bench: all $(BENCHES) ## measure speed, on generated models of 1 and 2 GB; prints JSON lines
	@for b in $(filter $(BUILD)/tests/bench/bench_%,$(BENCHES)); do \
	  FATHOM_BIN=$(BUILD)/fathom FATHOM_BUILD=$(BUILD) FATHOM_BENCH_MODELS="$(BENCH_MODELS)" $$b || exit 1; done

# beside llama.cpp, built from the sources that its Python package carries
PEER_PACKAGES := cmake g++ python3 python3-pip python3-numpy python3-yaml python3-tqdm
PEERS ?= $(BUILD)/peers

.PHONY: bench-peers
bench-peers: all $(BENCHES) ## measure fathom and llama.cpp in turn, on models of one shape; builds llama.cpp (minutes), prints JSON lines
	@.ci/deps.sh $(PEER_PACKAGES)
	@tests/bench/peers/build.sh $(PEERS)
	@for m in llama-1gb v3-moe-1gb; do \
	  mkdir -p $(BENCH_MODELS)/$$m && $(BUILD)/tests/bench/make_model $$m $(BENCH_MODELS)/$$m || exit 1; \
	  [ -f $(BENCH_MODELS)/$$m.gguf ] || PYTHONPATH=$(PEERS)/source/gguf-py \
	    python3 tests/bench/peers/to_gguf.py $(BENCH_MODELS)/$$m $(BENCH_MODELS)/$$m.gguf || exit 1; done
	@python3 tests/bench/peers/compare.py --fathom $(BUILD)/fathom --limits $(BUILD)/tests/bench/limits \
	  --peer $(PEERS)/build/bin/llama-bench --models $(BENCH_MODELS)

.PHONY: lint
lint: ## formatting, static checks, include directions, sizes
	@.ci/deps.sh $(BUILD_PACKAGES) $(LINT_PACKAGES)
	@tests/lint.sh

# ---- a board image, made by Vitis from hls/ and a board's file
BOARD  ?= u55c
TARGET ?= hw
ATTENTION ?= mla
XCLBIN := $(BUILD)/xclbin/$(basename $(notdir $(BOARD)))-$(TARGET)$(if $(filter-out mla,$(ATTENTION)),-$(ATTENTION))
ifneq ($(filter xclbin xclbin-config,$(MAKECMDGOALS)),)
ifeq ($(filter hw hw_emu,$(TARGET)),)
$(error TARGET is hw or hw_emu, not '$(TARGET)')
endif
include $(XCLBIN)/board.mk
endif
VXX = -t $(TARGET) --save-temps --temp_dir $(XCLBIN)/temp --log_dir $(XCLBIN)/log --report_dir $(XCLBIN)/report

.PHONY: xclbin
xclbin: vitis $(XCLBIN)/fathom.xclbin ## build a board's image: BOARD=u280 or a path, ATTENTION=mla or gqa, TARGET=hw or hw_emu; -n shows the commands
	$(if $(filter hw_emu,$(TARGET)),emconfigutil --platform $(VITIS_PLATFORM) --nd 1 --od $(XCLBIN))
	$(if $(filter f2,$(VITIS_RUNTIME)),@echo "An F2 loads an AFI: give $(XCLBIN)/fathom.xclbin to create_vitis_afi.sh of aws-fpga")

.PHONY: xclbin-config
xclbin-config: $(XCLBIN)/board.mk ## only write the configurations that xclbin uses
	@ls $(XCLBIN)/*.cfg

.PHONY: vitis
vitis:
	@command -v v++ >/dev/null || { echo "v++ is not in PATH: a board image needs AMD Vitis (source its settings64.sh) and" \
	  "the platform $(VITIS_PLATFORM); the configurations are in $(XCLBIN), and make -n shows the commands" >&2; exit 1; }

$(XCLBIN)/board.mk: $(BUILD)/fathom $(filter %.board,$(BOARD))
	@mkdir -p $(@D)
	@$(BUILD)/fathom boards --vitis $(@D) --attention $(ATTENTION) $(BOARD)

$(XCLBIN)/fathom_%.xo: hls/%.c $(wildcard hls/*.h) $(XCLBIN)/board.mk | vitis
	v++ -c $(VXX) --config $(XCLBIN)/compile.cfg -k fathom_$* -o $@ $<

$(XCLBIN)/fathom.xclbin: $(VITIS_KERNELS:%=$(XCLBIN)/%.xo)
	v++ -l $(VXX) --config $(XCLBIN)/link.cfg -o $(if $(VITIS_PACKAGE),$(@:.xclbin=.xsa),$@) $^
	$(if $(VITIS_PACKAGE),v++ -p $(VXX) --platform $(VITIS_PLATFORM) -o $@ $(@:.xclbin=.xsa))

# ---- the recipe of the model (Python; nothing else needs it)
VENV := $(BUILD)/venv
RECIPE_PYTHON ?= $(VENV)/bin/python
RECIPE_WORK ?= $(BUILD)/recipe

$(VENV)/bin/python: models/recipe/requirements.txt
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install -q -r $<
	@touch $@

# lm-evaluation-harness through the service and through transformers
LM_EVAL := $(BUILD)/lm-eval/bin/python
$(BUILD)/lm-eval/installed: tests/lm_eval/requirements.txt
	python3 -m venv $(@D) && $(@D)/bin/pip install -q --disable-pip-version-check -r $< && touch $@

.PHONY: lm-eval
lm-eval: all $(BUILD)/lm-eval/installed ## lm-evaluation-harness against fathom serve and transformers on SmolLM2; fails where they differ (minutes)
	@models/fetch-smollm2.sh "$(SMOLLM2)"
	@$(LM_EVAL) tests/lm_eval/compare.py $(BUILD)/fathom "$(SMOLLM2)" $(BUILD)/lm-eval.json
	@$(LM_EVAL) tests/lm_eval/perplexity.py "$(SMOLLM2)" LICENSE 128 64
	@$(BUILD)/fathom eval --model "$(SMOLLM2)" --numerics w8a16 --window 128 --stride 64 --json --perplexity LICENSE

.PHONY: recipe
recipe: $(RECIPE_PYTHON) ## train the model on worked problems, for hours; goes on where it stopped
	$(RECIPE_PYTHON) models/recipe/sft.py --work $(RECIPE_WORK)

.PHONY: recipe-smoke
recipe-smoke: all $(RECIPE_PYTHON) ## every stage of the recipe in miniature
	models/recipe/smoke.sh $(RECIPE_PYTHON) $(BUILD)/fathom $(RECIPE_WORK)-smoke

# ---- installing
DEST = $(DESTDIR)$(PREFIX)
DESTLIB = $(DESTDIR)$(LIBDIR)
DESTMODELS = $(DEST)/share/fathom/models
SHIPPED := models/fathom-r1-mini models/fathom-r1-mini-student
BASH_COMPLETION = $(DEST)/share/bash-completion/completions
ZSH_COMPLETION  = $(DEST)/share/zsh/vendor-completions
# without scdoc there are no manual pages; --help says the same
MAN := $(if $(shell command -v scdoc),$(BUILD)/man/fathom.1)

$(BUILD)/man/fathom.1: $(BUILD)/fathom packaging/man/pages.sh packaging/man/scdoc.awk
	$(call quiet,man,$@)SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$(SOURCE_DATE)} packaging/man/pages.sh $(BUILD)/fathom $(VERSION) $(@D)

.PHONY: man
man: $(BUILD)/man/fathom.1 ## write the manual pages, from what --help says

.PHONY: install
install: all $(MAN) ## install under PREFIX (DESTDIR is put in front)
	install -d $(DEST)/bin $(DEST)/include $(DESTLIB)/pkgconfig $(SHIPPED:models/%=$(DESTMODELS)/%)
	for m in $(notdir $(SHIPPED)); do install -m 644 models/$$m/*.json models/$$m/*.safetensors $(DESTMODELS)/$$m/ || exit 1; done
	install -d $(DEST)/libexec/fathom
	install -m 755 $(BUILD)/fathom $(DEST)/bin/
	install -m 755 $(HELPERS) $(DEST)/libexec/fathom/
	install -m 644 host/fathom.h $(DEST)/include/
	install -d $(DEST)/lib/systemd/system $(BASH_COMPLETION) $(ZSH_COMPLETION)
	install -m 644 deploy/fathom.socket $(DEST)/lib/systemd/system/
	sed 's,/usr/local/,$(PREFIX)/,' deploy/fathom.service >$(DEST)/lib/systemd/system/fathom.service
	install -m 644 packaging/completion/fathom.bash $(BASH_COMPLETION)/fathom
	install -m 644 packaging/completion/_fathom $(ZSH_COMPLETION)/
	$(if $(MAN),install -d $(DEST)/share/man/man1 && install -m 644 $(BUILD)/man/*.1 $(DEST)/share/man/man1/)
	install -m 644 $(BUILD)/libfathom.a $(LIB_SO) $(DESTLIB)/
	ln -sf libfathom.so.$(VERSION) $(DESTLIB)/libfathom.so.$(SOVERSION)
	ln -sf libfathom.so.$(VERSION) $(DESTLIB)/libfathom.so
	@printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$(LIBDIR)' 'includedir=$${prefix}/include' '' 'Name: fathom' \
	  'Description: inference for DeepSeek-family models' 'Version: $(VERSION)' 'Libs: -L$${libdir} -lfathom' \
	  'Libs.private: $(LIBS) -lgomp -lm' 'Cflags: -I$${includedir}' >$(DESTLIB)/pkgconfig/fathom.pc

.PHONY: uninstall
uninstall: ## remove what install put there
	rm -f $(DEST)/bin/fathom $(DEST)/include/fathom.h $(DESTLIB)/libfathom.a $(DESTLIB)/libfathom.so* \
	  $(DESTLIB)/pkgconfig/fathom.pc $(DEST)/lib/systemd/system/fathom.service $(DEST)/lib/systemd/system/fathom.socket \
	  $(BASH_COMPLETION)/fathom $(ZSH_COMPLETION)/_fathom $(DEST)/share/man/man1/fathom.1 $(DEST)/share/man/man1/fathom-*.1
	rm -rf $(SHIPPED:models/%=$(DESTMODELS)/%) $(DEST)/libexec/fathom

# ---- packaging: the same commit gives the same bytes
SOURCE_DATE = $(shell git log -1 --format=%ct 2>/dev/null || stat -c %Y Makefile)
DIST := fathom-$(VERSION)

.PHONY: dist
dist: ## write build/fathom-VERSION.tar.gz: the sources of the last commit
	@git rev-parse --git-dir >/dev/null 2>&1 || { echo "make dist packs a commit: run it in a git clone" >&2; exit 1; }
	@mkdir -p $(BUILD)
	$(call quiet,dist,$(BUILD)/$(DIST).tar.gz)git archive --format=tar --prefix=$(DIST)/ HEAD | gzip -n >$(BUILD)/$(DIST).tar.gz.new && \
	  mv $(BUILD)/$(DIST).tar.gz.new $(BUILD)/$(DIST).tar.gz

.PHONY: deb
deb: dist ## build the Debian packages from `make dist` into build/deb, and check them with lintian
	@.ci/deps.sh $(BUILD_PACKAGES) $(PACKAGE_PACKAGES)
	@packaging/deb.sh $(BUILD)/$(DIST).tar.gz $(BUILD)/deb

.PHONY: sbom
sbom: all ## write build/fathom-VERSION.cdx.json: what the program is made of (CycloneDX)
	@packaging/sbom.py --version $(VERSION) --program $(BUILD)/fathom $(addprefix --program ,$(HELPERS)) \
	  --vendored host/server/page/vendor $(addprefix --model ,$(SHIPPED)) --out $(BUILD)/$(DIST).cdx.json
	@echo $(BUILD)/$(DIST).cdx.json

.PHONY: clean
clean: ## remove everything that was built
	rm -rf $(BUILD) build-asan build-tsan

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
