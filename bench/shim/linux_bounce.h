/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * linux_bounce.h - included behind linux_late.h: what kernel/dma/swiotlb.c wants besides
 *
 * Pages are memory, aligned as the kernel's. Two processors: two areas. Copying and zeroing go
 * through functions, so that a cell can leave the data out for everybody.
 */
#define CONFIG_SWIOTLB 1
#define CONFIG_SWIOTLB_DEFAULT_SIZE_MB 64
#define CONFIG_IOMMU_HELPER 1
#define GFP_DMA 0
#define GFP_DMA32 0
#define __GFP_NORETRY 0
#define __GFP_COMP 0
#define INVALID_PHYS_ADDR (~(phys_addr_t)0)
#define NUMA_NO_NODE (-1)

enum dma_data_direction { DMA_BIDIRECTIONAL, DMA_TO_DEVICE, DMA_FROM_DEVICE, DMA_NONE };
#define DMA_ATTR_SKIP_CPU_SYNC (1UL << 5)
#define DMA_ATTR_NO_WARN (1UL << 8)
#define DMA_ATTR_CC_SHARED (1UL << 11)
#define DMA_MAPPING_ERROR (~(dma_addr_t)0)
#define DMA_BIT_MASK(n) ((n) == 64 ? ~0ULL : (1ULL << (n)) - 1)

struct io_tlb_mem;
struct device {
    struct io_tlb_mem *dma_io_tlb_mem;
    unsigned int min_align_mask;
};
#define dev_name(device) "bench"
#define dma_get_min_align_mask(device) ((device)->min_align_mask)
#define dma_get_seg_boundary(device) 0xffffffffUL
#define phys_to_dma(device, paddr) (paddr)
#define phys_to_dma_unencrypted(device, paddr) (paddr)
#define phys_to_dma_encrypted(device, paddr) (paddr)
#define dma_to_phys(device, daddr) (daddr)
#define dma_capable(...) true
#define dev_is_dma_coherent(device) true
#define force_dma_unencrypted(device) false
#define arch_sync_dma_for_device(...) ((void)0)
#define arch_sync_dma_for_cpu(...) ((void)0)
#define arch_sync_dma_flush(...) ((void)0)
#define dma_reset_need_sync(device) ((void)0)
#define cc_platform_has(what) 0
#define set_memory_decrypted(vaddr, npages) 0
#define set_memory_encrypted(vaddr, npages) 0
#define kmsan_unpoison_memory(vaddr, nbytes) ((void)0)
#define kmsan_check_memory(vaddr, nbytes) ((void)0)
#define trace_swiotlb_bounced(...) ((void)0)

void *bounce_memcpy(void *to, const void *from, size_t nbytes);
void *bounce_memset(void *memory, int byte, size_t nbytes);
int bounce_processor(void);
static inline unsigned long bounce_pages(unsigned order)
{
    void *memory = NULL;

    return posix_memalign(&memory, PAGE_SIZE << order, PAGE_SIZE << order) ? 0
                                                                           : (unsigned long)memory;
}
#define __get_free_pages(gfp, order) bounce_pages(order)
#define free_pages(vaddr, order) free((void *)(vaddr))
#define memblock_alloc(nbytes, align) calloc(1, nbytes)
#define memblock_alloc_low(nbytes, align) calloc(1, nbytes)
#define raw_smp_processor_id() bounce_processor()
#define smp_processor_id() bounce_processor()
#define num_possible_cpus() 2
#define PhysHighMem(paddr) 0
#define memcpy_from_page(to, page, offset, nbytes) ((void)0)
#define memcpy_to_page(page, offset, from, nbytes) ((void)0)
#define simple_strtoul strtoul
#define dma_max_mapping_size(device) (256u << 10)
