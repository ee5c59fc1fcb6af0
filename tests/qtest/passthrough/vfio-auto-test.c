/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * x-msix-relocation=auto and query-vfio-msix: what they say, against what the
 * guest finds in its BARs and what QEMU's memory map holds
 */
#include "qemu/osdep.h"
#include "qemu/units.h"
#include "qobject/qlist.h"
#include "vfio-check.h"
#include "vfio-query.h"
#include "vfio-run.h"

#define ADDRESS         VFIO_RUN_ADDRESS

/* Returns: false if the test is to be skipped */
static bool run_start(VfioRun *run, const char *device, const char *options)
{
    if (!vfio_run_device(run, device, options)) {
        return false;
    }
    run->info = vfio_query(run->qts, "dev");
    return true;
}

static void assert_reason(VfioRun *run, const char *part)
{
    const char *reason = qdict_get_str(run->info, "reason");

    if (!strstr(reason, part)) {
        vfio_fail("reason \"%s\" does not contain \"%s\"", reason, part);
    }
}

/* The query tells what the guest finds */
static void check_query(VfioRun *run)
{
    QDict *info = run->info;
    unsigned vectors = run->dev->vectors;
    bool relocated = qdict_get_bool(info, "relocated");

    g_assert_cmpstr(qdict_get_str(info, "host"), ==, ADDRESS);
    g_assert_cmpint(qdict_get_int(info, "vectors"), ==, vectors);
    g_assert_cmpint(relocated, ==, qdict_haskey(info, "bar"));
    vfio_query_assert_area(info, "table", run->dev->table, 16 * vectors);
    vfio_query_assert_area(info, "pba", run->dev->pba,
                           DIV_ROUND_UP(vectors, 64) * 8);
    if (relocated) {
        g_assert_cmpint(qdict_get_int(info, "bar"), ==, run->dev->table.bar);
        g_assert_cmpint(qdict_get_int(info, "bar"), ==, run->dev->pba.bar);
    }
    vfio_query_assert_traps(run->dev, info);
}

#define KEEP (-1)

static const struct {
    const char *name;
    const char *device;
    VfioArea table;             /* on the host */
    VfioArea pba;
    unsigned vectors;
    bool invalid;
    int bar[3];                 /* for page_sizes[]: what auto takes */
} layouts[] = {
    { "sm2262", "bar0=16K,mem64 msix=22 table=0:0x2000 pba=0:0x2100",
      { 0, 0x2000 }, { 0, 0x2100 }, 22, true,
      { 2, 2, 0 } },
    { "cd8p", "bar0=64K,mem64 msix=129 table=0:0x5200 pba=0:0xd600",
      { 0, 0x5200 }, { 0, 0xd600 }, 129, false,
      { KEEP, 2, 2 } },
    { "intel", "bar0=16K,mem64 msix=136 table=0:0x2000 pba=0:0x3000",
      { 0, 0x2000 }, { 0, 0x3000 }, 136, false,
      { KEEP, 2, 0 } },
    { "beyond-the-end", "bar0=16K,mem64 msix=22 table=0:0x2000 pba=0:0x8000",
      { 0, 0x2000 }, { 0, 0x8000 }, 22, true,
      { 2, 2, 0 } },
    { "reserved-bir-7", "bar0=16K,mem64 msix=22 table=7:0x2000 pba=0:0x3000",
      { 7, 0x2000 }, { 0, 0x3000 }, 22, true,
      { 2, 2, 0 } },
    { "reserved-bir-6", "bar0=16K,mem64 msix=22 table=0:0x2000 pba=6:0x3000",
      { 0, 0x2000 }, { 6, 0x3000 }, 22, true,
      { 2, 2, 0 } },
};

static const unsigned page_sizes[] = { 4 * KiB, 16 * KiB, 64 * KiB };

typedef struct FieldCase {
    unsigned layout;
    unsigned page_size;
    int bar;
} FieldCase;

/* Registers and doorbells of an NVMe device; stride 0 */
static bool doorbells_direct(VfioRun *run)
{
    return vfio_direct(run->qts, run->dev->bar[0].address,
                       0x1000 + 8 * run->dev->vectors,
                       qdict_get_int(run->info, "host-page-size"));
}

