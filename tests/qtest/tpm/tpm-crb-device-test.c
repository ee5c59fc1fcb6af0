/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * tpm-crb-device: registers, commands, what is refused, migration
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "hw/nearmetal/tpm/crb-regs.h"
#include "tpm-machine.h"
#include "tpm-tests.h"

#define MACHINE "-machine virt -cpu max"
#define DEVICE "tpm-crb-device,%s"
#define BUFFER (TPM_ARM_BASE + CRB_BUFFER)
#define RC_COMMAND_SIZE 0x142
#define DEADLINE_US (60 * G_USEC_PER_SEC)

/* TPM2_Startup(CLEAR); what it is does not matter to the minimal emulator */
static const uint8_t good[] = {
    0x80, 0x01, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, 0
};

static uint32_t get(TpmMachine *m, unsigned reg)
{
    return qtest_readl(m->qts, TPM_ARM_BASE + reg);
}

static void set(TpmMachine *m, unsigned reg, uint32_t value)
{
    qtest_writel(m->qts, TPM_ARM_BASE + reg, value);
}

static TpmMachine *start(const char *machine, const char *device)
{
    return tpm_machine_start(TPM_VERSION_2_0, machine, device);
}

/* Take locality 0 and wake the TPM */
static void take(TpmMachine *m)
{
    set(m, CRB_LOC_CTRL, 1);
    g_assert_cmphex(get(m, CRB_LOC_STS), ==, CRB_LOC_STS_GRANTED);
    g_assert_cmphex(get(m, CRB_LOC_STATE), ==, 0x83);
    set(m, CRB_CTRL_REQ, 1);
    g_assert_cmphex(get(m, CRB_CTRL_STS), ==, 0);
}

static void wait_response(TpmMachine *m)
{
    int64_t end = g_get_monotonic_time() + DEADLINE_US;

    while (get(m, CRB_CTRL_START)) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(1000);
    }
    g_assert_cmphex(get(m, CRB_CTRL_STS), ==, 0);
}

/* Returns: the response code; its form is right */
static uint32_t response_code(TpmMachine *m)
{
    struct tpm_hdr header;

    qtest_memread(m->qts, BUFFER, &header, sizeof(header));
    g_assert_cmphex(be16_to_cpu(header.tag), ==, TPM2_ST_NO_SESSIONS);
    g_assert_cmpuint(be32_to_cpu(header.len), ==, sizeof(header));
    return be32_to_cpu(header.code);
}

static uint32_t run(TpmMachine *m, const void *command, size_t size)
{
    qtest_memwrite(m->qts, BUFFER, command, size);
    set(m, CRB_CTRL_START, 1);
    wait_response(m);
    return response_code(m);
}

static void assert_fresh(TpmMachine *m)
{
    g_assert_cmphex(get(m, CRB_LOC_STATE), ==, 0x81);
    g_assert_cmphex(get(m, CRB_LOC_STS), ==, 0);
    g_assert_cmphex(get(m, CRB_INTF_ID), ==, 0x25811);
    g_assert_cmphex(get(m, CRB_INTF_ID2), ==, 0x1014);
    g_assert_cmphex(get(m, CRB_CTRL_STS), ==, CRB_STS_IDLE);
    g_assert_cmphex(get(m, CRB_CTRL_START), ==, 0);
    g_assert_cmphex(get(m, CRB_CTRL_CMD_SIZE), ==, 0xf80);
    g_assert_cmphex(qtest_readq(m->qts, TPM_ARM_BASE + CRB_CTRL_CMD_LADDR),
                    ==, BUFFER);
    g_assert_cmphex(get(m, CRB_CTRL_RSP_SIZE), ==, 0xf80);
    g_assert_cmphex(qtest_readq(m->qts, TPM_ARM_BASE + CRB_CTRL_RSP_LADDR),
                    ==, BUFFER);
    /* No other locality answers */
    g_assert_cmphex(get(m, 0x1000), ==, 0);
    g_assert_cmphex(qtest_readl(m->qts, BUFFER), ==, 0);
}

static void test_registers(void)
{
    TpmMachine *m = start(MACHINE, DEVICE);

    assert_fresh(m);
    take(m);
    qtest_memwrite(m->qts, BUFFER, good, sizeof(good));
    set(m, CRB_CTRL_REQ, 2);
    g_assert_cmphex(get(m, CRB_CTRL_STS), ==, CRB_STS_IDLE);
    set(m, CRB_LOC_CTRL, 2);
    g_assert_cmphex(get(m, CRB_LOC_STATE), ==, 0x81);
    set(m, CRB_INTF_ID, 0);
    set(m, CRB_CTRL_CMD_LADDR, 0);
    take(m);
    qtest_system_reset(m->qts);
    assert_fresh(m);
    tpm_machine_stop(m);
}

