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
#else
static inline bool tpm_migration_switchover(TpmWanted *wanted, Error **errp)
{
    return true;
}
#endif

#endif
