/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A TPM on the platform bus in the device tree
 *
 * Copyright (C) 2026 nearmetal contributors
 */
#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qapi/error.h"
#include <libfdt.h>
#include "hw/arm/fdt.h"
#include "system/device_tree.h"
#include "crb-regs.h"
#include "tpm-sysbus.h"

/* Does @bus lead to an interrupt controller whose cells are those of a GIC? */
static bool gic_cells(void *fdt, const char *bus)
{
    uint32_t parent = qemu_fdt_getprop_cell(fdt, bus, "interrupt-parent", 0,
                                            &error_fatal);
    int node = fdt_node_offset_by_phandle(fdt, parent);
    const fdt32_t *cells;
    int len;

    cells = node < 0 ? NULL : fdt_getprop(fdt, node, "#interrupt-cells", &len);
    return cells && len == sizeof(*cells) && fdt32_to_cpu(*cells) == 3;
}

void tpm_fdt_add_interrupt(void *fdt, const char *bus, const char *name,
                           PlatformBusDevice *pbus, SysBusDevice *sbdev,
                           int irq_start)
{
    int irq = platform_bus_get_irqn(pbus, sbdev, 0);

    if (!tpm_sysbus_flag(TPM_IF(sbdev), "interrupt")) {
        return;
    }
    if (irq < 0 || !gic_cells(fdt, bus)) {
        error_report("%s: interrupt=on needs a machine with a GIC, such as "
                     "Arm's virt; use interrupt=off",
                     object_get_typename(OBJECT(sbdev)));
        exit(1);
    }
    qemu_fdt_setprop_cells(fdt, name, "interrupts", GIC_FDT_IRQ_TYPE_SPI,
                           irq_start + irq, GIC_FDT_IRQ_FLAGS_LEVEL_HI);
}

/*
 * There is no binding for a CRB.  Firmware looks for this compatible, whatever
 * the status, and asks the registers what they are; Linux would take it for a
 * FIFO, and passes disabled nodes by.
 */
void tpm_fdt_add_crb(void *fdt, const char *bus, PlatformBusDevice *pbus,
                     SysBusDevice *sbdev)
{
    uint64_t addr = platform_bus_get_mmio_addr(pbus, sbdev, 0);
    g_autofree char *name = g_strdup_printf("%s/tpm_crb@%" PRIx64, bus, addr);

    qemu_fdt_add_subnode(fdt, name);
    qemu_fdt_setprop_string(fdt, name, "compatible", "tcg,tpm-tis-mmio");
    qemu_fdt_setprop_cells(fdt, name, "reg", addr, CRB_SIZE);
    qemu_fdt_setprop_string(fdt, name, "status", "disabled");
}
