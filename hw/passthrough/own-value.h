/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whom the value of a property was given for
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * Main thread, under the BQL.
 */

#ifndef NEARMETAL_VFIO_OWN_VALUE_H
#define NEARMETAL_VFIO_OWN_VALUE_H

#include "qom/object.h"

/**
 * vfio_value_is_own: to be asked in the setter of a property: is the value for
 * this device alone?
 *
 * -device, device_add and -set put a device into the tree of objects before
 * they set its properties.  Values of -global and defaults of machines are set
 * while it is being made, before it has a parent: they are for all devices of
 * a type, and there may be some that they do not suit.
 */
static inline bool vfio_value_is_own(const Object *obj)
{
    return obj->parent != NULL;
}

#endif
