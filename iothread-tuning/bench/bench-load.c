/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * The spinning thread that is guest and disk
 */
#define _GNU_SOURCE             /* sched_setaffinity() */
#include <glib.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>
#include "bench-load.h"

#define ADDED_MAX (8 * 1024 * 1024)

/* A loop under way */
typedef struct LoadLoop {
    Load *load;
    const LoadParams *params;
    bool submit;                /* go on with new requests */
    bool measure;
    int64_t next_ns;            /* periodic: when to submit again */
    int64_t step_ns;            /* when the last step was */
    int64_t stalled_ns;         /* since a request completed */
    uint64_t requests;
} LoadLoop;

static void load_account(LoadLoop *loop, const VirtQueue *vq, int slot,
                         int64_t now)
{
    Load *load = loop->load;
    int64_t disk_ns =
        load->disk.latency_ns[vq->disk * BENCH_SLOTS + slot];
    int64_t added = now - vq->start_ns[slot] - disk_ns;

    loop->requests++;
    if (load->n_added < ADDED_MAX) {
        load->added_ns[load->n_added++] = CLAMP(added, G_MININT32, G_MAXINT32);
    }
}

static void load_reap(LoadLoop *loop, VirtQueue *vq, int64_t now)
{
    bool again = loop->submit && loop->params->mode != LOAD_PERIODIC;
    int slot;

    while ((slot = vq_reap(vq)) >= 0) {
        loop->stalled_ns = 0;
        if (loop->measure) {
            load_account(loop, vq, slot, now);
        }
        if (again) {
            vq_add(vq, now);
        }
    }
    vq_publish(vq);
}

static void load_add(LoadLoop *loop, int64_t now)
{
    for (unsigned i = 0; i < loop->params->disks; i++) {
        VirtQueue *vq = &loop->load->queues[i];

        for (unsigned n = 0; n < loop->params->depth && vq->n_free; n++) {
            vq_add(vq, now);
        }
        vq_publish(vq);
    }
}

static unsigned load_in_flight(const LoadLoop *loop)
{
    unsigned n = 0;

    for (unsigned i = 0; i < loop->params->disks; i++) {
        n += vq_in_flight(&loop->load->queues[i]);
    }
    return n;
}

/* The period begins when all is done, as a guest's pause for thought does */
static void load_periodic(LoadLoop *loop, int64_t now)
{
    if (load_in_flight(loop)) {
        loop->next_ns = now + loop->params->period_ns;
    } else if (loop->submit && now >= loop->next_ns) {
        load_add(loop, now);
    }
}

/* Which wakeup was lost: that of a kick, or that of a completion? */
static void __attribute__((noreturn)) load_stalled(const LoadLoop *loop)
{
    unsigned in_flight = load_in_flight(loop), pending, unseen;

    disk_count(&loop->load->disk, &pending, &unseen);
    bench_die("no request completed for %lld s: %u under way, of these %u on "
              "the disk, %u completed by it but not picked up by QEMU",
              BENCH_TIMEOUT_NS / NS_PER_S, in_flight, pending, unseen);
}

/* A moment in which this process was stopped does not count as a long one */
static void load_check(LoadLoop *loop, int64_t now)
{
    loop->stalled_ns += MIN(now - loop->step_ns, 10 * NS_PER_MS);
    loop->step_ns = now;
    if (loop->stalled_ns >= BENCH_TIMEOUT_NS) {
        if (load_in_flight(loop)) {
            load_stalled(loop);
        }
        loop->stalled_ns = 0;
    }
}

static void load_step(LoadLoop *loop)
{
    Load *load = loop->load;
    int64_t now = now_ns();

    disk_serve(&load->disk, now);
    for (unsigned i = 0; i < loop->params->disks; i++) {
        load_reap(loop, &load->queues[i], now);
    }
    if (loop->params->mode == LOAD_PERIODIC) {
        load_periodic(loop, now);
    }
    load_check(loop, now);
}

static void load_until(LoadLoop *loop, int64_t end_ns)
{
    while (now_ns() < end_ns) {
        load_step(loop);
    }
}

