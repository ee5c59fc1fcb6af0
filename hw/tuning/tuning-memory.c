/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "block/thread-pool.h"
#include "hw/nearmetal/hostmem/placement.h"
#include "iothread-tuning/host-cpus.h"
#include "qapi/error.h"
#include "system/hostmem.h"
#include "tuning.h"

/* What a backend was asked for when the walk began */
typedef struct Wanted {
    HostMemoryBackend *backend;         /* referenced */
    HostMemPolicy policy;
    DECLARE_BITMAP(nodes, MAX_NODES + 1);
    HostMemThp thp;
} Wanted;

typedef struct Walk {
    GArray *backends;           /* of Wanted */
    Placement *areas;
    char *error;
} Walk;

static int hold_backend(Object *obj, void *opaque)
{
    HostMemoryBackend *backend =
        (HostMemoryBackend *)object_dynamic_cast(obj, TYPE_MEMORY_BACKEND);
    Wanted wanted = { .backend = backend };

    if (backend && host_memory_backend_mr_inited(backend)) {
        object_ref(obj);
        wanted.policy = backend->policy;
        wanted.thp = backend->thp;
        bitmap_copy(wanted.nodes, backend->host_nodes, MAX_NODES + 1);
        g_array_append_val((GArray *)opaque, wanted);
    }
    return 0;
}

static void drop_backend(void *opaque)
{
    object_unref(OBJECT(((Wanted *)opaque)->backend));
}

/* Has it been removed, or been asked for something else, during the walk? */
static bool is_stale(const Wanted *wanted)
{
    const HostMemoryBackend *backend = wanted->backend;

    return !OBJECT(backend)->parent || wanted->policy != backend->policy ||
           wanted->thp != backend->thp ||
           !bitmap_equal(wanted->nodes, backend->host_nodes, MAX_NODES + 1);
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
        HostMemoryBackend *backend =
            g_array_index(walk->backends, Wanted, i).backend;
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

/* What the kernel does not tell is unavailable for a reason */
static void add_reason(TuningItemList *items, const char *error)
{
    for (; items; items = items->next) {
        if (items->value->status == TUNING_STATUS_UNAVAILABLE &&
            !items->value->reason) {
            items->value->reason = g_strdup(error);
        }
    }
}

static void add_backends(TuningList *list, const Walk *walk)
{
    TuningItemList **first = list->tail;

    for (unsigned i = 0; i < walk->backends->len; i++) {
        const Wanted *wanted = &g_array_index(walk->backends, Wanted, i);

        if (is_stale(wanted)) {
            continue;
        }
        add_page_size(list, wanted->backend);
        add_thp(list, wanted->backend, &walk->areas[i]);
        add_nodes(list, wanted->backend, &walk->areas[i]);
    }
    add_reason(*first, walk->error);
}

void coroutine_fn tuning_memory(TuningList *list)
{
    g_autoptr(GArray) backends = g_array_new(false, false, sizeof(Wanted));
    g_autofree Placement *areas = NULL;
    Walk walk = { .backends = backends };

    g_array_set_clear_func(backends, drop_backend);
    object_child_foreach(object_get_objects_root(), hold_backend, backends);
    if (!backends->len) {
        return;
    }
    areas = g_new0(Placement, backends->len);
    walk.areas = areas;
    walk_backends(&walk);
    add_backends(list, &walk);
    g_free(walk.error);
}
