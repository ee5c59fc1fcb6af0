/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tpm-crb-device: a TPM 2.0 with a Command Response Buffer, placed by the
 * platform bus of a board
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * Registers and buffer are one region that is read as memory and traps only
 * writes.  A guest polls and fetches responses without leaving the CPU, and
 * with any load it likes: an exit for a paired load carries no address that
 * hardware virtualization on Arm could make sense of.  What reads see is
 * therefore published after each change.  All under the BQL.
 */
#include "qemu/osdep.h"
#include "hw/nearmetal/compat.h"
#include "qemu/atomic.h"
#include "qemu/bswap.h"
#include "qemu/error-report.h"
#include "qemu/module.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "hw/qdev-properties.h"
#include "hw/sysbus.h"
#include "hw/tpm/tpm_prop.h"
#include "migration/vmstate.h"
#include "qom/object.h"
#include "system/runstate.h"
#include "system/tpm_backend.h"
#include "system/tpm_util.h"
#include "trace/trace-hw_tpm.h"
#include "crb-regs.h"
#include "dcache.h"
#include "tpm-sysbus.h"
#include "tpm-wire.h"

/*
 * A whole page of the largest size that an Arm host may have: parts of pages
 * cannot be mapped.  The guest is told CRB_SIZE.
 */
#define CRB_REGION_SIZE (64 * KiB)

struct TPMCrbDevice {
    SysBusDevice parent_obj;

    MemoryRegion mmio;
    CrbState crb;
    uint8_t *bounce;            /* CRB_BUFFER_SIZE bytes: what the TPM sees */
    size_t limit;               /* longest command and response */
    TPMBackend *tpmbe;
    TPMBackendCmd cmd;
    bool ppi_enabled;
    TPMPPI ppi;
    VMChangeStateEntry *vm_state;
};

OBJECT_DECLARE_SIMPLE_TYPE(TPMCrbDevice, TPM_CRB_SYSBUS)

static uint8_t *crb_memory(TPMCrbDevice *s)
{
    return memory_region_get_ram_ptr(&s->mmio);
}

static void crb_show(TPMCrbDevice *s, unsigned reg)
{
    uint32_t *shown = (uint32_t *)(crb_memory(s) + reg);

    qatomic_store_release(shown, cpu_to_le32(crb_get(&s->crb, reg)));
}

/* Show the guest the registers, whole words: it reads them meanwhile */
static void crb_publish(TPMCrbDevice *s)
{
    unsigned reg;

    crb_set_established(&s->crb,
                        tpm_backend_get_tpm_established_flag(s->tpmbe));
    for (reg = 0; reg < CRB_BUFFER; reg += sizeof(uint32_t)) {
        if (reg != CRB_CTRL_START) {
            crb_show(s, reg);
        }
    }
    dcache_clean(crb_memory(s), CRB_BUFFER);
    /* The end of the command after all that the guest then looks at */
    crb_show(s, CRB_CTRL_START);
    dcache_clean(crb_memory(s) + CRB_CTRL_START, sizeof(uint32_t));
    memory_region_set_dirty(&s->mmio, 0, CRB_BUFFER);
}

static void crb_established_changed(TPMIf *ti)
{
    crb_publish(TPM_CRB_SYSBUS(ti));
}

static void crb_store(TPMCrbDevice *s, hwaddr addr, const void *data,
                      size_t size)
{
    memcpy(crb_memory(s) + addr, data, size);
    dcache_clean(crb_memory(s) + addr, size);
    memory_region_set_dirty(&s->mmio, addr, size);
}

