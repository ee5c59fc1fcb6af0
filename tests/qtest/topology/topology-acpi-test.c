/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * CPU topology in the ACPI tables of Arm's virt machine
 */
#include "qemu/osdep.h"
#include "hw/nearmetal/compat.h"
#include <glib/gstdio.h>
#include "qemu/bswap.h"
#include "qemu/units.h"
#include "../common/aml-walk.h"
#include "../common/fw-cfg-file.h"
#include "pptt-read.h"
#include "../common/stock.h"
#include "topology-machine.h"

#define HEADER 36

/* All tables of a machine; to be freed */
static GByteArray *tables_of(const char *caches, const char *machine,
                             const char *smp)
{
    g_autofree char *args = topology_virt(caches, machine, smp);
    QTestState *qts = qtest_init(args);
    GByteArray *tables = fw_cfg_file(qts, "etc/acpi/tables");

    qtest_quit(qts);
    g_assert_nonnull(tables);
    return tables;
}

static Pptt *pptt_of(const GByteArray *tables)
{
    AmlSpan span = acpi_table(tables, "PPTT");
    g_autofree char *why = NULL;
    Pptt *pptt;

    g_assert_nonnull(span.data);
    pptt = pptt_read(span.data, span.size, &why);
    g_assert_cmpstr(why, ==, NULL);
    return pptt;
}

/* ACPI processor IDs of the entries of @type; in their order; to be freed */
static char *ids(const GByteArray *tables, const char *signature,
                 unsigned skip, uint8_t type, unsigned at)
{
    AmlSpan span = acpi_table(tables, signature);
    GString *text = g_string_new(NULL);

    for (size_t i = HEADER + skip; i < span.size; i += span.data[i + 1]) {
        g_assert_cmpuint(span.data[i + 1], >, 0);
        if (span.data[i] == type) {
            g_string_append_printf(text, "%u ", ldl_le_p(span.data + i + at));
        }
    }
    return g_string_free(text, false);
}

/* CPUs 0 to @cpus - 1 and no other, in all tables that list some */
static void check_lists(const GByteArray *tables, const Pptt *pptt,
                        unsigned cpus, bool srat)
{
    g_autofree char *gicc = ids(tables, "APIC", 8, 0xb, 8);
    g_autoptr(GString) expect = g_string_new(NULL);

    for (unsigned i = 0; i < cpus; i++) {
        g_string_append_printf(expect, "%u ", i);
        g_assert_nonnull(pptt_cpu(pptt, i));
    }
    g_assert_cmpuint(pptt_cpus(pptt), ==, cpus);
    g_assert_cmpstr(gicc, ==, expect->str);
    if (srat) {
        g_autofree char *affinity = ids(tables, "SRAT", 12, 3, 6);

        g_assert_cmpstr(affinity, ==, expect->str);
    }
}

static void check_cache(const Pptt *pptt, unsigned cpu, unsigned cpus,
                        unsigned level, unsigned type, unsigned span)
{
    bool twice;
    const PpttCache *cache = pptt_cache(pptt, cpu, level, type, &twice);
    g_autofree char *sharing = NULL, *expect = NULL;

    g_assert_false(twice);
    if (!span) {
        g_assert_null(cache);
        return;
    }
    g_assert_nonnull(cache);
    sharing = pptt_sharing(pptt, cache, level, cpus);
    expect = topology_range(cpu, span, cpus);
    g_assert_cmpstr(sharing, ==, expect);
}

static void test_case(gconstpointer data)
{
    const TopologyCase *c = data;
    g_autoptr(GByteArray) tables = tables_of(c->caches, "", c->smp);
    Pptt *pptt = pptt_of(tables);

    g_assert_cmpuint(pptt->revision, ==, 3);
    check_lists(tables, pptt, c->cpus, false);
    for (unsigned cpu = 0; cpu < c->cpus; cpu++) {
        g_assert_cmpuint(pptt_levels(pptt, cpu), ==, c->l3 ? 3 : 2);
        check_cache(pptt, cpu, c->cpus, 1, PPTT_DATA, c->l1);
        check_cache(pptt, cpu, c->cpus, 1, PPTT_INSTRUCTION, c->l1);
        check_cache(pptt, cpu, c->cpus, 1, PPTT_UNIFIED, 0);
        check_cache(pptt, cpu, c->cpus, 2, PPTT_UNIFIED, c->l2);
        check_cache(pptt, cpu, c->cpus, 3, PPTT_UNIFIED, c->l3);
    }
    pptt_free(pptt);
}

static void check_geometry(const Pptt *pptt, unsigned level, unsigned type,
                           unsigned size, unsigned line, unsigned ways,
                           unsigned sets)
{
    bool twice;
    const PpttCache *cache = pptt_cache(pptt, 0, level, type, &twice);

    g_assert_cmphex(cache->flags, ==, PPTT_ALL_VALID);
    g_assert_cmpuint(cache->size, ==, size);
    g_assert_cmpuint(cache->line, ==, line);
    g_assert_cmpuint(cache->ways, ==, ways);
    g_assert_cmpuint(cache->sets, ==, sets);
    g_assert_cmpuint(cache->id, !=, 0);
}

