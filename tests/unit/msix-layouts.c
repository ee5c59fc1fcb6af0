/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Layouts of real and of broken devices, on hosts of all page sizes
 */
#include "msix-layouts.h"

#define M32(size_)  { .size = (size_), .mmap = true }
#define M64(size_)  { .size = (size_), .mmap = true, .mem64 = true }
#define P64(size_)  { .size = (size_), .mmap = true, .mem64 = true, \
                      .prefetch = true }
#define IO(size_)   { .size = (size_), .ioport = true }
#define TRAPS(size_) { .size = (size_), .mem64 = true }
#define NO          { }

/* Shorthand */
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

const LayoutCase layout_cases[] = {
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

const size_t layout_case_count = G_N_ELEMENTS(layout_cases);
