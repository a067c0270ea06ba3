# Ganger: a multiprocess worker supervisor.
#
#   make            build gangerd, ganger and libganger into $(BUILD)
#   make demo       install what is missing, build, run the main job
#   make check      install what is missing, build, run every test
#   make help       the other targets

VERSION := 0.1.0

PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
LOCALSTATEDIR ?= /var
RUNDIR ?= /run
BINDIR ?= $(PREFIX)/bin
SBINDIR ?= $(PREFIX)/sbin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
EXAMPLEDIR ?= $(PREFIX)/share/doc/ganger/examples
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
UNITDIR ?= $(PREFIX)/lib/systemd/system
TMPFILESDIR ?= $(PREFIX)/lib/tmpfiles.d
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
# Who installs below a folder of their own can't write to SYSCONFDIR.
LOGROTATEDIR ?= $(if $(filter /usr /usr/local,$(PREFIX)),$(SYSCONFDIR),\
	$(PREFIX)/etc)/logrotate.d
DESTDIR ?=

BUILD ?= build
PYTHON ?= /usr/bin/python3
PKG_CONFIG ?= pkg-config
SUDO ?= $(if $(filter 0,$(shell id -u)),,sudo)

# What a build and the tests need, and what lint needs besides.
DEPS_BUILD := gcc make pkg-config libc6-dev libev-dev libjansson-dev \
	libbsd-dev libmd-dev libconfuse-dev libsqlite3-dev
DEPS_CHECK := libcmocka-dev python3-pytest python3-pytest-xdist procps \
	netcat-openbsd
DEPS_LINT := clang clang-format cppcheck mandoc universal-ctags

-include config.mk

# Black-box tests run so many at a time, for they wait more than they work; one
# after the other where pytest-xdist is missing, or with 1.
PYTEST_JOBS ?= 4
PYTEST_N = $(if $(filter-out 0 1,$(PYTEST_JOBS)),$(shell \
	$(PYTHON) -c 'import xdist' 2>/dev/null && echo "-n $(PYTEST_JOBS)"))

# What `make check` and its like build, in parallel unless make was told how.
PARALLEL = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))

# `make V=1` shows whole commands.
Q := $(if $(V),,@)
say = $(if $(V),,@echo "  $(1)")

OPT ?= -O2 -g
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Wpointer-arith -Wcast-qual -Wwrite-strings \
	-Wformat=2 -Wundef -Wvla -Wimplicit-fallthrough -Wconversion \
	-Wnull-dereference
WERROR := $(if $(CI),-Werror,)
HARDEN ?= -D_FORTIFY_SOURCE=3 -fstack-protector-strong
HARDEN_LD ?= -Wl,-z,relro,-z,now
SAN ?=

PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags jansson libbsd libmd libconfuse \
	sqlite3 2>/dev/null)
JANSSON_LIBS = $(shell $(PKG_CONFIG) --libs jansson)
DAEMON_LIBS = $(shell $(PKG_CONFIG) --libs jansson libbsd libmd libconfuse \
	sqlite3) -lev -ldl -pthread

DEFS := -D_GNU_SOURCE -DGANGER_VERSION='"$(VERSION)"' \
	-DSYSCONFDIR='"$(SYSCONFDIR)"' -DLOCALSTATEDIR='"$(LOCALSTATEDIR)"' \
	-DRUNDIR='"$(RUNDIR)"' -DLIBDIR='"$(LIBDIR)"'
CFLAGS_ALL = -std=c17 $(WARN) $(WERROR) $(OPT) $(HARDEN) $(SAN) \
	-fvisibility=hidden -fPIC -pthread -I. $(DEFS) $(PKG_CFLAGS) $(CFLAGS)
LDFLAGS_ALL = $(HARDEN_LD) $(SAN) $(LDFLAGS)

