/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * A guest with a reconnecting vhost-user-blk disk at a queue depth of 32 loses
 * and mistakes nothing, whatever is done to qemu-storage-daemon or to the VM
 *
 * How often each is done: 20 times, or as the environment variable
 * NEARMETAL_RESTARTS says.
 */
#include "qemu/osdep.h"
#include <glib/gstdio.h>
#include "libqtest.h"
#include "qobject/qdict.h"
#include "qsd.h"
#include "vu-load.h"

#define RAM_SIZE (128 * 1024 * 1024)

typedef struct Setup {
    Qsd *qsd;
    QTestState *qts;
    VuLoad *load;
    void *ram;
    GArray *gaps;
    char *folder, *socket, *image, *ram_path, *args;
} Setup;

static int times(void)
{
    const char *n = getenv("NEARMETAL_RESTARTS");

    return n ? atoi(n) : 20;
}

static void make_file(const char *path, off_t size)
{
    int fd = open(path, O_RDWR | O_CREAT, 0600);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(ftruncate(fd, size), ==, 0);
    close(fd);
}

static void *map_file(const char *path, size_t size)
{
    int fd = open(path, O_RDWR);
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    g_assert_true(p != MAP_FAILED);
    close(fd);
    return p;
}

/* @node: disk, or slow, where there are always 32 requests under way */
static void setup_start(Setup *s, const char *node)
{
    s->folder = g_dir_make_tmp("nearmetal-XXXXXX", NULL);
    s->socket = g_strdup_printf("%s/vu", s->folder);
    s->image = g_strdup_printf("%s/disk", s->folder);
    s->ram_path = g_strdup_printf("%s/ram", s->folder);
    s->gaps = g_array_new(false, false, sizeof(int64_t));
    make_file(s->image, VU_LOAD_BLOCKS * VU_LOAD_BLOCK_SIZE);
    make_file(s->ram_path, RAM_SIZE);
    s->args = g_strdup_printf(
        "--object iothread,id=io0 "
        "--object throttle-group,id=limit,x-iops-total=4000 "
        "--blockdev file,filename=%s,node-name=disk "
        "--blockdev throttle,file=disk,node-name=slow,throttle-group=limit "
        "--export vhost-user-blk,id=export,node-name=%s,iothread=io0,"
        "writable=on,addr.type=unix,addr.path=%s", s->image, node, s->socket);
    s->qsd = qsd_start(s->args);
    s->qts = qtest_initf(
        "-machine pc,memory-backend=ram -m 128M "
        "-object memory-backend-file,id=ram,size=128M,share=on,mem-path=%s "
        "-chardev socket,id=vu,path=%s,reconnect-ms=10 "
        "-device vhost-user-blk-pci,addr=4,chardev=vu", s->ram_path, s->socket);
    s->ram = map_file(s->ram_path, RAM_SIZE);
    s->load = vu_load_start(s->qts, s->ram);
    vu_load_progress(s->load, 500);
    vu_load_longest_gap(s->load);
}

