/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "qemu/units.h"
#include "qobject/qlist.h"
#include "vfio-host.h"
#include "vfio-query.h"

#define QUERY "{ 'execute': 'query-vfio-msix' }"

QDict *vfio_query(QTestState *qts, const char *id)
{
    QDict *rsp = qtest_qmp(qts, QUERY);
    QDict *found = NULL;
    QListEntry *entry;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(rsp, "return"), entry) {
        QDict *info = qobject_to(QDict, qlist_entry_obj(entry));

        if (!g_strcmp0(qdict_get_try_str(info, "id"), id)) {
            g_assert_null(found);
            found = qobject_ref(info);
        }
    }
    qobject_unref(rsp);
    g_assert_nonnull(found);
    return found;
}

char *vfio_query_ids(QTestState *qts)
{
    QDict *rsp = qtest_qmp(qts, QUERY);
    GString *ids = g_string_new(NULL);
    QListEntry *entry;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(rsp, "return"), entry) {
        QDict *info = qobject_to(QDict, qlist_entry_obj(entry));
        const char *id = qdict_get_try_str(info, "id");

        g_string_append_printf(ids, "%s%s", ids->len ? "," : "",
                               id ? id : "none");
    }
    qobject_unref(rsp);
    return g_string_free(ids, false);
}

char *vfio_device_add(QTestState *qts, const char *json)
{
    g_autofree char *command = g_strdup_printf(
        "{ 'execute': 'device_add', 'arguments': %s }", json);
    QDict *rsp;
    char *error = NULL;

    qtest_qmp_send_raw(qts, "%s", command);
    rsp = qtest_qmp_receive(qts);
    if (qdict_haskey(rsp, "error")) {
        error = g_strdup(qdict_get_str(qdict_get_qdict(rsp, "error"), "desc"));
    }
    qobject_unref(rsp);
    return error;
}

QDict *vfio_query_trap(QDict *info, unsigned bar, uint64_t offset)
{
    QListEntry *entry;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(info, "trapped"), entry) {
        QDict *trap = qobject_to(QDict, qlist_entry_obj(entry));
        uint64_t begin = qdict_get_int(trap, "offset");

        if (qdict_get_int(trap, "bar") == bar &&
            offset - begin < qdict_get_int(trap, "size")) {
            return trap;
        }
    }
    return NULL;
}

void vfio_query_assert_area(QDict *info, const char *name, VfioArea area,
                            uint64_t size)
{
    QDict *dict = qdict_get_qdict(info, name);

    g_assert_nonnull(dict);
    g_assert_cmpint(qdict_get_int(dict, "bar"), ==, area.bar);
    g_assert_cmphex(qdict_get_int(dict, "offset"), ==, area.offset);
    g_assert_cmphex(qdict_get_int(dict, "size"), ==, size);
}

static void assert_bar(VfioDevice *dev, QDict *info, unsigned bar)
{
    uint64_t page = qdict_get_int(info, "host-page-size");
    uint64_t end = MIN(dev->bar[bar].size, 1 * MiB);

    for (uint64_t at = 0; at < end; at += page) {
        bool direct = vfio_direct(dev->qts, dev->bar[bar].address + at,
                                  1, page);
        bool trapped = vfio_query_trap(info, bar, at);

        if (direct == trapped) {
            vfio_fail("BAR %u, page at 0x%" PRIx64 ": %sdirect in the memory "
                      "map, and %sin trapped", bar, at, direct ? "" : "not ",
                      trapped ? "" : "not ");
        }
    }
}

void vfio_query_assert_traps(VfioDevice *dev, QDict *info)
{
    for (unsigned bar = 0; bar < 6; bar++) {
        if (!dev->bar[bar].io) {
            assert_bar(dev, info, bar);
        }
    }
}
