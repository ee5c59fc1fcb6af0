/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * What is asked for of CPU topology: errors, and query-cpu-topology
 */
#include "qemu/osdep.h"
#include "hw/nearmetal/compat.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "qobject/qnum.h"
#include "../common/fw-cfg-file.h"
#include "../common/start-fails.h"
#include "../common/stock.h"
#include "topology-machine.h"

typedef struct Refusal {
    const char *name, *args, *says;
} Refusal;

#define L2(level) "smp-cache.0.cache=l2,smp-cache.0.topology=" level
#define L3(level) ",smp-cache.1.cache=l3,smp-cache.1.topology=" level

static const Refusal arm[] = {
    { "no-clusters", "-machine virt," L2("cluster") " -smp 4",
      "smp-cache: l2: topology=cluster: -smp has no clusters; allowed: "
      "thread, core, socket, or give clusters=N to -smp" },
    { "no-such-level", "-machine virt," L2("die") " -smp 4",
      "smp-cache: l2: topology=die: this machine has no such level; allowed: "
      "thread, core, cluster, socket" },
    { "l3-narrower", "-machine virt," L2("cluster") L3("core")
      " -smp 4,clusters=2",
      "smp-cache: l3: topology=core is narrower than l2's cluster; allowed: "
      "cluster, socket" },
    { "twice", "-machine virt," L2("core") ",smp-cache.1.cache=l2,"
      "smp-cache.1.topology=core -smp 4",
      "smp-cache: l2 is given twice; allowed: one element for each of l1d, "
      "l1i, l2 and l3" },
    { "unknown", "-machine virt," L2("island") " -smp 4",
      "Possible values: thread, core, " },
    { "size-0", "-machine virt," L2("core") ",smp-cache.0.size=0 -smp 4",
      "smp-cache: l2: size=0; allowed: 1 to 4294967295" },
    { "not-whole", "-machine virt," L2("core") ",smp-cache.0.size=1000000,"
      "smp-cache.0.line=64,smp-cache.0.ways=8 -smp 4",
      "smp-cache: l2: size=1000000 is not a multiple of line=64 x ways=8; "
      "allowed: multiples of 512" },
    { "line", "-machine virt," L2("core") ",smp-cache.0.line=48 -smp 4",
      "smp-cache: l2: line=48; allowed: a power of two, 16 to 2048" },
    { "old-machine", "-machine virt-6.1," L2("core") " -smp 4",
      "smp-cache: this machine type tells guests no CPU topology; allowed: "
      "virt-6.2 and later" },
};

static const Refusal x86[] = {
    { "differ", "-machine q35 -smp 8,clusters=4,modules=2",
      "smp: clusters=4 differs from modules=2; on x86 both name one level: "
      "give one of them, or the same number" },
    { "no-clusters", "-machine q35," L2("cluster") " -smp 4",
      "smp-cache: l2: topology=cluster: -smp has no clusters; allowed: core, "
      "die, socket, or give clusters=N to -smp" },
    { "size", "-machine q35," L2("core") ",smp-cache.0.size=1M -smp 4",
      "smp-cache: l2: size is for the CPU model to say on this machine; "
      "allowed: topology alone" },
    { "zero", "-machine q35 -smp 4,clusters=0",
      "CPU topology parameters must be greater than zero" },
    { "l3-narrower", "-machine q35," L2("cluster") L3("core")
      " -smp 4,clusters=2",
      "L3 cache topology level shouldn't be lower than L2 cache" },
};

static void test_refused(gconstpointer data)
{
    const Refusal *r = data;
    g_autofree char *args = g_strdup_printf("-accel qtest %s", r->args);
    g_autofree char *said = start_fails(args);
    g_auto(GStrv) lines = g_strsplit(said, "\n", -1);
    unsigned last = g_strv_length(lines);

    /* The last line, not counting what follows its end */
    g_assert_cmpuint(last, >=, 2);
    g_test_message("%s", lines[last - 2]);
    g_assert_nonnull(strstr(lines[last - 2], r->says));
}

/* With ACPI and without: the same words */
static void test_same_text(void)
{
    g_autofree char *acpi = start_fails("-accel qtest -machine virt,acpi=on,"
                                        L2("cluster") " -smp 4");
    g_autofree char *dt = start_fails("-accel qtest -machine virt,acpi=off,"
                                      L2("cluster") " -smp 4");

    g_assert_cmpstr(acpi, ==, dt);
}

static QDict *query(QTestState *qts)
{
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'query-cpu-topology' }");
    QDict *info = qdict_get_qdict(rsp, "return");

    g_assert_nonnull(info);
    qobject_ref(info);
    qobject_unref(rsp);
    return info;
}

