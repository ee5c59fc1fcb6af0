/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "msix-report.h"

/* The name of an XML namespace, no address to be opened: in two parts */
#define LIBVIRT_NAMESPACE "http:" "//libvirt.org/schemas/domain/qemu/1.0"

static const char *const verdict_names[] = {
    [MSIX_VERDICT_NO_MSIX] = "no-msix",
    [MSIX_VERDICT_REQUIRED] = "required",
    [MSIX_VERDICT_HELPS] = "helps",
    [MSIX_VERDICT_NO_HELP] = "no-help",
    [MSIX_VERDICT_NOT_NEEDED] = "not-needed",
    [MSIX_VERDICT_IMPOSSIBLE] = "impossible",
};

static const char *const verdict_texts[] = {
    [MSIX_VERDICT_NO_MSIX] = "nothing to do",
    [MSIX_VERDICT_REQUIRED] = "required",
    [MSIX_VERDICT_HELPS] = "helps",
    [MSIX_VERDICT_NO_HELP] = "does not help",
    [MSIX_VERDICT_NOT_NEEDED] = "not needed",
    [MSIX_VERDICT_IMPOSSIBLE] = "impossible",
};

static MsixVerdict verdict_of(const MsixReport *r)
{
    if (r->error) {
        return MSIX_VERDICT_IMPOSSIBLE;
    }
    switch (r->plan.need) {
    case MSIX_NEED_REQUIRED:
        return MSIX_VERDICT_REQUIRED;
    case MSIX_NEED_HELPS:
        return r->plan.relocate ? MSIX_VERDICT_HELPS : MSIX_VERDICT_NO_HELP;
    case MSIX_NEED_NO_HELP:
        return MSIX_VERDICT_NO_HELP;
    case MSIX_NEED_NOT_NEEDED:
        return MSIX_VERDICT_NOT_NEEDED;
    default:
        return MSIX_VERDICT_NO_MSIX;
    }
}

void msix_report_make(PciDevice *dev, MsixRequest request, MsixReport *report)
{
    *report = (MsixReport) { .dev = *dev, .request = request };
    *dev = (PciDevice) {};
    msix_plan_make(&report->dev.layout, request, &report->plan,
                   &report->reason, &report->error);
    report->verdict = verdict_of(report);
    if (report->verdict == MSIX_VERDICT_IMPOSSIBLE && !report->error) {
        report->error = g_steal_pointer(&report->reason);
    }
}

void msix_report_clear(MsixReport *report)
{
    pci_device_clear(&report->dev);
    g_clear_pointer(&report->reason, g_free);
    g_clear_pointer(&report->error, g_free);
}

char *msix_report_size(uint64_t size)
{
    static const char *const units[] = {
        "bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB",
    };
    int i = 0;

    while (size && size % 1024 == 0 && i < G_N_ELEMENTS(units) - 1) {
        size /= 1024;
        i++;
    }
    return g_strdup_printf("%" PRIu64 " %s", size, units[i]);
}

/* ------------------------------------------------------------------------- */

static char *qemu_option(const MsixReport *r)
{
    return g_strdup_printf("-device vfio-pci,host=%s,x-msix-relocation=bar%u",
                           r->dev.address, r->plan.bar);
}

/* libvirt wants aliases of the user's to begin with ua- */
static char *alias(const MsixReport *r)
{
    char *name = g_strdup_printf("ua-pci-%s", r->dev.address);

    return g_strdelimit(name, ":.", '-');
}

