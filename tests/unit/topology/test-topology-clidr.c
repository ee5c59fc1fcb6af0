/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Arm's cache registers: values as CPUs have them, and as KVM makes them up
 */

#include "hw/topology/topo-clidr.h"

typedef struct Case {
    const char *name;
    TopoArmRegs regs;
    bool unified_l1;
    TopoGeometry expect[TOPO_KINDS];    /* a line of 0: there is none */
} Case;

static const Case cases[] = {
    { "Cortex-A57", {
        .clidr = 0x0a200023,
        .ccsidr = { 0x701fe00a, 0x201fe012, 0x70ffe07a },
      }, false, {
        { 32 * 1024, 64, 2, 256 },
        { 48 * 1024, 64, 3, 256 },
        { 2048 * 1024, 64, 16, 2048 },
      } },
    { "Cortex-A15", {
        .clidr = 0x0a200023,
        .ccsidr = { 0x701fe00a, 0x201fe00a, 0x711fe07a },
      }, false, {
        { 32 * 1024, 64, 2, 256 },
        { 32 * 1024, 64, 2, 256 },
        { 2304 * 1024, 64, 16, 2304 },
      } },
    { "Cortex-A8: a register for an L2 that CLIDR does not have", {
        .clidr = 0x0a000003,
        .ccsidr = { 0xe007e01a, 0x2007e01a, 0xf0000000 },
      }, false, {
        { 16 * 1024, 64, 4, 64 },
        { 16 * 1024, 64, 4, 64 },
      } },
    { "A64FX: lines of 256 bytes", {
        .clidr = 0x80000023,
        .ccsidr = { 0x7007e01c, 0x2007e01c, 0x70ffe07c },
      }, false, {
        { 64 * 1024, 256, 4, 64 },
        { 64 * 1024, 256, 4, 64 },
        { 8192 * 1024, 256, 16, 2048 },
      } },
    { "Neoverse V1: the 64-bit format", {
        .clidr = 0x82000023,
        .ccidx = true,
        .ccsidr = { 0x000000ff0000001a, 0x000000ff0000001a,
                    0x000007ff0000003a },
      }, false, {
        { 64 * 1024, 64, 4, 256 },
        { 64 * 1024, 64, 4, 256 },
        { 1024 * 1024, 64, 8, 2048 },
      } },
    { "64-bit format, ways and sets past the 32-bit one's fields", {
        .clidr = 0x00000123,
        .ccidx = true,
        .ccsidr = { 0x000000ff0000001a, 0x000000ff0000001a,
                    0x000007ff0000003a, 0, 0x0000ffff00002002 },
      }, false, {
        { 64 * 1024, 64, 4, 256 },
        { 64 * 1024, 64, 4, 256 },
        { 1024 * 1024, 64, 8, 2048 },
        { 65536ull * 1025 * 64, 64, 1025, 65536 },
      } },
    { "64-bit format cut to 32 bits, as KVM_REG_ARM_DEMUX passes it", {
        .clidr = 0x82000023,
        .ccidx = true,
        .ccsidr = { 0x0000001a, 0x0000001a, 0x0000003a },
      }, false, {
        { 0, 64, 0, 0 }, { 0, 64, 0, 0 }, { 0, 64, 0, 0 },
      } },
    { "made up by KVM: one L1, one set, one way", {
        .clidr = 0x09200004,
        .ccsidr = { 0x00000002 },
      }, true, {
        { 0, 64, 0, 0 },
      } },
    { "unified L1 of known size, and L2", {
        .clidr = 0x0a000024,
        .ccsidr = { 0x703fe01a, 0, 0x70ffe07a },
      }, true, {
        { 128 * 1024, 64, 4, 512 },
        { 0 },
        { 2048 * 1024, 64, 16, 2048 },
      } },
    { "data alone", {
        .clidr = 0x00000002,
        .ccsidr = { 0x703fe01a },
      }, false, {
        { 128 * 1024, 64, 4, 512 },
      } },
    { "nothing", { .clidr = 0 }, false, { } },
    { "L1, then a gap: what follows does not count", {
        .clidr = 0x00000103,
        .ccsidr = { 0x701fe00a, 0x201fe00a, 0, 0, 0x70ffe07a },
      }, false, {
        { 32 * 1024, 64, 2, 256 },
        { 32 * 1024, 64, 2, 256 },
      } },
};

static void test_decode(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        const Case *c = &cases[i];
        TopoCpuCaches got;

        g_test_message("%s", c->name);
        topo_clidr_decode(&c->regs, &got);
        g_assert_cmpint(got.unified_l1, ==, c->unified_l1);
        for (int kind = 0; kind < TOPO_KINDS; kind++) {
            const TopoGeometry *g = &got.geometry[kind];
            const TopoGeometry *expect = &c->expect[kind];

            g_assert_cmpint(got.present[kind], ==, expect->line != 0);
            g_assert_cmpuint(g->size, ==, expect->size);
            g_assert_cmpuint(g->line, ==, expect->line);
            g_assert_cmpuint(g->ways, ==, expect->ways);
            g_assert_cmpuint(g->sets, ==, expect->sets);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/topology/clidr/decode", test_decode);
    return g_test_run();
}
