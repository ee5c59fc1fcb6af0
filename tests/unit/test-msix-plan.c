/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * The planner of MSI-X relocation, on layouts of real and of broken devices
 */
#include <glib.h>
#include <string.h>
#include "hw/vfio/msix-plan.h"

#define KIB 1024ull
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

#define M32(size_)  { .size = (size_), .mmap = true }
#define M64(size_)  { .size = (size_), .mmap = true, .mem64 = true }
#define P64(size_)  { .size = (size_), .mmap = true, .mem64 = true, \
                      .prefetch = true }
#define IO(size_)   { .size = (size_), .ioport = true }
#define TRAPS(size_) { .size = (size_), .mem64 = true }
#define NO          { }

/* A request's outcome */
#define KEEP        (-1)
#define REFUSE      (-2)

typedef struct Case {
    const char *name;
    MsixBar bar[MSIX_PLAN_BARS];
    unsigned entries;
    unsigned table_bar;
    uint32_t table;
    unsigned pba_bar;
    uint32_t pba;
    uint64_t page;          /* 0: 4 KiB */
    bool unmappable;
    bool nvme;

    MsixNeed need;
    int bar_auto;           /* a BAR, KEEP or REFUSE */
    const char *usable;
    const char *words;      /* part of the reason, or of the error */
} Case;

#define REQUIRED MSIX_NEED_REQUIRED
#define HELPS MSIX_NEED_HELPS
#define NO_HELP MSIX_NEED_NO_HELP

/* NVMe: one 64-bit BAR; bar2 to bar5 are free */
#define ONLY_BAR0 "bar0, bar2, bar3, bar4, bar5"
#define NVME(size_) .nvme = true, .bar = { M64(size_), NO }, \
                    .usable = ONLY_BAR0
#define MSIX(entries_, bar_, table_, pba_) \
    .entries = (entries_), .table_bar = (bar_), .pba_bar = (bar_), \
    .table = (table_), .pba = (pba_)
#define HOST_16K .page = 16 * KIB
#define HOST_64K .page = 64 * KIB