static char *libvirt_xml(const MsixReport *r)
{
    g_auto(GStrv) part = g_strsplit_set(r->dev.address, ":.", 4);
    g_autofree char *name = alias(r);

    return g_strdup_printf(
        "<domain type='kvm' xmlns:qemu='" LIBVIRT_NAMESPACE "'>\n"
        "  <devices>\n"
        "    <hostdev mode='subsystem' type='pci' managed='yes'>\n"
        "      <source>\n"
        "        <address domain='0x%s' bus='0x%s' slot='0x%s' "
        "function='0x%s'/>\n"
        "      </source>\n"
        "      <alias name='%s'/>\n"
        "    </hostdev>\n"
        "  </devices>\n"
        "  <qemu:override>\n"
        "    <qemu:device alias='%s'>\n"
        "      <qemu:frontend>\n"
        "        <qemu:property name='x-msix-relocation' type='string' "
        "value='bar%u'/>\n"
        "      </qemu:frontend>\n"
        "    </qemu:device>\n"
        "  </qemu:override>\n"
        "</domain>\n", part[0], part[1], part[2], part[3], name, name,
        r->plan.bar);
}

static char *libvirt_old_xml(const MsixReport *r)
{
    g_autofree char *name = alias(r);

    return g_strdup_printf(
        "  <qemu:commandline>\n"
        "    <qemu:arg value='-set'/>\n"
        "    <qemu:arg value='device.%s.x-msix-relocation=bar%u'/>\n"
        "  </qemu:commandline>\n", name, r->plan.bar);
}

/* "hostpci0" is the ID that Proxmox gives to the first of its devices */
static void print_proxmox(const MsixReport *r)
{
    printf("\nProxmox VE (hostpciN as in the VM's configuration; with "
           "nearmetal's QEMU):\n"
           "  qm set VMID --hostpci0 %s,pcie=1 \\\n"
           "    --args '-set device.hostpci0.x-msix-relocation=bar%u'\n",
           r->dev.address, r->plan.bar);
}

static void print_indented(const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (int i = 0; lines[i]; i++) {
        if (*lines[i]) {
            printf("  %s\n", lines[i]);
        }
    }
}

static void print_paste(const MsixReport *r)
{
    g_autofree char *option = qemu_option(r);
    g_autofree char *xml = libvirt_xml(r);
    g_autofree char *old = libvirt_old_xml(r);

    printf("\nQEMU:\n  %s\n", option);
    printf("\nlibvirt 8.2 or later (virsh edit; the first line replaces the "
           "domain's):\n");
    print_indented(xml);
    printf("\nlibvirt before 8.2, with nearmetal's QEMU, instead of "
           "<qemu:override>:\n");
    print_indented(old);
    print_proxmox(r);
}

/* ------------------------------------------------------------------------- */

static void print_bars(const MsixLayout *l)
{
    const char *label = "BARs:";

    for (unsigned i = 0; i < MSIX_PLAN_BARS; i++) {
        const MsixBar *bar = &l->bar[i];
        g_autofree char *size = msix_report_size(bar->size);

        if (bar->size) {
            printf("  %-11s bar%u %9s %s%s%s\n", label, i, size,
                   bar->ioport ? "I/O ports" :
                   bar->mem64 ? "64-bit" : "32-bit",
                   bar->prefetch ? ", prefetchable" : "",
                   bar->ioport || bar->mmap ? "" :
                   ", not mapped: smaller than a page and not aligned");
            label = "";
        }
    }
}

static void print_place(const MsixReport *r)
{
    const MsixPlan *p = &r->plan;
    g_autofree char *size = msix_report_size(p->bar_size);

    printf("  %-11s bar%u, %s: %s, %s%s; table at 0x%" PRIx32 ", PBA at 0x%"
           PRIx32 "\n", "goes to:", p->bar,
           p->new_bar ? "which is free" : "made larger", size,
           p->mem64 ? "64-bit" : "32-bit",
           p->prefetch ? ", prefetchable" : "", p->table_offset,
           p->pba_offset);
}

static void print_msix(const MsixLayout *l)
{
    g_autofree char *usable = msix_usable_bars(l);

    if (!l->entries) {
        return;
    }
    printf("  %-11s %u vectors; table: BAR %u at 0x%" PRIx32 ", %" PRIu64
           " bytes; PBA: BAR %u at 0x%" PRIx32 ", %" PRIu64 " bytes\n",
           "MSI-X:", l->entries, l->table_bar, l->table_offset,
           msix_table_size(l->entries), l->pba_bar, l->pba_offset,
           msix_pba_size(l->entries));
    print_bars(l);
    printf("  %-11s %s\n", "usable:", usable);
}

