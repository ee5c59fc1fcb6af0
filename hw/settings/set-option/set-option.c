/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/string-input-visitor.h"
#include "qapi/visitor-impl.h"
#include "qemu/config-file.h"
#include "qemu/error-report.h"
#include "qemu/option.h"
#include "hw/nearmetal/settings/set-option/set-option.h"

typedef struct DeviceSet {
    char *path;             /* "ID.PROPERTY" */
    char *value;
    Location loc;           /* of the -set */
    /* Since device_set_resolve: */
    const char *prop;       /* in @path */
    QDict *json;            /* the device's option; NULL: it has QemuOpts */
} DeviceSet;

static GPtrArray *recorded;     /* DeviceSet, in the order of the options */
static GPtrArray *json_devices; /* QDict */

/*
 * Looked at before the device exists, when nothing can be parsed for it.  In
 * JSON, too, each of them is a string.
 */
static const char *const before_device[] = {
    "driver", "bus", "id", "failover_pair_id",
};

static void device_set_free(void *opaque)
{
    DeviceSet *set = opaque;

    g_free(set->path);
    g_free(set->value);
    qobject_unref(set->json);
    g_free(set);
}

bool device_set_record(const char *str, Error **errp)
{
    const char *path = strchr(str, '.') + 1;
    const char *equals = strchr(path, '=');
    const char *dot = strchr(path, '.');
    DeviceSet *set;

    if (!equals || !dot || dot == path || dot + 1 >= equals) {
        error_setg(errp, "can't parse: \"%s\"", str);
        return false;
    }
    set = g_new0(DeviceSet, 1);
    set->path = g_strndup(path, equals - path);
    set->value = g_strdup(equals + 1);
    loc_save(&set->loc);
    if (!recorded) {
        recorded = g_ptr_array_new_with_free_func(device_set_free);
    }
    g_ptr_array_add(recorded, set);
    return true;
}

static void json_device_free(void *opaque)
{
    qobject_unref((QDict *)opaque);
}

void device_set_add_json(QDict *opts)
{
    if (!json_devices) {
        json_devices = g_ptr_array_new_with_free_func(json_device_free);
    }
    g_ptr_array_add(json_devices, qobject_ref(opts));
}

bool device_json_pending(bool (*fn)(const QDict *opts, void *opaque),
                         void *opaque)
{
    if (phase_check(PHASE_MACHINE_READY)) {
        return false;
    }
    for (int i = 0; json_devices && i < json_devices->len; i++) {
        if (fn(json_devices->pdata[i], opaque)) {
            return true;
        }
    }
    return false;
}

static QDict *find_json_device(const char *id)
{
    for (int i = 0; json_devices && i < json_devices->len; i++) {
        QDict *opts = json_devices->pdata[i];

        if (!g_strcmp0(qdict_get_try_str(opts, "id"), id)) {
            return opts;
        }
    }
    return NULL;
}

static QemuOpts *find_opts(const char *id)
{
    return qemu_opts_find(qemu_find_opts("device"), id);
}

/*
 * Both IDs ("pci.1") and properties ("sse4.1") may have dots.  The ID ends at
 * the first one if that names a key=value device, which is all that -set knew
 * before; else the longest ID there is counts.
 *
 * Returns: length of the ID; 0 if there is none
 */
static size_t device_set_id_length(const DeviceSet *set)
{
    size_t first = strchr(set->path, '.') - set->path;
    g_autofree char *id = g_strndup(set->path, first);

    if (find_opts(id)) {
        return first;
    }
    for (size_t len = strlen(set->path) - 1; len >= first; len--) {
        if (set->path[len] != '.' || !set->path[len + 1]) {
            continue;
        }
        g_free(id);
        id = g_strndup(set->path, len);
        if (find_opts(id) || find_json_device(id)) {
            return len;
        }
    }
    return 0;
}

static bool device_set_find(DeviceSet *set, Error **errp)
{
    size_t len = device_set_id_length(set);
    g_autofree char *id = NULL;
    QemuOpts *opts;

    if (!len) {
        error_setg(errp, "there is no device \"%.*s\" defined",
                   (int)(strchr(set->path, '.') - set->path), set->path);
        return false;
    }
    id = g_strndup(set->path, len);
    set->prop = set->path + len + 1;
    opts = find_opts(id);
    if (opts) {
        return qemu_opt_set(opts, set->prop, set->value, errp);
    }
    set->json = qobject_ref(find_json_device(id));
    return true;
}