static void load_drain(LoadLoop *loop)
{
    loop->submit = false;
    while (load_in_flight(loop)) {
        load_step(loop);
    }
}

static uint64_t load_kicks(const Load *load)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < load->n_queues; i++) {
        n += load->queues[i].kicks;
    }
    return n;
}

static int64_t own_cpu_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

/* The IOThread is known once it has submitted */
static void load_place(Load *load)
{
    cpu_set_t set;

    if (load->disk.tid == load->pinned_tid) {
        return;
    }
    load->pinned_tid = load->disk.tid;
    /* Only now: until it is started, QEMU's main thread is needed as well */
    if (load->nice && (setpriority(PRIO_PROCESS, 0, load->nice) ||
                       setpriority(PRIO_PROCESS, load->disk.tid, load->nice))) {
        bench_die("cannot set the nice value to %d (%m); only root may",
                  load->nice);
    }
    CPU_ZERO(&set);
    CPU_SET(load->iothread_cpu, &set);
    if (sched_setaffinity(load->disk.tid, sizeof(set), &set)) {
        bench_die("cannot pin the IOThread to CPU %d: %m",
                  load->iothread_cpu);
    }
}

static int compare_int32(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

    return (x > y) - (x < y);
}

static void load_latencies(Load *load, LoadResult *result)
{
    uint64_t n = load->n_added;
    double sum = 0;

    if (!n) {
        return;
    }
    for (uint64_t i = 0; i < n; i++) {
        sum += load->added_ns[i];
    }
    qsort(load->added_ns, n, sizeof(load->added_ns[0]), compare_int32);
    result->mean_ns = sum / n;
    result->p50_ns = load->added_ns[n / 2];
    result->p99_ns = load->added_ns[n - 1 - n / 100];
}

/* What happens in the measured time is the difference of two such readings */
static void load_reading(Load *load, LoadResult *r)
{
    r->idle_ns = cpu_idle_ns(load->driver_cpu) +
                 cpu_idle_ns(load->iothread_cpu);
    r->kicks = load_kicks(load);
    r->iothread = child_thread_use(&load->child, load->disk.tid);
    r->driver_cpu_ns = own_cpu_ns();
    r->ns = now_ns();
}

static void load_measure(LoadLoop *loop, LoadResult *result)
{
    Load *load = loop->load;
    LoadResult begin = { 0 };

    load_reading(load, &begin);
    if (loop->params->mode == LOAD_IDLE) {
        g_usleep(loop->params->run_ns / NS_PER_US);
    } else {
        load_until(loop, begin.ns + loop->params->run_ns);
    }
    load_reading(load, result);
    loop->measure = false;
    result->requests = loop->requests;
    result->kicks -= begin.kicks;
    result->iothread.cpu_ns -= begin.iothread.cpu_ns;
    result->iothread.wait_ns -= begin.iothread.wait_ns;
    result->driver_cpu_ns -= begin.driver_cpu_ns;
    result->idle_ns -= begin.idle_ns;
    result->ns -= begin.ns;
}

void load_run(Load *load, const LoadParams *params, LoadResult *result)
{
    LoadLoop loop = {
        .load = load,
        .params = params,
        .submit = true,
        .step_ns = now_ns(),
    };

    if (!load->added_ns) {
        load->added_ns = g_new(int32_t, ADDED_MAX);
    }
    load->n_added = 0;
    disk_program(&load->disk, &params->model, params->seed);
    if (params->mode != LOAD_PERIODIC) {
        load_add(&loop, now_ns());
    }
    load_until(&loop, now_ns() + params->warm_ns);
    load_place(load);
    if (params->mode == LOAD_IDLE) {
        load_drain(&loop);
    }
    trace_reset(load->trace);
    loop.measure = true;
    load_measure(&loop, result);
    load_drain(&loop);
    for (unsigned i = 0; i < load->n_queues; i++) {
        result->errors += load->queues[i].errors;
    }
    load_latencies(load, result);
}
