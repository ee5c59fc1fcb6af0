/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "qemu/error-report.h"
#include "iothread-tuning/object/param-range.h"

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

static bool param_range_visit_integer(Object *obj, Visitor *v,
                                      const ParamRange *range, int64_t *n,
                                      Error **errp)
{
    ERRP_GUARD();

    if (visit_type_int64(v, range->name, n, errp)) {
        return true;
    }
    error_prepend(errp, "Property '%s.%s' takes an integer in [%" PRId64
                  ", %" PRId64 "]: ", object_get_typename(obj),
                  range->name, range->min, range->max);
    return false;
}

bool param_range_visit(Object *obj, Visitor *v, const ParamRange *range,
                       int64_t *value, Error **errp)
{
    int64_t n;

    if (!param_range_visit_integer(obj, v, range, &n, errp) ||
        !param_range_check(obj, range, n, errp)) {
        return false;
    }
    *value = n;
    return true;
}

bool param_range_visit_new(Object *obj, Visitor *v, const ParamRange *range,
                           int64_t *value, Error **errp)
{
    int64_t n;

    if (!param_range_visit_integer(obj, v, range, &n, errp)) {
        return false;
    }
    if ((n <= range->max || n > range->stock_max) &&
        !param_range_check(obj, range, n, errp)) {
        return false;
    }
    *value = n;
    return true;
}

void param_range_settle(Object *obj, const ParamRange *range)
{
    int64_t *value = (void *)obj + range->offset;
    int64_t n = *value;

    if (n > range->max) {
        *value = range->max;
        warn_report("Property '%s.%s' value %" PRId64 " is out of range [%"
                    PRId64 ", %" PRId64 "], %" PRId64 " is used",
                    object_get_typename(obj), range->name, n,
                    range->min, range->max, range->max);
    }
}
