/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * A machine with a TPM whose backend is upstream's minimal emulator
 */
#ifndef NEARMETAL_TPM_MACHINE_H
#define NEARMETAL_TPM_MACHINE_H

#include "tpm-emu.h"

#define TPM_ARM_BASE 0xc000000ull       /* the platform bus of virt */

typedef struct TpmMachine {
    QTestState *qts;
    TPMTestState tpm;
    GThread *thread;
    char *dir;
} TpmMachine;

/*
 * @machine: options that choose the machine
 * @device: the TPM, as for -device, and what may follow; a %s in it is
 * replaced by the backend's "tpmdev=..."
 */
TpmMachine *tpm_machine_start(enum TPMVersion version, const char *machine,
                              const char *device);

/* The same with the binary that environment variable @var names */
TpmMachine *tpm_machine_start_env(const char *var, enum TPMVersion version,
                                  const char *machine, const char *device);

void tpm_machine_stop(TpmMachine *m);

/* QEMU must not start with this. Returns: what it says, to be freed */
char *tpm_machine_refused(enum TPMVersion version, const char *machine,
                          const char *device);

bool tpm_on_arm(void);

#endif