void msix_report_print(const MsixReport *r)
{
    const PciDevice *dev = &r->dev;
    const MsixLayout *l = &dev->layout;
    g_autofree char *page = msix_report_size(l->host_page_size);

    printf("%s  %04x:%04x, class %06x%s, driver %s, NUMA node ", dev->address,
           dev->vendor, dev->device, dev->class_code, l->nvme ? " (NVMe)" : "",
           dev->driver ? dev->driver : "none");
    if (dev->numa_node >= 0) {
        printf("%d\n", dev->numa_node);
    } else {
        printf("unknown\n");
    }
    if (dev->model) {
        printf("  %-11s %s\n", "model:", dev->model);
    }
    printf("  %-11s pages of %s; the kernel %s the table's pages be mapped\n",
           "host:", page, l->mappable ? "lets" : "does not let");
    print_msix(l);
    printf("  %-11s %s: %s\n", "relocation:", verdict_texts[r->verdict],
           r->error ? r->error : r->reason);
    if (r->verdict == MSIX_VERDICT_NOT_NEEDED) {
        printf("  %-11s \"info vfio-msix\" in a running VM counts what traps; "
               "if registers\n  %-11s beside the table do, ask again with "
               "--shared\n", "", "");
    }
    if (r->plan.relocate && !r->error) {
        print_place(r);
        print_paste(r);
    }
}

/* ------------------------------------------------------------------------- */

static char *place_text(unsigned bar, uint32_t offset)
{
    return g_strdup_printf("%u+0x%" PRIx32, bar, offset);
}

static void print_row(const MsixReport *r)
{
    const PciDevice *dev = &r->dev;
    const MsixLayout *l = &dev->layout;
    g_autofree char *table = place_text(l->table_bar, l->table_offset);
    g_autofree char *pba = place_text(l->pba_bar, l->pba_offset);
    g_autofree char *node = g_strdup_printf("%d", dev->numa_node);
    g_autofree char *bar = g_strdup_printf("bar%u", r->plan.bar);

    printf("%-13s %04x:%04x %-5s %-10s %4s %7u %-10s %-10s %-13s %-4s  %s\n",
           dev->address, dev->vendor, dev->device, l->nvme ? "nvme" : "other",
           dev->driver ? dev->driver : "-",
           dev->numa_node < 0 ? "-" : node, l->entries,
           l->entries ? table : "-", l->entries ? pba : "-",
           verdict_texts[r->verdict],
           r->plan.relocate && !r->error ? bar : "-",
           dev->model ? dev->model : "-");
}

void msix_report_table(GPtrArray *reports, bool hidden)
{
    if (!reports->len) {
        if (!hidden) {
            printf("no NVMe device, and none with MSI-X\n");
        }
        return;
    }
    printf("%-13s %-9s %-5s %-10s %4s %7s %-10s %-10s %-13s %-4s  %s\n",
           "ADDRESS", "ID", "KIND", "DRIVER", "NODE", "VECTORS", "TABLE", "PBA",
           "RELOCATION", "TO", "MODEL");
    for (unsigned i = 0; i < reports->len; i++) {
        print_row(reports->pdata[i]);
    }
}

/* ------------------------------------------------------------------------- */

static void json_text(int indent, const char *name, const char *text)
{
    printf(",\n%*s\"%s\": ", indent, "", name);
    if (!text) {
        printf("null");
        return;
    }
    putchar('"');
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p == '"' || *p == '\\') {
            printf("\\%c", *p);
        } else if (*p == '\n') {
            printf("\\n");
        } else if (*p < 0x20 || *p >= 0x7f) {
            printf("\\u%04x", *p);
        } else {
            putchar(*p);
        }
    }
    putchar('"');
}

static void json_bool(int indent, const char *name, bool value)
{
    printf(",\n%*s\"%s\": %s", indent, "", name, value ? "true" : "false");
}

