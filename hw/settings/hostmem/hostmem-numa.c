/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "hw/nearmetal/common/host-cpus.h"
#include "qapi/error.h"
#include "qemu/bitmap.h"
#include "hostmem-numa.h"

#ifdef CONFIG_NUMA
#include <numa.h>
#include <numaif.h>
#include "placement.h"

QEMU_BUILD_BUG_ON(PLACEMENT_NODES != MAX_NODES);

typedef struct NumaSetting {
    HostMemPolicy policy;
    DECLARE_BITMAP(nodes, MAX_NODES + 1);
} NumaSetting;

static char *nodes_text(const unsigned long *nodes)
{
    return bitmap_ranges_text(nodes, MAX_NODES);
}

/* The nodes that this process may have memory on; returns text, to be freed */
static char *allowed_nodes(unsigned long *nodes)
{
    struct bitmask *allowed = numa_get_mems_allowed();

    bitmap_zero(nodes, MAX_NODES + 1);
    for (unsigned node = 0; node < MAX_NODES; node++) {
        if (numa_bitmask_isbitset(allowed, node)) {
            set_bit(node, nodes);
        }
    }
    numa_bitmask_free(allowed);
    return nodes_text(nodes);
}

static int bind_memory(HostMemoryBackend *backend, const NumaSetting *to,
                       unsigned flags)
{
    void *ptr = memory_region_get_ram_ptr(&backend->mr);
    uint64_t size = memory_region_size(&backend->mr);
    int mode = to->policy;

    if (mode == MPOL_DEFAULT) {
        return mbind(ptr, size, mode, NULL, 0, 0);
    }
#ifdef HAVE_NUMA_HAS_PREFERRED_MANY
    /* MPOL_PREFERRED takes the first node only */
    if (mode == MPOL_PREFERRED && numa_has_preferred_many() > 0) {
        mode = MPOL_PREFERRED_MANY;
    }
#endif
    /* One more than there are, as the kernel cuts off the last one */
    return mbind(ptr, size, mode, to->nodes, MAX_NODES + 1, flags);
}

/* Where the memory is by now, in words; the kernel looks at all pages */
static char *count_pages(HostMemoryBackend *backend, const unsigned long *nodes)
{
    g_autofree Placement *area = g_new0(Placement, 1);
    g_autofree char *error = NULL;
    uint64_t on = 0, off = 0;

    area->start = (uintptr_t)memory_region_get_ram_ptr(&backend->mr);
    area->end = area->start + memory_region_size(&backend->mr);
    if (!placement_read_nodes(area, 1, "/proc/self", &error)) {
        return g_strdup("how many pages are on these nodes cannot be told");
    }
    for (unsigned node = 0; node < MAX_NODES; node++) {
        *(test_bit(node, nodes) ? &on : &off) += area->pages[node];
    }
    return g_strdup_printf("%" PRIu64 " pages are on these nodes, %" PRIu64
                           " on others", on, off);
}

/* What became of the memory when it could not be moved, in words */
static char *numa_put_back(HostMemoryBackend *backend, const NumaSetting *to)
{
    NumaSetting from = { .policy = backend->policy };
    g_autofree char *where = NULL;
    int err;

    bitmap_copy(from.nodes, backend->host_nodes, MAX_NODES + 1);
    err = bind_memory(backend, &from, 0) ? errno : 0;
    where = count_pages(backend, to->nodes);
    if (err) {
        return g_strdup_printf("the old policy could not be put back (%s), %s",
                               strerror(err), where);
    }
    return g_strdup_printf("policy and host-nodes are as before, %s", where);
}

static bool numa_change(HostMemoryBackend *backend, const NumaSetting *to,
                   const char *property, const char *value, Error **errp)
{
    g_autofree char *state = NULL;
    int err;

    if (!bind_memory(backend, to, MPOL_MF_STRICT | MPOL_MF_MOVE)) {
        backend->policy = to->policy;
        bitmap_copy(backend->host_nodes, to->nodes, MAX_NODES + 1);
        return true;
    }
    err = errno;
    state = numa_put_back(backend, to);
    error_setg(errp, "Property '%s.%s' value %s: the memory cannot be moved: "
               "%s; %s", object_get_typename(OBJECT(backend)), property, value,
               strerror(err), state);
    return false;
}