static int compare(gconstpointer a, gconstpointer b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static void report_gaps(GArray *gaps)
{
    if (gaps->len) {
        g_array_sort(gaps, compare);
        g_test_message("%u times; longest gap: median %" PRId64 " us, 99 %% %"
                       PRId64 " us, maximum %" PRId64 " us", gaps->len,
                       g_array_index(gaps, int64_t, gaps->len / 2),
                       g_array_index(gaps, int64_t, gaps->len * 99 / 100),
                       g_array_index(gaps, int64_t, gaps->len - 1));
    }
    g_array_free(gaps, true);
}

static void setup_end(Setup *s)
{
    vu_load_stop(s->load, s->image);
    report_gaps(s->gaps);
    qtest_quit(s->qts);
    qsd_quit(s->qsd);
    munmap(s->ram, RAM_SIZE);
    g_unlink(s->socket);
    g_unlink(s->image);
    g_unlink(s->ram_path);
    g_assert_cmpint(g_rmdir(s->folder), ==, 0);
    g_free(s->folder);
    g_free(s->socket);
    g_free(s->image);
    g_free(s->ram_path);
    g_free(s->args);
}

/* After whatever was done, the guest goes on */
static void goes_on(Setup *s)
{
    int64_t gap;

    vu_load_progress(s->load, g_test_rand_int_range(64, 512));
    gap = vu_load_longest_gap(s->load);
    g_array_append_val(s->gaps, gap);
}

static void test_killed(const void *node)
{
    Setup s;

    setup_start(&s, node);
    for (int i = 0; i < times(); i++) {
        qsd_kill(s.qsd);
        s.qsd = qsd_start(s.args);
        goes_on(&s);
    }
    setup_end(&s);
}

static void test_quit(void)
{
    Setup s;

    setup_start(&s, "disk");
    for (int i = 0; i < times(); i++) {
        qsd_quit(s.qsd);
        s.qsd = qsd_start(s.args);
        goes_on(&s);
    }
    setup_end(&s);
}

static void test_removed(void)
{
    Setup s;

    setup_start(&s, "disk");
    for (int i = 0; i < times(); i++) {
        QDict *rsp = qsd_qmp(s.qsd, "{ 'execute': 'block-export-del', "
                             "'arguments': { 'id': 'export', 'mode': 'hard' }}");

        g_assert_true(qdict_haskey(rsp, "return"));
        qobject_unref(rsp);
        rsp = qsd_qmp(s.qsd, "{ 'execute': 'block-export-add', 'arguments': {"
                      "'id': 'export', 'type': 'vhost-user-blk', 'writable':"
                      "true, 'node-name': 'disk', 'iothread': 'io0', 'addr': {"
                      "'type': 'unix', 'path': %s }}}", s.socket);
        g_assert_true(qdict_haskey(rsp, "return"));
        qobject_unref(rsp);
        goes_on(&s);
    }
    setup_end(&s);
}

static void test_stopped(const void *node)
{
    Setup s;

    setup_start(&s, node);
    for (int i = 0; i < times(); i++) {
        vu_load_pause(s.load);
        qtest_qmp_assert_success(s.qts, "{ 'execute': 'stop' }");
        qtest_qmp_assert_success(s.qts, "{ 'execute': 'cont' }");
        vu_load_resume(s.load);
        goes_on(&s);
    }
    setup_end(&s);
}

static void test_reset(const void *node)
{
    Setup s;

    setup_start(&s, node);
    for (int i = 0; i < times(); i++) {
        vu_load_pause(s.load);
        qtest_qmp_assert_success(s.qts, "{ 'execute': 'system_reset' }");
        qtest_qmp_eventwait(s.qts, "RESET");
        vu_load_restart(s.load);
        vu_load_resume(s.load);
        goes_on(&s);
    }
    setup_end(&s);
}

static void wait_migrated(QTestState *qts)
{
    for (;;) {
        QDict *rsp = qtest_qmp(qts, "{ 'execute': 'query-migrate' }");
        const char *status = qdict_get_try_str(qdict_get_qdict(rsp, "return"),
                                               "status");
        bool done = g_str_equal(status, "completed");

        g_assert_cmpstr(status, !=, "failed");
        qobject_unref(rsp);
        if (done) {
            return;
        }
        g_usleep(1000);
    }
}

/* Memory is logged, the machine stops with requests under way, and goes on */
static void test_migrated(const void *node)
{
    Setup s;

    setup_start(&s, node);
    for (int i = 0; i < times(); i++) {
        qtest_qmp_assert_success(s.qts, "{ 'execute': 'migrate', 'arguments': {"
                                 "'uri': 'exec:cat >/dev/null' }}");
        wait_migrated(s.qts);
        qtest_qmp_assert_success(s.qts, "{ 'execute': 'cont' }");
        goes_on(&s);
    }
    setup_end(&s);
}

static void test_skipped(void)
{
    g_test_skip("no qemu-storage-daemon in QTEST_QEMU_STORAGE_DAEMON_BINARY");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    if (!qsd_available()) {
        qtest_add_func("vhost-user-restart", test_skipped);
        return g_test_run();
    }
    qtest_add_data_func("vhost-user-restart/killed", "disk", test_killed);
    qtest_add_data_func("vhost-user-restart/killed-slow", "slow", test_killed);
    qtest_add_func("vhost-user-restart/quit", test_quit);
    qtest_add_func("vhost-user-restart/removed", test_removed);
    qtest_add_data_func("vhost-user-restart/stopped", "disk", test_stopped);
    qtest_add_data_func("vhost-user-restart/stopped-slow", "slow",
                        test_stopped);
    qtest_add_data_func("vhost-user-restart/reset", "disk", test_reset);
    qtest_add_data_func("vhost-user-restart/reset-slow", "slow", test_reset);
    qtest_add_data_func("vhost-user-restart/migrated", "disk", test_migrated);
    qtest_add_data_func("vhost-user-restart/migrated-slow", "slow",
                        test_migrated);
    return g_test_run();
}
