/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Integer properties of event loop objects and the values they take
 *
 * A property is an entry of a table: its name, where its value is kept, and the
 * smallest and largest one.  A setter calls param_range_visit() and stores the
 * value only when that succeeds, so a refused value leaves no trace.
 *
 * A command line that stock QEMU takes must start here, too.  While an object
 * is being created, values up to @stock_max are therefore taken as they are;
 * once all properties are known, those beyond the range are brought back to its
 * upper bound, with a warning.  Later on they are refused.
 *
 * All functions run under the BQL.
 */
#ifndef IOTHREAD_TUNING_PARAM_RANGE_H
#define IOTHREAD_TUNING_PARAM_RANGE_H

#include "qom/object.h"

typedef struct ParamRange {
    const char *name;
    ptrdiff_t offset;           /* of its int64_t in the object's instance */
    int64_t min;
    int64_t max;
    int64_t stock_max;          /* what stock takes; 0: no more than @max */
} ParamRange;

/**
 * param_range_check: is @value one that the property takes?
 * @obj: the object, whose type the error names
 *
 * Returns: false, with an error that names property, value and range, if not
 */
bool param_range_check(Object *obj, const ParamRange *range, int64_t value,
                       Error **errp);

/**
 * param_range_visit: read a new value for the property and check it
 * @value: where to store it, untouched unless it is good
 *
 * Returns: false with an error if it is no integer, or out of range
 */
bool param_range_visit(Object *obj, Visitor *v, const ParamRange *range,
                       int64_t *value, Error **errp);

/**
 * param_range_visit_new: as param_range_visit(), for an object that is being
 * created
 *
 * Takes what stock takes as well: param_range_settle() must follow.
 */
bool param_range_visit_new(Object *obj, Visitor *v, const ParamRange *range,
                           int64_t *value, Error **errp);

/**
 * param_range_settle: the object is complete, and a value beyond the range
 * becomes its upper bound, with a warning that names both
 */
void param_range_settle(Object *obj, const ParamRange *range);

#endif /* IOTHREAD_TUNING_PARAM_RANGE_H */