/* The guest may write on: what is checked and what is sent is a copy */
static void crb_start(TPMCrbDevice *s)
{
    size_t size = 0;
    uint32_t reject;

    memcpy(s->bounce, crb_memory(s) + CRB_BUFFER, CRB_BUFFER_SIZE);
    reject = tpm_wire_check_command(s->bounce, s->limit, s->limit,
                                    TPM_WIRE_2_0, &size);
    s->cmd = (TPMBackendCmd) {
        .in = s->bounce,
        .in_len = size,
        .out = s->bounce,
        .out_len = s->limit,
        .reject = reject,
    };
    tpm_backend_deliver_request(s->tpmbe, &s->cmd);
}

static void crb_mmio_write(void *opaque, hwaddr addr, uint64_t value,
                           unsigned size)
{
    TPMCrbDevice *s = opaque;
    uint8_t bytes[8];
    unsigned skip, count;
    CrbAction action;

    stq_le_p(bytes, value);
    count = crb_buffer_span(&s->crb, addr, size, &skip);
    if (count) {
        crb_store(s, addr + skip, bytes + skip, count);
    }
    if (addr >= CRB_BUFFER) {
        return;
    }
    trace_tpm_crb_mmio_write(addr, size, value);
    action = crb_write(&s->crb, addr, value, size);
    crb_publish(s);
    if (action == CRB_START) {
        crb_start(s);
    } else if (action == CRB_CANCEL) {
        tpm_backend_cancel_cmd(s->tpmbe);
    }
}

/* Only for what does not read it as memory, such as a debugger's odd access */
static uint64_t crb_mmio_read(void *opaque, hwaddr addr, unsigned size)
{
    TPMCrbDevice *s = opaque;

    return addr + size <= CRB_REGION_SIZE ? ldn_le_p(crb_memory(s) + addr, size)
                                          : 0;
}

static const MemoryRegionOps crb_mmio_ops = {
    .read = crb_mmio_read,
    .write = crb_mmio_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = {
        .min_access_size = 1,
        .max_access_size = 8,
        .unaligned = true,
    },
    .impl = {
        .min_access_size = 1,
        .max_access_size = 8,
        .unaligned = true,
    },
};

static void crb_request_completed(TPMIf *ti, int ret)
{
    TPMCrbDevice *s = TPM_CRB_SYSBUS(ti);
    uint32_t size = tpm_cmd_get_size(s->bounce);

    if (ret == 0) {
        crb_store(s, CRB_BUFFER, s->bounce, MIN(size, s->limit));
    }
    crb_complete(&s->crb, ret != 0);
    crb_publish(s);
}

static enum TPMVersion crb_get_version(TPMIf *ti)
{
    return tpm_backend_get_tpm_version(TPM_CRB_SYSBUS(ti)->tpmbe);
}

/* What the backend knows about "established" after a start or a migration */
static void crb_vm_state_change(void *opaque, bool running, RunState state)
{
    if (running) {
        crb_publish(opaque);
    }
}

static void crb_device_reset(DeviceState *dev)
{
    TPMCrbDevice *s = TPM_CRB_SYSBUS(dev);

    if (s->ppi_enabled) {
        tpm_ppi_reset(&s->ppi);
    }
    tpm_backend_reset(s->tpmbe);

    crb_reset(&s->crb, tpm_sysbus_addr(SYS_BUS_DEVICE(dev), 0));
    memset(crb_memory(s), 0, CRB_REGION_SIZE);
    dcache_clean(crb_memory(s), CRB_REGION_SIZE);
    memory_region_set_dirty(&s->mmio, 0, CRB_REGION_SIZE);

    s->limit = MIN(tpm_backend_get_buffer_size(s->tpmbe), CRB_BUFFER_SIZE);
    if (tpm_backend_startup_tpm(s->tpmbe, s->limit) < 0) {
        exit(1);
    }
    crb_publish(s);
}

static int crb_pre_save(void *opaque)
{
    TPMCrbDevice *s = opaque;

    tpm_backend_finish_sync(s->tpmbe);
    return 0;
}

