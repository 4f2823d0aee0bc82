EXTENSION = sync_engine
EXTVERSION = 0.1.0

MODULE_big = sync_engine
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c)))
SHLIB_LINK = -lcurl -lcrypto
PG_CPPFLAGS = -Isrc -DSYNC_ENGINE_VERSION='"$(EXTVERSION)"'

# The install script is these pieces, in this order.
SQL_PIECES = \
	sql/00_header.sql \
	sql/10_state.sql \
	sql/11_state_triggers.sql \
	sql/12_deletes.sql \
	sql/13_schedules.sql \
	sql/14_merges.sql \
	sql/20_manifest.sql \
	sql/21_manifest_data.sql \
	sql/22_manifest_merged.sql \
	sql/30_functions.sql \
	sql/35_manifest_functions.sql \
	sql/36_discovery.sql \
	sql/40_views.sql \
	sql/45_explain.sql \
	sql/46_schedules.sql \
	sql/47_status.sql \
	sql/46_deletes.sql \
	sql/50_privileges.sql

DATA_built = sql/$(EXTENSION)--$(EXTVERSION).sql
DATA = $(wildcard sql/$(EXTENSION)--*--*.sql)

# pg_regress and pg_isolation_regress look for expected/ in the output
# directory (from 16 on, in the current one): both are the top level.
REGRESS = $(patsubst test/sql/%.sql,%,$(sort $(wildcard test/sql/*.sql)))
REGRESS_OPTS = --inputdir=test
ISOLATION = $(patsubst test/specs/%.spec,%,$(sort $(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test --outputdir=.
EXTRA_CLEAN = src/.flags

# WERROR=1: every warning is an error, but for three idioms of PostgreSQL:
# callbacks and PG_FUNCTION_ARGS (in its headers, too) have parameters they do not
# use, int is compared with sizeof, and what an initialiser leaves out is zero.
ifdef WERROR
PG_CFLAGS += -Wall -Wextra -Werror \
	-Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers
endif

# ASSERT=1: the extension's own assertions, also in a server without them.
ifdef ASSERT
PG_CPPFLAGS += -DUSE_ASSERT_CHECKING
endif

# Work for developers is done by scripts/, and needs no PostgreSQL to begin
# with: scripts/setup brings it.  PGXS is left out then, it has its own "check".
CHECKS = check-unit check-sim check-regress check-pgtap check-tap lint bench
DEVELOPER_GOALS = check check-long $(CHECKS) demo demo-stop setup

ifneq (,$(filter $(DEVELOPER_GOALS),$(MAKECMDGOALS)))

.PHONY: $(MAKECMDGOALS)

check:
	@scripts/check

check-long:
	@scripts/check all long

$(CHECKS):
	@scripts/check $(@:check-%=%)

demo demo-stop setup:
	@scripts/$@

# Any other goal named beside these, as in "make clean check".
$(filter-out $(DEVELOPER_GOALS),$(MAKECMDGOALS)):
	@$(MAKE) $@

else

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
$(if $(PGXS),,$(error "$(PG_CONFIG)" does not run: install PostgreSQL's server development files, or name its pg_config by PG_CONFIG))
include $(PGXS)

$(DATA_built): $(SQL_PIECES) Makefile
	cat $(SQL_PIECES) > $@

# Objects are built again when a header changes, or the flags.
$(OBJS) $(OBJS:.o=.bc): $(wildcard src/*.h) src/.flags

src/.flags: FORCE
	@echo '$(CC) $(CFLAGS) $(CPPFLAGS)' | cmp -s - $@ || echo '$(CC) $(CFLAGS) $(CPPFLAGS)' > $@

.PHONY: FORCE
FORCE:

endif
