/* SPDX-License-Identifier: BSD-2-Clause */
/* linux_coherent.h - included behind linux_late.h: what kernel/dma/coherent.c wants besides. The
 * memory is not there: zeroing what is handed out is off, for every peer of these cells. */
struct dma_coherent_mem;
struct device {
    struct dma_coherent_mem *dma_mem;
};
typedef unsigned long pgoff_t;
struct vm_area_struct {
    unsigned long vm_start, vm_end, vm_pgoff;
    pgprot_t vm_page_prot;
};
#define vma_start_pgoff(vma) ((vma)->vm_pgoff)
#define vma_pages(vma) (((vma)->vm_end - (vma)->vm_start) >> PAGE_SHIFT)
#define vma_end_pgoff(vma) (vma_start_pgoff(vma) + vma_pages(vma))
#define remap_pfn_range(...) (-ENXIO)
#define MEMREMAP_WC 0
#define memremap(paddr, nbytes, flags) ((void *)(unsigned long)(paddr))
#define memunmap(vaddr) ((void)(vaddr))
#define phys_to_dma(device, paddr) ((dma_addr_t)(paddr))
#define memset(memory, byte, nbytes) ((void)(memory))
