# SPDX-License-Identifier: Apache-2.0
# apps/: what people run.

# phfc: checks, explains and applies packet history filters.
bin_PROGRAMS += bin/phfc
bin_phfc_SOURCES = apps/phfc.c
bin_phfc_LDADD = $(PHF_LIBS)
man1_MANS += docs/man/phfc.1
EXTRA_DIST += docs/man/phfc.1
