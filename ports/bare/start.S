/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * start.S - from the boot loader to C, and from an exception to C and back
 *
 * The image begins with the header of a Linux arm64 kernel, so QEMU (and every boot loader that
 * knows Linux) puts the address of the device tree into x0; an ELF file would get none.
 */
    .section .head, "ax"
    .global bare_head
bare_head:
    b       bare_entry
    .long   0
    .quad   0x200000                /* where it is linked, from the start of memory */
    .quad   bare_image_nbytes
    .quad   0x2                     /* little-endian, 4 KiB pages */
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .long   0

bare_entry:
    msr     daifset, #0xf
    mrs     x1, CurrentEL
    cmp     x1, #4                  /* EL1, or we are on a machine that is not meant */
    b.ne    2f
    mov     x1, #(3 << 20)          /* libfdt was compiled with vector registers */
    msr     cpacr_el1, x1
    isb
    adrp    x1, bare_stack_top
    add     x1, x1, :lo12:bare_stack_top
    mov     sp, x1
    adrp    x1, bare_bss_first
    add     x1, x1, :lo12:bare_bss_first
    adrp    x2, bare_bss_end
    add     x2, x2, :lo12:bare_bss_end
1:  cmp     x1, x2
    b.hs    3f
    stp     xzr, xzr, [x1], #16
    b       1b
3:  adr     x1, bare_vectors
    msr     vbar_el1, x1
    isb
    bl      bare_start
2:  wfi
    b       2b

/*
 * A trap saves x0 to x30, where it came from and its state on the stack of the thread that ran; C
 * answers with the stack of the thread that goes on. Vector registers are not saved: nothing that
 * runs once there are threads uses them.
 */
    .macro trap_entry handler
    sub     sp, sp, #272
    stp     x0, x1, [sp, #0]
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x19, [sp, #144]
    stp     x20, x21, [sp, #160]
    stp     x22, x23, [sp, #176]
    stp     x24, x25, [sp, #192]
    stp     x26, x27, [sp, #208]
    stp     x28, x29, [sp, #224]
    mrs     x1, elr_el1
    stp     x30, x1, [sp, #240]
    mrs     x1, spsr_el1
    str     x1, [sp, #256]
    mov     x0, sp
    bl      \handler
    b       trap_return
    .endm

    .text
trap_sync:
    trap_entry thread_trap_sync
trap_irq:
    trap_entry thread_trap_irq
trap_other:
    trap_entry thread_trap_other
trap_return:
    mov     sp, x0
    ldr     x1, [sp, #256]
    msr     spsr_el1, x1
    ldp     x30, x1, [sp, #240]
    msr     elr_el1, x1
    ldp     x28, x29, [sp, #224]
    ldp     x26, x27, [sp, #208]
    ldp     x24, x25, [sp, #192]
    ldp     x22, x23, [sp, #176]
    ldp     x20, x21, [sp, #160]
    ldp     x18, x19, [sp, #144]
    ldp     x16, x17, [sp, #128]
    ldp     x14, x15, [sp, #112]
    ldp     x12, x13, [sp, #96]
    ldp     x10, x11, [sp, #80]
    ldp     x8, x9, [sp, #64]
    ldp     x6, x7, [sp, #48]
    ldp     x4, x5, [sp, #32]
    ldp     x2, x3, [sp, #16]
    ldp     x0, x1, [sp, #0]
    add     sp, sp, #272
    eret

    .balign 2048
bare_vectors:
    .rept   4                       /* with the other stack pointer: never */
    b       trap_other
    .balign 128
    .endr
    b       trap_sync
    .balign 128
    b       trap_irq
    .balign 128
    .rept   10
    b       trap_other
    .balign 128
    .endr
