/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -set object.ID.PROPERTY=VALUE
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * Recorded while the options are read, since the object may come later; given
 * to the options of -object once all of them are known, and before the first
 * object is created.
 *
 * Main thread only.
 */
#ifndef NEARMETAL_OBJECT_SET_H
#define NEARMETAL_OBJECT_SET_H

#include "qapi/qapi-types-qom.h"

/**
 * object_set_record: remember a -set
 * @str: the option's argument, "object.ID.PROPERTY=VALUE"
 *
 * Returns: true on success
 */
bool object_set_record(const char *str, Error **errp);

/**
 * object_set_add: make an -object option known
 * @opts: where its options are kept, until object_set_resolve(), which may put
 *        others there
 */
void object_set_add(ObjectOptions **opts);

/**
 * object_set_resolve: give what was recorded to the -object options
 *
 * To be called once, when all options are read.  VALUE is parsed as that of
 * -object ...,PROPERTY=VALUE, and replaces what is there; of several the last
 * counts.  An ID that no -object has, a property that the object's type has
 * not, a value that it does not take, and a list or struct are errors.
 *
 * Returns: true on success
 */
bool object_set_resolve(Error **errp);

#endif
