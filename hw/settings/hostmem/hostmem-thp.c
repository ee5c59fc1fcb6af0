/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "hw/nearmetal/compat.h"
#include COMPAT_RAMBLOCK_H
#include "migration/misc.h"
#include "qapi/error.h"
#include "qapi/qapi-visit-hostmem.h"
#include "qapi/visitor.h"
#include "qemu/madvise.h"
#include "system/runstate.h"
#include "hostmem-thp.h"

static bool thp_advise(HostMemoryBackend *backend, HostMemThp thp, Error **errp)
{
    int advice = thp == HOST_MEM_THP_ON ? QEMU_MADV_HUGEPAGE :
                                          QEMU_MADV_NOHUGEPAGE;

    if (qemu_madvise(memory_region_get_ram_ptr(&backend->mr),
                     memory_region_size(&backend->mr), advice)) {
        error_setg_errno(errp, errno, "Property '%s.thp' value %s: the host "
                         "does not take the advice",
                         object_get_typename(OBJECT(backend)),
                         HostMemThp_str(thp));
        return false;
    }
    return true;
}

/* Also if it is as before: somebody else may have changed the memory's */
static void thp_change(HostMemoryBackend *backend, HostMemThp thp, Error **errp)
{
    /* Postcopy needs pages that are missing, which huge ones would fill */
    if (runstate_check(RUN_STATE_INMIGRATE) ||
        migration_in_incoming_postcopy()) {
        error_setg(errp, "Property '%s.thp' value %s cannot be set while a "
                   "migration comes in", object_get_typename(OBJECT(backend)),
                   HostMemThp_str(thp));
        return;
    }
    if (thp == HOST_MEM_THP_INHERIT) {
        if (thp == backend->thp) {
            return;
        }
        error_setg(errp, "Property '%s.thp' value inherit is for new backends "
                   "only; this one can be on or off",
                   object_get_typename(OBJECT(backend)));
        return;
    }
    if (!thp_advise(backend, thp, errp)) {
        return;
    }
    /* For postcopy, which advises anew in the end */
    if (thp == HOST_MEM_THP_ON) {
        backend->mr.ram_block->flags &= ~RAM_NO_THP;
    } else {
        backend->mr.ram_block->flags |= RAM_NO_THP;
    }
    backend->thp = thp;
    backend->thp_given = true;
}

static void get_thp(Object *obj, Visitor *v, const char *name, void *opaque,
                    Error **errp)
{
    visit_type_HostMemThp(v, name, &MEMORY_BACKEND(obj)->thp, errp);
}

static void set_thp(Object *obj, Visitor *v, const char *name, void *opaque,
                    Error **errp)
{
    ERRP_GUARD();
    HostMemoryBackend *backend = MEMORY_BACKEND(obj);
    HostMemThp thp;

    if (!visit_type_HostMemThp(v, name, &thp, errp)) {
        error_prepend(errp, "Property '%s.thp' takes on, off or inherit: ",
                      object_get_typename(obj));
        return;
    }
    if (host_memory_backend_mr_inited(backend)) {
        thp_change(backend, thp, errp);
    } else {
        backend->thp = thp;
        backend->thp_given = true;
    }
}

void hostmem_thp_class_init(ObjectClass *oc)
{
    object_class_property_add(oc, "thp", "HostMemThp", get_thp, set_thp, NULL,
                              NULL);
    object_class_property_set_description(oc, "thp",
        "transparent huge pages: on, off or inherit, the host's setting "
        "(default: on)");
    object_class_property_set_description(oc, "policy",
        "NUMA policy for host-nodes: default, preferred, bind or interleave "
        "(default: default)");
}

uint32_t hostmem_thp_ram_flags(HostMemoryBackend *backend)
{
    return backend->thp == HOST_MEM_THP_ON ? 0 : RAM_NO_THP;
}

bool hostmem_thp_start(HostMemoryBackend *backend, Error **errp)
{
    /* On is what all memory gets, where the host can do it */
    return backend->thp != HOST_MEM_THP_OFF ||
           thp_advise(backend, backend->thp, errp);
}
