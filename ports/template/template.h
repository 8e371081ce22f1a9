/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * template.h - a port to copy and fill in
 *
 * Copy this folder, rename it, and write the hooks in the order in which they stand in port.c; the
 * order is that of docs/PORTING.md and of the suite in tests/port. A hook that is not written yet
 * does nothing and says what to write. When nothing calls port_write_me any more, delete it.
 */
#ifndef TEMPLATE_H
#define TEMPLATE_H

#include <cma/port.h>

extern const struct cma_port template_port;

/* Yours, while you write the port: show the sentence, or keep it for the suite to show. */
void port_write_me(const char *sentence);

#endif