/* "0,1,2"; to be freed */
static char *cpu_list(QList *list)
{
    GString *text = g_string_new(NULL);
    QListEntry *entry;

    QLIST_FOREACH_ENTRY(list, entry) {
        QNum *number = qobject_to(QNum, qlist_entry_obj(entry));

        g_string_append_printf(text, "%s%" PRId64, text->len ? "," : "",
                               qnum_get_int(number));
    }
    return g_string_free(text, false);
}

/* "l2/cluster/user 0,1 2,3" with all caches of a kind; to be freed */
static char *describe(QDict *info, const char *kind)
{
    GString *text = g_string_new(NULL);
    QListEntry *entry;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(info, "caches"), entry) {
        QDict *cache = qobject_to(QDict, qlist_entry_obj(entry));
        g_autofree char *cpus = NULL;

        if (!g_str_equal(qdict_get_str(cache, "cache"), kind)) {
            continue;
        }
        if (!text->len) {
            g_string_append_printf(text, "%s/%s/%s", kind,
                                   qdict_get_str(cache, "topology"),
                                   qdict_get_str(cache, "origin"));
        }
        cpus = cpu_list(qdict_get_qlist(cache, "cpus"));
        g_string_append_printf(text, " %s", cpus);
    }
    return g_string_free(text, false);
}

static void check_caches(QDict *info, const char *kind, const char *expect)
{
    g_autofree char *text = describe(info, kind);

    g_assert_cmpstr(text, ==, expect);
}

static QDict *cpu_at(QDict *info, unsigned index)
{
    QListEntry *entry;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(info, "cpus"), entry) {
        QDict *cpu = qobject_to(QDict, qlist_entry_obj(entry));

        if (qdict_get_int(cpu, "cpu-index") == index) {
            return cpu;
        }
    }
    g_assert_not_reached();
}

static void test_query_arm(void)
{
    QTestState *qts = qtest_init("-machine virt," L2("cluster")
                                 ",smp-cache.0.size=4M "
                                 "-smp 3,maxcpus=4,clusters=2,cores=2 "
                                 "-cpu max");
    QDict *info = query(qts), *props;
    g_autofree char *tree = qtest_hmp(qts, "info cpu-topology");

    check_caches(info, "l1d", "l1d/core/cpu-model 0 1 2");
    check_caches(info, "l1i", "l1i/core/cpu-model 0 1 2");
    check_caches(info, "l2", "l2/cluster/user 0,1 2");
    check_caches(info, "l3", "");
    g_assert_cmpuint(qlist_size(qdict_get_qlist(info, "cpus")), ==, 4);
    g_assert_true(qdict_get_bool(cpu_at(info, 2), "present"));
    g_assert_false(qdict_get_bool(cpu_at(info, 3), "present"));
    props = qdict_get_qdict(cpu_at(info, 3), "props");
    g_assert_cmpint(qdict_get_int(props, "socket-id"), ==, 0);
    g_assert_cmpint(qdict_get_int(props, "cluster-id"), ==, 1);
    g_assert_cmpint(qdict_get_int(props, "core-id"), ==, 1);
    g_assert_nonnull(strstr(tree, "cluster 1  l2 4 MiB\r\n"));
    g_assert_nonnull(strstr(tree, "CPU 3, not present\r\n"));
    qobject_unref(info);
    qtest_quit(qts);
}

/* Nothing was asked for: guests are told of no caches */
static void test_query_off(void)
{
    QTestState *qts = qtest_init("-machine virt -smp 2");
    QDict *info = query(qts);

    g_assert_true(qlist_empty(qdict_get_qlist(info, "caches")));
    qobject_unref(info);
    qtest_quit(qts);
}

static void test_query_x86(void)
{
    QTestState *qts = qtest_init("-machine q35 -cpu Skylake-Server-v1 "
                                 "-smp 4,maxcpus=8,sockets=2,clusters=2");
    QDict *info = query(qts), *props;

    check_caches(info, "l1d", "l1d/core/cpu-model 0 1 2 3");
    check_caches(info, "l2", "l2/cluster/default 0,1 2,3");
    check_caches(info, "l3", "l3/die/cpu-model 0,1,2,3");
    props = qdict_get_qdict(cpu_at(info, 6), "props");
    g_assert_cmpint(qdict_get_int(props, "socket-id"), ==, 1);
    g_assert_cmpint(qdict_get_int(props, "module-id"), ==, 1);
    g_assert_false(qdict_get_bool(cpu_at(info, 6), "present"));
    qobject_unref(info);
    qtest_quit(qts);
}

/* A digit for the node of each CPU; to be freed */
static char *nodes(const char *machine)
{
    g_autofree char *numa = topology_numa(2);
    QTestState *qts = qtest_initf("%s -smp 8,sockets=1,clusters=4,cores=2 %s",
                                  machine, numa);
    QDict *info = query(qts);
    GString *text = g_string_new(NULL);

    for (unsigned i = 0; i < 8; i++) {
        QDict *props = qdict_get_qdict(cpu_at(info, i), "props");

        g_string_append_printf(text, "%" PRId64,
                               qdict_get_int(props, "node-id"));
    }
    qobject_unref(info);
    qtest_quit(qts);
    return g_string_free(text, false);
}

