/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Errors of files with access rules, which people write by hand.  Main thread,
 * under the BQL.
 */
#ifndef NEARMETAL_RULE_FILE_H
#define NEARMETAL_RULE_FILE_H

#include "qom/object.h"

/**
 * rule_file_error: say in an error which file it is about, and where
 * @filename: the file
 * @text: its content if that is no JSON, NULL if the content means nothing
 * @errp: the error, as QEMU's JSON parser or visitor set it
 */
void rule_file_error(const char *filename, const char *text, Error **errp);

/**
 * rule_file_early: can a property of an object that reads such a file be set?
 * @complete: whether the object has been created, and would not look at it
 *
 * Returns: false with an error if it can't
 */
bool rule_file_early(Object *obj, const char *property, bool complete,
                     Error **errp);

#endif /* NEARMETAL_RULE_FILE_H */
