/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Properties of event loop objects: which values they take, that a refused one
 * leaves the old one in place, and what the error says
 *
 * All of it happens while a disk on the IOThread is being read.
 */
#include "qemu/osdep.h"
#include <glib/gstdio.h>
#include "libqtest.h"
#include "qapi/error.h"
#include "qobject/qdict.h"
#include "qobject/qjson.h"
#include "qobject/qlist.h"
#include "../common/start-fails.h"
#include "../common/stats-query.h"
#include "vblk.h"

#define IO0 "/objects/io0"
#define LOOP "/objects/loop"

typedef struct Property {
    const char *path;
    const char *name;
    int64_t initial;
    int64_t min;
    int64_t max;
    const char *query;      /* its member in query-iothreads, if it has one */
} Property;

/* thread-pool-min comes first, while thread-pool-max is at its default */
static const Property properties[] = {
    { IO0, "poll-max-ns", 32768, 0, 1000000000, "poll-max-ns" },
    { IO0, "poll-grow", 0, 0, 1000, "poll-grow" },
    { IO0, "poll-shrink", 0, 0, 1000, "poll-shrink" },
    { IO0, "aio-max-batch", 0, 0, 1024, "aio-max-batch" },
    { IO0, "thread-pool-min", 0, 0, 64, "thread-pool-min" },
    { IO0, "thread-pool-max", 64, 1, 4096, "thread-pool-max" },
    { LOOP, "aio-max-batch", 0, 0, 1024 },
    { LOOP, "thread-pool-min", 0, 0, 64 },
    { LOOP, "thread-pool-max", 64, 1, 4096 },
};

static QTestState *start(const char *blockdev)
{
    return qtest_initf("%s -object iothread,id=io0 -object main-loop,id=loop "
                       "-blockdev %s,node-name=disk "
                       "-device virtio-blk-pci,drive=disk,iothread=io0,addr=4",
                       vblk_machine(), blockdev);
}

static int64_t get(QTestState *qts, const char *path, const char *name)
{
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'qom-get', 'arguments': {"
                           "'path': %s, 'property': %s }}", path, name);
    int64_t value = qdict_get_int(rsp, "return");

    qobject_unref(rsp);
    return value;
}

static int64_t queried(QTestState *qts, const char *member)
{
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'query-iothreads' }");
    QList *list = qdict_get_qlist(rsp, "return");
    int64_t value = qdict_get_int(qobject_to(QDict, qlist_peek(list)), member);

    qobject_unref(rsp);
    return value;
}

static QDict *set_json(QTestState *qts, const char *path, const char *name,
                       const char *json)
{
    return qtest_qmp(qts, "{ 'execute': 'qom-set', 'arguments': {"
                     "'path': %s, 'property': %s, 'value': %p }}", path, name,
                     qobject_from_json(json, &error_abort));
}

static void set(QTestState *qts, const char *path, const char *name,
                int64_t value)
{
    g_autofree char *json = g_strdup_printf("%" PRId64, value);
    QDict *rsp = set_json(qts, path, name, json);

    g_assert_true(qdict_haskey(rsp, "return"));
    qobject_unref(rsp);
    g_assert_cmpint(get(qts, path, name), ==, value);
}

/* The reason why it was refused; the caller frees it */
static char *refused(QTestState *qts, const char *path, const char *name,
                     const char *json)
{
    int64_t old = get(qts, path, name);
    QDict *rsp = set_json(qts, path, name, json);
    QDict *error = qdict_get_qdict(rsp, "error");
    char *desc;

    g_assert_nonnull(error);
    g_assert_cmpstr(qdict_get_str(error, "class"), ==, "GenericError");
    desc = g_strdup(qdict_get_str(error, "desc"));
    qobject_unref(rsp);
    g_assert_cmpint(get(qts, path, name), ==, old);
    return desc;
}

static void refuse(QTestState *qts, const Property *p, int64_t value)
{
    g_autofree char *json = g_strdup_printf("%" PRId64, value);
    g_autofree char *desc = refused(qts, p->path, p->name, json);
    g_autofree char *expected = g_strdup_printf(
        "Property '%s.%s' value %" PRId64 " is out of range [%" PRId64 ", %"
        PRId64 "]", g_str_equal(p->path, IO0) ? "iothread" : "main-loop",
        p->name, value, p->min, p->max);

    g_assert_cmpstr(desc, ==, expected);
}

static void refuse_other_types(QTestState *qts, const Property *p)
{
    static const char *const values[] = {
        "'text'", "true", "[]", "{}", "null", "0.5", "1e30",
        "9223372036854775808",
    };
    g_autofree char *range = g_strdup_printf("[%" PRId64 ", %" PRId64 "]",
                                             p->min, p->max);

    for (int i = 0; i < G_N_ELEMENTS(values); i++) {
        g_autofree char *desc = refused(qts, p->path, p->name, values[i]);

        g_assert_nonnull(strstr(desc, p->name));
        g_assert_nonnull(strstr(desc, range));
    }
}

