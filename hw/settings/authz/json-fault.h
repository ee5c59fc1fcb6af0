/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Where a JSON text that a person wrote goes wrong
 *
 * QEMU's parser says what it expects but not where, which is enough for
 * machines.  This one finds the place, for messages only: whether a text is
 * accepted is QEMU's decision.  No QEMU headers, no state, any thread.
 */
#ifndef NEARMETAL_JSON_FAULT_H
#define NEARMETAL_JSON_FAULT_H

#include <stdbool.h>
#include <stddef.h>

typedef struct JsonFault {
    unsigned line;              /* from 1 */
    unsigned column;            /* from 1, in bytes */
    const char *what;           /* constant text, such as "comma before ']'" */
} JsonFault;

/**
 * json_fault_find: look for the first thing that is no JSON
 * @text: zero-terminated
 * @fault: written if there is one
 *
 * Strings may have single quotes, as in QEMU's JSON.
 *
 * Returns: false if the text is one JSON value
 */
bool json_fault_find(const char *text, JsonFault *fault);

#endif /* NEARMETAL_JSON_FAULT_H */
