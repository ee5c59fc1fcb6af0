/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * A machine with a TPM whose backend is upstream's minimal emulator
 */
#include "qemu/osdep.h"
#include <glib/gstdio.h>
#include "qemu/bswap.h"
#include "qemu/module.h"
#include "libqos/fw_cfg.h"
#include "standard-headers/linux/qemu_fw_cfg.h"
#include "tpm-machine.h"

#define FW_CFG_ARM 0x9020000

bool tpm_on_arm(void)
{
    return g_str_equal(qtest_get_arch(), "aarch64");
}

static void start_backend(TpmMachine *m, enum TPMVersion version)
{
    TPMTestState *tpm = &m->tpm;
    static bool types;

    if (!types) {
        types = true;
        module_call_init(MODULE_INIT_QOM);
    }
    m->dir = g_dir_make_tmp("tpm-machine.XXXXXX", NULL);
    g_assert_nonnull(m->dir);
    tpm->addr = g_new0(SocketAddress, 1);
    tpm->addr->type = SOCKET_ADDRESS_TYPE_UNIX;
    tpm->addr->u.q_unix.path = g_build_filename(m->dir, "sock", NULL);
    g_mutex_init(&tpm->data_mutex);
    g_cond_init(&tpm->data_cond);
    tpm->tpm_version = version;
    m->thread = g_thread_new(NULL, tpm_emu_ctrl_thread, tpm);
    tpm_emu_test_wait_cond(tpm);
}

static void stop_backend(TpmMachine *m)
{
    g_thread_join(m->thread);
    g_unlink(m->tpm.addr->u.q_unix.path);
    g_rmdir(m->dir);
    g_mutex_clear(&m->tpm.data_mutex);
    g_cond_clear(&m->tpm.data_cond);
    qapi_free_SocketAddress(m->tpm.addr);
    g_free(m->dir);
    g_free(m);
}

static char *options(TpmMachine *m, const char *machine, const char *device)
{
    g_auto(GStrv) parts = g_strsplit(device, "%s", 2);

    return g_strdup_printf("%s -nodefaults -chardev socket,id=chr,path=%s "
                           "-tpmdev emulator,id=dev,chardev=chr "
                           "-device %stpmdev=dev%s",
                           machine, m->tpm.addr->u.q_unix.path, parts[0],
                           parts[1]);
}

TpmMachine *tpm_machine_start_env(const char *var, enum TPMVersion version,
                                  const char *machine, const char *device)
{
    TpmMachine *m = g_new0(TpmMachine, 1);
    g_autofree char *args = NULL;

    start_backend(m, version);
    args = options(m, machine, device);
    m->qts = qtest_init_with_env(var, args, true);
    return m;
}

TpmMachine *tpm_machine_start(enum TPMVersion version, const char *machine,
                              const char *device)
{
    return tpm_machine_start_env(NULL, version, machine, device);
}

void tpm_machine_stop(TpmMachine *m)
{
    qtest_quit(m->qts);
    stop_backend(m);
}

char *tpm_machine_refused(enum TPMVersion version, const char *machine,
                          const char *device)
{
    TpmMachine *m = g_new0(TpmMachine, 1);
    g_autofree char *args = NULL, *command = NULL;
    char *said = NULL;
    int status;

    start_backend(m, version);
    args = options(m, machine, device);
    command = g_strdup_printf("%s -accel qtest -display none %s",
                              g_getenv("QTEST_QEMU_BINARY"), args);
    g_assert_true(g_spawn_command_line_sync(command, NULL, &said, &status,
                                            NULL));
    g_assert_true(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, 1);
    stop_backend(m);
    return said;
}

static void fw_cfg_read(TpmMachine *m, uint16_t key, void *data, size_t size)
{
    size_t at, part;
    uint64_t value;

    if (!tpm_on_arm()) {
        QFWCFG *fw_cfg = pc_fw_cfg_init(m->qts);

        qfw_cfg_get(fw_cfg, key, data, size);
        pc_fw_cfg_uninit(fw_cfg);
        return;
    }
    /* Big endian registers; the bytes of a file are in their order */
    qtest_writew(m->qts, FW_CFG_ARM + 8, bswap16(key));
    for (at = 0; at < size; at += part) {
        part = MIN(size - at, sizeof(value));
        value = cpu_to_le64(qtest_readq(m->qts, FW_CFG_ARM));
        memcpy((char *)data + at, &value, part);
    }
}

GByteArray *tpm_machine_fw_cfg(TpmMachine *m, const char *name)
{
    typedef struct fw_cfg_file FWCfgFile;
    g_autofree char *files = NULL;
    GByteArray *file;
    uint32_t count, i;

    fw_cfg_read(m, FW_CFG_FILE_DIR, &count, sizeof(count));
    count = be32_to_cpu(count);
    files = g_malloc0(sizeof(count) + count * sizeof(FWCfgFile));
    fw_cfg_read(m, FW_CFG_FILE_DIR, files,
                sizeof(count) + count * sizeof(FWCfgFile));
    for (i = 0; i < count; i++) {
        FWCfgFile f;

        memcpy(&f, files + sizeof(count) + i * sizeof(f), sizeof(f));
        if (g_str_equal(f.name, name)) {
            file = g_byte_array_new();
            g_byte_array_set_size(file, be32_to_cpu(f.size));
            fw_cfg_read(m, be16_to_cpu(f.select), file->data, file->len);
            return file;
        }
    }
    return NULL;
}
