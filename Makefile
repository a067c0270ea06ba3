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
DESTDIR ?=

BUILD ?= build
PYTHON ?= /usr/bin/python3
PKG_CONFIG ?= pkg-config
SUDO ?= $(if $(filter 0,$(shell id -u)),,sudo)

# What a build and the tests need, and what lint needs besides.
DEPS_BUILD := gcc make pkg-config libc6-dev libev-dev libjansson-dev \
	libbsd-dev libmd-dev libconfuse-dev
DEPS_CHECK := libcmocka-dev python3-pytest procps
DEPS_LINT := clang clang-format cppcheck mandoc universal-ctags

-include config.mk

OPT ?= -O2 -g
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Wpointer-arith -Wcast-qual -Wwrite-strings \
	-Wformat=2 -Wundef -Wvla -Wimplicit-fallthrough -Wconversion \
	-Wnull-dereference
WERROR := $(if $(CI),-Werror,)
HARDEN ?= -D_FORTIFY_SOURCE=3 -fstack-protector-strong
HARDEN_LD ?= -Wl,-z,relro,-z,now
SAN ?=

PKGS := jansson libbsd libmd
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PKGS) 2>/dev/null)
JANSSON_LIBS = $(shell $(PKG_CONFIG) --libs jansson)
DAEMON_LIBS = $(shell $(PKG_CONFIG) --libs jansson libbsd libmd libconfuse) \
	-lev -ldl -pthread

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
IPC_PURE_SRC := ipc/buf.c ipc/clock.c ipc/json.c ipc/line.c ipc/rpc.c ipc/sock.c

obj = $(patsubst %.c,$(BUILD)/%.o,$(1))

DAEMON_OBJ := $(call obj,$(IPC_SRC) $(WORKER_SRC) $(BROKER_SRC) \
	$(SUPERVISOR_SRC) $(MAIN_SRC))
LIB_OBJ := $(call obj,$(CLIENT_LIB_SRC) $(IPC_PURE_SRC))
CLI_OBJ := $(call obj,$(CLIENT_CLI_SRC))
ALL_OBJ := $(sort $(DAEMON_OBJ) $(LIB_OBJ) $(CLI_OBJ))
UNIT_BIN := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(UNIT_SRC))

.PHONY: all
all: $(BUILD)/gangerd $(BUILD)/ganger $(BUILD)/libganger.so.0 $(BUILD)/ganger.pc

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

-include $(ALL_OBJ:.o=.d) $(UNIT_BIN:=.d)

# gangerd lends handler.h's functions to the modules it loads.
$(BUILD)/gangerd: $(DAEMON_OBJ)
	$(CC) $(LDFLAGS_ALL) -pie -rdynamic -o $@ $^ $(DAEMON_LIBS)

$(BUILD)/libganger.a: $(LIB_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/libganger.so.0: $(LIB_OBJ)
	$(CC) $(LDFLAGS_ALL) -shared -Wl,-soname,libganger.so.0 -o $@ $^ \
		$(JANSSON_LIBS)

$(BUILD)/ganger: $(CLI_OBJ) $(BUILD)/libganger.a
	$(CC) $(LDFLAGS_ALL) -pie -o $@ $^ $(JANSSON_LIBS) -lbsd

$(BUILD)/ganger.pc: etc/ganger.pc.in Makefile
	@mkdir -p $(@D)
	sed -e 's,@PREFIX@,$(PREFIX),' -e 's,@LIBDIR@,$(LIBDIR),' \
		-e 's,@INCLUDEDIR@,$(INCLUDEDIR),' \
		-e 's,@VERSION@,$(VERSION),' $< >$@

# A unit links the module under test and what that stands on, no more: the
# sources that its first comment names behind LINK:.
unit_link = $(shell awk '/LINK:/ {on=1; sub(/.*LINK:/, "")} on {done=/\*\//; \
	gsub(/[*\/]+ *$$|^ *\*/, ""); print; if (done) exit}' $(1))

define unit_rule
$(BUILD)/unit/$(1): $(BUILD)/tests/unit/$(1).o \
	$(call obj,$(call unit_link,tests/unit/$(1).c))
	@mkdir -p $$(@D)
	$$(CC) $$(LDFLAGS_ALL) -pie -rdynamic -o $$@ $$^ -lcmocka $$(DAEMON_LIBS)
endef
$(foreach t,$(UNIT_SRC),$(eval $(call unit_rule,$(notdir $(basename $(t))))))
-include $(patsubst %.c,$(BUILD)/%.d,$(UNIT_SRC))

.PHONY: units
units: $(UNIT_BIN)