/* Each size of access, and nothing written behind the buffer's end */
static void test_buffer(void)
{
    TpmMachine *m = start(MACHINE, DEVICE);
    uint64_t value = 0x8877665544332211ull;

    qtest_writeb(m->qts, BUFFER, 0x11);
    qtest_writeb(m->qts, BUFFER + 1, 0x22);
    qtest_writew(m->qts, BUFFER + 2, 0x4433);
    qtest_writel(m->qts, BUFFER + 4, 0x88776655);
    g_assert_cmphex(qtest_readq(m->qts, BUFFER), ==, value);
    qtest_writeq(m->qts, BUFFER + 8, value);
    g_assert_cmphex(qtest_readb(m->qts, BUFFER + 15), ==, 0x88);
    qtest_writeq(m->qts, TPM_ARM_BASE + CRB_SIZE - 8, value);
    g_assert_cmphex(qtest_readq(m->qts, TPM_ARM_BASE + CRB_SIZE - 8), ==,
                    value);
    qtest_writeq(m->qts, TPM_ARM_BASE + CRB_SIZE, value);
    qtest_writeq(m->qts, TPM_ARM_BASE + 0xfff8, value);
    g_assert_cmphex(qtest_readq(m->qts, TPM_ARM_BASE + CRB_SIZE), ==, 0);
    g_assert_cmphex(qtest_readq(m->qts, TPM_ARM_BASE + 0xfff8), ==, 0);
    tpm_machine_stop(m);
}

static void test_command(void)
{
    TpmMachine *m = start(MACHINE, DEVICE);

    /* Without a locality nothing starts */
    set(m, CRB_CTRL_START, 1);
    g_assert_cmphex(get(m, CRB_CTRL_START), ==, 0);
    take(m);
    g_assert_cmphex(run(m, good, sizeof(good)), ==, TPM_RC_FAILURE);
    /* That was the emulator's: it has the command */
    g_assert_cmphex(m->tpm.tpm_msg->code, ==, cpu_to_be32(TPM_RC_FAILURE));
    tpm_machine_stop(m);
}

static void test_hostile(void)
{
    static const uint32_t sizes[] = {
        0, 6, 9, 0xf81, 0x1000, 0x10006, 0x7fffffff, 0xffffffff
    };
    TpmMachine *m = start(MACHINE, DEVICE);
    uint8_t command[sizeof(good)];
    unsigned i;

    take(m);
    for (i = 0; i < G_N_ELEMENTS(sizes); i++) {
        memcpy(command, good, sizeof(good));
        stl_be_p(command + 2, sizes[i]);
        g_assert_cmphex(run(m, command, sizeof(command)), ==, RC_COMMAND_SIZE);
    }
    /* None has reached it: it would have waited for the rest */
    g_assert_cmphex(run(m, good, sizeof(good)), ==, TPM_RC_FAILURE);
    tpm_machine_stop(m);
}

static void test_refused(void)
{
    g_autofree char *said = tpm_machine_refused(TPM_VERSION_1_2, MACHINE,
                                                DEVICE);
    g_autofree char *two = tpm_machine_refused(TPM_VERSION_2_0, MACHINE,
                                               "tpm-tis-device,%s "
                                               "-device tpm-crb-device");

    g_assert_nonnull(strstr(said, "tpm-crb-device needs a TPM 2.0, and tpmdev "
                            "'dev' is a TPM 1.2; use tpm-tis-device"));
    g_assert_nonnull(strstr(two, "at most one TPM device is permitted"));
}

static void test_query(void)
{
    TpmMachine *m = start(MACHINE, DEVICE);
    QDict *answer = qtest_qmp(m->qts, "{ 'execute': 'query-tpm' }");
    QDict *info = qobject_to(QDict,
                             qlist_peek(qdict_get_qlist(answer, "return")));

    g_assert_cmpstr(qdict_get_str(info, "model"), ==, "tpm-crb");
    qobject_unref(answer);
    tpm_machine_stop(m);
}

static unsigned taken;          /* how often transfer() took the locality */

/* A command as a driver sends it, for what upstream tests with swtpm */
static void transfer(QTestState *qts, const unsigned char *req, size_t req_size,
                     unsigned char *rsp, size_t rsp_size)
{
    TpmMachine m = { .qts = qts };

    if (!get(&m, CRB_LOC_STS)) {
        take(&m);
        taken++;
    }
    qtest_memwrite(qts, BUFFER, req, req_size);
    set(&m, CRB_CTRL_START, 1);
    wait_response(&m);
    qtest_memread(qts, BUFFER, rsp, rsp_size);
}

static void test_swtpm(void)
{
    g_autofree char *dir = g_dir_make_tmp("tpm-crb.XXXXXX", NULL);

    tpm_test_swtpm_test(dir, transfer, "tpm-crb-device", MACHINE);
    tpm_util_rmdir(dir);
}

/* Locality, registers and PCRs arrive: the locality is taken once */
static void test_migration(void)
{
    g_autofree char *from = g_dir_make_tmp("tpm-crb.XXXXXX", NULL);
    g_autofree char *to = g_dir_make_tmp("tpm-crb.XXXXXX", NULL);
    g_autofree char *uri = g_strdup_printf("unix:%s/migration", from);

    taken = 0;
    tpm_test_swtpm_migration_test(from, to, uri, transfer,
                                  "tpm-crb-device,ppi=on", MACHINE);
    if (tpm_util_swtpm_has_tpm2()) {
        g_assert_cmpuint(taken, ==, 1);
    }
    tpm_util_rmdir(from);
    tpm_util_rmdir(to);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("tpm-crb-device/registers", test_registers);
    qtest_add_func("tpm-crb-device/buffer", test_buffer);
    qtest_add_func("tpm-crb-device/command", test_command);
    qtest_add_func("tpm-crb-device/hostile", test_hostile);
    qtest_add_func("tpm-crb-device/refused", test_refused);
    qtest_add_func("tpm-crb-device/query", test_query);
    qtest_add_func("tpm-crb-device/swtpm", test_swtpm);
    qtest_add_func("tpm-crb-device/migration", test_migration);
    return g_test_run();
}
