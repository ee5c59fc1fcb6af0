/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * What most tests of vfio-pci begin and end with
 */
#ifndef NEARMETAL_QTEST_VFIO_RUN_H
#define NEARMETAL_QTEST_VFIO_RUN_H

#include "qobject/qdict.h"
#include "vfio-device.h"
#include "vfio-host.h"

/* The device on the host, and its place in the guest if it is there at start */
#define VFIO_RUN_ADDRESS    "0000:01:00.0"
#define VFIO_RUN_DEVICE     "-device vfio-pci,host=" VFIO_RUN_ADDRESS \
                            ",id=dev,addr=4"
#define VFIO_RUN_DEVFN      PCI_DEVFN(4, 0)

/* The root port that vfio_run_plug() plugs it into */
#define VFIO_RUN_PORT       "-device pcie-root-port,id=rp0,chassis=1,addr=5"

/* A host with made-up devices, and a QEMU on it */
typedef struct VfioRun {
    VfioHost *host;
    QTestState *qts;
    VfioDevice *dev;        /* as the guest has it; NULL: not yet */
    QDict *info;            /* what vfio_query() told of it; NULL: not asked */
} VfioRun;

/**
 * vfio_run_start: start QEMU
 * @devices: of the host, lines as in vfio-standin.h
 * @args: of QEMU
 *
 * Returns: false if the test is to be skipped
 */
bool vfio_run_start(VfioRun *run, const char *devices, const char *args);

/**
 * vfio_run_device: start QEMU with VFIO_RUN_DEVICE and these options behind it
 *
 * Returns: false if the test is to be skipped
 */
bool vfio_run_device(VfioRun *run, const char *devices, const char *options);

/* Ends QEMU, and frees what @run has */
void vfio_run_end(VfioRun *run);

/**
 * vfio_run_plug: plug the device, with these members of JSON in addition
 *
 * The guest turns the port's power on.
 *
 * Returns: NULL, or the error, to be freed
 */
char *vfio_run_plug(VfioRun *run, const char *options);

/* The guest gives the device up, and QEMU lets it go */
void vfio_run_unplug(VfioRun *run);

#endif /* NEARMETAL_QTEST_VFIO_RUN_H */
