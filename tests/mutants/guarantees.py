# SPDX-License-Identifier: BSD-2-Clause
"""guarantees - the rule behind guarantees (docs/GUARANTEE.md), taken out of the code line by line

CLAUSES: (a line of the rule, numbers of mutants of the model in tests/spin that take it out, its
mutants); a mutant is a name and changes, which are a file of src, a text that is there once, and
what replaces it.
"""

CLAUSES = [
    ("A slot is a run that no other device may take", "27", [
        ("a guarantee takes any slot", [
            ("cma/guarantee.c",
             "    if (slot->first != guarantee &&\n"
             "        (request->group == NULL || slot->first->request.group != request->group)) {\n"
             "        return false;\n    }\n", "")]),
        ("free frames of a slot are idle for ordinary claims", [
            ("frame/slot.c",
             "    slots_sort(slots, slot, true);\n    cma__slot_retake(slots, slot);\n",
             "    slots_sort(slots, slot, true);\n    cma__slot_retake(slots, slot);\n"
             "    for (uint32_t i = 0; i < slot->npages; i++) {\n"
             "        cma__account_idle(frames, cma__span_of(frames, slot->pfn + i),\n"
             "                          slot->pfn + i, 1, true);\n    }\n")]),
        ("a frame that is freed in a slot is the area's again", [
            ("frame/table.c",
             "    if ((word & WORD_ISOLATED) != 0) {\n        return true;",
             "    if ((word & WORD_ISOLATED) != 0 &&\n"
             "        cma__slot_find(frames, span, pfn) == NULL) {\n        return true;")]),
        ("an ordinary release gives a block back", [
            ("cma/area.c", "    if (cma__slot_find(area->frames, area->span, pfn) != NULL) {",
             "    if (pfn == CMA_PFN_NONE) {")]),
    ]),
    ("K(z) <= F(z) for every limit z", "2, 6, 10, 25, 26", [
        ("a kept frame is booked though nothing is free for it", [
            ("frame/slot.c",
             "    bool booked = cma__promise_spare(frames, zone, frames->nzones) != 0;",
             "    bool booked = true;")]),
        ("booking looks up to the mover's limit only, not above", [
            ("frame/slot.c",
             "    bool booked = cma__promise_spare(frames, zone, frames->nzones) != 0;",
             "    bool booked = cma__promise_spare(frames, zone, zone + 1) != 0;")]),
        ("a mover's limit is rounded up to a zone", [
            ("frame/slot.c",
             "        if (frames->zones[zone].last <= paddr_last) {\n            return zone;",
             "        if (zone == 0 || frames->zones[zone - 1].last < paddr_last) {\n"
             "            return zone;")]),
        ("data that reaches no whole zone may be kept", [
            ("frame/slot.c", "            return zone;\n        }\n    }\n    return frames->nzones;",
             "            return zone;\n        }\n    }\n    return 0;")]),
        ("a frame that is freed stays booked", [
            ("frame/slot.c",
             "    if (word_kind(word) == CMA_KIND_MOVABLE) {\n"
             "        slot_unbook(slots, slot, word_mover(word));\n    }\n"
             "    slot_return(slots, slot, pfn);\n    return",
             "    if (word_kind(word) == CMA_KIND_MOVABLE) {\n"
             "        (void)atom_sub(&slot->kept, 1);\n    }\n"
             "    slot_return(slots, slot, pfn);\n    return")]),
        ("a frame that may be dropped again stays booked", [
            ("frame/slot.c", "    if (keep ? error != CMA_OK : error == CMA_OK) {",
             "    if (keep && error != CMA_OK) {")]),
        ("a revoked slot leaves its bookings behind", [
            ("frame/slot.c", "        (void)slots_left(slots, lane, pfn + done, word);\n", "")]),
        ("cached frames count as free", [
            ("buddy/pages.c",
             "        uint64_t spare = cma__promise_spare(frames, i, frames->nzones);\n",
             "        uint64_t spare = cma__promise_spare(frames, i, frames->nzones);\n\n"
             "        spare += pages->cache_ops == NULL ? 0\n"
             "                 : pages->cache_ops->count(pages, CMA_PFN_NONE);\n")]),
    ]),
    ("Kept frames in a slot are at most max_moves", "7, 11", [
        ("keep does not compare with max_moves", [
            ("frame/slot.c",
             "    if (atom_add(&slot->kept, 1) < atom_peek(&slot->max_moves) && cma__promise_book",
             "    if ((atom_add(&slot->kept, 1), true) && cma__promise_book")]),
        ("a block that was taken still counts what was copied out", [
            ("cma/guarantee.c", "    (void)atom_sub(&slot->kept, evacuation.copied);\n", "")]),
    ]),
    ("One gate before every allocation: a floor per zone", "1, 2, 3", [
        ("allocations take what is promised", [
            ("buddy/pages.c",
             "    return frames->slots == NULL || pages_promises_hold(pages, zone, npages);",
             "    return true;")]),
        ("page tables, metadata and pools take what is promised", [
            ("buddy/pages.c", "        if (floored) {\n",
             "        if (floored &&\n"
             "            (want->request->holder.kind != CMA_KIND_UNMOVABLE || zone == 99)) {\n")]),
        ("movable allocations take what is promised", [
            ("buddy/pages.c", "        if (floored) {\n",
             "        if (floored && want->request->holder.kind != CMA_KIND_MOVABLE) {\n")]),
        ("the gate looks at the frame's own zone only", [
            ("buddy/pages.c",
             "    for (uint32_t i = zone; i < frames->nzones; i++) {\n"
             "        uint64_t spare = cma__promise_spare(frames, i, frames->nzones);",
             "    for (uint32_t i = zone; i < zone + 1; i++) {\n"
             "        uint64_t spare = cma__promise_spare(frames, i, i + 1);")]),
        ("other floors are not on top of what is promised", [
            ("buddy/pages.c", "        if (spare < npages || spare - npages < pages->floor_npages[i]) {",
             "        if (spare < npages) {")]),
        ("refills of processors' caches take what is promised", [
            ("buddy/cache.c",
             "                frames->slots == NULL ? idle : "
             "cma__promise_spare(frames, i, frames->nzones);",
             "                idle;")]),
    ]),
    ("... before ordinary claims, pins, lending, dirtying, admission", "1, 4, 5, 6, 9, 24", [
        ("all destinations take what is promised", [
            ("buddy/pages.c",
             "        npages = bits_min(npages, pages_spare_for(frames, span->zone, want));",
             "        (void)pages_spare_for;")]),
        ("destinations of claims and of admission take what is promised", [
            ("buddy/pages.c",
             "        npages = bits_min(npages, pages_spare_for(frames, span->zone, want));",
             "        npages = bits_min(npages, want->flags == 0 ? UINT64_MAX\n"
             "                          : pages_spare_for(frames, span->zone, want));")]),
        ("destinations of pins take what is promised", [
            ("buddy/pages.c",
             "        npages = bits_min(npages, pages_spare_for(frames, span->zone, want));",
             "        npages = bits_min(npages, want->flags == CMA_DESTINATION_PINNED ? UINT64_MAX\n"
             "                          : pages_spare_for(frames, span->zone, want));")]),
        ("who moves out a droppable frame to write takes what is promised", [
            ("frame/migrate.c",
             "    want.flags = what & CMA_DESTINATION_PINNED;",
             "    want.flags = what & CMA_DESTINATION_PINNED;\n"
             "    want.flags |= cma__slot_find(frames, span, from) != NULL ? "
             "CMA_DESTINATION_PROMISED : 0;")]),
        ("a claim's look at its room counts what is promised", [
            ("buddy/pages.c",
             "        idle = cut != 0 ? bits_min(idle, cma__promise_spare(frames, cut - 1, "
             "frames->nzones)) : 0;\n"
             "        spare = cma__promise_spare(frames, cut, frames->nzones);\n", "")]),
        ("kept data is lent frames of slots without a booking", [
            ("frame/slot.c", "    bool kept = holder->kind == CMA_KIND_MOVABLE;", "    bool kept = false;")]),
        ("a droppable frame gets dirty without a booking", [
            ("frame/slot.c", "    if (keep && !slot_book(slots, slot, word_mover(word))) {\n"
             "        return CMA_EBUSY;\n    }\n", "    if (keep) {\n"
             "        (void)atom_add(&slot->kept, 1);\n    }\n")]),
        ("a droppable frame gets dirty past the slot", [
            ("frame/hold.c", "    if (slots != NULL) {\n        error = slots->ops->set_kind",
             "    if (slots != NULL && kind == CMA_KIND_NONE) {\n"
             "        error = slots->ops->set_kind")]),
        ("an admission's plan does not look at the room", [
            ("cma/admit.c",
             "        admit_look_at_room(admit, false);\n        if (admit_count(admit, admit->request",
             "        admit_look_at_room(admit, true);\n        if (admit_count(admit, admit->request")]),
    ]),
    ("Evacuation takes the highest zone the mover accepts", "13", [
        ("destinations come from the lowest zone, promised ones with no look at it", [
            ("buddy/pages.c",
             "    for (uint32_t i = frames->nspans; i-- > 0 && taken == 0;) {\n"
             "        if (frames->spans[i].is_area == 0) {",
             "    for (uint32_t i = 0; i < frames->nspans && taken == 0; i++) {\n"
             "        if (frames->spans[i].is_area == 0) {"),
            ("buddy/pages.c", "            first = lower_last + 1;\n", ""),
            ("buddy/pages.c", "        end = cma__promise_zone(frames, want->paddr_last);", "        end = 0;")]),
        ("destinations come from the lowest zone", [
            ("buddy/pages.c",
             "    for (uint32_t i = frames->nspans; i-- > 0 && taken == 0;) {\n"
             "        if (frames->spans[i].is_area == 0) {",
             "    for (uint32_t i = 0; i < frames->nspans && taken == 0; i++) {\n"
             "        if (frames->spans[i].is_area == 0) {"),
            ("buddy/pages.c", "            first = lower_last + 1;\n", "")]),
        ("a promised destination lies above the mover's limit", [
            ("frame/evacuate.c",
             "        struct cma_destination want = {.paddr_last = mover->paddr_last,",
             "        struct cma_destination want = {.paddr_last = flags != 0 ? CMA_PADDR_MAX\n"
             "                                       : mover->paddr_last,")]),
    ]),
    ("... and books source and destination in one step", "14, 15, 16", [
        ("the promise is not taken with the destination", [
            ("buddy/pages.c", "        promise_drop(frames, zone, npages);\n    }\n    for",
             "        (void)zone;\n    }\n    for")]),
        ("the promise is dropped first, the destination taken then", [
            ("buddy/pages.c", "        promise_drop(frames, zone, npages);\n    }\n    for",
             "        (void)zone;\n    }\n    for"),
            ("buddy/pages.c",
             "    uint64_t npages = want->npages;\n    uintptr_t state = cma__span_lock(frames, span);",
             "    uint64_t npages = want->npages;\n"
             "    uint32_t zone = cma__promise_zone(frames, want->paddr_last);\n"
             "    bool booked = (want->flags & CMA_DESTINATION_PROMISED) != 0 && span->is_area == 0 &&\n"
             "                  frames->slots != NULL;\n"
             "    uintptr_t state;\n\n"
             "    if (booked) {\n"
             "        promise_drop(frames, zone, want->npages);\n"
             "        sched_yield();\n    }\n"
             "    state = cma__span_lock(frames, span);"),
            ("buddy/pages.c",
             "            pages_judge_floors(pages);\n        }\n    }\n    cma__span_unlock",
             "            pages_judge_floors(pages);\n        }\n    }\n"
             "    if (booked) {\n"
             "        (void)atom_add(&frames->zone_promised[zone], want->npages - taken);\n    }\n"
             "    cma__span_unlock")]),
        ("the destination is taken first, the booked frame frozen then", [
            ("frame/evacuate.c",
             "    if (kept && evacuate->evacuation->destination != 0) {\n"
             "        return evacuate_begin_booked(evacuate, mover, nmoves);\n    }\n"
             "    found = evacuate_destinations(frames, moves, nmoves, mover, 0);",
             "    (void)evacuate_begin_booked;\n"
             "    found = evacuate_destinations(frames, moves, nmoves, mover,\n"
             "        kept ? evacuate->evacuation->destination : 0);")]),
        ("a destination that goes back unused is not booked again", [
            ("buddy/pages.c",
             "            (void)atom_add(&frames->zone_promised[mark - CMA__PROMISE_MARK(0)], 1);",
             "            (void)frames;")]),
        ("destinations of a batch that is undone are not booked again", [
            ("frame/evacuate.c",
             "    if (evacuate->evacuation->destination != 0) {\n        evacuate_mark(evacuate);\n    }\n",
             "    (void)evacuate_mark;\n")]),
        ("a destination's mark stays where somebody else puts it back", [
            ("buddy/pages.c", "                  promised ? CMA__PROMISE_MARK(zone) : 0);",
             "                  promised ? CMA__PROMISE_MARK(zone)\n"
             "                  : atom_peek(&span_record(frames, span, pfn + i)->cookie));")]),
        ("who moves out a booked frame does not take the booking along", [
            ("frame/slot.c",
             "        .from = from, .flags = CMA_DESTINATION_PROMISED | what, .npages = 1};",
             "        .from = from, .flags = what, .npages = 1};")]),
    ]),
    ("Slots are lent as single frames, past the processors' caches", "3", [
        ("a frame that is freed in a slot goes into a cache", [
            ("buddy/cache.c", "span == NULL || span->is_area != 0 ||\n", "span == NULL ||\n"),
            ("buddy/cache.c", "        span->zone != pages->cache_zone || !cache_let_go",
             "        (span->is_area == 0 && span->zone != pages->cache_zone) || !cache_let_go")]),
        ("aligned requests borrow single frames", [
            ("buddy/pages.c", "           request->align_npages <= 1 &&\n", "")]),
    ]),
    ("... only to movers that never refuse, need no memory", "20, 21", [
        ("movers that may refuse are lent slots", [
            ("frame/table.c", "CMA_MOVER_MAY_REFUSE | ", "")]),
        ("movers that need memory are lent slots", [
            ("frame/table.c", " | CMA_MOVER_NEEDS_MEMORY", "")]),
        ("a request borrows for a mover that is not sure", [
            ("frame/slot.c",
             "    if (!cma__mover_is_sure(slots->frames, holder->mover)) {\n"
             "        return CMA_ENOMEM;\n    }\n", "")]),
        ("a frame is published for a mover that is not sure", [
            ("frame/slot.c",
             "    return cma__mover_is_sure(slots->frames, holder->mover) && holder->kind",
             "    return holder->kind")]),
        ("kept data is published without a booking", [
            ("frame/slot.c",
             "    return cma__mover_is_sure(slots->frames, holder->mover) && holder->kind == "
             "CMA_KIND_DROPPABLE",
             "    return cma__mover_is_sure(slots->frames, holder->mover)")]),
    ]),
    ("Publish fails if the slot was isolated meanwhile", "8, 12", [
        ("publishing does not look at the slot's state", [
            ("frame/slot.c",
             "    return atom_load(&slot->state) == CMA__SLOT_LENT && slot_covers(slot, record);",
             "    return slot_covers(slot, record);")]),
        ("a frame gets dirty in a slot that is being taken", [
            ("frame/slot.c",
             "    bool done = slot_is_lent(slot, (uint32_t)(record - frames->records)) &&",
             "    bool done = slot != NULL &&")]),
        ("publishing takes a frame that somebody has", [
            ("frame/slot.c", "    if (atom_peek(&record->word) != 0) {\n        return CMA_EBADF;",
             "    if (false) {\n        return CMA_EBADF;")]),
        ("who takes a slot does not wait for who is just publishing", [
            ("cma/guarantee.c", "    cma__slot_settle(&all->slots, slot);\n", ""),
            ("frame/slot.c",
             "    (void)atom_add(&slot->lent, 1);\n    cma__frame_enter",
             "    (void)atom_add(&slot->lent, 1);\n    sched_yield();\n    cma__frame_enter")]),
    ]),
    ("An unpublished frame counts as free", "12", [
        ("a frame counts as lent before it is published", [
            ("frame/slot.c",
             "    const struct cma_frame_record *record = span_record(frames, span, pfn);\n\n"
             "    if (!slot_is_lent(slot, (uint32_t)(record - frames->records))) {\n"
             "        return CMA_EAGAIN;",
             "    const struct cma_frame_record *record = span_record(frames, span, pfn);\n\n"
             "    (void)atom_add(&slot->lent, 1);\n"
             "    if (!slot_is_lent(slot, (uint32_t)(record - frames->records))) {\n"
             "        return CMA_EAGAIN;"),
            ("frame/slot.c", "    (void)atom_add(&slot->lent, 1);\n    cma__frame_enter",
             "    cma__frame_enter")]),
        ("what was booked for a frame that is not published stays booked", [
            ("frame/slot.c",
             "    if (error != CMA_OK && kept) {\n"
             "        slot_unbook(slots, slot, holder->mover);\n    }\n", ""),
            ("frame/slot.c", "    while (from < end && atom_peek(&records[from].word) != 0) {",
             "    while (false) {")]),
    ]),
    ("Every reference to a slot frame moves it out first", "18, 19", [
        ("a frame of a slot gives a short reference", [
            ("frame/pin.c",
             "            if (span->is_area != 0 &&\n"
             "                (span->lend_class == CMA_LEND_SLOT ||\n"
             "                 ((word & WORD_FROZEN) == 0 && "
             "cma__slot_find(frames, span, pfn) != NULL))) {\n"
             "                return CMA_EBUSY;\n            }\n"
             "            if ((word & (WORD_FROZEN | WORD_ISOLATED)) != 0) {",
             "            if ((word & WORD_FROZEN) != 0) {")]),
        ("a frame of a slot is pinned in place", [
            ("frame/pin.c",
             "(span->lend_class == CMA_LEND_SLOT || cma__slot_find(frames, span, pfn) != NULL)) {\n"
             "        return CMA_EPERM;",
             "span->lend_class == CMA_LEND_SLOT) {\n        return CMA_EPERM;"),
            ("frame/pin.c", "        if (more && (word & (WORD_FROZEN | WORD_ISOLATED)) != 0) {",
             "        if (more && (word & WORD_FROZEN) != 0) {")]),
        ("a pin holds a frame of a slot where it is", [
            ("frame/pin.c", "    if (span != NULL && span->is_area != 0) {\n"
             "        return cma__frame_move_pinned",
             "    if (span != NULL && span->is_area != 0 &&\n"
             "        cma__slot_find(frames, span, pfn) == NULL) {\n"
             "        return cma__frame_move_pinned"),
            ("frame/pin.c",
             "(span->lend_class == CMA_LEND_SLOT || cma__slot_find(frames, span, pfn) != NULL)) {\n"
             "        return CMA_EPERM;",
             "span->lend_class == CMA_LEND_SLOT) {\n        return CMA_EPERM;"),
            ("frame/pin.c", "        if (more && (word & (WORD_FROZEN | WORD_ISOLATED)) != 0) {",
             "        if (more && (word & WORD_FROZEN) != 0) {")]),
        ("a request that asks for a reference borrows", [
            ("buddy/pages.c", "(CMA_PAGES_NO_LENT | CMA_PAGES_REF)) == 0 &&", "CMA_PAGES_NO_LENT) == 0 &&")]),
        ("who moves a frame out is still counted in the slot", [
            ("frame/slot.c", "        slot_return(slots, slot, pfn);\n    }\n    guard_tlb_flush",
             "    }\n    guard_tlb_flush")]),
        ("a frame moves out without the flush", [
            ("frame/slot.c", "    guard_tlb_flush(frames->port);\n    cma__migrate_finish",
             "    cma__migrate_finish")]),
    ]),
    ("Admission empties the run", "23", [
        ("admission does not claim the run", [
            ("cma/admit.c",
             "    return cma_area_alloc(admit->area, &area, &pfn, &admit->refusal);",
             "    (void)pfn;\n    return CMA_OK;")]),
        ("a refused admission keeps what it claimed", [
            ("cma/admit.c", "    if (error != CMA_OK) {\n        admit_unclaim(admit);\n    }\n", "")]),
    ]),
    ("... fixes mask, boundary and alignment", "", [
        ("admission does not look at the mask", [
            ("cma/promise.h", "        .paddr_last = request->paddr_last,",
             "                    .paddr_last = CMA_PADDR_MAX,")]),
        ("admission does not look at the lowest address", [
            ("cma/promise.h", "        .paddr_first = request->paddr_first,\n", "")]),
        ("admission does not look at the boundary", [
            ("cma/promise.h", "        .boundary_nbytes = request->boundary_nbytes,\n", "")]),
        ("admission does not look at the alignment", [
            ("cma/promise.h", "        .align_npages = request->align_npages,\n", "")]),
        ("admission does not look at the bus's offset", [
            ("cma/promise.h", "        .bus_offset = request->bus_offset,\n", "")]),
        ("a device's mask is not that of its promise", [
            ("dma/promise.c", "        request->paddr_last = part.last;",
             "        request->paddr_last = CMA_PADDR_MAX;")]),
        ("a device's boundary is not that of its promise", [
            ("dma/promise.c", "    guarantee.boundary_nbytes = plan.boundary_nbytes;\n", "")]),
        ("a device's alignment is not that of its promise", [
            ("dma/promise.c",
             "    guarantee.align_npages = plan.align_nbytes >> device->dma->port->page_shift;\n", "")]),
        ("a block is taken from a slot that it does not fit in", [
            ("cma/guarantee.c", "    want.last = bits_min(want.last, slot->pfn + (slot->npages - 1));",
             "    want.last = bits_max(want.last, slot->pfn + (slot->npages - 1));")]),
    ]),
    ("... and reserves records, address space and page tables", "", [
        ("admission does not count the storage for slots", [
            ("cma/admit.c", "    if (count > admit_spare(admit)) {", "    if (false) {")]),
        ("admission does not try the mapping", [
            ("dma/promise.c",
             "            error = cma__handover_try(device, pfn, guarantee->request.npages,\n"
             "                                      promise->reserved != 0, refusal);",
             "            error = 0;")]),
    ]),
    ("Hooks that can fail run at admission only", "", [
        ("a block of a promise is mapped when it is taken", [
            ("dma/handover.c",
             "    made.vaddr = handover_linear(port, made.paddr, nbytes);\n    error",
             "    made.vaddr = port->map != NULL ? NULL\n"
             "                                   : handover_linear(port, made.paddr, nbytes);\n    error"),
            ("dma/handover.c",
             "    if (!handover_uniform(port, paddr, nbytes, NULL)) {\n", "    if (false) {\n")]),
        ("a host that can't lend a slot's frames ends the guarantee", [
            ("cma/guarantee.c",
             "        (void)ops->lend(ops->ctx, slot->pfn, slot->npages, CMA_LEND_SLOT);",
             "        if (ops->lend(ops->ctx, slot->pfn, slot->npages, CMA_LEND_SLOT) != 0) {\n"
             "            atom_store(&slot->state, CMA__SLOT_TAKING);\n        }")]),
    ]),
    ("A release ends when the device is quiet", "22", [
        ("a release does not wait for the device", [
            ("cma/guarantee.c", "    return quiet ? cma_guarantee_quiet(guarantee, pfn) : CMA_OK;",
             "    (void)quiet;\n    return cma_guarantee_quiet(guarantee, pfn);")]),
        ("a block is lent as soon as it is given back", [
            ("cma/guarantee.c", "    return quiet ? cma_guarantee_quiet(guarantee, pfn) : CMA_OK;",
             "    if (!quiet) {\n"
             "        for (uint32_t i = 0; i < guarantee->all->slots.nslots; i++) {\n"
             "            struct cma_slot *slot = &guarantee->all->slots.slots[i];\n\n"
             "            if (slot->state == CMA__SLOT_RETURNING) {\n"
             "                cma__slot_retake(&guarantee->all->slots, slot);\n"
             "                slot->state = CMA__SLOT_LENT;\n            }\n        }\n    }\n"
             "    return quiet ? cma_guarantee_quiet(guarantee, pfn) : CMA_OK;")]),
        ("quiet ends what was not given back", [
            ("cma/guarantee.c",
             "    slot = guarantee_change(guarantee, pfn, CMA__SLOT_RETURNING, CMA__SLOT_TAKING);",
             "    slot = guarantee_change(guarantee, pfn, CMA__SLOT_RETURNING, CMA__SLOT_TAKING);\n"
             "    if (slot == NULL) {\n"
             "        slot = guarantee_change(guarantee, pfn, CMA__SLOT_TAKEN, CMA__SLOT_TAKING);\n"
             "    }")]),
    ]),
    ("Revoking a guarantee with live blocks is refused", "27", [
        ("a guarantee is revoked with its blocks out", [
            ("cma/admit.c", "    int error = guarantee->live == 0 ? CMA_OK : CMA_EBUSY;",
             "    int error = CMA_OK;")]),
        ("a guarantee is revoked while a frame is moved out", [
            ("cma/admit.c", "admit_may_close(guarantee) ? admit_retire(guarantee) : CMA_EAGAIN;",
             "admit_retire(guarantee);")]),
    ]),
    ("The bound: at most max_moves copies", "7, 8, 11", [
        ("droppable frames of a slot are copied", [
            ("frame/evacuate.c",
             "    if (word_kind(word) == CMA_KIND_DROPPABLE) {\n        error = evacuate_discard",
             "    if (word_kind(word) == CMA_KIND_DROPPABLE &&\n"
             "        evacuate->evacuation->destination == 0) {\n        error = evacuate_discard")]),
        ("the fullest slot is taken", [
            ("cma/guarantee.c",
             "        uint64_t price = (uint64_t)atom_peek(&slot->kept) << 32 | "
             "atom_peek(&slot->lent);",
             "        uint64_t price = UINT64_MAX - 1 - ((uint64_t)atom_peek(&slot->kept) << 32 |\n"
             "                         atom_peek(&slot->lent));")]),
    ]),
    ("... one discard per slot page", "", [
        ("a frame is discarded twice", [
            ("frame/evacuate.c",
             "        *error = discard ? mover->discard(mover->ctx, moves[i].from, moves[i].cookie)",
             "        *error = discard ? (mover->discard(mover->ctx, moves[i].from, moves[i].cookie),\n"
             "                            mover->discard(mover->ctx, moves[i].from, "
             "moves[i].cookie))")]),
    ]),
    ("... the zeroing and cleaning of `size` bytes", "", [
        ("a block is zeroed twice", [
            ("dma/handover.c", "        port->zero(port->ctx, made->paddr, nbytes);\n",
             "        port->zero(port->ctx, made->paddr, nbytes);\n"
             "        port->zero(port->ctx, made->paddr, nbytes);\n")]),
        ("a block is not zeroed", [
            ("dma/handover.c", "        port->zero(port->ctx, made->paddr, nbytes);\n", "")]),
        ("a block is cleaned twice", [
            ("dma/handover.c",
             "        port->clean(port->ctx, paddr, nbytes);\n",
             "        port->clean(port->ctx, paddr, nbytes);\n"
             "        port->clean(port->ctx, paddr, nbytes);\n")]),
    ]),
    ("... one attribute change per page", "", [
        ("attributes are changed twice", [
            ("dma/handover.c",
             "    port->set_attr(port->ctx, paddr, nbytes, attr);\n",
             "    port->set_attr(port->ctx, paddr, nbytes, attr);\n"
             "    port->set_attr(port->ctx, paddr, nbytes, attr);\n")]),
    ]),
    ("... one flush per batch", "", [
        ("each copy has a flush of its own", [
            ("frame/evacuate.c",
             "#define EVACUATE_BATCH (UINTPTR_MAX > UINT32_MAX ? 32 : 8)", "#define EVACUATE_BATCH 1")]),
        ("each discard has a flush of its own", [
            ("frame/evacuate.c",
             "        evacuate->evacuation->dropped += *done;\n        evacuate->flush = true;\n",
             "        evacuate->evacuation->dropped += *done;\n"
             "        guard_tlb_flush(frames->port);\n")]),
        ("who gives up does not flush what he dropped", [
            ("cma/guarantee.c",
             "        guard_tlb_flush(frames->port);\n        evacuation.flushes++;",
             "        evacuation.flushes++;")]),
    ]),
    ("Idle slots are lent to at least 95 %", "", [
        ("slots are not lent at all", [
            ("buddy/pages.c", "    return slots != NULL && (request->flags &",
             "    return slots == NULL && (request->flags &")]),
        ("a block that came back is not lent again", [
            ("frame/slot.c", "    (void)atom_sub(&slot->lent, 1);\n    /* The next",
             "    /* The next")]),
        ("frames before the last one that was lent are not found again", [
            ("frame/slot.c", "    for (uint32_t round = 0; round < 2; round++) {",
             "    for (uint32_t round = 0; round < 1; round++) {"),
            ("frame/slot.c",
             "    atom_poke(&slot->hint, slot_number(slot, cma__span_of(slots->frames, pfn), pfn));\n", "")]),
    ]),
    ("Members of a group are never open together, and keep to the least max_moves", "28, 29", [
        ("two members of a group are open", [
            ("cma/guarantee.c",
             "    } else if (group != NULL && group->open != NULL && group->open != guarantee) {",
             "    } else if (group != NULL && group->nmembers == 0) {")]),
        ("a group stays open when its last block is back", [
            ("cma/guarantee.c", "        group->open = NULL;", "        (void)group;")]),
        ("a new member does not empty what allows more copies", [
            ("cma/admit.c", "        error = admit_lower(admit);", "        (void)admit_lower;")]),
        ("a refused member leaves the others fewer copies", [
            ("cma/admit.c",
             "        admit_set_max_moves(slots, admit->guarantee, request->group->max_moves);",
             "        (void)slots;")]),
        ("a member that is refused late keeps what it claimed", [
            ("cma/admit.c",
             "        admit_unclaim(admit);\n        admit->refusal.reason = CMA_REASON_MOVER;",
             "        admit->refusal.reason = CMA_REASON_MOVER;")]),
        ("a new member's slots allow more copies than the others'", [
            ("cma/admit.c", "            max_moves = (uint32_t)bits_min(max_moves, group->max_moves);\n",
             "")]),
        ("the first member to go takes the slots along", [
            ("cma/admit.c", "        if (heir == NULL) {\n",
             "        if (heir == NULL || slot->first == guarantee) {\n")]),
    ]),
    ("Quotas: no device drains an area where others have guarantees", "", [
        ("a quota is not looked at", [
            ("dma/coherent.c", "        if (npages > quota || had > quota - (uint32_t)npages) {",
             "        if (npages > quota) {")]),
    ]),
]
