# SPDX-License-Identifier: BSD-2-Clause
"""dma_view - bugs of what clients are told about a buffer, put back one by one"""

FILE = "dma/view.c"
VIEW = ["unit/test_view"]

MUTANTS = [
    ("H8: offset and length are added", FILE,
     "nbytes > whole - offset_nbytes", "offset_nbytes + nbytes > whole", VIEW),
    ("H8: a view may begin at the end", FILE, "offset_nbytes >= whole", "offset_nbytes > whole + page",
     VIEW),
    ("H8: the last page, which is not full, counts for nothing", FILE,
     "!range_align_up(buffer->nbytes, page, &whole)", "(whole = buffer->nbytes, false)", VIEW),
    ("H8: a length near 2^64 is rounded up to nothing", FILE,
     "!range_align_up(buffer->nbytes, page, &whole)",
     "(whole = range_align_down(buffer->nbytes + (page - 1), page), false)", VIEW),
    ("H8: the offset is left out", FILE, "*paddr = buffer->paddr + offset_nbytes;",
     "*paddr = buffer->paddr;", VIEW),
    ("H13: the client maps what it likes", FILE, "buffer->vaddr != NULL &&", "false &&", VIEW),
    ("H13: nobody looks whether the tables mean this buffer", FILE,
     "there == buffer->paddr + offset_nbytes", "there != 0", VIEW),
]
