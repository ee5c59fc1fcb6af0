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
#include "pci-ids.h"
#include "pci-save.h"

#define PROGRAM "msix-check"

enum { EXIT_USAGE = 2 };

typedef struct Options {
    char *address;              /* NULL: all devices */
    char *sysfs;
    char *save;                 /* file for a copy; NULL: none */
    char *pci_ids;              /* NULL: where distributions have it */
    PciHost host;
    uint64_t page_size;         /* 0: the host's */
    bool not_mappable;
    MsixRequest request;
    bool shared;
    bool json;
} Options;

static const char help[] =
"Usage: scripts/msix-check [BDF] [OPTION]...\n"
"\n"
"On the host, before a VM is started: should QEMU relocate the MSI-X table of a\n"
"PCI device that is passed through (vfio-pci, x-msix-relocation)? Says\n"
"  required        the device's layout is invalid, it cannot be used without\n"
"  helps           registers share a host page with the table: they would trap\n"
"  not needed      none are known to\n"
"  does not help   they do, but relocating would not change it, or only in a\n"
"                  BAR whose place or size a driver may rely on\n"
"  impossible      no BAR can take the table\n"
"and why, to which BAR, and what to paste for QEMU and for libvirt. The decision\n"
"is made by the code that QEMU's x-msix-relocation=auto has. Without BDF: a table\n"
"of all NVMe devices and all with MSI-X. Reading a whole config needs root.\n"
"\n"
"  BDF              PCI address, 0000:01:00.0 or 01:00.0\n"
"  --sysfs ROOT     read ROOT instead of /sys, for instance a copy\n"
"  --save FILE      write what is read here to FILE, a tar archive; elsewhere\n"
"                   unpack it and use --sysfs sys\n"
"  --page-size N    of the host, in bytes, or with K (default: this machine's,\n"
"                   or that of the machine that a copy is from)\n"
"  --not-mappable   the host's kernel is older than 4.16 (default: looked up)\n"
"  --shared         registers were seen to share a page with the table: \"info\n"
"                   vfio-msix\" of a VM counted accesses to them\n"
"  --pci-ids FILE   names of models (default: hwdata's or pciutils' pci.ids)\n"
"  --request BAR    auto, or bar0 to bar5 to see what that would do\n"
"                   (default: auto)\n"
"  --json           print an object, or without BDF a list of them\n"
"  -h, --help       this text\n"
"\n"
"From a device's folder in ROOT/bus/pci/devices it reads config, resource,\n"
"vendor, device, class, numa_node and the link driver.\n"
"\n"
"JSON, for a device: address, vendor, device, class (numbers), nvme, driver and\n"
"model (or null), numa-node (or -1), host-page-size, mappable, vectors, bars (a\n"
"list of bar, size, ioport, mem64, prefetch, mmap), usable (a list of barN),\n"
"requested, verdict (no-msix, required, helps, not-needed, no-help, impossible),\n"
"reason, relocated; with MSI-X also host-table and host-pba, where they are (bar,\n"
"offset, size); if relocated is true also bar, new-bar, mem64, prefetch,\n"
"bar-size, table, pba, and the texts qemu and libvirt. Sizes and offsets are in\n"
"bytes. Devices that cannot be read are named on standard error and are not in\n"
"the list.\n"
"\n"
"Exit status: 0 answered, 1 impossible or not to be read, 2 wrong arguments, such\n"
"as a device that is not there.\n"
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
    } else if (g_str_equal(name, "--save")) {
        g_free(o->save);
        o->save = g_strdup(value);
    } else if (g_str_equal(name, "--pci-ids")) {
        g_free(o->pci_ids);
        o->pci_ids = g_strdup(value);
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
        o->not_mappable = true;
    } else if (g_str_equal(argv[*i], "--shared")) {
        o->shared = true;
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
        .host = {
            .page_size = getauxval(AT_PAGESZ),
            .mappable = kernel_maps_table(),
        },
        .request = MSIX_REQUEST_AUTO,
    };

    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-') {
            parse_option(&o, argc, argv, &i);
        } else {
            set_address(&o, argv[i]);
        }
    }
    pci_saved_host(o.sysfs, &o.host);
    if (o.page_size) {
        o.host.page_size = o.page_size;
    }
    if (o.not_mappable) {
        o.host.mappable = false;
    }
    return o;
}