static const Case cases[] = {
    /* --- in the field, on hosts of all page sizes --- */
    { "SM2262", NVME(16 * KIB), MSIX(22, 0, 0x2000, 0x2100),
      .need = REQUIRED, .bar_auto = 2, .words = "overlap" },
    { "SM2262-16k", NVME(16 * KIB), MSIX(22, 0, 0x2000, 0x2100), HOST_16K,
      .need = REQUIRED, .bar_auto = 2, .words = "overlap" },
    { "SM2262-64k", NVME(16 * KIB), MSIX(22, 0, 0x2000, 0x2100), HOST_64K,
      .need = REQUIRED, .bar_auto = 0, .words = "overlap" },
    { "CD8P", NVME(64 * KIB), MSIX(129, 0, 0x5200, 0xd600),
      .need = NO_HELP, .bar_auto = KEEP, .words = "neither" },
    { "CD8P-16k", NVME(64 * KIB), MSIX(129, 0, 0x5200, 0xd600), HOST_16K,
      .need = HELPS, .bar_auto = 2, .words = "the table at 0x5200" },
    { "CD8P-64k", NVME(64 * KIB), MSIX(129, 0, 0x5200, 0xd600), HOST_64K,
      .need = HELPS, .bar_auto = 2, .words = "NVMe registers" },
    { "Intel", NVME(16 * KIB), MSIX(136, 0, 0x2000, 0x3000),
      .need = NO_HELP, .bar_auto = KEEP, .words = "neither" },
    { "Intel-16k", NVME(16 * KIB), MSIX(136, 0, 0x2000, 0x3000), HOST_16K,
      .need = HELPS, .bar_auto = 2, .words = "NVMe registers" },
    { "Intel-64k", NVME(16 * KIB), MSIX(136, 0, 0x2000, 0x3000), HOST_64K,
      .need = HELPS, .bar_auto = 0, .words = "NVMe registers" },
    { "Intel-old-kernel", NVME(16 * KIB), MSIX(136, 0, 0x2000, 0x3000),
      HOST_16K,
      .unmappable = true, .need = NO_HELP, .bar_auto = KEEP,
      .words = "Linux 4.16" },
    { "qemu-nvme", NVME(16 * KIB), MSIX(65, 0, 0x2000, 0x3000),
      .need = NO_HELP, .bar_auto = KEEP },
    { "qemu-nvme-exclusive", .nvme = true,
      .bar = { M64(16 * KIB), NO, NO, NO, M32(4 * KIB) },
      MSIX(65, 4, 0, 0x800), .usable = "bar0, bar2, bar3, bar4, bar5",
      .need = NO_HELP, .bar_auto = KEEP },
    { "ConnectX-3 VF", .bar = { NO, NO, P64(8 * MIB) },
      MSIX(4, 2, 0x2000, 0x3000), .usable = "bar0, bar1, bar2, bar4, bar5",
      .need = NO_HELP, .bar_auto = KEEP },
    { "virtio", .bar = { IO(128), M32(4 * KIB), NO, NO, P64(16 * KIB), NO },
      MSIX(3, 1, 0, 0x800), .usable = "bar1, bar2, bar3, bar4",
      .need = NO_HELP, .bar_auto = KEEP },
    { "virtio-64k", .bar = { IO(128), M32(4 * KIB), NO, NO, P64(16 * KIB), NO },
      MSIX(3, 1, 0, 0x800), HOST_64K, .usable = "bar1, bar2, bar3, bar4",
      .need = NO_HELP, .bar_auto = KEEP },
    { "e1000e", .bar = { M32(128 * KIB), M32(128 * KIB), IO(32),
                         M32(16 * KIB) }, MSIX(5, 3, 0, 0x2000),
      .usable = "bar0, bar1, bar3, bar4, bar5", .need = HELPS, .bar_auto = 4,
      HOST_16K, .words = "what is at 0x1000" },
    { "i40e VF", .bar = { P64(64 * KIB), NO, NO, P64(16 * KIB), NO, NO },
      MSIX(17, 3, 0, 0x2000), .usable = "bar0, bar2, bar3, bar5",
      .need = NO_HELP, .bar_auto = KEEP },

    /* --- sharing --- */
    { "doorbells and table", NVME(8 * KIB), MSIX(8, 0, 0x1800, 0x1c00),
      .need = HELPS, .bar_auto = 2, .words = "NVMe registers" },
    { "many doorbells reach the table", NVME(64 * KIB),
      MSIX(2048, 0, 0x4000, 0xc000), .need = HELPS, .bar_auto = 2,
      .words = "NVMe registers" },
    { "a BAR's beginning", .bar = { M32(64 * KIB) }, MSIX(8, 0, 0x800, 0xc00),
      .usable = "bar0, bar1, bar2, bar3, bar4, bar5", .need = HELPS,
      .bar_auto = 1, .words = "first registers" },
    { "a BAR of their own", .bar = { M32(64 * KIB), M32(4 * KIB) },
      MSIX(8, 1, 0, 0xc00), .usable = "bar0, bar1, bar2, bar3, bar4, bar5",
      .need = NO_HELP, .bar_auto = KEEP },
    { "PBA shares alone", .bar = { M64(64 * KIB), NO, M64(64 * KIB), NO },
      .entries = 64,
      .table_bar = 2, .table = 0, .pba_bar = 0, .pba = 0x800,
      .usable = "bar0, bar2, bar4, bar5", .need = HELPS, .bar_auto = 4,
      .words = "the PBA at 0x800 of BAR 0" },
    { "two BARs, two pages", .bar = { M64(64 * KIB), NO, M64(4 * KIB), NO },
      .entries = 64,
      .table_bar = 2, .table = 0, .pba_bar = 0, .pba = 0x8000,
      .usable = "bar0, bar2, bar4, bar5", .need = NO_HELP,
      .bar_auto = KEEP },
    { "WD", .nvme = true, .bar = { M64(16 * KIB), NO, NO, NO, M64(256) },
      .entries = 65, .table_bar = 0, .table = 0x2000, .pba_bar = 4,
      .usable = "bar0, bar2, bar3, bar4", .need = NO_HELP, .bar_auto = KEEP },
    { "WD-16k", .nvme = true, .bar = { M64(16 * KIB), NO, NO, NO, TRAPS(256) },
      .entries = 65, .table_bar = 0, .table = 0x2000, .pba_bar = 4, HOST_16K,
      .usable = "bar0, bar2, bar3, bar4", .need = HELPS, .bar_auto = 2,
      .words = "the table at 0x2000 of BAR 0" },
    { "WD-64k", .nvme = true, .bar = { M64(16 * KIB), NO, NO, NO, M64(256) },
      .entries = 65, .table_bar = 0, .table = 0x2000, .pba_bar = 4, HOST_64K,
      .usable = "bar0, bar2, bar3, bar4", .need = HELPS, .bar_auto = 0 },
    { "small PBA BAR without registers", .nvme = true,
      .bar = { M64(16 * KIB), NO, NO, NO, M64(256) }, .entries = 65,
      .table_bar = 0, .table = 0x1000, .pba_bar = 4,
      .usable = "bar0, bar2, bar3, bar4", .need = HELPS, .bar_auto = 2 },
    { "small BAR 0 that cannot be mapped", .bar = { TRAPS(16 * KIB), NO,
      M64(64 * KIB), NO }, MSIX(8, 2, 0x8000, 0x9000), HOST_64K,
      .usable = "bar0, bar2, bar4, bar5", .need = HELPS, .bar_auto = 4 },
    { "old kernel, PBA elsewhere", .unmappable = true,
      .bar = { M64(64 * KIB), NO, M64(64 * KIB), NO }, .entries = 8,
      .table_bar = 2, .table = 0x1000, .pba_bar = 0, .pba = 0x8000, HOST_16K,
      .usable = "bar0, bar2, bar4, bar5", .need = HELPS, .bar_auto = 4,
      .words = "the PBA at 0x8000 of BAR 0" },
    { "BAR cannot be mapped", .nvme = true, .bar = { TRAPS(16 * KIB) },
      MSIX(8, 0, 0x1800, 0x1c00), .usable = ONLY_BAR0, .need = NO_HELP,
      .bar_auto = KEEP, .words = "does not let that BAR be mapped" },

    /* --- number of vectors --- */
    { "1 vector", NVME(16 * KIB), MSIX(1, 0, 0x2000, 0x2008), .need = REQUIRED,
      .bar_auto = 2 },
    { "1 vector, adjacent", NVME(16 * KIB), MSIX(1, 0, 0x2000, 0x2010),
      .need = NO_HELP, .bar_auto = KEEP },
    { "64 vectors", NVME(16 * KIB), MSIX(64, 0, 0x2000, 0x2400),
      .need = NO_HELP, .bar_auto = KEEP },
    { "65 vectors", NVME(16 * KIB), MSIX(65, 0, 0x2000, 0x2400),
      .need = REQUIRED, .bar_auto = 2 },
    { "2048 vectors fill their BAR", .bar = { M64(64 * KIB), NO, M64(64 * KIB),
      NO }, MSIX(2048, 2, 0, 0x8000), .usable = "bar0, bar2, bar4, bar5",
      .need = HELPS, .bar_auto = 4, .words = "what is at 0x9000", HOST_64K },
    { "2048 vectors", .bar = { M64(64 * KIB), NO, M64(64 * KIB), NO },
      MSIX(2048, 2, 0, 0x8000), .usable = "bar0, bar2, bar4, bar5",
      .need = NO_HELP, .bar_auto = KEEP },
    { "2048 vectors beyond", .bar = { M64(32 * KIB) }, MSIX(2048, 0, 0x1000, 0),
      .usable = ONLY_BAR0, .need = REQUIRED, .bar_auto = 2,
      .words = "beyond the end of BAR 0" },

    /* --- invalid --- */
    { "BIR 6", NVME(16 * KIB), MSIX(8, 6, 0, 0x800), .need = REQUIRED,
      .bar_auto = 2, .words = "BAR 6, which is reserved" },
    { "BIR 7", NVME(16 * KIB), MSIX(8, 7, 0xfffffff8, 0), .need = REQUIRED,
      .bar_auto = 2, .words = "BAR 7, which is reserved" },
    { "PBA's BIR 7", NVME(16 * KIB), .entries = 8, .table_bar = 0,
      .table = 0x2000,
      .pba_bar = 7, .pba = 0, .need = REQUIRED, .bar_auto = 2,
      .words = "the PBA is in BAR 7" },
    { "upper half", NVME(16 * KIB), MSIX(8, 1, 0, 0x800), .need = REQUIRED,
      .bar_auto = 2, .words = "upper half" },
    { "missing BAR", NVME(16 * KIB), MSIX(8, 4, 0, 0x800), .need = REQUIRED,
      .bar_auto = 2, .words = "does not have" },
    { "I/O BAR", .bar = { IO(256), M32(4 * KIB) }, MSIX(4, 0, 0, 0x80),
      .usable = "bar1, bar2, bar3, bar4, bar5", .need = REQUIRED,
      .bar_auto = 2, .words = "I/O port BAR" },
    { "PBA out of the BAR", NVME(16 * KIB), MSIX(8, 0, 0x2000, 0x4000),
      .need = REQUIRED, .bar_auto = 2, .words = "the PBA at 0x4000" },
    { "offset at the end of 32 bits", NVME(16 * KIB),
      MSIX(2048, 0, 0xfffffff8, 0x2000), .need = REQUIRED, .bar_auto = 2,
      .words = "0xfffffff8" },

    /* --- choice --- */
    { "no pair is free", .bar = { M64(16 * KIB), NO, M32(1 * MIB), NO,
      M32(1 * MIB), M32(1 * MIB) }, MSIX(8, 0, 0x2000, 0x2000),
      .usable = "bar0, bar2, bar3, bar4, bar5", .need = REQUIRED,
      .bar_auto = 3 },
    { "bar5 is the last", .bar = { M64(16 * KIB), NO, M64(1 * MIB), NO,
      M32(1 * MIB), NO }, MSIX(8, 0, 0x2000, 0x2000),
      .usable = "bar0, bar2, bar4, bar5", .need = REQUIRED, .bar_auto = 5 },
    { "all in use: the smallest", .bar = { M64(64 * KIB), NO, M64(16 * KIB),
      NO, M64(1 * MIB), NO }, MSIX(8, 0, 0x2000, 0x2000),
      .usable = "bar0, bar2, bar4", .need = REQUIRED, .bar_auto = 2 },
    { "all in use: the first of equals", .bar = { M64(64 * KIB), NO,
      M64(64 * KIB), NO, M64(64 * KIB), NO }, MSIX(8, 4, 0x2000, 0x2000),
      .usable = "bar0, bar2, bar4", .need = REQUIRED, .bar_auto = 0 },
    { "I/O BARs are no choice", .bar = { IO(32), IO(32), M32(64 * KIB),
      IO(32), IO(32), IO(32) }, MSIX(8, 2, 0x2000, 0x2000),
      .usable = "bar2", .need = REQUIRED, .bar_auto = 2 },
    { "a big one is not doubled", .bar = { M64(2 * GIB), NO, M64(1 * GIB), NO,
      M64(8 * GIB), NO }, MSIX(8, 0, 0x2000, 0x2000), .usable = "bar0, bar2",
      .need = REQUIRED, .bar_auto = 2 },
    { "only big ones", .bar = { M64(2 * GIB), NO, M64(2 * GIB), NO,
      M64(512 * GIB), NO }, MSIX(8, 0, 0x2000, 0x2000), .usable = "bar0, bar2",
      .need = REQUIRED, .bar_auto = REFUSE,
      .words = "usable: bar0, bar2" },
    { "only huge ones", .bar = { M64(4 * GIB), NO, M64(8 * GIB), NO,
      M64(512 * GIB), NO }, MSIX(8, 0, 0x2000, 0x2000), .usable = "none",
      .need = REQUIRED, .bar_auto = REFUSE, .words = "no BAR can take" },
    { "only huge ones, valid", .bar = { M64(4 * GIB), NO, M64(8 * GIB), NO,
      M64(512 * GIB), NO }, MSIX(8, 0, 0x800, 0xc00), .usable = "none",
      .need = HELPS, .bar_auto = KEEP, .words = "but no BAR" },
    { "2 GiB of 32 bits", .bar = { M32(2 * GIB), M32(4 * KIB), IO(8), IO(8),
      IO(8), IO(8) }, MSIX(8, 0, 0x2000, 0x2000), .usable = "bar1",
      .need = REQUIRED, .bar_auto = 1 },

    /* --- BARs smaller than a host page --- */
    { "small table BAR", .bar = { M64(1 * MIB), NO, M32(16 * KIB), NO, NO, NO },
      MSIX(8, 2, 0x1000, 0x2000), HOST_64K,
      .usable = "bar0, bar2, bar3, bar4, bar5", .need = HELPS, .bar_auto = 2 },
    { "small I/O BAR 0", .bar = { IO(256), NO, M64(64 * KIB), NO, NO, NO },
      MSIX(8, 2, 0x1000, 0x2000), HOST_64K, .usable = "bar1, bar2, bar4, bar5",
      .need = HELPS, .bar_auto = 4 },

    /* --- without MSI-X --- */
    { "no MSI-X", NVME(16 * KIB), MSIX(0, 0, 0, 0), .need = MSIX_NEED_NONE,
      .bar_auto = KEEP, .words = "no MSI-X" },
    { "no BAR, no MSI-X", .usable = "bar0, bar1, bar2, bar3, bar4, bar5",
      .need = MSIX_NEED_NONE, .bar_auto = KEEP, .words = "no MSI-X" },
};