static void check_property(QTestState *qts, VBlk *blk, const Property *p)
{
    const int64_t good[] = { p->max, p->min, (p->min + p->max) / 2,
                             p->min + 1, p->initial };
    const int64_t bad[] = { p->min - 1, p->max + 1, INT64_MIN, INT64_MAX,
                            -1, UINT32_MAX + (int64_t)1 };

    g_assert_cmpint(get(qts, p->path, p->name), ==, p->initial);
    for (int i = 0; i < G_N_ELEMENTS(good); i++) {
        set(qts, p->path, p->name, good[i]);
        vblk_read(blk, 4);
        for (int j = 0; j < G_N_ELEMENTS(bad); j++) {
            refuse(qts, p, bad[j]);
        }
        if (p->query) {
            g_assert_cmpint(queried(qts, p->query), ==, good[i]);
        }
    }
    refuse_other_types(qts, p);
    vblk_read(blk, 4);
}

static void test_ranges(void)
{
    QTestState *qts = start("driver=null-co,read-zeroes=on");
    VBlk *blk = vblk_new(qts);

    for (int i = 0; i < G_N_ELEMENTS(properties); i++) {
        check_property(qts, blk, &properties[i]);
    }
    vblk_free(blk);
    qtest_quit(qts);
}

/* Each limit bounds the other, and a refusal does not spoil later changes */
static void test_thread_pool(const void *opaque)
{
    const char *path = opaque;
    QTestState *qts = start("driver=null-co,read-zeroes=on");
    VBlk *blk = vblk_new(qts);
    Property min = { path, "thread-pool-min", 0, 0, 8 };
    Property max = { path, "thread-pool-max", 64, 3, 4096 };

    set(qts, path, "thread-pool-max", 8);
    refuse(qts, &min, 9);
    set(qts, path, "aio-max-batch", 5);
    set(qts, path, "thread-pool-min", 3);
    refuse(qts, &max, 2);
    set(qts, path, "aio-max-batch", 6);
    vblk_read(blk, 4);
    set(qts, path, "thread-pool-max", 3);
    set(qts, path, "thread-pool-min", 0);
    set(qts, path, "thread-pool-max", 1);
    vblk_read(blk, 4);

    vblk_free(blk);
    qtest_quit(qts);
}

static QDict *add_object(QTestState *qts, const char *json)
{
    return qtest_qmp(qts, "{ 'execute': 'object-add', 'arguments': %p }",
                     qobject_from_json(json, &error_abort));
}

static void add_refused(QTestState *qts, const char *json, const char *expected)
{
    QDict *rsp = add_object(qts, json);
    QDict *error = qdict_get_qdict(rsp, "error");

    g_assert_nonnull(error);
    g_assert_cmpstr(qdict_get_str(error, "desc"), ==, expected);
    qobject_unref(rsp);
}

/* The two thread pool limits may come in any order */
static void test_new_objects(void)
{
    QTestState *qts = qtest_init("-machine none "
                                 "-object iothread,id=io0,thread-pool-min=100,"
                                 "thread-pool-max=200,poll-grow=456,"
                                 "poll-shrink=789 "
                                 "-object main-loop,id=loop,"
                                 "thread-pool-min=100,thread-pool-max=200");

    g_assert_cmpint(get(qts, IO0, "thread-pool-min"), ==, 100);
    g_assert_cmpint(get(qts, IO0, "thread-pool-max"), ==, 200);
    g_assert_cmpint(get(qts, IO0, "poll-grow"), ==, 456);
    g_assert_cmpint(get(qts, IO0, "poll-shrink"), ==, 789);
    g_assert_cmpint(get(qts, LOOP, "thread-pool-min"), ==, 100);

    add_refused(qts, "{ 'qom-type': 'iothread', 'id': 'x', "
                "'poll-max-ns': -1 }",
                "Property 'iothread.poll-max-ns' value -1 is out of "
                "range [0, 1000000000]");
    add_refused(qts, "{ 'qom-type': 'iothread', 'id': 'x', "
                "'poll-cpu-limit': 101 }",
                "Property 'iothread.poll-cpu-limit' value 101 is out of "
                "range [0, 100]");
    add_refused(qts, "{ 'qom-type': 'iothread', 'id': 'x', "
                "'thread-pool-min': 65 }",
                "Property 'iothread.thread-pool-min' value 65 is out of range "
                "[0, 64]");
    add_refused(qts, "{ 'qom-type': 'iothread', 'id': 'x', "
                "'thread-pool-min': 3, 'thread-pool-max': 2 }",
                "Property 'iothread.thread-pool-min' value 3 is out of range "
                "[0, 2]");
    add_refused(qts, "{ 'qom-type': 'main-loop', 'id': 'x', "
                "'thread-pool-max': 300 }",
                "only one main-loop instance allowed");
    qobject_unref(add_object(qts, "{ 'qom-type': 'iothread', 'id': 'x' }"));
    g_assert_cmpint(get(qts, "/objects/x", "thread-pool-max"), ==, 64);
    qtest_quit(qts);
}