IPC_SRC := $(wildcard ipc/*.c)
CLIENT_LIB_SRC := $(wildcard ipc/client/lib/*.c)
CLIENT_CLI_SRC := $(wildcard ipc/client/cli/*.c)
WORKER_SRC := $(wildcard worker/*.c worker/modules/*.c)
BROKER_SRC := $(wildcard master/broker/*.c)
SUPERVISOR_SRC := $(wildcard master/supervisor/*.c)
MAIN_SRC := $(wildcard master/*.c)
UNIT_SRC := $(wildcard tests/unit/test_*.c)

# The part of ipc that knows no event loop, and so suits a client.
IPC_PURE_SRC := ipc/buf.c ipc/clock.c ipc/json.c ipc/line.c ipc/place.c \
	ipc/rpc.c ipc/sock.c

obj = $(patsubst %.c,$(BUILD)/%.o,$(1))

DAEMON_OBJ := $(call obj,$(IPC_SRC) $(WORKER_SRC) $(BROKER_SRC) \
	$(SUPERVISOR_SRC) $(MAIN_SRC))
LIB_OBJ := $(call obj,$(CLIENT_LIB_SRC) $(IPC_PURE_SRC))
CLI_OBJ := $(call obj,$(CLIENT_CLI_SRC))
ALL_OBJ := $(sort $(DAEMON_OBJ) $(LIB_OBJ) $(CLI_OBJ))
UNIT_BIN := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(UNIT_SRC))

.PHONY: all
all: $(BUILD)/gangerd $(BUILD)/ganger $(BUILD)/libganger.so.0 \
	$(BUILD)/include/ganger

# The public headers where an installed program finds them.
$(BUILD)/include/ganger: Makefile
	@mkdir -p $@
	@ln -sfn "$(CURDIR)/worker/handler.h" $@/handler.h
	@ln -sfn "$(CURDIR)/ipc/client/client.h" $@/client.h
	@touch $@

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC  $<)
	$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

-include $(ALL_OBJ:.o=.d) $(UNIT_BIN:=.d)

# gangerd lends handler.h's functions to the modules it loads.
$(BUILD)/gangerd: $(DAEMON_OBJ)
	$(call say,LD  $@)
	$(Q)$(CC) $(LDFLAGS_ALL) -pie -rdynamic -o $@ $^ $(DAEMON_LIBS)

$(BUILD)/libbroker.a: $(call obj,$(BROKER_SRC))
	@rm -f $@
	$(call say,AR  $@)
	$(Q)$(AR) rcs $@ $^

$(BUILD)/libganger.a: $(LIB_OBJ)
	@rm -f $@
	$(call say,AR  $@)
	$(Q)$(AR) rcs $@ $^

$(BUILD)/libganger.so.0: $(LIB_OBJ)
	$(call say,LD  $@)
	$(Q)$(CC) $(LDFLAGS_ALL) -shared -Wl,-soname,libganger.so.0 -o $@ $^ \
		$(JANSSON_LIBS)

$(BUILD)/ganger: $(CLI_OBJ) $(BUILD)/libganger.a
	$(call say,LD  $@)
	$(Q)$(CC) $(LDFLAGS_ALL) -pie -o $@ $^ $(JANSSON_LIBS) -lbsd

# A unit links the module under test and what that stands on, no more: the
# sources that its first comment names behind LINK:.  Where log.c is one of
# them, the parts that it is made of come along; libbroker.a is what is needed
# of the broker, but for what the unit defines itself.
LOG_SRC := $(wildcard ipc/log*.c)
unit_link = $(subst ipc/log.c,$(LOG_SRC),$(subst libbroker.a,\
	$(BUILD)/libbroker.a,$(unit_names)))
unit_names = $(shell awk '/LINK:/ {on=1; sub(/.*LINK:/, "")} on {done=/\*\//; \
	gsub(/[*\/]+ *$$|^ *\*/, ""); print; if (done) exit}' $(1))

define unit_rule
$(BUILD)/unit/$(1): $(BUILD)/tests/unit/$(1).o \
	$(call obj,$(call unit_link,tests/unit/$(1).c))
	@mkdir -p $$(@D)
	$$(call say,LD  $$@)
	$$(Q)$$(CC) $$(LDFLAGS_ALL) -pie -rdynamic -o $$@ $$^ -lcmocka \
		$$(DAEMON_LIBS)
