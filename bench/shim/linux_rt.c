/* SPDX-License-Identifier: BSD-2-Clause */
/* linux_rt.c - the shim's state, and alloc_contig_range: in a world, the world's; else a success */
struct page *shim_memmap;
unsigned long shim_base_pfn;
int shim_touch;
struct zone shim_zone;
struct peer_world *shim_world;

int shim_contig_alloc(unsigned long start, unsigned long end)
{
    if (shim_world) {
        return shim_world->acquire(shim_world, start - shim_base_pfn, end - start);
    }
#if LINUX_VERSION < 700
    /* A real success sets up every struct page of the range at least once. */
    for (unsigned long pfn = start; shim_touch && pfn < end; pfn++) {
        WRITE_ONCE(shim_memmap[pfn]._refcount, 1);
    }
#endif
    return 0;
}

void shim_contig_free(unsigned long pfn, unsigned long npages)
{
    if (shim_world) {
        shim_world->release(shim_world, pfn - shim_base_pfn, npages);
    }
#if LINUX_VERSION < 700
    for (unsigned long i = pfn; shim_touch && i < pfn + npages; i++) {
        __atomic_sub_fetch(&shim_memmap[i]._refcount, 1, __ATOMIC_SEQ_CST);
    }
#endif
}

u32 get_random_u32_below(u32 n)
{
    return (u32)rand() % n;
}