static MsixLayout layout_of(const Case *c)
{
    MsixLayout l = {
        .entries = c->entries,
        .table_bar = c->table_bar, .table_offset = c->table,
        .pba_bar = c->pba_bar, .pba_offset = c->pba,
        .host_page_size = c->page ? c->page : 4096,
        .mappable = !c->unmappable, .nvme = c->nvme,
    };

    memcpy(l.bar, c->bar, sizeof(l.bar));
    return l;
}

static uint64_t pow2(uint64_t n)
{
    return n && !(n & (n - 1));
}

/* What must hold for any relocation */
static void check_plan(const MsixLayout *l, const MsixPlan *plan)
{
    const MsixBar *old = &l->bar[plan->bar];
    uint64_t page = l->host_page_size;
    uint64_t end = plan->pba_offset + msix_pba_size(l->entries);

    g_assert_cmpuint(plan->bar, <, MSIX_PLAN_BARS);
    g_assert_false(old->ioport && old->size);
    g_assert_true(pow2(plan->bar_size));
    g_assert_cmpuint(plan->table_offset % page, ==, 0);
    g_assert_cmpuint(plan->pba_offset % 8, ==, 0);
    g_assert_cmpuint(plan->pba_offset, >=,
                     plan->table_offset + msix_table_size(l->entries));
    g_assert_cmpuint(end, <=, plan->bar_size);
    g_assert_cmpuint(end, <=, 1ull << 32);
    g_assert_cmpuint(plan->table_offset, >=, old->size);
    g_assert_true(plan->new_bar == !old->size);
    if (!plan->mem64) {
        g_assert_cmpuint(plan->bar_size, <=, 2 * GIB);
    } else if (plan->new_bar) {
        g_assert_cmpuint(plan->bar, <, MSIX_PLAN_BARS - 1);
        g_assert_cmpuint(l->bar[plan->bar + 1].size, ==, 0);
    }
    if (plan->bar > 0) {
        g_assert_false(l->bar[plan->bar - 1].size &&
                       l->bar[plan->bar - 1].mem64);
    }
}

