/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/string-input-visitor.h"
#include "qapi/visitor-impl.h"
#include "qemu/config-file.h"
#include "qemu/option.h"
#include "hw/nearmetal/settings/set-option/set-option.h"
#include "hw/nearmetal/settings/set-option/set-record.h"

typedef struct JsonDevice {
    QDict *opts;            /* its -device option */
    QDict *set;             /* strings that replace properties in @opts */
} JsonDevice;

static GQueue set_recorded = G_QUEUE_INIT;          /* until it is given */
static GQueue json_devices = G_QUEUE_INIT;      /* JsonDevice */

/*
 * Looked at before the device exists, when nothing can be parsed for it.  In
 * JSON, too, each of them is a string.
 */
static const char *const before_device[] = {
    "driver", "bus", "id", "failover_pair_id",
};

bool device_set_record(const char *str, Error **errp)
{
    return set_record_add(&set_recorded, str, errp);
}

void device_set_add_json(QDict *opts)
{
    JsonDevice *dev = g_new(JsonDevice, 1);

    dev->opts = qobject_ref(opts);
    dev->set = qdict_new();
    g_queue_push_tail(&json_devices, dev);
}

bool device_json_pending(bool (*fn)(const QDict *opts, void *opaque),
                         void *opaque)
{
    if (phase_check(PHASE_MACHINE_READY)) {
        return false;
    }
    for (GList *l = json_devices.head; l; l = l->next) {
        if (fn(((JsonDevice *)l->data)->opts, opaque)) {
            return true;
        }
    }
    return false;
}

static JsonDevice *find_json_device(const char *id)
{
    for (GList *l = json_devices.head; l; l = l->next) {
        JsonDevice *dev = l->data;

        if (!g_strcmp0(qdict_get_try_str(dev->opts, "id"), id)) {
            return dev;
        }
    }
    return NULL;
}

static QemuOpts *find_device_opts(const char *id)
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
static size_t device_set_id_length(const char *path)
{
    size_t first = strchr(path, '.') - path;
    g_autofree char *id = g_strndup(path, first);

    if (find_device_opts(id)) {
        return first;
    }
    for (size_t len = strlen(path) - 1; len >= first; len--) {
        if (path[len] != '.' || !path[len + 1]) {
            continue;
        }
        g_free(id);
        id = g_strndup(path, len);
        if (find_device_opts(id) || find_json_device(id)) {
            return len;
        }
    }
    return 0;
}

static bool device_set_give(const char *path, const char *value, Error **errp)
{
    size_t len = device_set_id_length(path);
    const char *prop = path + len + 1;
    g_autofree char *id = NULL;
    QemuOpts *opts;

    if (!len) {
        error_setg(errp, "there is no device \"%.*s\" defined",
                   (int)(strchr(path, '.') - path), path);
        return false;
    }
    id = g_strndup(path, len);
    opts = find_device_opts(id);
    if (opts) {
        return qemu_opt_set(opts, prop, value, errp);
    }
    qdict_put_str(find_json_device(id)->set, prop, value);
    return true;
}

static void json_device_early(JsonDevice *dev)
{
    for (int k = 0; k < ARRAY_SIZE(before_device); k++) {
        QObject *value = qdict_get(dev->set, before_device[k]);

        if (value) {
            qdict_put_obj(dev->opts, before_device[k], qobject_ref(value));
            qdict_del(dev->set, before_device[k]);
        }
    }
}

bool device_set_resolve(Error **errp)
{
    bool ok = set_record_give(&set_recorded, device_set_give, errp);

    /* All of them first: this may change an ID */
    for (GList *l = json_devices.head; l && ok; l = l->next) {
        json_device_early(l->data);
    }
    return ok;
}

/*
 * What replaces properties of the device of @opts, NULL: nothing.  Shallow
 * clones share the very QString that is the ID; other options of the same ID,
 * those of device_add, do not.
 */
static const QDict *device_set_of(const QDict *opts)
{
    QObject *id = qdict_get(opts, "id");

    for (GList *l = json_devices.head; l && id; l = l->next) {
        JsonDevice *dev = l->data;

        if (qdict_get(dev->opts, "id") == id) {
            return dev->set;
        }
    }
    return NULL;
}

void device_set_override(const QDict *opts, QDict *props)
{
    const QDict *set = device_set_of(opts);

    for (const QDictEntry *e = set ? qdict_first(set) : NULL; e;
         e = qdict_next(set, e)) {
        qdict_del(props, qdict_entry_key(e));
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
    const QDict *set = device_set_of(opts);

    for (const QDictEntry *e = set ? qdict_first(set) : NULL; e;
         e = qdict_next(set, e)) {
        const char *prop = qdict_entry_key(e);
        const char *value = qdict_get_str(set, prop);

        if (!property_parse(OBJECT(dev), prop, value, errp)) {
            error_prepend(errp, "-set device.%s.%s=%s: ", dev->id, prop, value);
            return false;
        }
    }
    return true;
}