static void test_field(const void *data)
{
    const FieldCase *c = data;
    g_autofree char *device = g_strdup_printf(
        "page-size=%u\n" ADDRESS " %s", c->page_size,
        layouts[c->layout].device);
    unsigned vectors = layouts[c->layout].vectors;
    VfioRun run;

    if (c->page_size < qemu_real_host_page_size()) {
        g_test_skip("this host has larger pages");
        return;
    }
    if (!run_start(&run, device, ",x-msix-relocation=auto")) {
        return;
    }
    g_test_message("%s", qdict_get_str(run.info, "reason"));
    g_assert_cmpuint(run.dev->vectors, ==, vectors);
    g_assert_cmpint(qdict_get_int(run.info, "host-page-size"), ==,
                    c->page_size);
    vfio_query_assert_area(run.info, "host-table", layouts[c->layout].table,
                           16 * vectors);
    vfio_query_assert_area(run.info, "host-pba", layouts[c->layout].pba,
                           DIV_ROUND_UP(vectors, 64) * 8);
    check_query(&run);
    g_assert_cmpint(qdict_get_try_int(run.info, "bar", KEEP), ==, c->bar);
    g_assert_true(doorbells_direct(&run));
    vfio_check_vectors(run.host, ADDRESS, run.dev);
    vfio_run_end(&run);
}

/* What a valid layout costs without relocating: the guest's doorbells trap */
static void test_trapped_without(const void *data)
{
    const FieldCase *c = data;
    g_autofree char *device = g_strdup_printf(
        "page-size=%u\n" ADDRESS " %s", c->page_size,
        layouts[c->layout].device);
    VfioRun run;

    if (c->page_size < qemu_real_host_page_size()) {
        g_test_skip("this host has larger pages");
        return;
    }
    if (!run_start(&run, device, "")) {
        return;
    }
    g_assert_false(qdict_get_bool(run.info, "relocated"));
    g_assert_cmpstr(qdict_get_str(run.info, "requested"), ==, "off");
    check_query(&run);
    g_assert_cmpint(doorbells_direct(&run), ==,
                    layouts[c->layout].table.offset / c->page_size > 0);
    vfio_check_vectors(run.host, ADDRESS, run.dev);
    vfio_run_end(&run);
}

/* A kernel before 4.16: the table's pages trap, also where they were left */
static void test_not_mappable(void)
{
    static const char *const options[] = {
        "", ",x-msix-relocation=auto", ",x-msix-relocation=bar2",
    };
    VfioRun run;

    for (int i = 0; i < G_N_ELEMENTS(options); i++) {
        if (!run_start(&run, ADDRESS " bar0=256K,mem64 mappable=0 noresize=1 "
                       "msix=22 table=0:0x20000 pba=0:0x30000", options[i])) {
            return;
        }
        g_assert_false(qdict_get_bool(run.info, "mappable"));
        check_query(&run);
        g_assert_nonnull(vfio_query_trap(run.info, 0, 0x20000));
        vfio_check_vectors(run.host, ADDRESS, run.dev);
        vfio_run_end(&run);
    }
}

/* A BAR smaller than a page, with a whole page to itself in the guest */
static void test_small_bar(void)
{
    VfioRun run;

    if (qemu_real_host_page_size() > 64 * KiB) {
        g_test_skip("this host has larger pages");
        return;
    }
    if (!run_start(&run, "page-size=64K\n" ADDRESS " bar0=16K,mem64 msix=22 "
                   "table=0:0x2000 pba=0:0x3000",
                   ",x-msix-relocation=auto")) {
        return;
    }
    g_assert_true(qdict_get_bool(run.info, "relocated"));
    assert_reason(&run, "shares a host page");
    g_assert_cmphex(run.dev->bar[0].address % (64 * KiB), ==, 0);
    g_assert_true(vfio_direct(run.qts, run.dev->bar[0].address, 64 * KiB,
                              64 * KiB));
    g_assert_null(vfio_query_trap(run.info, 0, 0x1000));
    vfio_device_write(run.dev, 0, 0x1008, 0x55);
    g_assert_cmphex(vfio_host_read(run.host, ADDRESS, 0, 0x1008), ==, 0x55);
    vfio_check_vectors(run.host, ADDRESS, run.dev);
    vfio_run_end(&run);
}

/* Two BARs in one page: what begins the page is not mapped either */
static void test_shared_page(void)
{
    VfioRun run;

    if (qemu_real_host_page_size() > 64 * KiB) {
        g_test_skip("this host has larger pages");
        return;
    }
    if (!run_start(&run, "page-size=64K\n" ADDRESS " bar0=64K bar2=16K "
                   "bar4=16K msix=22 table=0:0 pba=0:0x8000", "")) {
        return;
    }
    g_assert_cmphex(run.dev->bar[2].address % (64 * KiB), ==, 0);
    g_assert_cmphex(run.dev->bar[4].address, ==,
                    run.dev->bar[2].address + 16 * KiB);
    g_assert_nonnull(vfio_query_trap(run.info, 2, 0));
    g_assert_nonnull(vfio_query_trap(run.info, 4, 0));
    check_query(&run);
    vfio_run_end(&run);
}

