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

void hostmem_area(HostMemoryBackend *backend, Placement *area)
{
    if (host_memory_backend_mr_inited(backend)) {
        area->start = (uintptr_t)memory_region_get_ram_ptr(&backend->mr);
        area->end = area->start + memory_region_size(&backend->mr);
    }
}

/* Not one of the thread pool, which knows no error */
bool coroutine_fn hostmem_walk(Placement *areas, unsigned n, char **why,
                               Error **errp)
{
    Walk walk = { .areas = areas, .n = n, .co = qemu_coroutine_self() };
    uint64_t huge_page = huge_page_size();
    QemuThread thread;
    int err;

    for (unsigned i = 0; i < n; i++) {
        areas[i].huge_page = huge_page;
    }
    err = qemu_thread_try_create(&thread, "placement", walk_pages, &walk,
                                 QEMU_THREAD_DETACHED);
    if (err) {
        error_setg(errp, "no thread can be had to look where memory is: %s",
                   strerror(err));
        return false;
    }
    qemu_coroutine_yield();
    *why = walk.error;
    return true;
}

/* The backend of that ID, referenced so that its memory stays where it is */
static HostMemoryBackend *hold_backend(const Memdev *info, Placement *area)
{
    Object *obj = object_resolve_path_component(object_get_objects_root(),
                                                info->id);
    HostMemoryBackend *backend = MEMORY_BACKEND(obj);

    object_ref(obj);
    hostmem_area(backend, area);
    return backend;
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
    unsigned n = QAPI_LIST_LENGTH(list), i = 0;
    g_autofree Placement *areas = g_new0(Placement, n);
    g_autofree HostMemoryBackend **backends = g_new0(HostMemoryBackend *, n);
    g_autofree char *error = NULL;
    MemdevList *l;
    bool walked;

    for (l = list; l; l = l->next, i++) {
        backends[i] = hold_backend(l->value, &areas[i]);
    }
    walked = hostmem_walk(areas, n, &error, errp);
    i = 0;
    for (l = list; l; l = l->next, i++) {
        object_unref(OBJECT(backends[i]));
        if (walked && !error) {
            l->value->placement = placement_to_qapi(&areas[i]);
        }
    }
    if (error) {
        error_setg(errp, "Parameter 'placement' needs a host that tells where "
                   "pages are: %s", error);
        return false;
    }
    return walked;
}
