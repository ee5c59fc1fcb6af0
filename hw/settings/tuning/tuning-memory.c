/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "hw/nearmetal/settings/hostmem/hostmem-numa.h"
#include "hw/nearmetal/settings/hostmem/hostmem-query.h"
#include "hw/nearmetal/common/host-cpus.h"
#include "qapi/error.h"
#include "system/hostmem.h"
#include "tuning.h"

/* What a backend was asked for when the walk began */
typedef struct Wanted {
    HostMemPolicy policy;
    DECLARE_BITMAP(nodes, MAX_NODES + 1);
    HostMemThp thp;
} Wanted;

static int add_with_memory(Object *obj, void *opaque)
{
    HostMemoryBackend *backend =
        (HostMemoryBackend *)object_dynamic_cast(obj, TYPE_MEMORY_BACKEND);

    if (backend && host_memory_backend_mr_inited(backend)) {
        g_ptr_array_add(opaque, object_ref(backend));
    }
    return 0;
}

static void note_wanted(const HostMemoryBackend *backend, Wanted *wanted)
{
    wanted->policy = backend->policy;
    wanted->thp = backend->thp;
    bitmap_copy(wanted->nodes, backend->host_nodes, MAX_NODES + 1);
}

/* Has it been removed, or been asked for something else, during the walk? */
static bool is_stale(const HostMemoryBackend *backend, const Wanted *wanted)
{
    return !OBJECT(backend)->parent || wanted->policy != backend->policy ||
           wanted->thp != backend->thp ||
           !bitmap_equal(wanted->nodes, backend->host_nodes, MAX_NODES + 1);
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

/* Why @effective is what it is; NULL if there is nothing to say */
static char *thp_reason(const HostMemoryBackend *backend, const char *effective,
                        const Placement *area)
{
    if (g_str_equal(effective, "hugetlb")) {
        return g_strdup("the memory is in pages of hugetlbfs");
    }
    if (g_str_equal(effective, "never")) {
        return g_strdup("the kernel gives this memory none, see enabled and "
                        "shmem_enabled in /sys/kernel/mm/transparent_hugepage "
                        "and prctl(PR_SET_THP_DISABLE)");
    }
    if (backend->thp == HOST_MEM_THP_INHERIT &&
        !g_str_equal(effective, "inherit")) {
        return g_strdup("the kernel cannot take advice back, which it got "
                        "from outside or from a migration with postcopy");
    }
    return g_strdup_printf("%" PRIu64 " bytes are in huge pages",
                           area->huge_bytes);
}

static void add_thp(TuningList *list, HostMemoryBackend *backend,
                    const Placement *area)
{
    const char *effective = *area->thp ? area->thp : NULL;
    TuningItem *item;

    /* The kernel's own answer, which knows of all its settings */
    if (!g_strcmp0(effective, "on") && area->no_thp) {
        effective = "never";
    }
    item = tuning_add(list, TUNING_AREA_THP, OBJECT(backend), "thp",
                      backend->thp_given ?
                      g_strdup(HostMemThp_str(backend->thp)) : NULL,
                      g_strdup(effective));
    if (effective) {
        item->reason = thp_reason(backend, effective, area);
    }
    if (!g_strcmp0(effective, "hugetlb")) {
        item->status = TUNING_STATUS_UNAVAILABLE;
    }
}

/* Pages that are on none of the nodes */
static uint64_t pages_astray(const HostMemoryBackend *backend,
                             const Placement *area)
{
    uint64_t pages = 0;

    for (unsigned node = 0; node < PLACEMENT_NODES; node++) {
        pages += test_bit(node, backend->host_nodes) ? 0 : area->pages[node];
    }
    return pages;
}

static char *wanted_policy(HostMemoryBackend *backend)
{
    g_autofree char *nodes = bitmap_ranges_text(backend->host_nodes, MAX_NODES);

    if (backend->policy == HOST_MEM_POLICY_DEFAULT) {
        return NULL;
    }
    return g_strdup_printf("%s:%s", HostMemPolicy_str(backend->policy), nodes);
}

static void add_nodes(TuningList *list, HostMemoryBackend *backend,
                      const Placement *area)
{
    char *policy = *area->policy ? g_strdup(area->policy) : NULL;
    TuningItem *item = tuning_add(list, TUNING_AREA_NUMA, OBJECT(backend),
                                  "policy", wanted_policy(backend), policy);
    uint64_t pages = pages_astray(backend, area);

    if (item->status == TUNING_STATUS_OK && pages &&
        backend->policy == HOST_MEM_POLICY_BIND) {
        item->status = TUNING_STATUS_DIFFERS;
        item->reason = g_strdup_printf("%" PRIu64 " pages are on other nodes",
                                       pages);
    } else if (item->status == TUNING_STATUS_DIFFERS) {
        item->reason = hostmem_numa_why_differs(backend);
    }
}

/* What the kernel does not tell is unavailable for a reason */
static void add_reason(TuningItemList *items, const char *error)
{
    for (; items; items = items->next) {
        if (items->value->status == TUNING_STATUS_UNAVAILABLE &&
            !items->value->reason) {
            items->value->reason = g_strdup(error ?: "the kernel does not "
                                            "tell of this memory");
        }
    }
}

bool coroutine_fn tuning_memory(TuningList *list, Error **errp)
{
    g_autoptr(GPtrArray) backends =
        g_ptr_array_new_with_free_func(object_unref);
    g_autofree Wanted *wanted = NULL;
    g_autofree Placement *areas = NULL;
    g_autofree char *error = NULL;
    TuningItemList **first = list->tail;

    object_child_foreach(object_get_objects_root(), add_with_memory, backends);
    if (!backends->len) {
        return true;
    }
    wanted = g_new0(Wanted, backends->len);
    for (unsigned i = 0; i < backends->len; i++) {
        note_wanted(backends->pdata[i], &wanted[i]);
    }
    areas = hostmem_walk(backends, &error, errp);
    for (unsigned i = 0; areas && i < backends->len; i++) {
        HostMemoryBackend *backend = backends->pdata[i];

        if (!is_stale(backend, &wanted[i])) {
            add_page_size(list, backend);
            add_thp(list, backend, &areas[i]);
            add_nodes(list, backend, &areas[i]);
        }
    }
    add_reason(*first, error);
    return areas != NULL;
}
