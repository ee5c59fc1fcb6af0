/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * A machine with a TPM whose backend is upstream's minimal emulator
 */
#include "qemu/osdep.h"
#include "hw/nearmetal/compat.h"
#include <glib/gstdio.h>
#include "qemu/module.h"
#include "tpm-machine.h"

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
    m->qts = qtest_init_ext(var, args, NULL, true);
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
