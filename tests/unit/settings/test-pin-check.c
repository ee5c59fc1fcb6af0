/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Does each vCPU have a host CPU of its own?
 */
#include <glib.h>
#include "hw/settings/vcpu/pin-check.h"

typedef struct Case {
    unsigned n;
    VcpuPin pins[6];
    const char *text;
} Case;

static const Case cases[] = {
    { 0, { }, NULL },
    { 1, { { 0, 1, 5 } }, NULL },
    { 3, { { 0, 1, 5 }, { 1, 1, 6 }, { 2, 1, 0 } }, NULL },
    { 1, { { 0, 2, 5 } }, "vCPU 0 may run on several host CPUs" },
    { 2, { { 0, 2, 5 }, { 1, 64, 0 } },
      "vCPUs 0-1 may run on several host CPUs" },
    { 4, { { 0, 2, 5 }, { 1, 1, 5 }, { 2, 2, 0 }, { 3, 8, 0 } },
      "vCPUs 0,2-3 may run on several host CPUs" },
    { 3, { { 0, 1, 7 }, { 1, 1, 6 }, { 2, 1, 7 } },
      "vCPUs 0,2 share host CPU 7" },
    { 6, { { 0, 4, 7 }, { 1, 1, 6 }, { 2, 1, 7 }, { 3, 1, 7 }, { 4, 1, 6 },
           { 9, 1, 1 } },
      "vCPU 0 may run on several host CPUs; vCPUs 1,4 share host CPU 6; "
      "vCPUs 2-3 share host CPU 7" },
};

static void test_cases(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = pin_check(cases[i].pins, cases[i].n);

        g_assert_cmpstr(text, ==, cases[i].text);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pin-check/cases", test_cases);
    return g_test_run();
}
