# SPDX-License-Identifier: BSD-2-Clause
"""dma_stream - bugs of streaming mappings, lists and device views, Linux's and others, put back"""

STREAM = "dma/stream.c"
LIST = "dma/list.c"
DEVICE = "dma/device.c"
BOUNCE = "dma/bounce.c"
REACH = "dma/reach.c"
HOOKS = ["unit/test_stream"]
DATA = ["unit/test_streaming"]
LISTS = ["unit/test_list"]
VIEW = ["unit/test_device"]
INHERIT = ["unit/test_inherit"]
NUMBERS = ["model/arithmetic --bits 3"]

MUTANTS = [
    # The table at the top of stream.h, line by line, seen by the data alone.
    ("the table: map cleans nothing", STREAM,
     "        cma__stream_clean(device, mapped, nbytes);\n"
     "        port->dma_barrier(port->ctx);\n",
     "        port->dma_barrier(port->ctx);\n", DATA),
    ("the table: map cleans nothing where the device writes", STREAM,
     "        cma__stream_clean(device, mapped, nbytes);\n"
     "        port->dma_barrier(port->ctx);\n",
     "        if (direction != CMA_FROM_DEVICE) {\n"
     "            cma__stream_clean(device, mapped, nbytes);\n"
     "        }\n"
     "        port->dma_barrier(port->ctx);\n", DATA),
    ("the table: sync for the device cleans nothing", STREAM,
     "    cma__stream_clean(device, daddr, nbytes);\n"
     "    port->dma_barrier(port->ctx);\n"
     "    return 0;",
     "    port->dma_barrier(port->ctx);\n"
     "    return 0;", DATA),
    ("the table: unmap drops nothing", STREAM,
     "    if ((flags & CMA_MAP_SKIP_SYNC) == 0) {\n"
     "        stream_to_cpu(device, &place, direction);\n"
     "    }\n",
     "    if ((flags & CMA_MAP_SKIP_SYNC) == 0 && place.bounce != NULL) {\n"
     "        stream_to_cpu(device, &place, direction);\n"
     "    }\n", DATA),
    ("the table: sync for the CPU drops nothing", STREAM,
     "    if (error == 0) {\n"
     "        stream_to_cpu(device, &place, direction);\n"
     "    }\n",
     "    if (error == 0 && place.bounce != NULL) {\n"
     "        stream_to_cpu(device, &place, direction);\n"
     "    }\n", DATA),
    ("the table: both ways is taken for one", STREAM,
     "    if (direction == CMA_TO_DEVICE) {\n"
     "        return;",
     "    if (direction != CMA_FROM_DEVICE) {\n"
     "        return;", DATA),
    ("the table: TO_DEVICE drops lines", STREAM,
     "    if (direction == CMA_TO_DEVICE) {\n"
     "        return;",
     "    if (port == NULL) {\n"
     "        return;", HOOKS),
    ("the table: lines are dropped at map, before the transfer", STREAM,
     "            port->clean(port->ctx, paddr, nbytes);\n",
     "            port->clean(port->ctx, paddr, nbytes);\n"
     "            port->invalidate(port->ctx, paddr, nbytes);\n", HOOKS),
    ("maintenance for a device that snoops", STREAM,
     "    if (!cma__device_snoops(device)) {\n"
     "        stream_maintain(device, place->daddr",
     "    if (device != NULL) {\n"
     "        stream_maintain(device, place->daddr", HOOKS),
    # The same through bounce memory.
    ("bounced: the copy comes out before stale lines are dropped", STREAM,
     "    if (!cma__device_snoops(device)) {\n"
     "        stream_maintain(device, place->daddr, place->last, true);\n"
     "    }\n"
     "    if (place->bounce != NULL) {\n"
     "        place->bounce->ops->copy(place->bounce, place->paddr, place->last - place->daddr + 1, true);\n"
     "    }\n",
     "    if (place->bounce != NULL) {\n"
     "        place->bounce->ops->copy(place->bounce, place->paddr, place->last - place->daddr + 1, true);\n"
     "    }\n"
     "    if (!cma__device_snoops(device)) {\n"
     "        stream_maintain(device, place->daddr, place->last, true);\n"
     "    }\n", DATA),
    ("bounced: nothing comes out", STREAM,
     "        place->bounce->ops->copy(place->bounce, place->paddr, place->last - place->daddr + 1, true);\n",
     "        ;\n", DATA),
    ("bounced: sync for the device copies nothing in", STREAM,
     "        bounce->ops->copy(bounce, place.paddr, nbytes, false);\n",
     "        ;\n", DATA),
    ("H3, case 42: sync for the device writes over what the device wrote", STREAM,
     "    if (bounce != NULL && direction != CMA_FROM_DEVICE) {",
     "    if (bounce != NULL) {", DATA),
    ("bounced: what was copied in stays in the cache", STREAM,
     "    cma__stream_clean(device, daddr, nbytes);\n"
     "    port->dma_barrier(port->ctx);\n"
     "    return 0;",
     "    if (bounce == NULL) {\n"
     "        cma__stream_clean(device, daddr, nbytes);\n"
     "    }\n"
     "    port->dma_barrier(port->ctx);\n"
     "    return 0;", DATA),
    ("H3: who syncs himself finds zeroes where the device wrote nothing", BOUNCE,
     "    if (direction == CMA_FROM_DEVICE || (flags & CMA_MAP_SKIP_SYNC) == 0) {\n",
     "    if ((flags & CMA_MAP_SKIP_SYNC) == 0) {\n", DATA),
    ("contiguous memory of a pool can't be synced", BOUNCE,
     "            ? whole\n",
     "            ? device != NULL\n", DATA),
    ("contiguous memory of a pool is unmapped", BOUNCE,
     "            ? whole\n",
     "            ? device == NULL\n", DATA),
    ("two slots share a cache line", BOUNCE,
     "        slot < port->cache_line_nbytes ||", "       ", DATA),
    ("lines that are shared with other data are the device's", STREAM,
     "    } else if (stream_shares_lines(device, request)) {",
     "    } else if (request == NULL) {", DATA),
    ("only the first line is looked at", STREAM,
     "((request->paddr | request->nbytes) & mask) != 0;",
     "(request->paddr & mask) != 0;", DATA),
    ("only the last line is looked at", STREAM,
     "((request->paddr | request->nbytes) & mask) != 0;",
     "((request->paddr + request->nbytes) & mask) != 0;", DATA),
    # Who is bounced, and who isn't.
    ("H6: a device that is not trusted is not bounced", STREAM,
     "           (device->config.flags & CMA__DEVICE_BOUNCES) != 0;",
     "           (device->config.flags & CMA_DEVICE_BOUNCE_ALWAYS) != 0;", HOOKS),
    ("H6: a device with a pool of its own falls back to that of all", "dma/device.h",
     "    return device->config.bounce != NULL ? device->config.bounce : device->dma->bounce;",
     "    return device->dma->bounce != NULL ? device->dma->bounce : device->config.bounce;", HOOKS),
    ("H6: without a pool it is mapped as it is", STREAM,
     "    if (bounce == NULL || (request->flags & CMA_MAP_NO_BOUNCE) != 0) {",
     "    if (bounce == NULL && (*bounced = false, reason == CMA_REASON_BOUNCE)) {\n"
     "        return 0;\n"
     "    }\n"
     "    if (bounce == NULL || (request->flags & CMA_MAP_NO_BOUNCE) != 0) {", HOOKS),
    ("H6: RESTRICTED needs no pool of its own", DEVICE,
     " &&\n"
     "           ((config->flags & CMA_DEVICE_RESTRICTED) == 0 || config->bounce != NULL);",
     ";", VIEW),
    ("H6: a restricted device reaches other devices", STREAM,
     "    if ((device->config.flags & CMA_DEVICE_RESTRICTED) != 0) {\n"
     "        return CMA_ERANGE;\n"
     "    }\n",
     "", HOOKS),
    ("the platform's word does not count", STREAM,
     "    return (dma->must_bounce != NULL &&\n"
     "            dma->must_bounce(",
     "    return (dma->must_bounce == NULL &&\n"
     "            dma->must_bounce(", HOOKS),
    ("what can never be mapped asks the pool", STREAM,
     "    if (request->nbytes - 1 > device->config.mask) {",
     "    if (request->nbytes == 0) {", HOOKS),
    ("a pool out of reach is used", STREAM,
     "    if (cma_device_to_bus(device, bounced, request->nbytes, device->config.mask, daddr) != 0) {",
     "    if (cma_device_to_bus(device, bounced, request->nbytes, UINT64_MAX, daddr) != 0) {", HOOKS),
    ("a refused mapping keeps its slots", STREAM,
     "        bounce->ops->unmap(bounce, bounced);\n"
     "        return stream_refuse",
     "        return stream_refuse", HOOKS),
    ("NO_BOUNCE says nothing", STREAM,
     "    if (bounce == NULL || (request->flags & CMA_MAP_NO_BOUNCE) != 0) {",
     "    if (bounce == NULL) {", HOOKS),
    ("COHERENT says nothing", STREAM,
     "    if ((request->flags & CMA_MAP_COHERENT) != 0 && (*bounced",
     "    if ((request->flags & CMA_MAP_COHERENT) > 64 && (*bounced", HOOKS),
    # H7, H8, case 45.
    ("H7, case 45: a part of a mapping is unmapped", STREAM,
     "        error = stream_find(device, daddr, nbytes, direction, true, &place);",
     "        error = stream_find(device, daddr, nbytes, direction, false, &place);", HOOKS),
    ("H7: another device's bounce memory is ordinary memory", STREAM,
     "        if (stream_is_held(device->dma->bounce, paddr, nbytes)) {\n"
     "            return CMA_EPERM;\n"
     "        }\n",
     "", HOOKS),
    ("H7: what ends in bounce memory is ordinary memory", STREAM,
     "        if (stream_is_held(cma__device_bounce(device), paddr, nbytes)) {\n"
     "            return CMA_EINVAL;\n"
     "        }\n",
     "", HOOKS),
    ("H7: a bounced mapping is not judged", STREAM,
     "bounce->ops->judge(bounce, device, place->paddr, nbytes, direction, whole);",
     "0;", HOOKS),
    ("H8, case 45: a part may pass the end by one", STREAM,
     "        if (place->last - at < nbytes) {",
     "        if (place->last - at <= nbytes) {", HOOKS),
    ("H7: a sync passes the mask", STREAM,
     "    if (place->last > bits_max(config->mask, config->coherent_mask)) {\n"
     "        return CMA_ERANGE;\n"
     "    }\n",
     "", HOOKS),
    # H9: what wraps.
    ("H9: paddr + nbytes wraps", STREAM,
     "    if (!range_last(request->paddr, request->nbytes, &last)) {\n"
     "        return stream_refuse(device, CMA_EOVERFLOW",
     "    last = request->paddr + request->nbytes;\n"
     "    if (last < request->nbytes) {\n"
     "        return stream_refuse(device, CMA_EOVERFLOW", NUMBERS),
    ("H9: a length is an int", STREAM,
     "    struct cma_stream_request request = {paddr, nbytes, direction, flags};\n"
     "    cma_daddr_t mapped",
     "    struct cma_stream_request request = {paddr, (uint32_t)nbytes, direction, flags};\n"
     "    cma_daddr_t mapped", NUMBERS),
    ("H9: a physical address is as wide as a pointer", STREAM,
     "    struct cma_stream_request request = {paddr, nbytes, direction, flags};\n"
     "    cma_daddr_t mapped",
     "    struct cma_stream_request request = {(uint32_t)paddr, nbytes, direction, flags};\n"
     "    cma_daddr_t mapped", NUMBERS),
    ("H9: a frame's number is shifted out", STREAM,
     "    if (pfn > UINT64_MAX >> shift || offset_nbytes",
     "    if (offset_nbytes", HOOKS),
    ("H9: an offset wraps", STREAM,
     " || offset_nbytes > UINT64_MAX - paddr) {",
     ") {", HOOKS),
    ("H9: the end of a CPU address wraps", STREAM,
     "    } else if (nbytes - 1 > UINTPTR_MAX - first) {",
     "    } else if (nbytes == UINT64_MAX) {", HOOKS),
    ("H9: a sync wraps", STREAM,
     "    if (!range_last(daddr, nbytes, &place->last)) {\n"
     "        return CMA_EOVERFLOW;\n"
     "    }\n",
     "    place->last = daddr + (nbytes - 1);\n", HOOKS),
    ("only the first page of a CPU address is looked up", STREAM,
     "error == 0 && (last & ~mask) - at != 0;) {",
     "error != 0;) {", HOOKS),
    ("a page is skipped", STREAM,
     "        at += mask + 1;\n",
     "        at += mask + 1;\n"
     "        at += (last & ~mask) - at > mask ? mask + 1 : 0;\n", HOOKS),
    ("uncached memory is mapped", STREAM,
     "    if (error == 0 && attr != CMA_ATTR_CACHED) {\n"
     "        error = CMA_EBADF;\n"
     "    }\n",
     "", HOOKS),
    ("memory is mapped as a resource", STREAM,
     "    if (stream_is_known(device->dma->frames, paddr, last)) {\n"
     "        return CMA_EEXIST;\n"
     "    }\n",
     "", HOOKS),
    # Device views: case 40, H9, H10.
    ("H10: a mapping is judged by its first byte", STREAM,
     "    if (cma_device_to_bus(device, request->paddr, request->nbytes, device->config.mask, daddr) !=\n"
     "        0) {",
     "    if (cma_device_to_bus(device, request->paddr, 1, device->config.mask, daddr) !=\n"
     "        0) {", HOOKS),
    ("case 40: the end of a window is mask + 1", DEVICE,
     "    if (window->daddr_last > mask) {\n"
     "        window->paddr_last -= window->daddr_last - mask;\n"
     "        window->daddr_last = mask;",
     "    if (window->daddr_last > mask + 1) {\n"
     "        window->paddr_last -= window->daddr_last - (mask + 1);\n"
     "        window->daddr_last = mask + 1;", NUMBERS),
    ("case 40: the end of a window is a 32-bit number", DEVICE,
     "    return range_last(from->paddr, from->nbytes, &window->paddr_last) &&\n"
     "           range_last(from->daddr, from->nbytes, &window->daddr_last);",
     "    window->paddr_last = from->paddr + from->nbytes - 1;\n"
     "    window->daddr_last = (uint32_t)(from->daddr + from->nbytes - 1);\n"
     "    return true;", NUMBERS),
    ("case 40: the mask is that of the first window", DEVICE,
     "    if (!device_window(config, index, window) || window->daddr > mask) {",
     "    if (!device_window(config, index, window) || (index == 0 && window->daddr > mask)) {", VIEW),
    ("case 40: pages are pages wherever a bus puts them", "dma/coherent.c",
     "    return (part->bus_offset & mask) != 0 || part->last < mask ? CMA_ERANGE : 0;",
     "    return part->last < mask ? CMA_ERANGE : 0;", NUMBERS),
    ("case 40: windows are not led on through the parent's", "base/bus.h",
     "    cut->paddr = outer->paddr + (first - outer->daddr);",
     "    cut->paddr = outer->paddr;", INHERIT),
    ("case 40: a window is not cut where the parent's begins", "base/bus.h",
     "    cut->daddr = inner->daddr + (first - inner->paddr);",
     "    cut->daddr = inner->daddr;", INHERIT),
    ("case 40: a window ends one byte late", "base/bus.h",
     "    cut->nbytes = last - first + 1;",
     "    cut->nbytes = last - first + 2;", INHERIT),
    ("case 40: only the first window of a parent counts", DEVICE,
     "        for (uint32_t j = 0; j < device_nwindows(parent); j++) {",
     "        for (uint32_t j = 0; j < 1; j++) {", INHERIT),
    ("case 40: a parent's mask says nothing", DEVICE,
     "    if (made.nwindows == 0 || !device_cut_mask(config, above->mask, &made.mask)) {",
     "    if (made.nwindows == 0) {", INHERIT),
    ("case 40: a shifted mask is taken as it is", DEVICE,
     "            *mask = cut.daddr - 1;",
     "            *mask = bits_min(*mask, parent_mask);", INHERIT),
    ("a bus that doesn't snoop has devices that do", DEVICE,
     "    made.flags &= above->flags | ~CMA_DEVICE_COHERENT;\n",
     "", INHERIT),
    ("H6: behind a bus that is not trusted all are", DEVICE,
     "    made.flags |= above->flags & handed_on;\n",
     "    (void)handed_on;\n", INHERIT),
    ("segment limits are not inherited", DEVICE,
     "    return a == 0 || (b != 0 && b < a) ? b : a;",
     "    return a != 0 ? a : b;", INHERIT),
    ("storage that is too small is written past", DEVICE,
     "    if (made.nwindows > nwindows_max) {\n"
     "        return CMA_ENOSPC;\n"
     "    }\n",
     "", INHERIT),
    # Lists.
    ("a list does not merge", LIST,
     "    if (maker->count == 0 || maker->closed ||",
     "    if (maker->count != 0 || maker->closed ||", LISTS),
    ("a list merges around the end of addresses", LIST,
     "maker->closed || daddr == 0 ||",
     "maker->closed ||", LISTS),
    ("a segment is longer than the device takes", LIST,
     "    return bits_min(list_nbytes_max(maker->device) - maker->open.nbytes,\n"
     "                    list_cell(maker->device, daddr));",
     "    return list_cell(maker->device, daddr);", NUMBERS),
    ("a merged segment crosses a boundary", LIST,
     " ||\n"
     "        (boundary != 0 && (daddr & (boundary - 1)) == 0)) {",
     ") {\n"
     "        (void)boundary;", NUMBERS),
    ("a segment crosses a boundary", LIST,
     "    return boundary != 0 ? boundary - (daddr & (boundary - 1)) : UINT64_MAX;",
     "    return boundary != 0 ? boundary : UINT64_MAX;", NUMBERS),
    ("a bounced piece is merged with its neighbour", LIST,
     "            error = cma__stream_bounce(device, &request, &daddr, refusal);\n"
     "            maker->closed = true;",
     "            error = cma__stream_bounce(device, &request, &daddr, refusal);", LISTS),
    ("what follows a bounced piece is merged with it", LIST,
     "        maker->closed = maker->closed || bounced;\n",
     "", LISTS),
    ("a list that was refused keeps bounce memory", LIST,
     "        list_undo(device, maker->segments, bits_min(maker->count, maker->max));\n",
     "        (void)list_undo;\n", LISTS),
    ("a piece without any segment is forgotten", LIST,
     "            list_undo(device, &forgotten, 1);\n",
     "            (void)forgotten;\n", LISTS),
    ("how many segments it takes is not said", LIST,
     "        *nsegments = (uint32_t)counter.count;\n",
     "        *nsegments = (uint32_t)maker.count;\n", LISTS),
    ("what is too much is counted one by one too little", LIST,
     "        each = (boundary - 1) / max + 1;",
     "        each = boundary / max;", LISTS),
    ("a list is not cleaned", LIST,
     "            cma__stream_clean(device, segments[i].daddr, segments[i].nbytes);\n",
     "            ;\n", DATA),
    ("segments of one bounced piece end one by one", LIST,
     "                nbytes += segments[i++].nbytes;",
     "                nbytes += 0 * segments[i++].nbytes;", LISTS),
    ("the first wrong segment ends the end", LIST,
     "        error = cma_dma_unmap(device, first->daddr, nbytes, direction, flags);\n"
     "        result = result == 0 ? error : result;\n",
     "        error = cma_dma_unmap(device, first->daddr, nbytes, direction, flags);\n"
     "        result = result == 0 ? error : result;\n"
     "        if (error != 0) {\n"
     "            return error;\n"
     "        }\n", LISTS),
    ("only the CPU's half of a stretch is synced", STREAM,
     "        daddr += nbytes;\n"
     "    }\n"
     "}\n",
     "        break;\n"
     "    }\n"
     "}\n", LISTS),
    # Questions.
    ("a device that reaches all but the last byte is not limited", REACH,
     "            if (part.last >= last && part.first <= first) {",
     "            if (part.last + 1 >= last && part.first <= first) {", HOOKS),
    ("a second part of its reach is not looked at", REACH,
     "                first = part.last + 1;\n",
     "                ;\n", HOOKS),
    ("the mask it takes is that of the lowest memory", REACH,
     "                mask |= bits_min(part.last, last) + part.bus_offset;",
     "                mask |= bits_max(part.first, first) + part.bus_offset;", HOOKS),
    ("a device that snoops never needs a sync", REACH,
     "    return cma__device_bounce(device) != NULL &&",
     "    return device == NULL &&", HOOKS),
    ("a device may share lines", REACH,
     "    return cma__device_snoops(device) ? 1 :",
     "    return device != NULL ? 1 :", HOOKS),
]
