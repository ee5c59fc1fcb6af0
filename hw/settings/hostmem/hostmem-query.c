/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "monitor/monitor.h"
#include "qapi/error.h"
#include "qapi/util.h"
#include "block/aio.h"
#include "hw/nearmetal/common/thread-try.h"
#include "qemu/coroutine.h"
#include "hostmem-query.h"
#include "placement.h"

#define HUGE_PAGE_SIZE "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size"

/* Of the thread, until it wakes @co */
typedef struct Walk {
    Placement *areas;
    unsigned n;
    char *error;
    Coroutine *co;
} Walk;

void hostmem_query_info(HostMemoryBackend *backend, Memdev *info)
{
    if (host_memory_backend_mr_inited(backend)) {
        info->has_page_size = true;
        info->page_size = host_memory_backend_pagesize(backend);
    }
    info->has_thp = true;
    info->thp = backend->thp;
}

void hostmem_hmp_info(Monitor *mon, const Memdev *info)
{
    if (info->has_page_size) {
        monitor_printf(mon, "  page size: %" PRIu64 "\n", info->page_size);
    }
    if (info->has_thp) {
        monitor_printf(mon, "  thp: %s\n", HostMemThp_str(info->thp));
    }
}

/* In a thread, without the BQL */
static void *walk_pages(void *opaque)
{
    Walk *walk = opaque;

    placement_read(walk->areas, walk->n, "/proc/self", &walk->error);
    aio_co_wake(walk->co);
    return NULL;
}

/* 0 if the host does not tell */
static uint64_t huge_page_size(void)
{
    g_autofree char *text = NULL;

    if (!g_file_get_contents(HUGE_PAGE_SIZE, &text, NULL, NULL)) {
        return 0;
    }
    return g_ascii_strtoull(text, NULL, 10);
}

static void memory_area(HostMemoryBackend *backend, Placement *area)
{
    if (host_memory_backend_mr_inited(backend)) {
        area->start = (uintptr_t)memory_region_get_ram_ptr(&backend->mr);
        area->end = area->start + memory_region_size(&backend->mr);
    }
}

/* Not one of the thread pool, which knows no error */
Placement *coroutine_fn hostmem_walk(const GPtrArray *backends, char **why,
                                     Error **errp)
{
    g_autofree Placement *areas = g_new0(Placement, backends->len);
    Walk walk = { .areas = areas, .n = backends->len,
                  .co = qemu_coroutine_self() };
    uint64_t huge_page = huge_page_size();
    QemuThread thread;
    int err;

    for (unsigned i = 0; i < walk.n; i++) {
        memory_area(backends->pdata[i], &areas[i]);
        areas[i].huge_page = huge_page;
    }
    err = qemu_thread_try_create(&thread, "placement", walk_pages, &walk,
                                 QEMU_THREAD_DETACHED);
    if (err) {
        error_setg(errp, "no thread can be had to look where memory is: %s",
                   strerror(err));
        return NULL;
    }
    qemu_coroutine_yield();
    *why = walk.error;
    return g_steal_pointer(&areas);
}

static MemdevPlacement *placement_to_qapi(const Placement *area)
{
    MemdevPlacement *placement = g_new0(MemdevPlacement, 1);
    MemdevNodeList **tail = &placement->nodes;

    placement->huge_bytes = area->huge_bytes;
    for (unsigned node = 0; node < PLACEMENT_NODES; node++) {
        if (area->pages[node]) {
            MemdevNode *info = g_new0(MemdevNode, 1);

            info->node = node;
            info->pages = area->pages[node];
            QAPI_LIST_APPEND(tail, info);
        }
    }
    return placement;
}

bool coroutine_fn hostmem_query_placement(MemdevList *list, Error **errp)
{
    g_autoptr(GPtrArray) backends =
        g_ptr_array_new_with_free_func(object_unref);
    g_autofree Placement *areas = NULL;
    g_autofree char *error = NULL;
    unsigned i = 0;

    for (MemdevList *l = list; l; l = l->next) {
        Object *obj = object_resolve_path_component(object_get_objects_root(),
                                                    l->value->id);

        g_ptr_array_add(backends, object_ref(MEMORY_BACKEND(obj)));
    }
    areas = hostmem_walk(backends, &error, errp);
    if (!areas) {
        return false;
    }
    if (error) {
        error_setg(errp, "Parameter 'placement' needs a host that tells where "
                   "pages are: %s", error);
        return false;
    }
    for (MemdevList *l = list; l; l = l->next) {
        l->value->placement = placement_to_qapi(&areas[i++]);
    }
    return true;
}