static bool check_nodes(HostMemoryBackend *backend, const unsigned long *nodes,
                        const char *text, Error **errp)
{
    const char *type = object_get_typename(OBJECT(backend));
    DECLARE_BITMAP(allowed, MAX_NODES + 1);
    DECLARE_BITMAP(refused, MAX_NODES + 1);
    g_autofree char *range = allowed_nodes(allowed);

    if (bitmap_empty(nodes, MAX_NODES)) {
        error_setg(errp, "Property '%s.host-nodes' value is an empty list, and "
                   "must have one or more of the nodes %s; policy=default "
                   "removes the binding", type, range);
        return false;
    }
    if (bitmap_andnot(refused, nodes, allowed, MAX_NODES)) {
        error_setg(errp, "Property '%s.host-nodes' value %lu is not one of "
                   "the nodes that QEMU may use, %s", type,
                   find_first_bit(refused, MAX_NODES), range);
        return false;
    }
    if (backend->policy == HOST_MEM_POLICY_DEFAULT) {
        error_setg(errp, "Property '%s.host-nodes' value %s needs a policy: "
                   "set policy to bind, interleave or preferred first", type,
                   text);
        return false;
    }
    return true;
}

bool hostmem_numa_set_nodes(HostMemoryBackend *backend,
                            const unsigned long *nodes, Error **errp)
{
    g_autofree char *text = nodes_text(nodes);
    NumaSetting to = { .policy = backend->policy };

    if (to.policy == HOST_MEM_POLICY_DEFAULT &&
        bitmap_empty(nodes, MAX_NODES)) {
        return true;
    }
    if (!check_nodes(backend, nodes, text, errp)) {
        return false;
    }
    bitmap_copy(to.nodes, nodes, MAX_NODES + 1);
    return numa_change(backend, &to, "host-nodes", text, errp);
}

bool hostmem_numa_set_policy(HostMemoryBackend *backend, HostMemPolicy policy,
                             Error **errp)
{
    NumaSetting to = { .policy = policy };

    /* Also if it is as before: somebody else may have changed the memory's */
    if (policy != HOST_MEM_POLICY_DEFAULT) {
        bitmap_copy(to.nodes, backend->host_nodes, MAX_NODES + 1);
        if (bitmap_empty(to.nodes, MAX_NODES)) {
            g_free(allowed_nodes(to.nodes));
        }
    }
    return numa_change(backend, &to, "policy", HostMemPolicy_str(policy), errp);
}

void hostmem_numa_explain(HostMemoryBackend *backend, Error **errp)
{
    ERRP_GUARD();
    DECLARE_BITMAP(allowed, MAX_NODES + 1);
    g_autofree char *nodes = nodes_text(backend->host_nodes);
    g_autofree char *range = allowed_nodes(allowed);

    error_prepend(errp, "Property '%s.host-nodes' value %s, where QEMU may use "
                  "the nodes %s: ", object_get_typename(OBJECT(backend)), nodes,
                  range);
}

char *hostmem_numa_why_differs(HostMemoryBackend *backend)
{
    DECLARE_BITMAP(allowed, MAX_NODES + 1);
    DECLARE_BITMAP(dropped, MAX_NODES + 1);
    g_autofree char *range = allowed_nodes(allowed), *text = NULL;

    if (!bitmap_andnot(dropped, backend->host_nodes, allowed, MAX_NODES)) {
        return g_strdup("changed from outside");
    }
    text = nodes_text(dropped);
    return g_strdup_printf("QEMU may not use the nodes %s of host-nodes, which "
                           "the kernel has dropped; it may use %s", text,
                           range);
}

#else /* CONFIG_NUMA */

bool hostmem_numa_set_policy(HostMemoryBackend *backend, HostMemPolicy policy,
                             Error **errp)
{
    if (policy == backend->policy) {
        return true;
    }
    error_setg(errp, "NUMA policies are not supported by this QEMU");
    return false;
}

char *hostmem_numa_why_differs(HostMemoryBackend *backend)
{
    return g_strdup("changed from outside");
}

#endif /* CONFIG_NUMA */