static void test_numa(void)
{
    bool on_arm = g_str_equal(qtest_get_arch(), "aarch64");
    g_autofree char *by_socket = nodes(on_arm ? "-machine virt"
                                              : "-machine q35");
    g_autofree char *by_cluster = nodes(
        on_arm ? "-machine virt,numa-by-cluster=on"
               : "-machine q35,numa-by-cluster=on");

    g_assert_cmpstr(by_socket, ==, "00000000");
    g_assert_cmpstr(by_cluster, ==, "00001111");
}

static void test_getter(void)
{
    QTestState *qts = qtest_init("-machine virt," L2("core")
                                 ",smp-cache.0.size=4M,smp-cache.0.ways=16 "
                                 "-smp 2 -cpu max");
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'qom-get', 'arguments': {"
                           " 'path': '/machine', 'property': 'smp-cache' } }");
    QList *list = qdict_get_qlist(rsp, "return");
    QListEntry *entry;

    QLIST_FOREACH_ENTRY(list, entry) {
        QDict *props = qobject_to(QDict, qlist_entry_obj(entry));
        bool l2 = g_str_equal(qdict_get_str(props, "cache"), "l2");

        g_assert_cmpint(qdict_haskey(props, "size"), ==, l2);
        g_assert_cmpint(qdict_haskey(props, "ways"), ==, l2);
        g_assert_false(qdict_haskey(props, "line"));
        if (l2) {
            g_assert_cmpint(qdict_get_int(props, "size"), ==, 4 << 20);
            g_assert_cmpint(qdict_get_int(props, "ways"), ==, 16);
        }
    }
    qobject_unref(rsp);
    qtest_quit(qts);
}

static GByteArray *tables(const char *var, const char *args)
{
    QTestState *qts = qtest_init_ext(var, args, NULL, true);
    GByteArray *file = fw_cfg_file(qts, "etc/acpi/tables");

    qtest_quit(qts);
    g_assert_nonnull(file);
    return file;
}

static void test_stock_x86(void)
{
    const char *args = "-machine q35 -smp 4,maxcpus=8,sockets=2,modules=2";
    g_autoptr(GByteArray) ours = tables(NULL, args);
    g_autoptr(GByteArray) stock = NULL;

    if (!have_stock()) {
        return;
    }
    stock = tables(STOCK_BINARY, args);
    g_assert_cmpmem(ours->data, ours->len, stock->data, stock->len);
}

/* Management sorts CPUs by the words it knows, and plugs them by what it got */
static void test_cluster_id(void)
{
    QTestState *qts = qtest_init("-machine q35 -cpu Skylake-Server "
                                 "-smp 2,maxcpus=4,clusters=2,cores=2");
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'query-hotpluggable-cpus' }");
    const QListEntry *e;
    unsigned clusters = 0;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(rsp, "return"), e) {
        QDict *props = qdict_get_qdict(qobject_to(QDict, qlist_entry_obj(e)),
                                       "props");

        g_assert_cmpint(qdict_get_int(props, "cluster-id"), ==,
                        qdict_get_int(props, "module-id"));
        clusters |= 1 << qdict_get_int(props, "cluster-id");
    }
    g_assert_cmpuint(clusters, ==, 3);
    qobject_unref(rsp);
    qtest_qmp_assert_success(qts, "{ 'execute': 'device_add', 'arguments': {"
                             "'driver': 'Skylake-Server-x86_64-cpu', "
                             "'socket-id': 0, 'cluster-id': 1, 'core-id': 1, "
                             "'thread-id': 0 } }");
    qtest_quit(qts);
}

static void add_refusals(const Refusal *list, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        g_autofree char *path = g_strdup_printf("/topology/smp/refused/%s",
                                                list[i].name);

        qtest_add_data_func(path, &list[i], test_refused);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (g_str_equal(qtest_get_arch(), "aarch64")) {
        add_refusals(arm, ARRAY_SIZE(arm));
        qtest_add_func("/topology/smp/same-text", test_same_text);
        qtest_add_func("/topology/smp/query", test_query_arm);
        qtest_add_func("/topology/smp/query-off", test_query_off);
        qtest_add_func("/topology/smp/getter", test_getter);
    } else {
        add_refusals(x86, ARRAY_SIZE(x86));
        qtest_add_func("/topology/smp/query", test_query_x86);
        qtest_add_func("/topology/smp/stock", test_stock_x86);
        qtest_add_func("/topology/smp/cluster-id", test_cluster_id);
    }
    qtest_add_func("/topology/smp/numa", test_numa);
    return g_test_run();
}
