/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MSI-X relocation of vfio-pci devices
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#include "qemu/osdep.h"
#include "hw/nearmetal/compat.h"
#include <linux/vfio.h>
#include "hw/vfio/pci.h"
#include "hw/qdev-properties-system.h"
#include "hw/vfio/trace.h"
#include "qapi/error.h"
#include "qapi/qapi-types-common.h"
#include "qapi/visitor.h"
#include "qemu/error-report.h"
#include "msix-relocation.h"
#include "own-value.h"

QEMU_BUILD_BUG_ON((int)MSIX_REQUEST_OFF != OFF_AUTO_PCIBAR_OFF);
QEMU_BUILD_BUG_ON((int)MSIX_REQUEST_AUTO != OFF_AUTO_PCIBAR_AUTO);
QEMU_BUILD_BUG_ON((int)MSIX_REQUEST_BAR0 != OFF_AUTO_PCIBAR_BAR0);
QEMU_BUILD_BUG_ON((int)MSIX_REQUEST_BAR5 != OFF_AUTO_PCIBAR_BAR5);
QEMU_BUILD_BUG_ON(MSIX_PLAN_BARS != PCI_ROM_SLOT);

static void request_get(Object *obj, Visitor *v, const char *name,
                        void *opaque, Error **errp)
{
    qdev_prop_off_auto_pcibar.get(obj, v, name, opaque, errp);
}

static void request_set(Object *obj, Visitor *v, const char *name,
                        void *opaque, Error **errp)
{
    ERRP_GUARD();

    qdev_prop_off_auto_pcibar.set(obj, v, name, opaque, errp);
    if (!*errp) {
        VFIO_PCI_DEVICE(obj)->msix_relo_own = vfio_value_is_own(obj);
    }
}

static void request_set_default(ObjectProperty *op, const Property *prop)
{
    qdev_prop_off_auto_pcibar.set_default_value(op, prop);
}

const PropertyInfo vfio_msix_relocation_prop = {
    .type = "OffAutoPCIBAR",
    .description = "off/auto/bar0/bar1/bar2/bar3/bar4/bar5",
    .enum_table = &OffAutoPCIBAR_lookup,
    .get = request_get,
    .set = request_set,
    .set_default_value = request_set_default,
};

static void layout_bars(VFIOPCIDevice *vdev, MsixLayout *l)
{
    for (int i = 0; i < PCI_ROM_SLOT; i++) {
        const VFIOBAR *bar = &vdev->bars[i];

        l->bar[i] = (MsixBar) {
            .size = bar->size,
            .ioport = bar->ioport,
            .mem64 = bar->mem64,
            .prefetch = !bar->ioport &&
                        (bar->type & PCI_BASE_ADDRESS_MEM_PREFETCH),
            .mmap = !vdev->vbasedev.no_mmap &&
                    (bar->region.flags & VFIO_REGION_INFO_FLAG_MMAP),
        };
    }
}

static bool region_mappable(VFIOPCIDevice *vdev, unsigned bar)
{
    return bar < PCI_ROM_SLOT && vdev->bars[bar].region.size &&
           vfio_device_has_region_cap(&vdev->vbasedev,
                                      vdev->bars[bar].region.nr,
                                      VFIO_REGION_INFO_CAP_MSIX_MAPPABLE);
}

static void layout_init(VFIOPCIDevice *vdev, MsixLayout *l)
{
    const uint8_t *config = PCI_DEVICE(vdev)->config;
    const VFIOMSIXInfo *msix = vdev->msix;

    *l = (MsixLayout) {
        .host_page_size = qemu_real_host_page_size(),
        .nvme = pci_get_word(config + PCI_CLASS_DEVICE) ==
                PCI_CLASS_STORAGE_EXPRESS &&
                config[PCI_CLASS_PROG] == 2,
    };
    layout_bars(vdev, l);
    if (msix) {
        l->entries = msix->entries;
        l->table_bar = msix->table_bar;
        l->table_offset = msix->table_offset;
        l->pba_bar = msix->pba_bar;
        l->pba_offset = msix->pba_offset;
        l->mappable = region_mappable(vdev, msix->table_bar);
    }
}