static bool is_free(const MsixLayout *l, unsigned bar)
{
    return bar < MSIX_PLAN_BARS && !l->bar[bar].size &&
           !(bar && l->bar[bar - 1].size && l->bar[bar - 1].mem64);
}

/* A free pair is taken unless a small BAR calls for being extended */
static void check_order(const MsixLayout *l, const MsixPlan *plan)
{
    bool small = false;

    for (unsigned i = 0; i < MSIX_PLAN_BARS; i++) {
        small |= l->bar[i].size && l->bar[i].mmap &&
                 l->bar[i].size < l->host_page_size;
    }
    for (unsigned i = 0; i < MSIX_PLAN_BARS && !small; i++) {
        if (is_free(l, i) && is_free(l, i + 1)) {
            g_assert_cmpuint(plan->bar, ==, i);
            g_assert_true(plan->mem64);
            return;
        }
    }
}

/* The sizes and offsets that stock QEMU computes for a BAR that it accepts */
static void check_as_stock(const MsixLayout *l, const MsixPlan *plan)
{
    uint64_t space = l->entries * 16 + (l->entries + 63) / 64 * 8;
    uint64_t size = l->host_page_size;

    while (size < space) {
        size *= 2;
    }
    if (l->bar[plan->bar].size) {
        size = MAX(size, l->bar[plan->bar].size) * 2;
        g_assert_cmpuint(plan->table_offset, ==, size / 2);
    } else {
        g_assert_cmpuint(plan->table_offset, ==, 0);
    }
    g_assert_cmpuint(plan->bar_size, ==, size);
    g_assert_cmpuint(plan->pba_offset, ==,
                     plan->table_offset + l->entries * 16);
}

