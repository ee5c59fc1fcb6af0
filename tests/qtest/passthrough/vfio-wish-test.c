/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * x-msix-relocation for all devices (-global) is a wish, for one an order
 */
#include "qemu/osdep.h"
#include "vfio-query.h"
#include "vfio-run.h"

#define ADDRESS     VFIO_RUN_ADDRESS
#define OTHER       "0000:02:00.0"
#define NVME        " bar0=16K,mem64 msix=22 table=0:0x2000 pba=0:0x3000"
#define PLAIN       " bar0=16K,mem64"
#define GLOBAL(bar) "-global vfio-pci.x-msix-relocation=" bar " "
#define TWO         "-device vfio-pci,host=" ADDRESS ",id=dev,addr=4 " \
                    "-device vfio-pci,host=" OTHER ",id=other,addr=5"

static void assert_relocated(QTestState *qts, const char *id, int bar,
                             const char *words)
{
    QDict *info = vfio_query(qts, id);
    const char *reason = qdict_get_str(info, "reason");

    g_assert_cmpint(qdict_get_bool(info, "relocated"), ==, bar >= 0);
    g_assert_cmpint(qdict_get_try_int(info, "bar", -1), ==, bar);
    if (!strstr(reason, words)) {
        vfio_fail("reason \"%s\" does not contain \"%s\"", reason, words);
    }
    qobject_unref(info);
}

/* Stock takes no notice of a device that has no MSI-X to relocate */
static void test_no_msix(void)
{
    VfioRun run;

    if (!vfio_run_start(&run, ADDRESS NVME "\n" OTHER PLAIN,
                        GLOBAL("bar2") TWO)) {
        return;
    }
    assert_relocated(run.qts, "dev", 2, "bar2 was asked for");
    assert_relocated(run.qts, "other", -1, "no MSI-X");
    vfio_run_end(&run);
}

/* What does not suit a device, and that it goes without */
static const struct {
    const char *name;
    const char *device;
    const char *bar;
    const char *reason;
} unsuited[] = {
    { "huge", " bar0=8G,mem64 msix=22 table=0:0x2000 pba=0:0x3000",
      "bar0", "bar0 was asked for all devices, and for this one: in a "
      "BAR of 4 GiB or more" },
    { "upper-half", NVME, "bar1", "upper half" },
    { "ports", " bar0=16K,mem64 bar3=256,io msix=22 table=0:0x2000 "
      "pba=0:0x3000", "bar3", "I/O port BAR" },
    { "no-msix", PLAIN, "bar5", "no MSI-X" },
};

static void test_unsuited(const void *data)
{
    size_t i = GPOINTER_TO_SIZE(data);
    g_autofree char *devices = g_strconcat(ADDRESS, unsuited[i].device, NULL);
    g_autofree char *start =
        g_strdup_printf(GLOBAL("%s") VFIO_RUN_DEVICE, unsuited[i].bar);
    g_autofree char *order = NULL, *text = NULL;
    VfioRun run;

    if (!vfio_run_start(&run, devices, start)) {
        return;
    }
    assert_relocated(run.qts, "dev", -1, unsuited[i].reason);
    /* The same as an order, beside a wish that could be had */
    order = g_strdup_printf("vfio-pci,host=" ADDRESS ",x-msix-relocation=%s' "
                            "-global 'vfio-pci.x-msix-relocation=bar4",
                            unsuited[i].bar);
    text = vfio_host_refused(run.host, order);
    if (!strstr(text, "x-msix-relocation=bar")) {
        vfio_fail("\"%s\" does not name the property", text);
    }
    vfio_run_end(&run);
}

/* One device is exempt, or has a place of its own */
static void test_own(void)
{
    VfioRun run;

    if (!vfio_run_start(&run, ADDRESS NVME "\n" OTHER NVME, GLOBAL("bar2")
                        "-device vfio-pci,host=" ADDRESS ",id=dev,addr=4,"
                        "x-msix-relocation=off "
                        "-device vfio-pci,host=" OTHER ",id=other,addr=5 "
                        "-set device.other.x-msix-relocation=bar4")) {
        return;
    }
    assert_relocated(run.qts, "dev", -1, "relocation is off");
    assert_relocated(run.qts, "other", 4, "bar4 was asked for");
    vfio_run_end(&run);
}

static void test_hotplug(void)
{
    g_autofree char *error = NULL;
    VfioRun run;

    if (!vfio_run_start(&run, ADDRESS PLAIN, GLOBAL("bar2") VFIO_RUN_PORT)) {
        return;
    }
    error = vfio_run_plug(&run, ", 'x-msix-relocation': 'bar2'");
    g_assert_nonnull(error);
    g_assert_nonnull(strstr(error, "x-msix-relocation=bar2"));
    g_clear_pointer(&error, g_free);
    error = vfio_run_plug(&run, "");
    g_assert_cmpstr(error, ==, NULL);
    assert_relocated(run.qts, "dev", -1, "no MSI-X");
    vfio_run_end(&run);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vfio-wish/no-msix", test_no_msix);
    for (size_t i = 0; i < G_N_ELEMENTS(unsuited); i++) {
        g_autofree char *path = g_strdup_printf("/vfio-wish/unsuited/%s",
                                                unsuited[i].name);

        qtest_add_data_func(path, GSIZE_TO_POINTER(i), test_unsuited);
    }
    qtest_add_func("/vfio-wish/own", test_own);
    qtest_add_func("/vfio-wish/hotplug", test_hotplug);
    return g_test_run();
}
