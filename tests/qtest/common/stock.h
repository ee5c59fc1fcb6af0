/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * The same emulator without our patches, to compare with
 */
#ifndef NEARMETAL_QTEST_STOCK_H
#define NEARMETAL_QTEST_STOCK_H

/* Set in the environment, for qtest_init_with_env() */
#define STOCK_BINARY "QTEST_STOCK_QEMU_BINARY"

/* have_stock: false, with the test skipped, if it is not built */
static inline bool have_stock(void)
{
    const char *path = g_getenv(STOCK_BINARY);

    if (path && g_file_test(path, G_FILE_TEST_IS_EXECUTABLE)) {
        return true;
    }
    g_test_skip("no stock QEMU in " STOCK_BINARY " to compare with");
    return false;
}

#endif
