# SPDX-License-Identifier: Apache-2.0
# recorder/

noinst_LIBRARIES += recorder/librecorder.a
recorder_librecorder_a_SOURCES = \
	recorder/instr.h \
	recorder/of_wire.c recorder/of_wire.h
