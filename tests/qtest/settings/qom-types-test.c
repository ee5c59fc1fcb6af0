/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Every type may be asked for its properties, and every object that a user can
 * create may be asked for without any: whatever the answer is, the machine runs
 * on, and shows its screen
 */
#include "qemu/osdep.h"
#include "libqtest.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"

/* Display, text consoles and, on a PC, devices with ports */
#define PC   "-M pc -vga std -serial vc -monitor none"
#define VIRT "-M virt -device virtio-gpu-pci -serial vc -monitor none"

static QTestState *start(void)
{
    return qtest_initf("-display none %s",
                       g_str_equal(qtest_get_arch(), "x86_64") ? PC : VIRT);
}

static QList *types(QTestState *qts, const char *implements)
{
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'qom-list-types', 'arguments': "
                           "{ 'implements': %s, 'abstract': true } }",
                           implements);
    QList *list = qdict_get_qlist(rsp, "return");

    g_assert_nonnull(list);
    qobject_ref(list);
    qobject_unref(rsp);
    return list;
}

static const char *name_of(const QListEntry *entry)
{
    return qdict_get_str(qobject_to(QDict, qlist_entry_obj(entry)), "name");
}

static bool answered(QDict *rsp)
{
    bool returned = qdict_haskey(rsp, "return");

    g_assert_true(returned || qdict_haskey(rsp, "error"));
    qobject_unref(rsp);
    return returned;
}

static void shows_screen(QTestState *qts)
{
    g_autofree char *path = g_strdup_printf("%s/qom-types-%d.ppm",
                                            g_get_tmp_dir(), getpid());

    qtest_qmp_assert_success(qts, "{ 'execute': 'screendump', 'arguments': "
                             "{ 'filename': %s } }", path);
    g_assert_cmpint(unlink(path), ==, 0);
}

static void test_properties(void)
{
    QTestState *qts = start();
    QList *list = types(qts, "object");
    const QListEntry *entry;
    int returned = 0;

    /* Twice: what the first round left behind is met by the second */
    for (int i = 0; i < 2; i++) {
        QLIST_FOREACH_ENTRY(list, entry) {
            returned += answered(qtest_qmp(
                qts, "{ 'execute': 'qom-list-properties', 'arguments': "
                "{ 'typename': %s } }", name_of(entry)));
        }
    }
    g_assert_cmpint(returned, >, 500);
    shows_screen(qts);
    qobject_unref(list);
    qtest_quit(qts);
}

static void test_objects(void)
{
    QTestState *qts = start();
    QList *list = types(qts, "user-creatable");
    const QListEntry *entry;
    int n = 0;

    QLIST_FOREACH_ENTRY(list, entry) {
        g_autofree char *id = g_strdup_printf("o%d", n++);

        if (answered(qtest_qmp(qts, "{ 'execute': 'object-add', 'arguments': "
                               "{ 'qom-type': %s, 'id': %s } }",
                               name_of(entry), id))) {
            answered(qtest_qmp(qts, "{ 'execute': 'object-del', 'arguments': "
                               "{ 'id': %s } }", id));
        }
    }
    g_assert_cmpint(n, >, 20);
    shows_screen(qts);
    qobject_unref(list);
    qtest_quit(qts);
}

/* It has all properties, and ends before it has begun */
static void test_colo_compare(void)
{
    QTestState *qts = qtest_init("-M none -object iothread,id=io0");

    for (int i = 0; i < 2; i++) {
        g_assert_false(answered(qtest_qmp(
            qts, "{ 'execute': 'object-add', 'arguments': {"
            "  'qom-type': 'colo-compare', 'id': 'c', 'primary_in': 'a',"
            "  'secondary_in': 'b', 'outdev': 'c', 'iothread': 'io0' } }")));
    }
    qtest_quit(qts);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("qom-types/properties", test_properties);
    qtest_add_func("qom-types/objects", test_objects);
    qtest_add_func("qom-types/colo-compare", test_colo_compare);
    return g_test_run();
}
