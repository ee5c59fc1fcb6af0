/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 */
#include "qemu/osdep.h"
#include "qobject/qdict.h"
#include "qobject/qnum.h"
#include "qobject/qstring.h"
#include "vfio-numa.h"

static char *dir;
const char *machine;

char *in_dir(const char *name)
{
    return g_build_filename(dir, name, NULL);
}

static void write_file(const char *name, const char *text, size_t len)
{
    g_autofree char *path = in_dir(name);

    g_assert_true(g_file_set_contents(path, text, len, NULL));
}

/* What QEMU has said on stderr */
static char *said(void)
{
    g_autofree char *path = in_dir("stderr");
    char *text;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return text;
}

QTestState *start(const char *on, const char *options)
{
    QTestState *qts;

    g_setenv("LD_PRELOAD", g_getenv("VFIO_STANDIN_LIB"), true);
    qts = qtest_initf("-nodefaults %s -m 128 -smp 2 %s 2>%s/stderr", on,
                      options, dir);
    g_unsetenv("LD_PRELOAD");
    return qts;
}

void assert_said(const char *words)
{
    g_autofree char *text = said();

    if (words ? !strstr(text, words) : *text != '\0') {
        g_test_message("expected: %s", words ?: "nothing");
        g_test_message("got: %s", text);
        g_assert_not_reached();
    }
}

char *refuse(const char *on, const char *options, const char *words)
{
    g_autofree char *command =
        g_strdup_printf("LD_PRELOAD=%s exec %s -display none -accel qtest "
                        "-nodefaults %s -m 128 -smp 2 %s 2>%s/stderr",
                        g_getenv("VFIO_STANDIN_LIB"),
                        g_getenv("QTEST_QEMU_BINARY"), on, options, dir);
    const char *argv[] = { "/bin/sh", "-c", command, NULL };
    int status;

    g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL, 0, NULL, NULL, NULL,
                               NULL, &status, NULL));
    assert_said(words);
    g_assert_cmpint(status, !=, 0);
    return said();
}

static QObject *get(QTestState *qts, const char *id, const char *property)
{
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'qom-get', 'arguments': {"
                           " 'path': %s, 'property': %s } }", id, property);
    QObject *value = qobject_ref(qdict_get(rsp, "return"));

    g_assert_nonnull(value);
    qobject_unref(rsp);
    return value;
}

void assert_number(QTestState *qts, const char *id,
                          const char *property, int expected)
{
    QObject *value = get(qts, id, property);

    g_assert_cmpint(qnum_get_int(qobject_to(QNum, value)), ==, expected);
    qobject_unref(value);
}

void assert_on(QTestState *qts, const char *id, const char *bus,
                      int node)
{
    QObject *value = get(qts, id, "parent_bus");
    const char *path = qstring_get_str(qobject_to(QString, value));

    g_assert_cmpstr(strrchr(path, '/') + 1, ==, bus);
    qobject_unref(value);
    assert_number(qts, id, "numa-node-actual", node);
}

void assert_word(QTestState *qts, const char *id, const char *expected)
{
    QObject *value = get(qts, id, "numa-node");

    g_assert_cmpstr(qstring_get_str(qobject_to(QString, value)), ==, expected);
    qobject_unref(value);
}

void place(const char *on, const char *options, const char *bus,
                  int node, const char *words)
{
    QTestState *qts = start(on, options);

    assert_on(qts, "d0", bus, node);
    assert_said(words);
    qtest_quit(qts);
}

char *plug(QTestState *qts, const char *id, const char *host, const char *bus,
           const char *node)
{
    QDict *args = qdict_new(), *rsp;
    char *text = NULL;

    qdict_put_str(args, "driver", "vfio-pci");
    qdict_put_str(args, "id", id);
    qdict_put_str(args, "host", host);
    qdict_put_str(args, "numa-node", node);
    if (bus) {
        qdict_put_str(args, "bus", bus);
    }
    rsp = qtest_qmp(qts, "{ 'execute': 'device_add', 'arguments': %p }", args);
    if (qdict_haskey(rsp, "error")) {
        text = g_strdup(qdict_get_str(qdict_get_qdict(rsp, "error"), "desc"));
    }
    qobject_unref(rsp);
    return text;
}

void assert_plug(QTestState *qts, const char *id, const char *host,
                        const char *bus, const char *error)
{
    g_autofree char *text = plug(qts, id, host, bus, "1");

    if (error) {
        g_test_message("expected: %s", error);
        g_test_message("got: %s", text ?: "nothing");
        g_assert_nonnull(text);
        g_assert_nonnull(strstr(text, error));
    } else {
        g_assert_cmpstr(text, ==, NULL);
    }
}

static void set_up(bool arm)
{
    static const char devices[] =
        "0000:01:00.0 bar0=16K,mem64 msix=4 table=0:0x2000 pba=0:0x3000"
        " numa-node=0\n"
        "0000:02:00.0 bar0=16K,mem64 msix=4 table=0:0x2000 pba=0:0x3000\n"
        "0000:03:00.0 bar0=16K,mem64\n0000:03:00.1 bar0=16K,mem64\n";

    dir = g_dir_make_tmp("vfio-numa.XXXXXX", NULL);
    g_assert_nonnull(dir);
    write_file("devices", devices, strlen(devices));
    /* With any firmware, Arm's virt has the guest use the ACPI tables */
    write_file("firmware", "\0\0\0\0", 4);
    machine = arm ? g_strdup_printf("-machine virt -cpu max -bios %s/firmware",
                                    dir) : "-machine q35";
    g_setenv("VFIO_STANDIN", dir, true);
}

static void tear_down(void)
{
    const char *argv[] = { "rm", "-rf", "--", dir, NULL };

    g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH,
                               NULL, NULL, NULL, NULL, NULL, NULL));
}

int numa_test_run(int argc, char **argv, void (*add)(void))
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    if (!g_getenv("VFIO_STANDIN_LIB")) {
        g_print("1..0 # SKIP VFIO_STANDIN_LIB does not name the stand-in for "
                "VFIO\n");
        return 0;
    }
    set_up(g_str_equal(qtest_get_arch(), "aarch64"));
    add();
    ret = g_test_run();
    tear_down();
    return ret;
}