static void test_sizes(void)
{
    g_autoptr(GByteArray) tables = tables_of(
        "l1d=core,size=128K,line=64,ways=8 l2=cluster,size=3M,line=64,ways=12 "
        "l3=socket,size=32M,line=128,ways=16", "", "4,clusters=2,cores=2");
    Pptt *pptt = pptt_of(tables);

    check_geometry(pptt, 1, PPTT_DATA, 128 * KiB, 64, 8, 256);
    /* The CPU model's */
    check_geometry(pptt, 1, PPTT_INSTRUCTION, 48 * KiB, 64, 3, 256);
    check_geometry(pptt, 2, PPTT_UNIFIED, 3 * MiB, 64, 12, 4096);
    check_geometry(pptt, 3, PPTT_UNIFIED, 32 * MiB, 128, 16, 16384);
    pptt_free(pptt);
}

/* As stock has it: CPUs that cannot come, and no caches */
static void test_off(void)
{
    g_autoptr(GByteArray) tables = tables_of("", "",
                                             "2,maxcpus=4,clusters=2,cores=2");
    Pptt *pptt = pptt_of(tables);

    g_assert_cmpuint(pptt->revision, ==, 2);
    g_assert_cmpuint(pptt->caches->len, ==, 0);
    g_assert_cmpuint(pptt_cpus(pptt), ==, 4);
    pptt_free(pptt);
}

static void test_present(void)
{
    g_autofree char *numa = topology_numa(2);
    g_autofree char *smp = g_strdup_printf("3,maxcpus=8,clusters=2,cores=4 %s",
                                           numa);
    g_autoptr(GByteArray) tables = tables_of("l2=cluster", "", smp);
    Pptt *pptt = pptt_of(tables);

    check_lists(tables, pptt, 3, true);
    pptt_free(pptt);
}

/* Proximity domains of the CPUs, a digit for each; to be freed */
static char *domains(const GByteArray *tables)
{
    AmlSpan span = acpi_table(tables, "SRAT");
    GString *text = g_string_new(NULL);

    for (size_t i = HEADER + 12; i < span.size; i += span.data[i + 1]) {
        if (span.data[i] == 3) {
            g_string_append_printf(text, "%u", ldl_le_p(span.data + i + 2));
        }
    }
    return g_string_free(text, false);
}

static void check_numa(const char *machine, const char *expect)
{
    g_autofree char *numa = topology_numa(2);
    g_autofree char *smp = g_strdup_printf("8,sockets=1,clusters=4,cores=2 %s",
                                           numa);
    g_autoptr(GByteArray) tables = tables_of("", machine, smp);
    g_autofree char *text = domains(tables);

    g_assert_cmpstr(text, ==, expect);
}

static void test_numa(void)
{
    check_numa("", "00000000");
    check_numa(",numa-by-cluster=on", "00001111");
}

/* The containers around a CPU: their numbers from inside to outside */
static void check_containers(const Pptt *pptt, unsigned cpu,
                             const uint32_t *expect, unsigned count)
{
    const PpttNode *node = pptt_cpu(pptt, cpu);

    for (unsigned i = 0; i < count; i++) {
        node = pptt_parent(pptt, node);
        g_assert_nonnull(node);
        g_assert_cmphex(node->flags & PPTT_ID_VALID, ==, PPTT_ID_VALID);
        g_assert_cmpuint(pptt_tag(node), ==, expect[i]);
    }
    g_assert_null(pptt_parent(pptt, node));
}

static void check_device(const GByteArray *tables, const char *name,
                         const char *hid, GHashTable *uids)
{
    AmlSpan device = aml_device(acpi_table(tables, "DSDT"), name);
    uint64_t uid;

    g_assert_nonnull(device.data);
    g_assert_cmpstr(aml_string(aml_object(device, "_HID")), ==, hid);
    uid = aml_integer(aml_object(device, "_UID"));
    if (uids) {
        g_assert_true(g_hash_table_add(uids, GUINT_TO_POINTER(uid + 1)));
    } else {
        g_assert_cmpuint(uid, ==, g_ascii_strtoull(name + 1, NULL, 16));
    }
}

static void test_stable_ids(void)
{
    g_autoptr(GByteArray) tables = tables_of("", ",stable-topology-ids=on",
        "16,sockets=2,clusters=2,cores=2,threads=2");
    g_autoptr(GHashTable) uids = g_hash_table_new(NULL, NULL);
    static const char *const containers[] = {
        "P000", "P001", "L000", "L001", "L002", "L003", "K000", "K001",
        "K002", "K003", "K004", "K005", "K006", "K007",
    };
    Pptt *pptt = pptt_of(tables);

    check_lists(tables, pptt, 16, false);
    check_containers(pptt, 0, (uint32_t[]) { 0, 0, 0 }, 3);
    check_containers(pptt, 5, (uint32_t[]) { 2, 1, 0 }, 3);
    check_containers(pptt, 15, (uint32_t[]) { 7, 3, 1 }, 3);
    pptt_free(pptt);
    for (unsigned i = 0; i < ARRAY_SIZE(containers); i++) {
        check_device(tables, containers[i], "ACPI0010", uids);
    }
    check_device(tables, "C000", "ACPI0007", NULL);
    check_device(tables, "C00F", "ACPI0007", NULL);
}