static int crb_post_load(void *opaque, int version_id)
{
    TPMCrbDevice *s = opaque;
    char why[120];

    if (!crb_check_incoming(&s->crb, tpm_sysbus_addr(SYS_BUS_DEVICE(s), 0),
                            why, sizeof(why))) {
        error_report("%s: %s", TYPE_TPM_CRB_SYSBUS, why);
        return -EINVAL;
    }
    /* Over what came with the memory */
    crb_publish(s);
    return 0;
}

static const VMStateDescription vmstate_crb_device = {
    .name = TYPE_TPM_CRB_SYSBUS,
    .version_id = 1,
    .minimum_version_id = 1,
    .pre_save = crb_pre_save,
    .post_load = crb_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT32_ARRAY(crb.regs, TPMCrbDevice, CRB_REGS),
        VMSTATE_END_OF_LIST()
    },
};

static const Property crb_device_properties[] = {
    DEFINE_PROP_TPMBE("tpmdev", TPMCrbDevice, tpmbe),
    DEFINE_PROP_BOOL("ppi", TPMCrbDevice, ppi_enabled, false),
};

static bool crb_check_backend(TPMCrbDevice *s, Error **errp)
{
    if (!tpm_find()) {
        error_setg(errp, "at most one TPM device is permitted");
        return false;
    }
    if (!s->tpmbe) {
        error_setg(errp, "'tpmdev' property is required");
        return false;
    }
    if (tpm_backend_get_tpm_version(s->tpmbe) != TPM_VERSION_2_0) {
        error_setg(errp, "%s needs a TPM 2.0, and tpmdev '%s' is a TPM 1.2; "
                   "use %s", TYPE_TPM_CRB_SYSBUS, s->tpmbe->id,
                   TYPE_TPM_TIS_SYSBUS);
        return false;
    }
    return true;
}

static void crb_device_realize(DeviceState *dev, Error **errp)
{
    TPMCrbDevice *s = TPM_CRB_SYSBUS(dev);
    SysBusDevice *sbdev = SYS_BUS_DEVICE(dev);

    if (!crb_check_backend(s, errp) ||
        !memory_region_init_rom_device(&s->mmio, OBJECT(s), &crb_mmio_ops, s,
                                       "tpm-crb-device", CRB_REGION_SIZE,
                                       errp)) {
        return;
    }
    sysbus_init_mmio(sbdev, &s->mmio);
    if (s->ppi_enabled) {
        tpm_ppi_init_sysbus(&s->ppi, sbdev);
    }
    tpm_sysbus_block_cpr(TYPE_TPM_CRB_SYSBUS);
    s->bounce = g_malloc0(CRB_BUFFER_SIZE);
    s->tpmbe->extra.established_changed = crb_established_changed;
    s->vm_state = qemu_add_vm_change_state_handler(crb_vm_state_change, s);
}

static void crb_device_class_init(ObjectClass *klass, ClassInitData *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    TPMIfClass *tc = TPM_IF_CLASS(klass);

    dc->desc = "TPM 2.0 with a Command Response Buffer";
    dc->realize = crb_device_realize;
    dc->vmsd = &vmstate_crb_device;
    device_class_set_props(dc, crb_device_properties);
    object_class_property_set_description(klass, "ppi",
                                          TPM_PPI_SYSBUS_TEXT);
    device_class_set_legacy_reset(dc, crb_device_reset);
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
    tc->model = TPM_MODEL_TPM_CRB;
    tc->get_version = crb_get_version;
    tc->request_completed = crb_request_completed;
}

static const TypeInfo crb_device_info = {
    .name = TYPE_TPM_CRB_SYSBUS,
    .parent = TYPE_DYNAMIC_SYS_BUS_DEVICE,
    .instance_size = sizeof(TPMCrbDevice),
    .class_init = crb_device_class_init,
    .interfaces = (InterfaceInfo[]) {
        { TYPE_TPM_IF },
        { }
    }
};

static void crb_device_register(void)
{
    type_register_static(&crb_device_info);
}

type_init(crb_device_register)
