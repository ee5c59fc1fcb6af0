/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "vfio-query.h"
#include "vfio-run.h"

#define PORT_DEVFN  PCI_DEVFN(5, 0)

bool vfio_run_start(VfioRun *run, const char *devices, const char *args)
{
    g_autofree char *lines = g_strconcat(devices, "\n", NULL);

    *run = (VfioRun) {};
    if (!vfio_host_available()) {
        return false;
    }
    run->host = vfio_host_new(lines);
    run->qts = vfio_host_start(run->host, "%s", args);
    return true;
}

bool vfio_run_device(VfioRun *run, const char *devices, const char *options)
{
    g_autofree char *args = g_strconcat(VFIO_RUN_DEVICE, options, NULL);

    if (!vfio_run_start(run, devices, args)) {
        return false;
    }
    run->dev = vfio_device_new(run->qts, 0, VFIO_RUN_DEVFN);
    return true;
}

void vfio_run_end(VfioRun *run)
{
    qobject_unref(run->info);
    if (run->dev) {
        vfio_device_free(run->dev);
    }
    qtest_quit(run->qts);
    vfio_host_free(run->host);
}

char *vfio_run_plug(VfioRun *run, const char *options)
{
    g_autofree char *json = g_strdup_printf(
        "{ 'driver': 'vfio-pci', 'host': '" VFIO_RUN_ADDRESS "', "
        "'id': 'dev', 'bus': 'rp0'%s }", options);
    char *error = vfio_device_add(run->qts, json);

    if (!error) {
        vfio_port_open(run->qts, PORT_DEVFN, 1);
    }
    return error;
}

void vfio_run_unplug(VfioRun *run)
{
    qtest_qmp_device_del_send(run->qts, "dev");
    vfio_port_power_off(run->qts, PORT_DEVFN);
    qtest_qmp_eventwait(run->qts, "DEVICE_DELETED");
}
