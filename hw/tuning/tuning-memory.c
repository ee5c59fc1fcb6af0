/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "block/thread-pool.h"
#include "hw/nearmetal/hostmem/placement.h"
#include "iothread-tuning/host-cpus.h"
#include "qapi/error.h"
#include "system/hostmem.h"
#include "tuning.h"

#define THP_ENABLED "/sys/kernel/mm/transparent_hugepage/enabled"

typedef struct Walk {
    GPtrArray *backends;        /* of HostMemoryBackend, referenced */
    Placement *areas;
    char *error;
} Walk;

static int hold_backend(Object *obj, void *opaque)
{
    HostMemoryBackend *backend =
        (HostMemoryBackend *)object_dynamic_cast(obj, TYPE_MEMORY_BACKEND);

    if (backend && host_memory_backend_mr_inited(backend)) {
        g_ptr_array_add(opaque, object_ref(obj));
    }
    return 0;
}

/* In a thread, without the BQL */
static int walk_pages(void *opaque)
{
    Walk *walk = opaque;

    return placement_read(walk->areas, walk->backends->len, "/proc/self",
                          &walk->error) ? 0 : -1;
}

static void coroutine_fn walk_backends(Walk *walk)
{
    for (unsigned i = 0; i < walk->backends->len; i++) {
        HostMemoryBackend *backend = walk->backends->pdata[i];
        Placement *area = &walk->areas[i];

        area->start = (uintptr_t)memory_region_get_ram_ptr(&backend->mr);
        area->end = area->start + memory_region_size(&backend->mr);
    }
    thread_pool_submit_co(walk_pages, walk);
}

static void add_page_size(TuningList *list, HostMemoryBackend *backend)
{
    Object *obj = OBJECT(backend);
    uint64_t wanted = 0;

    if (object_property_find(obj, "hugetlbsize") &&
        object_property_get_bool(obj, "hugetlb", &error_abort)) {
        wanted = object_property_get_uint(obj, "hugetlbsize", &error_abort);
    }
    tuning_add(list, TUNING_AREA_HUGE_PAGES, obj, "page-size",
               wanted ? g_strdup_printf("%" PRIu64, wanted) : NULL,
               g_strdup_printf("%zu", host_memory_backend_pagesize(backend)));
}

static void add_thp(TuningList *list, HostMemoryBackend *backend,
                    const Placement *area)
{
    g_autofree char *host = NULL;
    const char *effective = *area->thp ? area->thp : NULL;
    TuningItem *item;

    g_file_get_contents(THP_ENABLED, &host, NULL, NULL);
    if (!g_strcmp0(effective, "on") && host && strstr(host, "[never]")) {
        effective = "never";
    }
    item = tuning_add(list, TUNING_AREA_THP, OBJECT(backend), "thp",
                      g_strdup(HostMemThp_str(backend->thp)),
                      g_strdup(effective));
    if (!g_strcmp0(effective, "hugetlb")) {
        item->status = TUNING_STATUS_UNAVAILABLE;
        item->reason = g_strdup("the memory is in pages of hugetlbfs");
    } else if (!g_strcmp0(effective, "never")) {
        item->reason = g_strdup("the host's setting for all processes");
    } else if (effective) {
        item->reason = g_strdup_printf("%" PRIu64 " bytes are in huge pages",
                                       area->huge_bytes);
    }
}

/* Pages that are on none of the nodes */
static uint64_t astray(const HostMemoryBackend *backend, const Placement *area)
{
    uint64_t pages = 0;

    for (unsigned node = 0; node < PLACEMENT_NODES; node++) {
        pages += test_bit(node, backend->host_nodes) ? 0 : area->pages[node];
    }
    return pages;
}

static char *wanted_policy(HostMemoryBackend *backend)
{
    uint16List *nodes = NULL, **tail = &nodes;
    g_autofree char *text = NULL;
    char *policy;

    if (backend->policy == HOST_MEM_POLICY_DEFAULT) {
        return NULL;
    }
    for (unsigned node = 0; node < MAX_NODES; node++) {
        if (test_bit(node, backend->host_nodes)) {
            QAPI_LIST_APPEND(tail, node);
        }
    }
    text = host_cpus_text(nodes);
    policy = g_strdup_printf("%s:%s", HostMemPolicy_str(backend->policy), text);
    qapi_free_uint16List(nodes);
    return policy;
}

static void add_nodes(TuningList *list, HostMemoryBackend *backend,
                      const Placement *area)
{
    char *policy = *area->policy ? g_strdup(area->policy) : NULL;
    TuningItem *item = tuning_add(list, TUNING_AREA_NUMA, OBJECT(backend),
                                  "policy", wanted_policy(backend), policy);
    uint64_t pages = astray(backend, area);

    if (item->status == TUNING_STATUS_OK && pages &&
        backend->policy == HOST_MEM_POLICY_BIND) {
        item->status = TUNING_STATUS_DIFFERS;
        item->reason = g_strdup_printf("%" PRIu64 " pages are on other nodes",
                                       pages);
    }
}

void coroutine_fn tuning_memory(TuningList *list)
{
    g_autoptr(GPtrArray) backends = g_ptr_array_new_with_free_func(
        (GDestroyNotify)object_unref);
    g_autofree Placement *areas = NULL;
    Walk walk = { .backends = backends };

    object_child_foreach(object_get_objects_root(), hold_backend, backends);
    if (!backends->len) {
        return;
    }
    areas = g_new0(Placement, backends->len);
    walk.areas = areas;
    walk_backends(&walk);
    for (unsigned i = 0; i < backends->len; i++) {
        add_page_size(list, backends->pdata[i]);
        add_thp(list, backends->pdata[i], &areas[i]);
        add_nodes(list, backends->pdata[i], &areas[i]);
    }
    g_free(walk.error);
}
