/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * -set object.ID.PROPERTY=VALUE
 *
 * The option that the object is created from is written anew with VALUE in it,
 * as if that had been given as key=value: the schema says what it may be.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-visit-qom.h"
#include "qapi/qobject-input-visitor.h"
#include "qapi/qobject-output-visitor.h"
#include "qobject/qbool.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "qobject/qnum.h"
#include "qobject/qstring.h"
#include "hw/nearmetal/settings/set-option/object-set.h"
#include "hw/nearmetal/settings/set-option/set-record.h"

static GQueue object_sets = G_QUEUE_INIT;           /* until they are given */
static GQueue object_options = G_QUEUE_INIT;        /* ObjectOptions ** */

bool object_set_record(const char *str, Error **errp)
{
    return set_record_add(&object_sets, str, errp);
}

void object_set_add(ObjectOptions **opts)
{
    g_queue_push_tail(&object_options, opts);
}

/* Values as key=value has them: text, and lists of it */
static QObject *to_text(QObject *obj)
{
    switch (qobject_type(obj)) {
    case QTYPE_QSTRING:
        return qobject_ref(obj);
    case QTYPE_QBOOL:
        return QOBJECT(qstring_from_str(
            qbool_get_bool(qobject_to(QBool, obj)) ? "on" : "off"));
    case QTYPE_QNUM: {
        g_autofree char *text = qnum_to_string(qobject_to(QNum, obj));

        return QOBJECT(qstring_from_str(text));
    }
    case QTYPE_QLIST: {
        QList *list = qlist_new();
        const QListEntry *entry;

        QLIST_FOREACH_ENTRY(qobject_to(QList, obj), entry) {
            qlist_append_obj(list, to_text(qlist_entry_obj(entry)));
        }
        return QOBJECT(list);
    }
    case QTYPE_QDICT: {
        QDict *text = qdict_new();

        for (const QDictEntry *e = qdict_first(qobject_to(QDict, obj)); e;
             e = qdict_next(qobject_to(QDict, obj), e)) {
            qdict_put_obj(text, qdict_entry_key(e),
                          to_text(qdict_entry_value(e)));
        }
        return QOBJECT(text);
    }
    default:
        /* key=value has no word for null */
        return qobject_ref(obj);
    }
}

static QDict *options_to_text(ObjectOptions *opts)
{
    QObject *typed, *text;
    Visitor *v = qobject_output_visitor_new(&typed);

    visit_type_ObjectOptions(v, NULL, &opts, &error_abort);
    visit_complete(v, &typed);
    visit_free(v);
    text = to_text(typed);
    qobject_unref(typed);
    return qobject_to(QDict, text);
}

static bool object_set_give(ObjectOptions **opts, const char *prop,
                            const char *value, Error **errp)
{
    g_autoptr(QDict) text = options_to_text(*opts);
    ObjectOptions *changed = NULL;
    Visitor *v;

    qdict_put_str(text, prop, value);
    v = qobject_input_visitor_new_keyval(QOBJECT(text));
    visit_type_ObjectOptions(v, NULL, &changed, errp);
    visit_free(v);
    if (!changed) {
        return false;
    }
    qapi_free_ObjectOptions(*opts);
    *opts = changed;
    return true;
}

/* IDs have dots, too: the longest that there is counts */
static ObjectOptions **object_set_find(const char *path, size_t *id_length)
{
    ObjectOptions **found = NULL;

    *id_length = 0;
    for (GList *l = object_options.head; l; l = l->next) {
        ObjectOptions **opts = l->data;
        size_t len = strlen((*opts)->id);

        if (len > *id_length && !strncmp(path, (*opts)->id, len) &&
            path[len] == '.' && path[len + 1]) {
            *id_length = len;
            found = opts;
        }
    }
    return found;
}

static bool object_set_one(const char *path, const char *value, Error **errp)
{
    size_t len;
    ObjectOptions **opts = object_set_find(path, &len);
    const char *prop = path + len + 1;

    if (!opts) {
        error_setg(errp, "there is no object \"%.*s\" defined",
                   (int)(strchr(path, '.') - path), path);
        return false;
    }
    if (g_str_equal(prop, "id") || g_str_equal(prop, "qom-type")) {
        error_setg(errp, "'%s' is what the object is known by; change it in "
                   "-object", prop);
        return false;
    }
    return object_set_give(opts, prop, value, errp);
}

bool object_set_resolve(Error **errp)
{
    bool ok = set_record_give(&object_sets, object_set_one, errp);

    g_queue_clear(&object_options);
    return ok;
}