/* What stock takes: beyond the range, up to the largest that it takes */
static const struct { const char *name; int64_t max, beyond[3]; } taken[] = {
    { "poll-max-ns", 1000000000, { 1000000001, 2000000000, INT64_MAX } },
    { "poll-grow", 1000, { 1001, 2000, INT64_MAX } },
    { "poll-shrink", 1000, { 1001, 2000, INT64_MAX } },
    { "aio-max-batch", 1024, { 1025, 2000, INT64_MAX } },
    { "thread-pool-max", 4096, { 4097, 5000, INT_MAX } },
};

static void check_taken(QTestState *qts, const char *name, int64_t value,
                        int64_t max)
{
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'object-add', 'arguments': {"
                           "'qom-type': 'iothread', 'id': 'x', %s: %" PRId64
                           "}}", name, value);

    g_assert_true(qdict_haskey(rsp, "return"));
    qobject_unref(rsp);
    g_assert_cmpint(get(qts, "/objects/x", name), ==, max);
    if (!g_str_equal(name, "thread-pool-max")) {
        g_assert_cmpint(queried(qts, name), ==, max);
    }
    rsp = qtest_qmp(qts, "{ 'execute': 'qom-set', 'arguments': {"
                    "'path': '/objects/x', 'property': %s, 'value': %" PRId64
                    "}}", name, value);
    g_assert_true(qdict_haskey(rsp, "error"));
    qobject_unref(rsp);
    g_assert_cmpint(get(qts, "/objects/x", name), ==, max);
    qobject_unref(qtest_qmp(qts, "{ 'execute': 'object-del', 'arguments': {"
                            "'id': 'x' }}"));
}

static void test_created_beyond(void)
{
    QTestState *qts = qtest_init("-machine none");

    for (int i = 0; i < G_N_ELEMENTS(taken); i++) {
        for (int j = 0; j < G_N_ELEMENTS(taken[i].beyond); j++) {
            check_taken(qts, taken[i].name, taken[i].beyond[j], taken[i].max);
        }
    }
    qtest_quit(qts);

    qts = qtest_init("-machine none "
        "-object iothread,id=io0,thread-pool-min=5000,thread-pool-max=6000 "
        "-object main-loop,id=loop,aio-max-batch=2000,thread-pool-max=5000");
    g_assert_cmpint(get(qts, IO0, "thread-pool-min"), ==, 4096);
    g_assert_cmpint(get(qts, IO0, "thread-pool-max"), ==, 4096);
    g_assert_cmpint(get(qts, LOOP, "aio-max-batch"), ==, 1024);
    g_assert_cmpint(get(qts, LOOP, "thread-pool-max"), ==, 4096);
    qtest_quit(qts);
}

static void count_warning(const char *text, const char *name, int64_t value,
                          int64_t min, int64_t max)
{
    g_autofree char *warning = g_strdup_printf(
        "Property '%s' value %" PRId64 " is out of range [%" PRId64 ", %"
        PRId64 "], %" PRId64 " is used\n", name, value, min, max, max);
    const char *found = strstr(text, warning);

    g_assert_nonnull(found);
    g_assert_null(strstr(found + 1, warning));
}

/* The last object is one that stock refuses as well, which ends the start */
static void test_warnings(void)
{
    g_autofree char *text = start_fails("-machine none "
        "-object iothread,id=a,poll-max-ns=2000000000,poll-grow=2000,"
        "poll-shrink=2001,aio-max-batch=2000,thread-pool-max=5000 "
        "-object main-loop,id=loop,aio-max-batch=3000 "
        "-object iothread,id=b,poll-max-ns=-1");

    count_warning(text, "iothread.poll-max-ns", 2000000000, 0, 1000000000);
    count_warning(text, "iothread.poll-grow", 2000, 0, 1000);
    count_warning(text, "iothread.poll-shrink", 2001, 0, 1000);
    count_warning(text, "iothread.aio-max-batch", 2000, 0, 1024);
    count_warning(text, "iothread.thread-pool-max", 5000, 1, 4096);
    count_warning(text, "main-loop.aio-max-batch", 3000, 0, 1024);
    g_assert_nonnull(strstr(text, "value -1 is out of range"));
}