static void apply_plan(VFIOPCIDevice *vdev, const MsixPlan *plan)
{
    VFIOMSIXInfo *msix = vdev->msix;
    VFIOBAR *bar = &vdev->bars[plan->bar];

    if (plan->new_bar) {
        bar->mem64 = plan->mem64;
        bar->type |= (plan->mem64 ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0) |
                     (plan->prefetch ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0);
    }
    bar->size = plan->bar_size;
    msix->table_bar = plan->bar;
    msix->table_offset = plan->table_offset;
    msix->pba_bar = plan->bar;
    msix->pba_offset = plan->pba_offset;
    trace_vfio_msix_relo(vdev->vbasedev.name, plan->bar, plan->table_offset);
}

/* Stock's words where stock has an error, and one where it would crash */
static bool layout_check(const MsixLayout *l, Error **errp)
{
    g_autofree char *fault = NULL;

    if (msix_layout_stuck(l)) {
        fault = msix_layout_fault(l);
        error_setg(errp, "hardware reports invalid configuration, %s",
                   fault ? fault : "MSI-X in no memory BAR");
        return false;
    }
    if (l->entries && l->pba_offset >= l->bar[l->pba_bar].size) {
        error_setg(errp, "hardware reports invalid configuration, "
                   "MSIX PBA outside of specified BAR");
        return false;
    }
    return true;
}

static void tell_no_msix(VFIOPCIDevice *vdev)
{
    info_report("vfio %s: x-msix-relocation=%s: the device has no MSI-X, "
                "nothing to relocate", vdev->vbasedev.name,
                OffAutoPCIBAR_str(vdev->msix_relo));
}

/* What all devices were given does not suit this one: as with off */
static void plan_without(VFIOPCIDevice *vdev, const char *error)
{
    VFIOMsixState *s = vdev->msix_state;
    g_autofree char *need = NULL, *none = NULL;

    msix_plan_make(&s->layout, MSIX_REQUEST_OFF, &s->plan, &need, &none);
    s->reason = g_strdup_printf("%s was asked for all devices, and for this "
                                "one: %s", OffAutoPCIBAR_str(vdev->msix_relo),
                                error);
    if (s->plan.need == MSIX_NEED_NONE) {
        tell_no_msix(vdev);
    } else {
        warn_report("vfio %s: x-msix-relocation=%s, which was given for all "
                    "devices, is not done: %s", vdev->vbasedev.name,
                    OffAutoPCIBAR_str(vdev->msix_relo), error);
    }
}

static bool make_plan(VFIOPCIDevice *vdev, Error **errp)
{
    VFIOMsixState *s = vdev->msix_state;
    g_autofree char *error = NULL;

    if (msix_plan_make(&s->layout, (MsixRequest)vdev->msix_relo, &s->plan,
                       &s->reason, &error)) {
        if (s->plan.need == MSIX_NEED_NONE &&
            vdev->msix_relo == OFF_AUTO_PCIBAR_AUTO) {
            tell_no_msix(vdev);
        }
        return true;
    }
    if (!vdev->msix_relo_own) {
        plan_without(vdev, error);
        return true;
    }
    error_setg(errp, "x-msix-relocation=%s: %s",
               OffAutoPCIBAR_str(vdev->msix_relo), error);
    return false;
}

bool vfio_msix_relocation_init(VFIOPCIDevice *vdev, Error **errp)
{
    ERRP_GUARD();
    VFIOMsixState *s = g_new0(VFIOMsixState, 1);

    vfio_msix_free(vdev);
    vdev->msix_state = s;
    layout_init(vdev, &s->layout);
    if (!make_plan(vdev, errp)) {
        return false;
    }
    if (!s->plan.relocate) {
        if (!layout_check(&s->layout, errp)) {
            vfio_msix_explain(vdev, errp);
            return false;
        }
        return true;
    }
    apply_plan(vdev, &s->plan);
    return true;
}

bool vfio_msix_relocated(const VFIOPCIDevice *vdev)
{
    return vdev->msix_state && vdev->msix_state->plan.relocate;
}

/* Registers that nothing knew of: what auto would do if it had */
static char *seen_reason(const VFIOMsixState *s)
{
    MsixLayout l = s->layout;
    g_autofree char *why = NULL, *error = NULL;
    MsixPlan plan;

    l.seen_sharing = true;
    if (!msix_plan_make(&l, MSIX_REQUEST_AUTO, &plan, &why, &error) ||
        !plan.relocate) {
        return g_strdup("");
    }
    return g_strdup_printf("; x-msix-relocation=bar%u would end that",
                           plan.bar);
}

