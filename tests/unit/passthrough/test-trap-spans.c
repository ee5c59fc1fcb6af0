/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Which parts of a BAR trap
 */
#include <glib.h>
#include "hw/passthrough/trap-spans.h"

static GArray *spans(const TrapSpan *list, int n)
{
    GArray *a = g_array_new(false, false, sizeof(TrapSpan));

    return n ? g_array_append_vals(a, list, n) : a;
}

typedef struct Case {
    const char *name;
    uint64_t size;
    uint64_t page;
    TrapSpan mapped[2];
    TrapSpan emulated[3];
    TrapSpan trapped[3];
} Case;

static const Case cases[] = {
    { "all mapped", 0x4000, 0x1000, .mapped = { { 0, 0x4000 } } },
    { "not mapped", 0x4000, 0x1000, .trapped = { { 0, 0x4000 } } },
    { "table and PBA in a page", 0x4000, 0x1000, { { 0, 0x4000 } },
      { { 0x2000, 0x2160 }, { 0x2160, 0x2168 } }, { { 0x2000, 0x3000 } } },
    { "in neighbouring pages", 0x4000, 0x1000, { { 0, 0x4000 } },
      { { 0x3000, 0x3008 }, { 0x2000, 0x2160 } }, { { 0x2000, 0x4000 } } },
    { "apart", 0x10000, 0x1000, { { 0, 0x10000 } },
      { { 0x5200, 0x5a10 }, { 0xd600, 0xd618 } },
      { { 0x5000, 0x6000 }, { 0xd000, 0xe000 } } },
    { "apart, larger pages", 0x10000, 0x4000, { { 0, 0x10000 } },
      { { 0x5200, 0x5a10 }, { 0xd600, 0xd618 } },
      { { 0x4000, 0x8000 }, { 0xc000, 0x10000 } } },
    { "one page for all", 0x10000, 0x10000, { { 0, 0x10000 } },
      { { 0x5200, 0x5a10 } }, { { 0, 0x10000 } } },
    { "two mappings meet in a page", 0x4000, 0x1000,
      { { 0, 0x1800 }, { 0x1800, 0x4000 } },
      .trapped = { { 0x1000, 0x2000 } } },
    { "a cut mapping", 0x8000, 0x1000, { { 0, 0x2000 }, { 0x3000, 0x8000 } },
      .trapped = { { 0x2000, 0x3000 } } },
    { "extended", 0x8000, 0x1000, { { 0, 0x4000 } }, { { 0x4000, 0x4168 } },
      { { 0x4000, 0x8000 } } },
    { "nothing emulated", 0x4000, 0x1000, .mapped = { { 0, 0x4000 } },
      .emulated = { { 0x2000, 0x2000 } } },
    { "beyond the BAR", 0x4000, 0x1000, { { 0, 0x4000 } },
      { { 0x3ff0, 0x9000 } }, { { 0x3000, 0x4000 } } },
    { "512 GiB", 1ull << 39, 0x1000, { { 0, 1ull << 39 } },
      { { 0xfffff000, 0x100000100 } }, { { 0xfffff000, 0x100001000 } } },
};

static int filled(const TrapSpan *list, int n)
{
    int i = 0;

    while (i < n && list[i].end) {
        i++;
    }
    return i;
}

static void test_case(gconstpointer opaque)
{
    const Case *c = opaque;
    g_autoptr(GArray) mapped = spans(c->mapped, filled(c->mapped, 2));
    g_autoptr(GArray) emulated = spans(c->emulated, filled(c->emulated, 3));
    g_autoptr(GArray) trapped = trap_spans(c->size, c->page, mapped, emulated);

    g_assert_cmpuint(trapped->len, ==, filled(c->trapped, 3));
    for (guint i = 0; i < trapped->len; i++) {
        TrapSpan s = g_array_index(trapped, TrapSpan, i);

        g_assert_cmphex(s.begin, ==, c->trapped[i].begin);
        g_assert_cmphex(s.end, ==, c->trapped[i].end);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strdup_printf("/trap-spans/%s",
                                                cases[i].name);

        g_test_add_data_func(path, &cases[i], test_case);
    }
    return g_test_run();
}
