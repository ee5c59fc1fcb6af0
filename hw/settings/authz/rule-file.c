/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "json-fault.h"
#include "rule-file.h"

void rule_file_error(const char *filename, const char *text, Error **errp)
{
    ERRP_GUARD();
    JsonFault fault;

    if (text && json_fault_find(text, &fault)) {
        error_prepend(errp, "File '%s', line %u, column %u: %s: ", filename,
                      fault.line, fault.column, fault.what);
    } else {
        error_prepend(errp, "File '%s': ", filename);
    }
}

bool rule_file_early(Object *obj, const char *property, bool complete,
                     Error **errp)
{
    if (complete) {
        error_setg(errp, "Property '%s.%s' is for the creation of the object; "
                   "remove it with object-del and add it anew",
                   object_get_typename(obj), property);
    }
    return !complete;
}