static void test_auto(gconstpointer opaque)
{
    const Case *c = opaque;
    MsixLayout l = layout_of(c);
    g_autofree char *reason = NULL;
    g_autofree char *error = NULL;
    MsixPlan plan;
    bool ok = msix_plan_make(&l, MSIX_REQUEST_AUTO, &plan, &reason, &error);
    const char *text = ok ? reason : error;

    g_test_message("%s", text);
    g_assert_cmpint(plan.need, ==, c->need);
    g_assert_true(ok == (c->bar_auto != REFUSE));
    g_assert_true(ok == !error);
    g_assert_true(ok == !!reason);
    g_assert_true(plan.relocate == (c->bar_auto >= 0));
    if (plan.relocate) {
        g_assert_cmpint(plan.bar, ==, c->bar_auto);
        g_assert_cmpuint(l.bar[plan.bar].size, <=, GIB);
        check_plan(&l, &plan);
    }
    if (c->words) {
        g_assert_nonnull(strstr(text, c->words));
    }
}

static void test_off(gconstpointer opaque)
{
    const Case *c = opaque;
    MsixLayout l = layout_of(c);
    g_autofree char *reason = NULL;
    g_autofree char *error = NULL;
    MsixPlan plan;

    g_assert_true(msix_plan_make(&l, MSIX_REQUEST_OFF, &plan, &reason, &error));
    g_assert_cmpint(plan.need, ==, c->need);
    g_assert_false(plan.relocate);
    g_assert_nonnull(reason);
}