/* @hidden: set if the device has more to it than this user can see */
static char *check(const Options *o, const char *address, MsixReport *report,
                   bool *hidden)
{
    PciDevice dev;
    char *error = pci_device_read(o->sysfs, address, o->host.page_size, &dev);

    if (error) {
        *hidden |= dev.hidden;
        return error;
    }
    if (dev.bridge) {
        pci_device_clear(&dev);
        *report = (MsixReport) { .dev.bridge = true };
        return NULL;
    }
    dev.layout.host_page_size = o->host.page_size;
    dev.layout.mappable = o->host.mappable;
    dev.layout.seen_sharing = o->shared;
    dev.model = pci_ids_name(o->pci_ids, dev.vendor, dev.device);
    msix_report_make(&dev, o->request, report);
    return NULL;
}

static int check_one(const Options *o)
{
    MsixReport report = {};
    bool hidden = false;
    g_autofree char *error = NULL;
    int status = EXIT_SUCCESS;

    if (!pci_device_exists(o->sysfs, o->address)) {
        usage("%s: there is no such device in %s", o->address, o->sysfs);
    }
    error = check(o, o->address, &report, &hidden);
    if (error) {
        complain("%s", error);
        return EXIT_FAILURE;
    }
    if (report.dev.bridge) {
        usage("%s: a PCI bridge cannot be passed through; name a device "
              "behind it", o->address);
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

static GPtrArray *device_addresses(const Options *o)
{
    char *error = NULL;
    GPtrArray *addresses = pci_device_addresses(o->sysfs, &error);

    if (!addresses) {
        usage("%s", error);
    }
    return addresses;
}

/* A copy without the capabilities would be of no use */
static bool readable(const Options *o, const char *address)
{
    bool hidden = false;
    MsixReport report = {};
    g_autofree char *error = check(o, address, &report, &hidden);

    msix_report_clear(&report);
    return !hidden;
}

static int save(const Options *o)
{
    g_autoptr(GPtrArray) addresses = device_addresses(o);
    g_autofree char *error = NULL;

    for (unsigned i = 0; i < addresses->len; i++) {
        if (!readable(o, addresses->pdata[i])) {
            complain("--save: only root can read all of %s: run this as root",
                     (char *)addresses->pdata[i]);
            return EXIT_FAILURE;
        }
    }
    error = pci_save(o->save, o->sysfs, addresses, &o->host);
    if (error) {
        complain("%s", error);
        return EXIT_FAILURE;
    }
    printf("%s: %u devices; elsewhere: tar xf %s && scripts/msix-check "
           "--sysfs sys\n", o->save, addresses->len, o->save);
    return EXIT_SUCCESS;
}

static int check_all(const Options *o)
{
    char *error = NULL;
    g_autoptr(GPtrArray) addresses = device_addresses(o);
    g_autoptr(GPtrArray) reports = g_ptr_array_new_with_free_func(free_report);
    unsigned hidden_count = 0;
    int status = EXIT_SUCCESS;

    for (unsigned i = 0; i < addresses->len; i++) {
        MsixReport *report = g_new0(MsixReport, 1);
        bool hidden = false;

        error = check(o, addresses->pdata[i], report, &hidden);
        if (error) {
            hidden_count += hidden;
            if (!hidden) {
                complain("%s", error);
            }
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
    if (hidden_count) {
        complain("%u device%s may have MSI-X, but only root can read that: run "
                 "this as root", hidden_count, hidden_count > 1 ? "s" : "");
    }
    if (o->json) {
        print_list_json(reports);
    } else {
        msix_report_table(reports, status != EXIT_SUCCESS);
    }
    return status;
}

int main(int argc, char **argv)
{
    Options o = parse_options(argc, argv);
    int status = o.save ? save(&o) :
                 o.address ? check_one(&o) : check_all(&o);

    g_free(o.save);
    g_free(o.pci_ids);
    g_free(o.address);
    g_free(o.sysfs);
    return status;
}