static void test_no_msix(void)
{
    VfioRun run;
    g_autofree char *text = NULL;

    if (!run_start(&run, ADDRESS " bar0=64K,mem64",
                   ",x-msix-relocation=auto")) {
        return;
    }
    g_assert_cmpuint(run.dev->msix_cap, ==, 0);
    g_assert_cmpint(qdict_get_int(run.info, "vectors"), ==, 0);
    g_assert_false(qdict_get_bool(run.info, "relocated"));
    g_assert_false(qdict_haskey(run.info, "table"));
    g_assert_false(qdict_haskey(run.info, "host-table"));
    assert_reason(&run, "no MSI-X");
    vfio_query_assert_traps(run.dev, run.info);
    text = vfio_host_refused(run.host, "vfio-pci,host=" ADDRESS
                             ",x-msix-relocation=bar2");
    g_assert_nonnull(strstr(text, "x-msix-relocation=bar2"));
    g_assert_nonnull(strstr(text, "no MSI-X"));
    vfio_run_end(&run);
}

/* Requests that cannot be met: the message has each of the parts */
static const struct {
    const char *name;
    const char *device;
    const char *request;
    const char *parts[4];
} refused[] = {
    { "big-bar", "bar0=4G,mem64 msix=22 table=0:0x2000 pba=0:0x3000", "bar0",
      { "x-msix-relocation=bar0", "4 GiB", "bar2, bar3, bar4, bar5" } },
    { "huge-bar",
      "bar0=512G,mem64 bar2=64K bar3=256,io msix=22 table=2:0 pba=2:0x3000",
      "bar0", { "x-msix-relocation=bar0", "4 GiB", "bar2, bar4, bar5" } },
    { "upper-half", "bar0=16K,mem64 msix=22 table=0:0x2000 pba=0:0x3000",
      "bar1", { "x-msix-relocation=bar1", "64-bit", "bar0, bar2" } },
    { "io", "bar0=16K bar1=256,io msix=22 table=0:0x2000 pba=0:0x3000",
      "bar1", { "x-msix-relocation=bar1", "I/O", "bar0, bar2" } },
    { "32-bit-2-gib", "bar0=16K bar1=2G msix=22 table=0:0x2000 pba=0:0x3000",
      "bar1", { "x-msix-relocation=bar1", "1 GiB", "bar0, bar2" } },
    { "no-bar-left",
      "bar0=4G,mem64 bar2=8G,mem64 bar4=16G,mem64 msix=22 table=0:0x2000 "
      "pba=0:0x2100", "auto",
      { "x-msix-relocation=auto", "overlap", "no BAR can take" } },
    { "only-big-bars",
      "bar0=2G,mem64 bar2=2G,mem64 bar4=2G,mem64 msix=22 table=0:0x2000 "
      "pba=0:0x2100", "off",
      { "overlap", "x-msix-relocation would move", "bar0, bar2, bar4" } },
    { "off/overlap", "bar0=16K,mem64 msix=22 table=0:0x2000 pba=0:0x2100",
      "off", { "table & pba overlap", "x-msix-relocation=auto", "bar2" } },
    { "off/beyond-the-end",
      "bar0=16K,mem64 msix=22 table=0:0x2000 pba=0:0x8000", "off",
      { "MSIX PBA outside of specified BAR", "x-msix-relocation", "bar2" } },
    { "off/reserved-bir-6",
      "bar0=16K,mem64 msix=22 table=6:0x2000 pba=0:0x3000", "off",
      { "table", "BAR 6", "x-msix-relocation", "bar2" } },
    { "off/reserved-bir-7",
      "bar0=16K,mem64 msix=22 table=0:0x2000 pba=7:0x3000", "off",
      { "PBA", "BAR 7", "x-msix-relocation", "bar2" } },
    { "off/missing-bar",
      "bar0=16K,mem64 msix=22 table=4:0x2000 pba=0:0x3000", "off",
      { "table", "BAR 4", "x-msix-relocation", "bar2" } },
};

static void test_refused(const void *data)
{
    size_t i = GPOINTER_TO_SIZE(data);
    g_autofree char *line = g_strdup_printf("page-size=4K\n" ADDRESS " %s\n",
                                            refused[i].device);
    g_autofree char *option = g_strdup_printf(
        "vfio-pci,host=" ADDRESS ",x-msix-relocation=%s", refused[i].request);
    g_autofree char *text = NULL;
    VfioHost *host;

    if (!vfio_host_available()) {
        return;
    }
    host = vfio_host_new(line);
    text = vfio_host_refused(host, option);
    g_test_message("%s", text);
    for (int j = 0; j < G_N_ELEMENTS(refused[i].parts); j++) {
        const char *part = refused[i].parts[j];

        if (part && !strstr(text, part)) {
            vfio_fail("\"%s\" does not contain \"%s\"", text, part);
        }
    }
    vfio_host_free(host);
}