static void test_explicit(gconstpointer opaque)
{
    const Case *c = opaque;
    MsixLayout l = layout_of(c);
    g_autofree char *usable = msix_usable_bars(&l);

    g_assert_cmpstr(usable, ==, c->usable);
    for (unsigned bar = 0; bar < MSIX_PLAN_BARS; bar++) {
        g_autofree char *name = g_strdup_printf("bar%u", bar);
        g_autofree char *reason = NULL;
        g_autofree char *error = NULL;
        MsixPlan plan;
        bool ok = msix_plan_make(&l, MSIX_REQUEST_BAR0 + bar, &plan, &reason,
                                 &error);

        g_assert_true(ok == (c->entries && strstr(usable, name)));
        g_assert_true(plan.relocate == ok);
        if (ok) {
            g_assert_cmpuint(plan.bar, ==, bar);
            g_assert_nonnull(strstr(reason, name));
            check_plan(&l, &plan);
            check_as_stock(&l, &plan);
        } else if (c->entries) {
            g_assert_nonnull(strstr(error, usable));
        } else {
            g_assert_nonnull(strstr(error, "no MSI-X"));
        }
    }
}

/* After relocating, the relocated layout has no need of it any more */
static void test_settled(gconstpointer opaque)
{
    const Case *c = opaque;
    MsixLayout l = layout_of(c);
    g_autofree char *reason = NULL;
    g_autofree char *error = NULL;
    g_autofree char *fault = NULL;
    MsixPlan plan;

    if (!msix_plan_make(&l, MSIX_REQUEST_AUTO, &plan, &reason, &error) ||
        !plan.relocate) {
        return;
    }
    l.table_bar = l.pba_bar = plan.bar;
    l.table_offset = plan.table_offset;
    l.pba_offset = plan.pba_offset;
    l.bar[plan.bar].size = plan.bar_size;
    l.bar[plan.bar].mem64 = plan.mem64;
    fault = msix_layout_fault(&l);
    g_assert_null(fault);
    for (int i = 0; i < MSIX_PLAN_BARS; i++) {
        if (l.bar[i].size && i == 0 && c->nvme) {
            g_assert_cmpuint(l.bar[i].size, >=, l.host_page_size);
        }
    }
}

