/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What -set GROUP.ID.PROPERTY=VALUE says, until all options are read
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * Main thread only.
 */
#ifndef NEARMETAL_SET_RECORD_H
#define NEARMETAL_SET_RECORD_H

/**
 * set_record_add: remember a -set
 * @str: the option's argument
 *
 * Returns: true on success
 */
bool set_record_add(GQueue *records, const char *str, Error **errp);

/* @path is "ID.PROPERTY", of which both may have dots */
typedef bool SetRecordFn(const char *path, const char *value, Error **errp);

/**
 * set_record_give: call @give for each in turn, until one fails
 *
 * An error tells of the option that it is about.
 *
 * Returns: true on success
 */
bool set_record_give(GQueue *records, SetRecordFn *give, Error **errp);

#endif
