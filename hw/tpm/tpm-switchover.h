/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A TPM at the switchover of a migration
 *
 * Copyright (C) 2026 nearmetal contributors
 */
#ifndef NEARMETAL_TPM_SWITCHOVER_H
#define NEARMETAL_TPM_SWITCHOVER_H

#include "block/aio.h"
#include "qemu/job.h"

/* Is the migration still wanted? */
typedef bool TpmWanted(void);

#ifdef CONFIG_TPM
/**
 * tpm_migration_switchover: let the TPM end its command, and fetch its state
 *
 * To be called when the machine has stopped, before any device is saved, by
 * the migration's thread or the main thread, not in a coroutine.  The BQL is
 * held, and dropped meanwhile, for four control timeouts at most, twice if the
 * machine is reset; what the caller knew before may have changed.
 * @wanted: asked meanwhile, under the BQL; NULL: it is
 *
 * Returns: false if the TPM's state cannot be had
 */
bool tpm_migration_switchover(TpmWanted *wanted, Error **errp);

/**
 * tpm_snapshot_ready: does the TPM answer, before the machine is stopped?
 * @job: a job that is about to save or load a snapshot
 * @bh: the bottom half that calls this first, with @job as its argument
 *
 * From then on the job holds the main loop, and the monitor, for as long as the
 * TPM stalls.  A TPM that answers at once does not make it wait.  Else @bh is
 * called again, not within aio_poll(), when the TPM has answered or took longer
 * than at a switchover, and anywhere when @job was cancelled.  In the main
 * thread, with the BQL, which is dropped meanwhile.
 *
 * Returns: 1: go on; also with no TPM, or a lost one, which saving it says
 *          0: @bh will be called again
 *          -1: no, with @errp set
 */
int tpm_snapshot_ready(Job *job, QEMUBHFunc *bh, Error **errp);
#else
static inline bool tpm_migration_switchover(TpmWanted *wanted, Error **errp)
{
    return true;
}

static inline int tpm_snapshot_ready(Job *job, QEMUBHFunc *bh, Error **errp)
{
    return 1;
}
#endif

#endif
