/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Preloaded into libvirtd where nobody may raise the limit of locked memory
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * For a passthrough device libvirt raises RLIMIT_MEMLOCK of QEMU, since VFIO
 * locks the guest's memory.  The stand-in for VFIO locks nothing, so that the
 * limit may stay as it is in a container without CAP_SYS_RESOURCE.
 */

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/types.h>

typedef int PrLimit(pid_t pid, int resource, const struct rlimit *new_limit,
                    struct rlimit *old_limit);

static int try_limit(const char *name, pid_t pid, int resource,
                     const struct rlimit *new_limit, struct rlimit *old_limit)
{
    PrLimit *real = (PrLimit *)dlsym(RTLD_NEXT, name);
    int result = real(pid, resource, new_limit, old_limit);

    if (result < 0 && errno == EPERM && resource == RLIMIT_MEMLOCK) {
        return 0;
    }
    return result;
}

int prlimit(pid_t pid, enum __rlimit_resource resource,
            const struct rlimit *new_limit, struct rlimit *old_limit)
{
    return try_limit("prlimit", pid, resource, new_limit, old_limit);
}

int prlimit64(pid_t pid, enum __rlimit_resource resource,
              const struct rlimit64 *new_limit, struct rlimit64 *old_limit)
{
    return try_limit("prlimit64", pid, resource,
                     (const struct rlimit *)new_limit,
                     (struct rlimit *)old_limit);
}
