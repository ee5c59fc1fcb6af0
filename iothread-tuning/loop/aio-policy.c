/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include <sys/resource.h>
#include "qemu/lockable.h"
#include "qemu/timer.h"
#include "block/aio.h"
#include "iothread-tuning/loop/aio-policy.h"

/* One block in so many has its CPU time measured, which costs two calls */
#define BLOCK_COST_INTERVAL 64

/* An EventNotifier's number counts up from 1, and does not get there */
#define COMPLETIONS_SOURCE UINT64_MAX

static void aio_policy_publish_counts(AioPolicy *ap)
{
    const PollCounts *counts = poll_policy_counts(ap->policy);
    AioStats *s = ap->stats;

    aio_counter_set(&s->timed_sleeps, counts->timed_sleeps);
    aio_counter_set(&s->timed_wakeups, counts->timed_wakeups);
    aio_counter_set(&s->plans, counts->replans);
    aio_counter_set(&s->yields, counts->yields);
    aio_counter_set(&s->cpu_limited, counts->cpu_limited);
    aio_counter_set(&s->wake_latency, counts->wake_latency);
    aio_counter_set(&s->block_cpu, counts->block_cpu);
}

AioPolicy *aio_policy_new(AioStats *stats)
{
    AioPolicy *ap = g_new0(AioPolicy, 1);

    ap->policy = poll_policy_new();
    ap->ops = poll_policy_ops(ap->policy);
    ap->stats = stats;
    ap->sched_fd = -1;
    qemu_mutex_init(&ap->lock);
    ap->told = *poll_policy_params(ap->policy);
    return ap;
}

void aio_policy_free(AioPolicy *ap)
{
    if (ap->sched_fd >= 0) {
        close(ap->sched_fd);
    }
    poll_policy_free(ap->policy);
    qemu_mutex_destroy(&ap->lock);
    g_free(ap);
}

void aio_policy_set(AioPolicy *ap, const PollParams *params)
{
    assert(poll_params_valid(params));
    QEMU_LOCK_GUARD(&ap->lock);
    ap->told = *params;
    qatomic_set(&ap->changed, true);
}

void aio_policy_take_changed(AioPolicy *ap)
{
    PollParams params;

    WITH_QEMU_LOCK_GUARD(&ap->lock) {
        qatomic_set(&ap->changed, false);
        params = ap->told;
    }
    poll_policy_set(ap->policy, &params);
    ap->ops = poll_policy_ops(ap->policy);
    ap->enabled = params.max_ns > 0;
    ap->completions = (PollHandler) { .source = COMPLETIONS_SOURCE };
}

int64_t aio_policy_begin(AioPolicy *ap, int64_t now, int64_t wanted)
{
    ap->wait = (PollWait) { .now = now, .sleep_limit = -1 };
    return poll_policy_begin(ap->policy, now,
                             MAX(wanted, ap->completions.ns));
}

#ifdef CLOCK_THREAD_CPUTIME_ID
static int64_t aio_policy_cpu_ns(void)
{
    struct timespec ts;

    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts)) {
        return 0;
    }
    return ts.tv_sec * NANOSECONDS_PER_SECOND + ts.tv_nsec;
}
#else
static int64_t aio_policy_cpu_ns(void)
{
    return 0;
}
#endif

int64_t aio_policy_sleep(AioPolicy *ap, int64_t timeout)
{
    int64_t limit = poll_policy_sleep(ap->policy,
                                      ap->wait.now + ap->wait.polled_ns);

    timeout = qemu_soonest_timeout(timeout, limit);
    ap->wait.sleep_limit = timeout;
    if (ap->ops->sleep && timeout && ++ap->blocks >= BLOCK_COST_INTERVAL) {
        ap->blocks = 0;
        ap->block_cpu = aio_policy_cpu_ns();
    }
    return timeout;
}

#if defined(CONFIG_LINUX) && defined(RUSAGE_THREAD)
/* ns in the run queue, 0 if the kernel does not tell */
static uint64_t aio_policy_run_delay(AioPolicy *ap)
{
    char text[64];
    unsigned long long running, waiting = 0;
    ssize_t len;

    if (ap->sched_fd == -1) {
        ap->sched_fd = open("/proc/thread-self/schedstat",
                            O_RDONLY | O_CLOEXEC);
        if (ap->sched_fd == -1) {
            ap->sched_fd = -2;      /* do not try again */
        }
    }
    if (ap->sched_fd < 0) {
        return 0;
    }
    len = pread(ap->sched_fd, text, sizeof(text) - 1, 0);
    text[MAX(len, 0)] = '\0';
    return sscanf(text, "%llu %llu", &running, &waiting) == 2 ? waiting : 0;
}

static void aio_policy_sched_sample(AioPolicy *ap, int64_t now)
{
    struct rusage usage;

    if (getrusage(RUSAGE_THREAD, &usage) == 0) {
        poll_policy_sched(ap->policy, now, usage.ru_nivcsw,
                          aio_policy_run_delay(ap));
    }
}
#else
static void aio_policy_sched_sample(AioPolicy *ap, int64_t now)
{
    poll_policy_sched(ap->policy, now, 0, 0);
}
#endif

void aio_policy_waited(AioPolicy *ap, int64_t total_ns,
                       bool slept, bool woken)
{
    PollWait *wait = &ap->wait;

    wait->now += total_ns;
    wait->total_ns = total_ns;
    wait->slept = slept;
    wait->woken = woken;
    if (slept) {
        wait->slept_ns = MAX(total_ns - wait->polled_ns, 0);
        ap->fds_checked = wait->now;
        ap->all_fds_checked = wait->now;
    }
    if (ap->block_cpu) {
        if (slept) {
            poll_policy_block_cost(ap->policy,
                                   aio_policy_cpu_ns() - ap->block_cpu);
        }
        ap->block_cpu = 0;
    }
    poll_policy_waited(ap->policy, wait);
    if (poll_policy_wants_sched(ap->policy, wait->now)) {
        aio_policy_sched_sample(ap, wait->now);
    }
    if (slept) {
        aio_policy_publish_counts(ap);
    }
}
