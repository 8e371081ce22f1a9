/* SPDX-License-Identifier: BSD-2-Clause */
/* linux_pool.h - included behind linux_late.h: what mm/dmapool.c wants besides. Coherent memory is
 * memory, taken 2 MiB at a time; the pages of a destroyed pool are kept for the next one. */
struct device_attribute {
    int x;
};
struct device {
    struct list_head dma_pools;
};
#define DEVICE_ATTR_RO(name)                                         \
    struct device_attribute dev_attr_##name __attribute__((unused)); \
    static void *shim_use_##name __attribute__((unused)) = (void *)name##_show
#define device_create_file(device, attribute) ((void)(attribute), 0)
#define device_remove_file(device, attribute) ((void)(attribute))
#define devres_alloc(release, nbytes, gfp) malloc(nbytes)
#define devres_add(device, resource) ((void)0)
#define devres_free(resource) free(resource)
#define devres_release(...) 0
void *shim_coherent(size_t nbytes, dma_addr_t *daddr);
void shim_coherent_free(void *vaddr, size_t nbytes);
#define dma_alloc_coherent(device, nbytes, daddr, gfp) shim_coherent(nbytes, daddr)
#define dma_free_coherent(device, nbytes, vaddr, daddr) shim_coherent_free(vaddr, nbytes)