/* Is there nothing left to do for recorded[@i]? */
static bool device_set_done(int i)
{
    DeviceSet *set = recorded->pdata[i];

    if (!set->json) {
        return true;
    }
    for (int k = 0; k < ARRAY_SIZE(before_device); k++) {
        if (g_str_equal(before_device[k], set->prop)) {
            qdict_put_str(set->json, set->prop, set->value);
            return true;
        }
    }
    for (int k = i + 1; k < recorded->len; k++) {
        DeviceSet *later = recorded->pdata[k];

        if (later->json == set->json && g_str_equal(later->prop, set->prop)) {
            return true;
        }
    }
    return false;
}

bool device_set_resolve(Error **errp)
{
    bool ok = true;

    for (int i = 0; recorded && ok && i < recorded->len; i++) {
        DeviceSet *set = recorded->pdata[i];

        loc_push_restore(&set->loc);
        ok = device_set_find(set, errp);
        loc_pop(&set->loc);
    }
    /* All IDs first: device_set_done may change one */
    for (int i = 0; recorded && ok && i < recorded->len; ) {
        if (device_set_done(i)) {
            g_ptr_array_remove_index(recorded, i);
        } else {
            i++;
        }
    }
    return ok;
}

/*
 * Next one after @i that is meant for the device of @opts, or -1.  Shallow
 * clones share the very QString that is the ID; other options of the same ID,
 * those of device_add, do not.
 */
static int device_set_next(const QDict *opts, int i)
{
    QObject *id = qdict_get(opts, "id");

    while (recorded && id && ++i < recorded->len) {
        DeviceSet *set = recorded->pdata[i];

        if (qdict_get(set->json, "id") == id) {
            return i;
        }
    }
    return -1;
}

const char *device_set_lookup(const QDict *opts, const char *prop)
{
    for (int i = -1; (i = device_set_next(opts, i)) >= 0; ) {
        DeviceSet *set = recorded->pdata[i];

        if (g_str_equal(set->prop, prop)) {
            return set->value;
        }
    }
    return NULL;
}

void device_set_override(const QDict *opts, QDict *props)
{
    for (int i = -1; (i = device_set_next(opts, i)) >= 0; ) {
        DeviceSet *set = recorded->pdata[i];

        qdict_del(props, set->prop);
    }
}

static bool refuse_struct(Visitor *v, const char *name, void **obj,
                          size_t size, Error **errp)
{
    if (obj) {
        *obj = NULL;
    }
    error_setg(errp, "property '%s' is a struct, which takes no text; "
               "write it into the JSON of -device", name);
    return false;
}

static bool refuse_list(Visitor *v, const char *name, GenericList **list,
                        size_t size, Error **errp)
{
    if (list) {
        *list = NULL;
    }
    error_setg(errp, "property '%s' is a list, which takes no text; "
               "write it into the JSON of -device", name);
    return false;
}

static bool refuse_any(Visitor *v, const char *name, QObject **obj,
                       Error **errp)
{
    *obj = NULL;
    error_setg(errp, "property '%s' takes no text; "
               "write it into the JSON of -device", name);
    return false;
}

/* object_property_parse, whose visitor crashes on structs and some lists */
static bool property_parse(Object *obj, const char *name, const char *value,
                           Error **errp)
{
    Visitor *v;
    bool ok;

    if (g_str_equal(name, "realized")) {
        /* It would be realized without its bus */
        error_setg(errp, "property 'realized' cannot be set");
        return false;
    }
    v = string_input_visitor_new(value);
    v->start_struct = refuse_struct;
    v->start_list = refuse_list;
    v->type_any = refuse_any;
    ok = object_property_set(obj, name, v, errp);
    visit_free(v);
    return ok;
}

bool device_set_apply(DeviceState *dev, const QDict *opts, Error **errp)
{
    ERRP_GUARD();

    for (int i = -1; (i = device_set_next(opts, i)) >= 0; ) {
        DeviceSet *set = recorded->pdata[i];

        if (!property_parse(OBJECT(dev), set->prop, set->value, errp)) {
            error_prepend(errp, "-set device.%s=%s: ", set->path, set->value);
            return false;
        }
    }
    return true;
}
