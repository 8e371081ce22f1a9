/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * main.c - the image: boots libcma out of QEMU's tree and shows what it must show
 *
 * Command line (-append): cma=SIZE@BASE, edu.mask=N, rounds=N, suite (tests/port first), mute=WHAT.
 * mute names a hook that does nothing, so that each judgement is seen to fail:
 *     flush, freeze            writes of the task are lost
 *     clean, invalidate        the log is not as expected
 *     break                    (not a hook) no break before make: the log tells
 *     zero                     a buffer holds somebody's bytes
 *     set_attr                 libcma refuses: the page tables do not say what it asked for
 *     alias                    (not a hook) a second mapping comes to be
 */
#include "image.h"

#include <string.h>

#define TICK_NS 1500000u

static struct cma_port port;
static struct cma_system system;
static struct board board;
static struct edu edu;

static void muted_range(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    (void)ctx;
    (void)paddr;
    (void)nbytes;
}

static void muted_zero(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    (void)ctx;
    bare_log.entries[bare_log.count++] =
        (struct bare_entry){.op = BARE_OP_ZERO, .paddr = paddr, .nbytes = nbytes};
}

static void muted_attr(void *ctx, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr)
{
    (void)attr;
    muted_range(ctx, paddr, nbytes);
}

/* It stands in the log, and the processor knows nothing of it. */
static void muted_flush(void *ctx)
{
    (void)ctx;
    bare_log.entries[bare_log.count++] = (struct bare_entry){.op = BARE_OP_FLUSH};
}

static void main_port(void)
{
    port = bare_port;
    mmu_forget_break = image_muted(&board, "break");
    if (image_muted(&board, "flush"))
        port.tlb_flush = muted_flush;
    if (image_muted(&board, "clean"))
        port.clean = muted_range;
    if (image_muted(&board, "invalidate"))
        port.invalidate = muted_range;
    if (image_muted(&board, "zero"))
        port.zero = muted_zero;
    if (image_muted(&board, "set_attr"))
        port.set_attr = muted_attr;
}

static int main_claims(void)
{
    cma_paddr_t first = board.area.base;
    uint64_t lost;
    int code;

    writer_start(&system, &port, first, first + (UINT64_C(1) << 19) - 1,
                 image_muted(&board, "freeze"));
    code = claims_run(&system, &board, &edu);
    if (code == EXIT_OK)
        code = claims_pair(&system, &board);
    lost = writer_stop();
    bare_printf("task: %u writes, %u lost, %u faults, %u switches\n", writer_writes(), lost,
                thread_faults(), thread_switches());
    return lost ? EXIT_LOST : code;
}

void bare_start(const void *dtb)
{
    int code, far;

    mmu_start();
    bare_print("libcma on bare metal\n");
    boot_board(&board, dtb);
    thread_start(TICK_NS);
    if (!edu_start(&edu, board.ecam, board.ecam_nbytes))
        bare_die("no edu on the PCI bus", board.ecam);
    if (board.options.suite && metal_suite(&board, &edu))
        bare_exit(EXIT_WRONG);
    main_port();
    boot_system(&board, &port, &system);
    far = claims_far(&system, &board, &edu);
    if (far != EXIT_OK)
        bare_exit(far);
    code = main_claims();
    bare_printf("%s, %u ms of the machine's time\n", code == EXIT_OK ? "OK" : "NOT OK",
                thread_time_ns() / 1000000u);
    bare_exit(code);
}