endef
$(foreach t,$(UNIT_SRC),$(eval $(call unit_rule,$(notdir $(basename $(t))))))
-include $(patsubst %.c,$(BUILD)/%.d,$(UNIT_SRC) $(wildcard tests/lib/*.c))

.PHONY: units
units: $(UNIT_BIN)

# ---------------------------------------------------------------- packages

.PHONY: deps deps-lint
deps:
	@SUDO="$(SUDO)" sh etc/deps.sh $(DEPS_BUILD) $(DEPS_CHECK)

deps-lint:
	@SUDO="$(SUDO)" sh etc/deps.sh $(DEPS_BUILD) $(DEPS_CHECK) $(DEPS_LINT)

# ------------------------------------------------------------- demo, tests
# A make of its own, for what `deps` brought was not there when this one began.

.PHONY: demo
demo: deps
	@$(MAKE) --no-print-directory -s $(PARALLEL) all
	@BUILD="$(BUILD)" sh etc/demo.sh

.PHONY: check
check: deps
	@$(MAKE) --no-print-directory check-run

.PHONY: check-run check-units check-blackbox
check-run:
	@$(MAKE) --no-print-directory $(PARALLEL) all units
	@$(MAKE) --no-print-directory check-units
	@$(MAKE) --no-print-directory check-blackbox

check-units: $(UNIT_BIN)
	@sh tests/run-units.sh $(UNIT_BIN)

check-blackbox: all
	BUILD="$(abspath $(BUILD))" $(PYTHON) -B -m pytest -q \
		-p no:cacheprovider $(PYTEST_N) $(PYTEST_FLAGS) tests

SAN_ASAN := -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-fno-omit-frame-pointer
SAN_TSAN := -fsanitize=thread -fno-omit-frame-pointer

# The same tests on instrumented programs; counts are scaled to their speed.
.PHONY: asan tsan
asan: deps
	@ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 \
	UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
	GANGER_TEST_SANITIZED=1 GANGER_TEST_SCALE=0.1 \
	$(MAKE) --no-print-directory BUILD=build-asan \
		OPT="-O1 -g" HARDEN= SAN="$(SAN_ASAN)" check-run

tsan: deps
	@TSAN_OPTIONS=report_thread_leaks=0:second_deadlock_stack=1 \
	GANGER_TEST_SANITIZED=1 GANGER_TEST_SCALE=0.1 \
	$(MAKE) --no-print-directory BUILD=build-tsan \
		OPT="-O1 -g" HARDEN= SAN="$(SAN_TSAN)" check-run

# Side by side with beanstalkd and Redis, where they are installed.
.PHONY: bench
bench: all
	@BUILD="$(abspath $(BUILD))" $(PYTHON) -B tests/bench/store_bench.py \
		$(BENCH_FLAGS)

# --------------------------------------------------------------------- lint

LINT_C := $(wildcard ipc/*.c ipc/client/*/*.c worker/*.c worker/modules/*.c \
	master/*.c master/*/*.c etc/examples/*.c)
LINT_TESTS := $(wildcard tests/unit/*.c tests/lib/*.c tests/bench/*.c)
LINT_H := $(wildcard ipc/*.h ipc/client/*.h ipc/client/*/*.h worker/*.h \
	worker/modules/*.h master/*.h master/*/*.h tests/unit/*.h tests/lib/*.h)
MAN_PAGES := $(wildcard etc/man/*.[1-9])

.PHONY: lint
lint: $(BUILD)/include/ganger
	@CPPFLAGS='-std=c17 -I. -I$(BUILD)/include $(subst ',,$(DEFS)) $(PKG_CFLAGS)' \
		sh tests/lint/run.sh "$(LINT_C)" "$(LINT_TESTS)" "$(LINT_H)" \
		"$(MAN_PAGES)"

.PHONY: format
format:
	clang-format -i $(LINT_C) $(LINT_TESTS) $(LINT_H)

# ------------------------------------------------------------ install, dist

# Write $(1).in with our paths in their places to $(2).
render = sed -e 's,@PREFIX@,$(PREFIX),g' -e 's,@SBINDIR@,$(SBINDIR),g' \
	-e 's,@LIBDIR@,$(LIBDIR),g' -e 's,@INCLUDEDIR@,$(INCLUDEDIR),g' \
	-e 's,@RUNDIR@,$(RUNDIR),g' \
	-e 's,@LOCALSTATEDIR@,$(LOCALSTATEDIR),g' \
	-e 's,@VERSION@,$(VERSION),g' $(1).in >$(2)

# The files for the system that runs gangerd.
.PHONY: install-system
install-system:
	install -d $(DESTDIR)$(UNITDIR) $(DESTDIR)$(TMPFILESDIR) \
		$(DESTDIR)$(SYSUSERSDIR) $(DESTDIR)$(LOGROTATEDIR)
	$(call render,etc/systemd/ganger.service,\
		$(DESTDIR)$(UNITDIR)/ganger.service)
	$(call render,etc/systemd/ganger.socket,\
		$(DESTDIR)$(UNITDIR)/ganger.socket)
	$(call render,etc/tmpfiles.d/ganger.conf,\
		$(DESTDIR)$(TMPFILESDIR)/ganger.conf)
	$(call render,etc/sysusers.d/ganger.conf,\
		$(DESTDIR)$(SYSUSERSDIR)/ganger.conf)
	$(call render,etc/logrotate/ganger,$(DESTDIR)$(LOGROTATEDIR)/ganger)

.PHONY: install
install: all install-system
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(BINDIR) \
		$(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(INCLUDEDIR)/ganger \
		$(DESTDIR)$(EXAMPLEDIR) $(DESTDIR)$(COMPLETIONDIR)
	install -m 755 $(BUILD)/gangerd $(DESTDIR)$(SBINDIR)/gangerd
	install -m 755 $(BUILD)/ganger $(DESTDIR)$(BINDIR)/ganger
	install -m 644 $(BUILD)/libganger.a $(DESTDIR)$(LIBDIR)/libganger.a
	install -m 755 $(BUILD)/libganger.so.0 $(DESTDIR)$(LIBDIR)/libganger.so.0
	ln -sf libganger.so.0 $(DESTDIR)$(LIBDIR)/libganger.so
	$(call render,etc/ganger.pc,$(DESTDIR)$(LIBDIR)/pkgconfig/ganger.pc)
	install -m 644 worker/handler.h ipc/client/client.h \
		$(DESTDIR)$(INCLUDEDIR)/ganger/
	install -m 644 etc/ganger.conf $(wildcard etc/examples/*) \
		$(DESTDIR)$(EXAMPLEDIR)/
	install -m 644 etc/completions/ganger.bash \
		$(DESTDIR)$(COMPLETIONDIR)/ganger
	for page in $(MAN_PAGES); do \
		dir=$(DESTDIR)$(MANDIR)/man$${page##*.}; \
		install -d $$dir && install -m 644 $$page $$dir/ || exit 1; \
	done

.PHONY: dist
dist:
	git archive --prefix=ganger-$(VERSION)/ -o ganger-$(VERSION).tar.gz HEAD

.PHONY: clean
clean:
	rm -rf build build-asan build-tsan

.PHONY: help
help:
	@echo "make               build into $(BUILD)/"
	@echo "make demo          install what is missing, build, run the main job"
	@echo "make check         install what is missing, build, run every test"
	@echo "make asan, tsan    the tests under sanitizers"
	@echo "make bench         measure the store; BENCH_FLAGS, BENCH_DIR"
	@echo "make lint          format, static analysis, include directions, sizes"
	@echo "make format        lay the sources out"
	@echo "make install       DESTDIR, PREFIX, SYSCONFDIR, LOCALSTATEDIR, RUNDIR"
	@echo "make dist, clean"
