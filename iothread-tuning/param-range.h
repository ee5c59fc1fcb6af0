/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Integer properties of event loop objects and the values they take
 *
 * A property is an entry of a table: its name, where its value is kept, and the
 * smallest and largest one.  A setter calls param_range_visit() and stores the
 * value only when that succeeds, so a refused value leaves no trace.
 */
#ifndef IOTHREAD_TUNING_PARAM_RANGE_H
#define IOTHREAD_TUNING_PARAM_RANGE_H

#include "qom/object.h"

typedef struct ParamRange {
    const char *name;
    ptrdiff_t offset;           /* of its int64_t in the object's instance */
    int64_t min;
    int64_t max;
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

#endif /* IOTHREAD_TUNING_PARAM_RANGE_H */