char *vfio_msix_reason(VFIOPCIDevice *vdev)
{
    const VFIOMsixState *s = vdev->msix_state;
    g_autofree char *remedy = NULL;

    if (!s->shared_accesses || vfio_msix_relocated(vdev)) {
        return g_strdup(s->reason);
    }
    remedy = seen_reason(s);
    return g_strdup_printf("%s; the guest accessed registers in the host pages "
                           "of table and PBA %" PRIu64 " times, first at 0x%"
                           PRIx64 " of BAR %u, and trapped%s", s->reason,
                           s->shared_accesses, s->shared_offset,
                           s->shared_bar, remedy);
}

void vfio_msix_explain(VFIOPCIDevice *vdev, Error **errp)
{
    const MsixLayout *l = &vdev->msix_state->layout;
    g_autofree char *usable = msix_usable_bars(l);
    g_autofree char *reason = NULL, *error = NULL;
    g_autofree char *what = g_strdup(error_get_pretty(*errp));
    MsixPlan plan;
    bool works = msix_plan_make(l, MSIX_REQUEST_AUTO, &plan, &reason, &error);

    if (vfio_msix_relocated(vdev) || plan.need != MSIX_NEED_REQUIRED) {
        return;
    }
    error_free(*errp);
    *errp = NULL;
    if (works) {
        error_setg(errp, "%s; x-msix-relocation=auto would move table and PBA "
                   "(usable: %s)", what, usable);
    } else if (strcmp(usable, "none")) {
        error_setg(errp, "%s; x-msix-relocation would move table and PBA to "
                   "one of: %s", what, usable);
    } else {
        error_setg(errp, "%s; there is no BAR that they could be moved to",
                   what);
    }
}

void vfio_msix_free(VFIOPCIDevice *vdev)
{
    VFIOMsixState *s = vdev->msix_state;

    if (s) {
        g_free(s->reason);
        g_clear_pointer(&s->traps, g_array_unref);
        g_free(s);
        vdev->msix_state = NULL;
    }
}

static bool get_msix_relocated(Object *obj, Error **errp)
{
    return vfio_msix_relocated(VFIO_PCI_DEVICE(obj));
}

static int get_msix_bar(Object *obj, Error **errp)
{
    VFIOPCIDevice *vdev = VFIO_PCI_DEVICE(obj);

    return vfio_msix_relocated(vdev) ?
           OFF_AUTO_PCIBAR_BAR0 + vdev->msix_state->plan.bar :
           OFF_AUTO_PCIBAR_OFF;
}

static char *get_msix_reason(Object *obj, Error **errp)
{
    VFIOPCIDevice *vdev = VFIO_PCI_DEVICE(obj);

    return vdev->msix_state ? vfio_msix_reason(vdev) :
           g_strdup("the device is not realized");
}

static void get_msix_trapped(Object *obj, Visitor *v, const char *name,
                             void *opaque, Error **errp)
{
    const VFIOMsixState *s = VFIO_PCI_DEVICE(obj)->msix_state;
    uint64_t sum = 0;

    for (guint i = 0; s && s->traps && i < s->traps->len; i++) {
        VFIOMsixTrap *t = &g_array_index(s->traps, VFIOMsixTrap, i);

        sum += t->reads + t->writes;
    }
    visit_type_uint64(v, name, &sum, errp);
}

void vfio_msix_class_init(ObjectClass *klass)
{
    object_class_property_add_bool(klass, "msix-relocated", get_msix_relocated,
                                   NULL);
    object_class_property_set_description(klass, "msix-relocated",
        "Whether the guest sees the MSI-X table elsewhere than the host");
    object_class_property_add_enum(klass, "msix-bar", "OffAutoPCIBAR",
                                   &OffAutoPCIBAR_lookup, get_msix_bar, NULL);
    object_class_property_set_description(klass, "msix-bar",
        "BAR that the MSI-X table was relocated to, as x-msix-relocation "
        "takes it, or off");
    object_class_property_add_str(klass, "msix-reason", get_msix_reason, NULL);
    object_class_property_set_description(klass, "msix-reason",
        "Why the MSI-X table was relocated, or was not");
    object_class_property_add(klass, "msix-trapped-accesses", "uint64",
                              get_msix_trapped, NULL, NULL, NULL);
    object_class_property_set_description(klass, "msix-trapped-accesses",
        "Accesses to BARs that trapped, since the device was plugged");
}
