/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Errors of files with access rules, which people write by hand
 */
#ifndef NEARMETAL_RULE_FILE_H
#define NEARMETAL_RULE_FILE_H

/**
 * rule_file_error: say in an error which file it is about, and where
 * @filename: the file
 * @text: its content if that is no JSON, NULL if the content means nothing
 * @errp: the error, as QEMU's JSON parser or visitor set it
 */
void rule_file_error(const char *filename, const char *text, Error **errp);

#endif /* NEARMETAL_RULE_FILE_H */
