/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Before a VM is started: should a device's MSI-X table be relocated?
 *
 * Copyright (C) 2026 nearmetal contributors
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/utsname.h>
#include "msix-report.h"

#define PROGRAM "msix-check"

enum { EXIT_USAGE = 2 };

typedef struct Options {
    char *address;              /* NULL: all devices */
    char *sysfs;
    uint64_t page_size;
    bool mappable;
    MsixRequest request;
    bool json;
} Options;

static const char help[] =
"Usage: scripts/msix-check [BDF] [OPTION]...\n"
"\n"
"On the host, before a VM is started: should QEMU relocate the MSI-X table of a\n"
"PCI device that is passed through (vfio-pci, x-msix-relocation)? Says\n"
"  required        the device's layout is invalid, it cannot be used without\n"
"  helps           registers share a host page with the table: they would trap\n"
"  does not help   they do not, or relocating would not change it\n"
"  impossible      no BAR can take the table\n"
"and why, to which BAR, and what to paste for QEMU and for libvirt. The decision\n"
"is made by the code that QEMU's x-msix-relocation=auto has. Without BDF: a table\n"
"of all NVMe devices and all with MSI-X. Reading a whole config needs root.\n"
"\n"
"  BDF              PCI address, 0000:01:00.0 or 01:00.0\n"
"  --sysfs ROOT     read ROOT instead of /sys, for instance a copy\n"
"  --page-size N    of the host, in bytes, or with K (default: this machine's)\n"
"  --not-mappable   the host's kernel is older than 4.16 (default: looked up)\n"
"  --request BAR    auto, or bar0 to bar5 to see what that would do\n"
"                   (default: auto)\n"
"  --json           print an object, or without BDF a list of them\n"
"  -h, --help       this text\n"
"\n"
"From a device's folder in ROOT/bus/pci/devices it reads config, resource,\n"
"vendor, device, class, numa_node and the link driver.\n"
"\n"
"JSON, for a device: address, vendor, device, class (numbers), nvme, driver (or\n"
"null), numa-node (or -1), host-page-size, mappable, vectors, bars (a list of\n"
"bar, size, ioport, mem64, prefetch, mmap), usable (a list of barN), requested,\n"
"verdict (no-msix, required, helps, no-help, impossible), reason, relocated;\n"
"with MSI-X also host-table and host-pba, where they are (bar, offset, size);\n"
"if relocated is true also bar, new-bar, mem64, bar-size, table, pba, and the\n"
"texts qemu and libvirt. Sizes and offsets are in bytes. Devices that cannot be\n"
"read are named on standard error and are not in the list.\n"
"\n"
"Exit status: 0 answered, 1 impossible or not to be read, 2 wrong usage.\n"
"\n"
"Examples:\n"
"  scripts/msix-check\n"
"  scripts/msix-check 01:00.0\n"
"  scripts/msix-check 01:00.0 --request bar0 --page-size 64K\n";

static void G_GNUC_PRINTF(1, 2) complain(const char *format, ...)
{
    va_list args;

    fprintf(stderr, PROGRAM ": error: ");
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

static void G_GNUC_NORETURN G_GNUC_PRINTF(1, 2) usage(const char *format, ...)
{
    va_list args;

    fprintf(stderr, PROGRAM ": error: ");
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, " (see " PROGRAM " -h)\n");
    exit(EXIT_USAGE);
}

/* VFIO_REGION_INFO_CAP_MSIX_MAPPABLE came with Linux 4.16 */
static bool kernel_maps_table(void)
{
    struct utsname name;
    unsigned major, minor;

    return uname(&name) < 0 ||
           sscanf(name.release, "%u.%u", &major, &minor) != 2 ||
           major > 4 || (major == 4 && minor >= 16);
}

static uint64_t parse_page_size(const char *text)
{
    char *end;
    uint64_t size = g_ascii_strtoull(text, &end, 10);

    if (g_ascii_isdigit(*text) && (*end == 'k' || *end == 'K') &&
        size <= 1024) {
        size *= 1024;
        end++;
    }
    if (!g_ascii_isdigit(*text) || *end || size < 4096 || size > 1024 * 1024 ||
        (size & (size - 1))) {
        usage("--page-size '%s' is no power of two from 4096 to 1048576",
              text);
    }
    return size;
}

static MsixRequest parse_request(const char *text)
{
    if (g_str_equal(text, "auto")) {
        return MSIX_REQUEST_AUTO;
    }
    if (g_str_has_prefix(text, "bar") && text[3] >= '0' && text[3] <= '5' &&
        !text[4]) {
        return MSIX_REQUEST_BAR0 + (text[3] - '0');
    }
    usage("--request '%s' is neither auto nor bar0 to bar5", text);
}

static void set_address(Options *o, const char *text)
{
    if (o->address) {
        usage("more than one device: '%s'", text);
    }
    o->address = pci_address(text);
    if (!o->address) {
        usage("'%s' is no PCI address; write it as 0000:01:00.0 or 01:00.0",
              text);
    }
}