static void json_number(int indent, const char *name, int64_t value)
{
    printf(",\n%*s\"%s\": %" PRId64, indent, "", name, value);
}

static void json_area(int indent, const char *name, unsigned bar,
                      uint32_t offset, uint64_t size)
{
    printf(",\n%*s\"%s\": { \"bar\": %u, \"offset\": %" PRIu32 ", \"size\": %"
           PRIu64 " }", indent, "", name, bar, offset, size);
}

static void json_bars(int indent, const MsixLayout *l)
{
    const char *comma = "";

    printf(",\n%*s\"bars\": [", indent, "");
    for (unsigned i = 0; i < MSIX_PLAN_BARS; i++) {
        const MsixBar *bar = &l->bar[i];

        if (!bar->size) {
            continue;
        }
        printf("%s\n%*s{ \"bar\": %u, \"size\": %" PRIu64 ", \"ioport\": %s, "
               "\"mem64\": %s, \"prefetch\": %s, \"mmap\": %s }", comma,
               indent + 2, "", i, bar->size, bar->ioport ? "true" : "false",
               bar->mem64 ? "true" : "false", bar->prefetch ? "true" : "false",
               bar->mmap ? "true" : "false");
        comma = ",";
    }
    printf(" ],\n%*s\"usable\": [", indent, "");
    comma = "";
    for (unsigned i = 0; l->entries && i < MSIX_PLAN_BARS; i++) {
        if (msix_bar_usable(l, i, NULL)) {
            printf("%s \"bar%u\"", comma, i);
            comma = ",";
        }
    }
    printf(" ]");
}

static void json_plan(int indent, const MsixReport *r)
{
    const MsixPlan *p = &r->plan;
    unsigned entries = r->dev.layout.entries;
    g_autofree char *option = qemu_option(r);
    g_autofree char *xml = libvirt_xml(r);

    json_number(indent, "bar", p->bar);
    json_bool(indent, "new-bar", p->new_bar);
    json_bool(indent, "mem64", p->mem64);
    json_bool(indent, "prefetch", p->prefetch);
    json_number(indent, "bar-size", p->bar_size);
    json_area(indent, "table", p->bar, p->table_offset,
              msix_table_size(entries));
    json_area(indent, "pba", p->bar, p->pba_offset, msix_pba_size(entries));
    json_text(indent, "qemu", option);
    json_text(indent, "libvirt", xml);
}

static void json_device(int in, const PciDevice *dev)
{
    const MsixLayout *l = &dev->layout;

    printf("\n%*s\"address\": \"%s\"", in, "", dev->address);
    json_number(in, "vendor", dev->vendor);
    json_number(in, "device", dev->device);
    json_number(in, "class", dev->class_code);
    json_bool(in, "nvme", l->nvme);
    json_text(in, "driver", dev->driver);
    json_text(in, "model", dev->model);
    json_number(in, "numa-node", dev->numa_node);
    json_number(in, "host-page-size", l->host_page_size);
    json_bool(in, "mappable", l->mappable);
    json_number(in, "vectors", l->entries);
    if (l->entries) {
        json_area(in, "host-table", l->table_bar, l->table_offset,
                  msix_table_size(l->entries));
        json_area(in, "host-pba", l->pba_bar, l->pba_offset,
                  msix_pba_size(l->entries));
    }
    json_bars(in, l);
}

void msix_report_json(const MsixReport *r, int indent)
{
    int in = indent + 2;
    g_autofree char *bar = g_strdup_printf("bar%d",
                                           r->request - MSIX_REQUEST_BAR0);

    printf("%*s{", indent, "");
    json_device(in, &r->dev);
    json_text(in, "requested",
              r->request == MSIX_REQUEST_AUTO ? "auto" : bar);
    json_text(in, "verdict", verdict_names[r->verdict]);
    json_text(in, "reason", r->error ? r->error : r->reason);
    json_bool(in, "relocated", r->plan.relocate && !r->error);
    if (r->plan.relocate && !r->error) {
        json_plan(in, r);
    }
    printf("\n%*s}", indent, "");
}
