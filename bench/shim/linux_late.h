/* SPDX-License-Identifier: BSD-2-Clause */
/* linux_late.h - included behind linux.h: what needs Linux's own list.h and bitmap.h first */
#include <linux/list.h>
#include <linux/bitmap.h>
#define smp_mb__after_atomic() barrier()
#define debugfs_create_dir(...) ((void *)0)
#define debugfs_create_file(...) \
    do {                         \
    } while (0)
#define DEFINE_DEBUGFS_ATTRIBUTE(n, ...) static int n __attribute__((unused))