/* Options with a value, as "--name value" or "--name=value" */
static bool take_value(Options *o, const char *name, const char *value)
{
    if (g_str_equal(name, "--sysfs")) {
        g_free(o->sysfs);
        o->sysfs = g_strdup(value);
    } else if (g_str_equal(name, "--page-size")) {
        o->page_size = value ? parse_page_size(value) : 0;
    } else if (g_str_equal(name, "--request")) {
        o->request = value ? parse_request(value) : MSIX_REQUEST_AUTO;
    } else {
        return false;
    }
    if (!value || !*value) {
        usage("%s needs a value", name);
    }
    return true;
}

static void parse_option(Options *o, int argc, char **argv, int *i)
{
    const char *equals = strchr(argv[*i], '=');
    g_autofree char *name = equals ? g_strndup(argv[*i], equals - argv[*i]) :
                            g_strdup(argv[*i]);

    if (take_value(o, name, equals ? equals + 1 :
                   *i + 1 < argc ? argv[*i + 1] : NULL)) {
        *i += !equals;
    } else if (g_str_equal(argv[*i], "--not-mappable")) {
        o->mappable = false;
    } else if (g_str_equal(argv[*i], "--json")) {
        o->json = true;
    } else if (g_str_equal(argv[*i], "-h") ||
               g_str_equal(argv[*i], "--help")) {
        fputs(help, stdout);
        exit(EXIT_SUCCESS);
    } else {
        usage("unknown option '%s'", argv[*i]);
    }
}

static Options parse_options(int argc, char **argv)
{
    Options o = {
        .sysfs = g_strdup("/sys"),
        .page_size = getauxval(AT_PAGESZ),
        .mappable = kernel_maps_table(),
        .request = MSIX_REQUEST_AUTO,
    };

    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-') {
            parse_option(&o, argc, argv, &i);
        } else {
            set_address(&o, argv[i]);
        }
    }
    return o;
}

static char *check(const Options *o, const char *address, MsixReport *report)
{
    PciDevice dev;
    char *error = pci_device_read(o->sysfs, address, o->page_size, &dev);

    if (error) {
        return error;
    }
    if (dev.bridge) {
        pci_device_clear(&dev);
        *report = (MsixReport) { .dev.bridge = true };
        return NULL;
    }
    dev.layout.host_page_size = o->page_size;
    dev.layout.mappable = o->mappable;
    msix_report_make(&dev, o->request, report);
    return NULL;
}

static int check_one(const Options *o)
{
    MsixReport report = {};
    g_autofree char *error = check(o, o->address, &report);
    int status = EXIT_SUCCESS;

    if (error) {
        complain("%s", error);
        return EXIT_FAILURE;
    }
    if (report.dev.bridge) {
        complain("%s: a PCI bridge cannot be passed through; name a device "
                 "behind it", o->address);
        return EXIT_FAILURE;
    }
    if (o->json) {
        msix_report_json(&report, 0);
        putchar('\n');
    } else {
        msix_report_print(&report);
    }
    if (report.verdict == MSIX_VERDICT_IMPOSSIBLE) {
        complain("%s: %s", o->address, report.error);
        status = EXIT_FAILURE;
    }
    msix_report_clear(&report);
    return status;
}

static void free_report(void *opaque)
{
    msix_report_clear(opaque);
    g_free(opaque);
}

static void print_list_json(GPtrArray *reports)
{
    printf("[");
    for (unsigned i = 0; i < reports->len; i++) {
        printf(i ? ",\n" : "\n");
        msix_report_json(reports->pdata[i], 2);
    }
    printf("\n]\n");
}

static int check_all(const Options *o)
{
    char *error = NULL;
    g_autoptr(GPtrArray) addresses = pci_device_addresses(o->sysfs, &error);
    g_autoptr(GPtrArray) reports = g_ptr_array_new_with_free_func(free_report);
    int status = EXIT_SUCCESS;

    if (!addresses) {
        complain("%s", error);
        g_free(error);
        return EXIT_FAILURE;
    }
    for (unsigned i = 0; i < addresses->len; i++) {
        MsixReport *report = g_new0(MsixReport, 1);

        error = check(o, addresses->pdata[i], report);
        if (error) {
            complain("%s", error);
            g_free(error);
            status = EXIT_FAILURE;
        }
        if (error || report->dev.bridge ||
            !(report->dev.layout.entries || report->dev.layout.nvme)) {
            free_report(report);
        } else {
            g_ptr_array_add(reports, report);
        }
    }
    if (o->json) {
        print_list_json(reports);
    } else {
        msix_report_table(reports);
    }
    return status;
}

int main(int argc, char **argv)
{
    Options o = parse_options(argc, argv);
    int status = o.address ? check_one(&o) : check_all(&o);

    g_free(o.address);
    g_free(o.sysfs);
    return status;
}
