/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPU topology of the Arm machine virt
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#include "qemu/osdep.h"
#include "hw/nearmetal/compat.h"
#include "qemu/error-report.h"
#include "qapi/error.h"
#include "hw/arm/virt.h"
#include "system/kvm.h"
#include "target/arm/cpu.h"
#include "target/arm/cpu-features.h"
#include "arm-topology.h"
#include "machine-topology.h"
#include "topo-clidr.h"

#ifdef CONFIG_KVM
static bool read_kvm(CPUState *cs, TopoArmRegs *regs)
{
    /* CLIDR_EL1 is op0 3, op1 1, CRn 0, CRm 0, op2 1 */
    if (kvm_get_one_reg(cs, ARM64_SYS_REG(3, 1, 0, 0, 1), &regs->clidr)) {
        return false;
    }
    for (unsigned i = 0; i < TOPO_CCSIDRS; i++) {
        uint64_t id = KVM_REG_ARM64 | KVM_REG_SIZE_U32 | KVM_REG_ARM_DEMUX |
                      KVM_REG_ARM_DEMUX_ID_CCSIDR | i;
        uint32_t value;

        /* Those of caches that do not exist are refused */
        if (!kvm_get_one_reg(cs, id, &value)) {
            regs->ccsidr[i] = value;
        }
    }
    return true;
}
#else
static bool read_kvm(CPUState *cs, TopoArmRegs *regs)
{
    return false;
}
#endif

/* The vCPU's own registers, whatever CPU model they are from */
static void read_caches(ARMCPU *cpu, TopoCpuCaches *caches)
{
    TopoArmRegs regs = {
        .ccidx = cpu_isar_feature(any_ccidx, cpu),
    };

    QEMU_BUILD_BUG_ON(ARRAY_SIZE(regs.ccsidr) != ARRAY_SIZE(cpu->ccsidr));
    if (!kvm_enabled() || !read_kvm(CPU(cpu), &regs)) {
        regs.clidr = compat_cpu_clidr(cpu);
        memcpy(regs.ccsidr, cpu->ccsidr, sizeof(regs.ccsidr));
    }
    topo_clidr_decode(&regs, caches);
}

void arm_topology_init(VirtMachineState *vms, Error **errp)
{
    MachineState *ms = MACHINE(vms);
    MachineTopology *topology = ms->topology;
    TopoShape shape = machine_topology_shape(ms);
    TopoCpuCaches caches = { };
    g_autofree char *why = NULL;

    if (!topology || !(topology->caches_given || topology->stable_ids ||
                       topology->numa_by_cluster)) {
        return;
    }
    if (ms->smp.max_cpus > ms->smp.cpus) {
        warn_report("smp: maxcpus=%u: this machine cannot hot-plug CPUs, the "
                    "guest keeps the %u of cpus=", ms->smp.max_cpus,
                    ms->smp.cpus);
    }
    if (!topology->caches_given && !topology->stable_ids) {
        return;
    }
    if (VIRT_MACHINE_GET_CLASS(vms)->no_cpu_topology) {
        error_setg(errp, "%s: this machine type tells guests no CPU topology; "
                   "allowed: virt-6.2 and later",
                   topology->caches_given ? "smp-cache"
                                          : "stable-topology-ids");
        return;
    }
    if (topology->caches_given) {
        read_caches(ARM_CPU(qemu_get_cpu(0)), &caches);
    }
    topology->tree = topo_plan(&shape, topology->request, &caches, &why);
    if (!topology->tree) {
        error_setg(errp, "%s", why);
    }
}

void arm_topology_class_init(ObjectClass *oc)
{
    MachineClass *mc = MACHINE_CLASS(oc);

    mc->smp_props.caches_in_tables = true;
    for (int i = 0; i < CACHE_LEVEL_AND_TYPE__MAX; i++) {
        mc->smp_props.cache_supported[i] = true;
    }
    machine_topology_add_ids_property(oc);
    machine_topology_add_numa_property(oc);
}