/* The same answer for the same question, whatever was asked before */
static void test_deterministic(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        MsixLayout l = layout_of(&cases[i]);
        g_autofree char *first_reason = NULL;
        g_autofree char *first_error = NULL;
        MsixPlan first;

        msix_plan_make(&l, MSIX_REQUEST_AUTO, &first, &first_reason,
                       &first_error);
        for (int request = MSIX_REQUEST_BAR5; request >= MSIX_REQUEST_AUTO;
             request--) {
            g_autofree char *reason = NULL;
            g_autofree char *error = NULL;
            MsixPlan plan;

            msix_plan_make(&l, request, &plan, &reason, &error);
            if (request == MSIX_REQUEST_AUTO) {
                g_assert_cmpmem(&plan, sizeof(plan), &first, sizeof(first));
                g_assert_cmpstr(reason, ==, first_reason);
                g_assert_cmpstr(error, ==, first_error);
            }
        }
    }
}

/* Random layouts: no crash, and what is planned always fits */
static void test_random(void)
{
    GRand *rand = g_rand_new_with_seed(0x6d736978);

    for (int i = 0; i < 200000; i++) {
        MsixLayout l = {
            .entries = g_rand_int_range(rand, 0, MSIX_PLAN_MAX_ENTRIES + 1),
            .table_bar = g_rand_int_range(rand, 0, 8),
            .pba_bar = g_rand_int_range(rand, 0, 8),
            .table_offset = (g_rand_int(rand) >> g_rand_int_range(rand, 0, 32))
                            & ~7u,
            .pba_offset = (g_rand_int(rand) >> g_rand_int_range(rand, 0, 32))
                          & ~7u,
            .host_page_size = 4096u << g_rand_int_range(rand, 0, 5),
            .mappable = g_rand_boolean(rand), .nvme = g_rand_boolean(rand),
        };
        int request = g_rand_int_range(rand, 0, MSIX_REQUEST_BAR5 + 1);
        g_autofree char *reason = NULL;
        g_autofree char *error = NULL;
        MsixPlan plan;

        for (int b = 0; b < MSIX_PLAN_BARS; b++) {
            MsixBar *bar = &l.bar[b];

            if (b && l.bar[b - 1].size && l.bar[b - 1].mem64) {
                continue;
            }
            bar->ioport = !g_rand_int_range(rand, 0, 5);
            bar->mem64 = !bar->ioport && b < 5 && g_rand_boolean(rand);
            bar->size = !g_rand_int_range(rand, 0, 3) ? 0 :
                        bar->ioport ? 1u << g_rand_int_range(rand, 2, 9) :
                        1ull << g_rand_int_range(rand, 4, bar->mem64 ? 42 : 32);
            bar->mmap = !bar->ioport && g_rand_boolean(rand);
            if (!bar->size) {
                *bar = (MsixBar) {};
            }
        }
        if (msix_plan_make(&l, request, &plan, &reason, &error) &&
            plan.relocate) {
            check_plan(&l, &plan);
            if (request == MSIX_REQUEST_AUTO) {
                check_order(&l, &plan);
            }
        }
        g_assert_true(!reason != !error);
    }
    g_rand_free(rand);
}

static void add(const char *kind, const Case *c, GTestDataFunc fn)
{
    g_autofree char *path = g_strdup_printf("/msix-plan/%s/%s", kind, c->name);

    g_test_add_data_func(path, c, fn);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        add("auto", &cases[i], test_auto);
        add("off", &cases[i], test_off);
        add("explicit", &cases[i], test_explicit);
        add("settled", &cases[i], test_settled);
    }
    g_test_add_func("/msix-plan/deterministic", test_deterministic);
    g_test_add_func("/msix-plan/random", test_random);
    return g_test_run();
}
