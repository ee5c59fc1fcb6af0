/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * -set object.ID.PROPERTY=VALUE: for objects given as key=value and as JSON,
 * before and after -object, and what it refuses;
 * -global of objects
 */
#include "qemu/osdep.h"
#include "libqtest.h"
#include "qobject/qdict.h"
#include "qobject/qjson.h"
#include "../common/start-fails.h"

#define JSON_IO "-object '{\"qom-type\":\"iothread\",\"id\":\"io\"," \
                "\"poll-max-ns\":7}' "
#define KEYVAL_IO "-object iothread,id=io,poll-max-ns=7 "
#define JSON_RAM "-object '{\"qom-type\":\"memory-backend-ram\"," \
                 "\"id\":\"io\",\"size\":67108864,\"prealloc\":false," \
                 "\"host-nodes\":[0],\"policy\":\"bind\"}' "

static char *get(QTestState *qts, const char *id, const char *name)
{
    g_autofree char *path = g_strdup_printf("/objects/%s", id);
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'qom-get', 'arguments': {"
                           "'path': %s, 'property': %s }}", path, name);
    g_autoptr(GString) json = qobject_to_json(qdict_get(rsp, "return"));

    qobject_unref(rsp);
    return g_strdup(json->str);
}

static void expect(const char *args, const char *id, const char *name,
                   const char *json)
{
    QTestState *qts = qtest_initf("-machine none %s", args);
    g_autofree char *value = get(qts, id, name);

    g_assert_cmpstr(value, ==, json);
    qtest_quit(qts);
}

static void test_given(void)
{
    expect(KEYVAL_IO "-set object.io.poll-max-ns=9", "io", "poll-max-ns", "9");
    expect(JSON_IO "-set object.io.poll-max-ns=9", "io", "poll-max-ns", "9");
    expect("-set object.io.poll-max-ns=9 " JSON_IO, "io", "poll-max-ns", "9");
    expect("-set object.io.poll-max-ns=9 " KEYVAL_IO, "io", "poll-max-ns", "9");
    /* What is not named stays, the last one counts */
    expect(JSON_IO "-set object.io.aio-max-batch=4", "io", "poll-max-ns", "7");
    expect("-set object.io.poll-max-ns=8 " JSON_IO
           "-set object.io.poll-max-ns=9", "io", "poll-max-ns", "9");
    expect(JSON_IO "-set object.io.poll-policy=classic", "io", "poll-policy",
           "\"classic\"");
}

/* Each kind of value, beside a list */
static void test_kinds(void)
{
    expect(JSON_RAM "-set object.io.size=128M", "io", "size", "134217728");
    expect(JSON_RAM "-set object.io.prealloc=on", "io", "prealloc", "true");
    expect(JSON_RAM "-set object.io.size=128M", "io", "host-nodes", "[0]");
    expect(JSON_RAM "-set object.io.thp=off", "io", "thp", "\"off\"");
}

static void test_dots(void)
{
#define TWO "-object iothread,id=a -object iothread,id=a.b "
    expect(TWO "-set object.a.b.poll-max-ns=9", "a.b", "poll-max-ns", "9");
    expect(TWO "-set object.a.b.poll-max-ns=9", "a", "poll-max-ns", "32768");
    expect(TWO "-set object.a.poll-max-ns=9", "a", "poll-max-ns", "9");
}

static void test_option(void)
{
    expect(JSON_IO "-set object.io.poll-max-ns=9 -set object.io.poll-grow=2",
           "io", "poll-grow", "2");
}

/* -global: what neither -object nor -set says, and for what is added later */
static void test_global(void)
{
#define GLOBAL "-global iothread.poll-max-ns=5 "
    expect(GLOBAL "-object iothread,id=io", "io", "poll-max-ns", "5");
    expect("-object iothread,id=io " GLOBAL, "io", "poll-max-ns", "5");
    expect(GLOBAL JSON_IO, "io", "poll-max-ns", "7");
    expect(GLOBAL "-object iothread,id=io -set object.io.poll-max-ns=9",
           "io", "poll-max-ns", "9");
    expect("-global iothread.poll-policy=classic " JSON_IO, "io",
           "poll-policy", "\"classic\"");
    expect("-global memory-backend.thp=off " JSON_RAM, "io", "thp", "\"off\"");
    expect("-global memory-backend-file.dump=off " JSON_RAM, "io", "dump",
           "true");
}

static void test_global_later(void)
{
    QTestState *qts = qtest_init("-machine none " GLOBAL);
    g_autofree char *value = NULL;

    qtest_qmp_assert_success(qts, "{ 'execute': 'object-add', 'arguments': {"
                             "'qom-type': 'iothread', 'id': 'io' }}");
    value = get(qts, "io", "poll-max-ns");
    g_assert_cmpstr(value, ==, "5");
    qtest_quit(qts);
}

/* Stock starts with them, and warns */
static void test_global_wrong(void)
{
    expect("-global iothread.none=5 " JSON_IO, "io", "poll-max-ns", "7");
    expect("-global iothread.poll-policy=fast " JSON_IO, "io", "poll-policy",
           "\"predictive\"");
    expect("-global none.none=5 " JSON_IO, "io", "poll-max-ns", "7");
}

/* What is said after the option itself, which has some of the words as well */
static void refuse(const char *args, const char *words)
{
    g_autofree char *line = g_strdup_printf(
        "-accel qtest -machine none %s -loadvm none", args);
    g_autofree char *text = start_fails(line);
    g_auto(GStrv) part = g_strsplit(text, ": ", 3);

    g_assert_cmpint(g_strv_length(part), ==, 3);
    g_assert_true(g_str_has_prefix(part[1], "-set object"));
    if (!strstr(part[2], words)) {
        g_test_message("%s", text);
    }
    g_assert_nonnull(strstr(part[2], words));
}

static void test_refused(void)
{
    refuse(JSON_IO "-set object.none.poll-max-ns=9",
           "there is no object \"none\" defined");
    refuse(JSON_IO "-set object.io.poll-max=9", "'poll-max' is unexpected");
    refuse(JSON_IO "-set object.io.poll-policy=fast",
           "'poll-policy' does not accept value 'fast'");
    refuse(JSON_IO "-set object.io.poll-max-ns=x",
           "Parameter 'poll-max-ns' expects");
    refuse(JSON_IO "-set object.io.id=y",
           "'id' is what the object is known by");
    refuse(JSON_IO "-set object.io.qom-type=y",
           "'qom-type' is what the object is known by");
    refuse(JSON_RAM "-set object.io.host-nodes=0",
           "Invalid parameter type for 'host-nodes', expected: array");
    refuse(JSON_IO "-set object.io=9", "can't parse");
    refuse(JSON_IO "-set object.io.poll-max-ns", "can't parse");
    refuse(JSON_IO "-set object..poll-max-ns=9", "can't parse");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("object-set/given", test_given);
    qtest_add_func("object-set/kinds", test_kinds);
    qtest_add_func("object-set/dots", test_dots);
    qtest_add_func("object-set/several", test_option);
    qtest_add_func("object-set/refused", test_refused);
    qtest_add_func("object-set/global", test_global);
    qtest_add_func("object-set/global/later", test_global_later);
    qtest_add_func("object-set/global/wrong", test_global_wrong);
    return g_test_run();
}
