/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "iothread-tuning/param-range.h"

bool param_range_check(Object *obj, const ParamRange *range, int64_t value,
                       Error **errp)
{
    if (value >= range->min && value <= range->max) {
        return true;
    }
    error_setg(errp, "Property '%s.%s' value %" PRId64 " is out of range [%"
               PRId64 ", %" PRId64 "]", object_get_typename(obj), range->name,
               value, range->min, range->max);
    return false;
}

bool param_range_visit(Object *obj, Visitor *v, const ParamRange *range,
                       int64_t *value, Error **errp)
{
    ERRP_GUARD();
    int64_t n;

    if (!visit_type_int64(v, range->name, &n, errp)) {
        error_prepend(errp, "Property '%s.%s' takes an integer in [%" PRId64
                      ", %" PRId64 "]: ", object_get_typename(obj),
                      range->name, range->min, range->max);
        return false;
    }
    if (!param_range_check(obj, range, n, errp)) {
        return false;
    }
    *value = n;
    return true;
}
