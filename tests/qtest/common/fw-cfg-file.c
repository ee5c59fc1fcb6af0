/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Files that a machine offers its firmware
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "libqos/fw_cfg.h"
#include "standard-headers/linux/qemu_fw_cfg.h"
#include "fw-cfg-file.h"

#define FW_CFG_ARM 0x9020000

static void read_key(QTestState *qts, uint16_t key, void *data, size_t size)
{
    size_t part;

    if (!g_str_equal(qtest_get_arch(), "aarch64")) {
        QFWCFG *fw_cfg = pc_fw_cfg_init(qts);

        qfw_cfg_get(fw_cfg, key, data, size);
        pc_fw_cfg_uninit(fw_cfg);
        return;
    }
    /* Big endian registers; the bytes of a file are in their order */
    qtest_writew(qts, FW_CFG_ARM + 8, bswap16(key));
    for (size_t at = 0; at < size; at += part) {
        uint64_t value = cpu_to_le64(qtest_readq(qts, FW_CFG_ARM));

        part = MIN(size - at, sizeof(value));
        memcpy((char *)data + at, &value, part);
    }
}

GByteArray *fw_cfg_file(QTestState *qts, const char *name)
{
    typedef struct fw_cfg_file FWCfgFile;
    g_autofree char *files = NULL;
    uint32_t count;

    read_key(qts, FW_CFG_FILE_DIR, &count, sizeof(count));
    count = be32_to_cpu(count);
    files = g_malloc0(sizeof(count) + count * sizeof(FWCfgFile));
    read_key(qts, FW_CFG_FILE_DIR, files,
             sizeof(count) + count * sizeof(FWCfgFile));
    for (uint32_t i = 0; i < count; i++) {
        FWCfgFile f;

        memcpy(&f, files + sizeof(count) + i * sizeof(f), sizeof(f));
        if (g_str_equal(f.name, name)) {
            GByteArray *file = g_byte_array_new();

            g_byte_array_set_size(file, be32_to_cpu(f.size));
            read_key(qts, be16_to_cpu(f.select), file->data, file->len);
            return file;
        }
    }
    return NULL;
}
