/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -set device.ID.PROPERTY=VALUE
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * Recorded while the options are read, since the device may come later; given
 * to the devices once all of them are known.  A device given as key=value
 * takes it into its QemuOpts, as ever.  One given as JSON has typed values,
 * for which VALUE is parsed when the device's properties are set.
 *
 * Main thread only.
 */

#ifndef NEARMETAL_SET_OPTION_H
#define NEARMETAL_SET_OPTION_H

#include "hw/qdev-core.h"
#include "qobject/qdict.h"

/**
 * device_set_record: remember a -set
 * @str: the option's argument, "device.ID.PROPERTY=VALUE"
 *
 * Returns: true on success
 */
bool device_set_record(const char *str, Error **errp);

/**
 * device_set_add_json: make a device given as JSON known
 * @opts: its -device option.  Only this device, and what is made of shallow
 *        clones of @opts (failover does that), takes what -set says: not a
 *        later device_add of the same ID.
 */
void device_set_add_json(QDict *opts);

/**
 * device_json_pending: walk through the -device options in JSON of which the
 * devices may not exist yet
 * @fn: returns true to end the walk
 *
 * Devices given as key=value are created before them.  When the machine is
 * ready none is left.
 *
 * Returns: true if @fn did
 */
bool device_json_pending(bool (*fn)(const QDict *opts, void *opaque),
                         void *opaque);

/**
 * device_set_resolve: give what was recorded to the devices
 *
 * To be called once, when all options are read.  An ID that no -device has
 * is an error.  What decides about creating a device given as JSON ("bus",
 * for instance) is replaced in its option here.
 *
 * Returns: true on success
 */
bool device_set_resolve(Error **errp);

/**
 * device_set_override: leave out of @props what -set replaces
 * @opts: the device's -device option, or a shallow clone
 * @props: properties that are about to be set
 *
 * Some properties (drive, netdev) cannot be set twice.
 */
void device_set_override(const QDict *opts, QDict *props);

/**
 * device_set_apply: set what -set says, with object_property_parse's syntax
 * @dev: not realized yet; its own properties are set
 * @opts: the device's -device option, or a shallow clone
 *
 * Returns: true on success.  An unknown property, a bad value, a struct and a
 * list are errors.
 */
bool device_set_apply(DeviceState *dev, const QDict *opts, Error **errp);

#endif
