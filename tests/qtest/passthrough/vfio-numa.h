/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * QEMU with vfio-pci devices and two NUMA nodes, and where the devices are
 */
#ifndef NEARMETAL_QTEST_VFIO_NUMA_H
#define NEARMETAL_QTEST_VFIO_NUMA_H

#include "libqtest.h"

/* The host devices: on node 0 and on an unknown one, as sysfs tells */
#define ON_0            "host=0000:01:00.0"
#define ON_UNKNOWN      "host=0000:02:00.0"
/* Two functions of one device */
#define FUNCTION_0      "host=0000:03:00.0"
#define FUNCTION_1      "host=0000:03:00.1"

#define PXB(n)  " -device pxb-pcie,id=pxb" #n ",bus=pcie.0,bus_nr=1" #n "0" \
                ",numa_node=" #n
#define PORT(n) " -device pcie-root-port,id=rp" #n ",bus=pxb" #n ",chassis=1" \
                ",slot=" #n
#define MAIN_PORT " -device pcie-root-port,id=rp,bus=pcie.0,chassis=9,slot=9"
#define BOTH    PXB(0) PORT(0) PXB(1) PORT(1)
#define DEV(id, options) " -device vfio-pci,id=" id "," options
#define NODES(options0, options1) \
    " -object memory-backend-ram,id=m0,size=64M" options0 \
    " -object memory-backend-ram,id=m1,size=64M" options1 \
    " -numa node,memdev=m0,cpus=0 -numa node,memdev=m1,cpus=1"
#define BIND_0  ",host-nodes=0,policy=bind"
#define TWO     NODES("", "")

/* -machine of a guest that is told by ACPI tables */
extern const char *machine;

/**
 * numa_test_run: run the tests that @add adds, with the host devices; skips
 * them if VFIO_STANDIN_LIB does not name the stand-in for VFIO
 */
int numa_test_run(int argc, char **argv, void (*add)(void));

/* The path of a file for this test; to be freed */
char *in_dir(const char *name);

QTestState *start(const char *on, const char *options);

/* QEMU has said @words on stderr; NULL: nothing */
void assert_said(const char *words);

/* QEMU must not start, and say @words; returns all that it said */
char *refuse(const char *on, const char *options, const char *words);

/* A property of the device */
void assert_number(QTestState *qts, const char *id, const char *property,
                   int expected);
void assert_word(QTestState *qts, const char *id, const char *expected);

/* The device must be on @bus, and the guest see it on @node */
void assert_on(QTestState *qts, const char *id, const char *bus, int node);

/* Start, with d0 on @bus and @node and @words on stderr, and quit */
void place(const char *on, const char *options, const char *bus, int node,
           const char *words);

/*
 * Plug a device with numa-node=@node; @bus may be NULL.  Returns: the error's
 * text, or NULL
 */
char *plug(QTestState *qts, const char *id, const char *host, const char *bus,
           const char *node);

/* Plug a device with numa-node=1; @bus may be NULL; @error: what is said */
void assert_plug(QTestState *qts, const char *id, const char *host,
                 const char *bus, const char *error);

#endif