/* What stock refuses is refused */
static void test_not_created(void)
{
    static const char *const bad[] = {
        "poll-max-ns=-1", "poll-grow=-1", "poll-shrink=-1", "aio-max-batch=-1",
        "thread-pool-min=-1", "thread-pool-min=65", "thread-pool-max=-1",
        "thread-pool-max=0", "thread-pool-max=2147483648",
        "thread-pool-min=2147483648,thread-pool-max=2147483648",
        "poll-weight=64", "poll-latency-weight=1001", "poll-cpu-limit=101",
    };

    for (int i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *args = g_strdup_printf(
            "-machine none -object iothread,id=a,%s", bad[i]);
        g_autofree char *text = start_fails(args);

        g_assert_nonnull(strstr(text, "is out of range ["));
    }
}

static char *make_image(void)
{
    char *path;
    int fd = g_file_open_tmp("nearmetal-XXXXXX.img", &path, NULL);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(ftruncate(fd, 1024 * 1024), ==, 0);
    close(fd);
    return path;
}

/* The calls in which @n requests that come together are submitted */
static uint64_t submits(QTestState *qts, VBlk *blk, unsigned n)
{
    uint64_t before = stats_counter(qts, IO0, "submits");

    vblk_read(blk, n);
    return stats_counter(qts, IO0, "submits") - before;
}

static void check_batches(const char *aio, const char *path)
{
    g_autofree char *blockdev = g_strdup_printf(
        "driver=file,filename=%s,aio=%s,cache.direct=on", path, aio);
    QTestState *qts = start(blockdev);
    VBlk *blk = vblk_new(qts);
    static const struct { unsigned batch, submits; } limits[] = {
        { 1, 16 }, { 4, 4 }, { 5, 4 }, { 16, 1 }, { 1024, 1 }, { 0, 1 },
    };

    set(qts, IO0, "poll-max-ns", 0);
    for (int i = 0; i < G_N_ELEMENTS(limits); i++) {
        set(qts, IO0, "aio-max-batch", limits[i].batch);
        g_assert_cmpuint(submits(qts, blk, 16), ==, limits[i].submits);
    }
    vblk_free(blk);
    qtest_quit(qts);
}

static void check_device_batches(const char *aio, const char *path)
{
    g_autofree char *blockdev = g_strdup_printf(
        "driver=file,filename=%s,aio=%s,cache.direct=on,aio-max-batch=8",
        path, aio);
    QTestState *qts = start(blockdev);
    VBlk *blk = vblk_new(qts);

    set(qts, IO0, "poll-max-ns", 0);
    g_assert_cmpuint(submits(qts, blk, 16), ==, 2);
    set(qts, IO0, "aio-max-batch", 4);
    g_assert_cmpuint(submits(qts, blk, 16), ==, 4);
    set(qts, IO0, "aio-max-batch", 16);
    g_assert_cmpuint(submits(qts, blk, 16), ==, 2);
    vblk_free(blk);
    qtest_quit(qts);
}

static bool have_aio(const char *mode, const char *path)
{
    QTestState *qts = qtest_init("-machine none");
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'blockdev-add', 'arguments': {"
                           "'driver': 'file', 'filename': %s, "
                           "'node-name': 'x', 'aio': %s, "
                           "'cache': { 'direct': true }}}", path, mode);
    bool ok = qdict_haskey(rsp, "return");

    qobject_unref(rsp);
    qtest_quit(qts);
    return ok;
}

static void test_batches(const void *opaque)
{
    const char *aio = opaque;
    g_autofree char *path = make_image();

    if (have_aio(aio, path)) {
        check_batches(aio, path);
        check_device_batches(aio, path);
    } else {
        g_autofree char *why = g_strdup_printf("this build, host kernel or the "
            "file system of the temporary folder lacks aio=%s", aio);

        g_test_skip(why);
    }
    g_unlink(path);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    qtest_add_func("iothread-props/ranges", test_ranges);
    qtest_add_data_func("iothread-props/thread-pool/iothread", IO0,
                        test_thread_pool);
    qtest_add_data_func("iothread-props/thread-pool/main-loop", LOOP,
                        test_thread_pool);
    qtest_add_func("iothread-props/new-objects", test_new_objects);
    qtest_add_func("iothread-props/created-beyond", test_created_beyond);
    qtest_add_func("iothread-props/warnings", test_warnings);
    qtest_add_func("iothread-props/not-created", test_not_created);
    qtest_add_data_func("iothread-props/aio-max-batch/native", "native",
                        test_batches);
    qtest_add_data_func("iothread-props/aio-max-batch/io_uring", "io_uring",
                        test_batches);
    return g_test_run();
}
