/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A TPM at the switchover of a migration
 *
 * Copyright (C) 2026 nearmetal contributors
 */
#ifndef NEARMETAL_TPM_SWITCHOVER_H
#define NEARMETAL_TPM_SWITCHOVER_H

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
 * tpm_co_answers: wait until the TPM answers, with the machine running
 *
 * For jobs that will hold the main loop while they save or load the TPM's
 * state: to be called before, in @job's coroutine in the main thread.  Waits
 * as long as tpm_migration_switchover(), or until @job is cancelled.
 *
 * Returns: false if the TPM does not answer; true if there is none, or if it
 * is lost, which saving it says
 */
bool coroutine_fn tpm_co_answers(Job *job, Error **errp);
#else
static inline bool tpm_migration_switchover(TpmWanted *wanted, Error **errp)
{
    return true;
}

static inline bool coroutine_fn tpm_co_answers(Job *job, Error **errp)
{
    return true;
}
#endif

#endif