/* BARs where auto has to look for room; pages of 4 KiB, invalid layouts */
static const struct {
    const char *name;
    const char *device;
    const char *bar;
} rooms[] = {
    { "pair-before-single",
      "bar0=16K bar1=256 bar3=256 msix=22 table=0:0x2000 pba=0:0x2100",
      "bar4" },
    { "single", "bar0=16K,mem64 bar2=64K,mem64 bar5=256 msix=22 "
      "table=0:0x2000 pba=0:0x2100", "bar4" },
    { "full", "bar0=16K,mem64 bar2=64K,mem64 bar4=8K,mem64 msix=22 "
      "table=0:0x2000 pba=0:0x2100", "bar4" },
    { "full-huge", "bar0=512G,mem64 bar2=1G,mem64 bar4=4G,mem64 msix=22 "
      "table=0:0x2000 pba=0:0x2100", "bar2" },
    { "huge", "bar0=512G,mem64 msix=22 table=0:0x2000 pba=0:0x2100", "bar2" },
};

static void test_room(const void *data)
{
    size_t i = GPOINTER_TO_SIZE(data);
    g_autofree char *line = g_strdup_printf("page-size=4K\n" ADDRESS " %s",
                                            rooms[i].device);
    g_autofree char *bar = NULL;
    VfioRun run;

    if (!run_start(&run, line, ",x-msix-relocation=auto")) {
        return;
    }
    g_assert_true(qdict_get_bool(run.info, "relocated"));
    bar = g_strdup_printf("bar%d", (int)qdict_get_int(run.info, "bar"));
    g_assert_cmpstr(bar, ==, rooms[i].bar);
    check_query(&run);
    vfio_check_vectors(run.host, ADDRESS, run.dev);
    vfio_run_end(&run);
}

/* Pinning what auto chose gives the guest the same device */
static void test_pinned(void)
{
    const char *device = "page-size=4K\n" ADDRESS " bar0=16K,mem64 msix=22 "
                         "table=0:0x2000 pba=0:0x2100";
    g_autofree char *option = NULL;
    VfioDevice before;
    VfioRun run;

    if (!run_start(&run, device, ",x-msix-relocation=auto")) {
        return;
    }
    option = g_strdup_printf(",x-msix-relocation=bar%d",
                             (int)qdict_get_int(run.info, "bar"));
    before = *run.dev;
    vfio_run_end(&run);
    g_assert_true(run_start(&run, device, option));
    before.qts = run.qts;
    g_assert_cmpmem(&before, sizeof(before), run.dev, sizeof(*run.dev));
    vfio_run_end(&run);
}

static void add_field(const char *kind, unsigned layout, unsigned page,
                      void (*test)(const void *))
{
    unsigned page_size = page_sizes[page];
    g_autofree char *path = g_strdup_printf("/vfio-auto/%s/%s/%uk", kind,
                                            layouts[layout].name,
                                            page_size / 1024);
    FieldCase *c = g_new(FieldCase, 1);

    *c = (FieldCase) { layout, page_size, layouts[layout].bar[page] };
    qtest_add_data_func_full(path, c, test, g_free);
}

static void add_fields(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(layouts); i++) {
        for (unsigned j = 0; j < G_N_ELEMENTS(page_sizes); j++) {
            add_field("auto", i, j, test_field);
            if (!layouts[i].invalid) {
                add_field("off", i, j, test_trapped_without);
            }
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    add_fields();
    for (size_t i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_autofree char *path = g_strdup_printf("/vfio-auto/refused/%s",
                                                refused[i].name);

        qtest_add_data_func(path, GSIZE_TO_POINTER(i), test_refused);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(rooms); i++) {
        g_autofree char *path = g_strdup_printf("/vfio-auto/room/%s",
                                                rooms[i].name);

        qtest_add_data_func(path, GSIZE_TO_POINTER(i), test_room);
    }
    qtest_add_func("/vfio-auto/not-mappable", test_not_mappable);
    qtest_add_func("/vfio-auto/small-bar", test_small_bar);
    qtest_add_func("/vfio-auto/shared-page", test_shared_page);
    qtest_add_func("/vfio-auto/no-msix", test_no_msix);
    qtest_add_func("/vfio-auto/pinned", test_pinned);

    return g_test_run();
}