/* What else is in the table must not change them, as it does offsets */
static void test_ids_with_caches(void)
{
    g_autoptr(GByteArray) tables = tables_of("l2=cluster l3=socket",
        ",stable-topology-ids=on", "8,sockets=2,clusters=2,cores=2");
    Pptt *pptt = pptt_of(tables);

    check_containers(pptt, 7, (uint32_t[]) { 3, 1 }, 2);
    pptt_free(pptt);
}

static void test_512(void)
{
    g_autoptr(GByteArray) tables = tables_of(
        "l1d=core l1i=core l2=core l3=socket", "",
        "512,sockets=2,clusters=64,cores=4");
    Pptt *pptt = pptt_of(tables);

    g_assert_cmpuint(tables->len, <=, 128 * KiB);
    g_assert_cmpuint(pptt_cpus(pptt), ==, 512);
    g_assert_cmpuint(pptt->caches->len, ==, 3 * 512 + 2);
    for (unsigned cpu = 0; cpu < 512; cpu += 73) {
        check_cache(pptt, cpu, 512, 2, PPTT_UNIFIED, 1);
        check_cache(pptt, cpu, 512, 3, PPTT_UNIFIED, 256);
    }
    pptt_free(pptt);
}

/* A second opinion on the table's form; what it means it cannot say */
static void test_iasl(void)
{
    g_autofree char *iasl = g_find_program_in_path("iasl");
    g_autofree char *dir = NULL, *path = NULL, *command = NULL, *said = NULL;
    g_autofree char *dsl = NULL, *text = NULL, *noise = NULL;
    g_autoptr(GByteArray) tables = NULL;
    AmlSpan span;
    int status;

    if (!iasl) {
        g_test_skip("no iasl to read the table with");
        return;
    }
    tables = tables_of("l2=cluster l3=socket,size=32M", "",
                       "8,sockets=2,clusters=2,cores=2");
    span = acpi_table(tables, "PPTT");
    dir = g_dir_make_tmp("topology-acpi.XXXXXX", NULL);
    path = g_build_filename(dir, "pptt.aml", NULL);
    dsl = g_build_filename(dir, "pptt.dsl", NULL);
    command = g_strdup_printf("%s -d %s", iasl, path);
    g_assert_true(g_file_set_contents(path, (const char *)span.data,
                                      span.size, NULL));
    g_assert_true(g_spawn_command_line_sync(command, &said, &noise, &status,
                                            NULL));
    g_assert_cmpint(status, ==, 0);
    g_assert_true(g_file_get_contents(dsl, &text, NULL, NULL));
    g_assert_null(strstr(text, "Invalid"));
    g_assert_null(strstr(text, "rror"));
    g_assert_nonnull(strstr(text, "Cache Type"));
    g_unlink(path);
    g_unlink(dsl);
    g_rmdir(dir);
}

static void compare_with_stock(gconstpointer data)
{
    g_autofree char *args = topology_virt("", "", data);
    g_autoptr(GByteArray) ours = tables_of("", "", data);
    g_autoptr(GByteArray) stock = NULL;
    QTestState *qts;

    if (!have_stock()) {
        return;
    }
    qts = qtest_init_ext(STOCK_BINARY, args, NULL, true);
    stock = fw_cfg_file(qts, "etc/acpi/tables");
    qtest_quit(qts);
    g_assert_cmpmem(ours->data, ours->len, stock->data, stock->len);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < topology_case_count; i++) {
        g_autofree char *path = g_strdup_printf("/topology/acpi/case/%s",
                                                topology_cases[i].name);

        qtest_add_data_func(path, &topology_cases[i], test_case);
    }
    qtest_add_func("/topology/acpi/sizes", test_sizes);
    qtest_add_func("/topology/acpi/off", test_off);
    qtest_add_func("/topology/acpi/present", test_present);
    qtest_add_func("/topology/acpi/numa", test_numa);
    qtest_add_func("/topology/acpi/stable-ids", test_stable_ids);
    qtest_add_func("/topology/acpi/ids-with-caches", test_ids_with_caches);
    qtest_add_func("/topology/acpi/512", test_512);
    qtest_add_func("/topology/acpi/iasl", test_iasl);
    qtest_add_data_func("/topology/acpi/stock/plain", "4",
                        compare_with_stock);
    qtest_add_data_func("/topology/acpi/stock/shape",
                        "6,maxcpus=16,sockets=2,clusters=2,cores=2,threads=2",
                        compare_with_stock);
    return g_test_run();
}
