/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Accesses of each size around both ends of each region that is memory to the
 * guest, and of each of a TPM's, whatever it is
 */
#include "qemu/osdep.h"
#include "tpm-machine.h"

#define REACH 9

static void touch(QTestState *qts, uint64_t at, bool write)
{
    uint8_t bytes[64];

    qtest_readb(qts, at);
    qtest_readw(qts, at);
    qtest_readl(qts, at);
    qtest_readq(qts, at);
    qtest_memread(qts, at, bytes, sizeof(bytes));
    if (write) {
        qtest_writeb(qts, at, 0);
        qtest_writew(qts, at, 0);
        qtest_writel(qts, at, 0);
        qtest_writeq(qts, at, 0);
        memset(bytes, 0, sizeof(bytes));
        qtest_memwrite(qts, at, bytes, sizeof(bytes));
    }
}

static void touch_edges(QTestState *qts, uint64_t start, uint64_t end,
                        bool write)
{
    for (int i = -REACH; i <= REACH; i++) {
        touch(qts, end + i, write);
        if (start >= REACH) {
            touch(qts, start + i, write);
        }
    }
}

static bool is_memory(const char *line)
{
    static const char *const kinds[] = { ", ram)", ", rom)", ", romd)" };

    for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (strstr(line, kinds[i])) {
            return true;
        }
    }
    return false;
}

/* Lines of "info mtree -f": START-END (prio 0, KIND): NAME */
static unsigned touch_lines(QTestState *qts, char **lines)
{
    unsigned n = 0;

    for (; *lines; lines++) {
        uint64_t start, end;
        bool tpm = strstr(*lines, "): tpm-");

        if (sscanf(*lines, " %" SCNx64 "-%" SCNx64 " (prio", &start, &end)
            != 2 || (!tpm && !is_memory(*lines))) {
            continue;
        }
        g_test_message("%s", *lines);
        touch_edges(qts, start, end, tpm);
        n += tpm;
    }
    return n;
}

static void touch_all(const char *machine, const char *device)
{
    TpmMachine *m = tpm_machine_start(TPM_VERSION_2_0, machine, device);
    g_autofree char *tree = qtest_hmp(m->qts, "info mtree -f");
    g_auto(GStrv) lines = g_strsplit(tree, "\n", -1);

    g_assert_cmpuint(touch_lines(m->qts, lines), >=, 1);
    /* It is still there */
    qtest_qmp_assert_success(m->qts, "{ 'execute': 'query-status' }");
    tpm_machine_stop(m);
}

static void test_edges(void)
{
    const char *machine = tpm_on_arm() ? "-machine virt -cpu max -m 256"
                                       : "-machine q35 -m 256";

    touch_all(machine, tpm_on_arm() ? "tpm-tis-device,%s,ppi=on"
                                    : "tpm-tis,%s");
    if (!tpm_on_arm()) {
        touch_all(machine, "tpm-crb,%s");
    }
    if (qtest_has_device("tpm-crb-device")) {
        touch_all(machine, "tpm-crb-device,%s,ppi=on");
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("memory-edge/all", test_edges);
    return g_test_run();
}
