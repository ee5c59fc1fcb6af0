/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Events of a run: a completion follows a kick by what the disk takes, a kick
 * follows a completion by what the guest takes, both reckoned from when the
 * loop was done with the event before.  Each device draws its times in a fixed
 * order, so all policies meet the same ones.
 */
#include <glib.h>
#include <string.h>
#include "iothread-tuning/sim/sim.h"

static int device_phases(const SimDeviceSpec *spec)
{
    int n = 0;

    while (n < SIM_PHASES && spec->service[n].ns) {
        n++;
    }
    return n;
}

/* Phases are counted in requests, so that each policy gets the same mix */
static uint64_t phase_requests(const SimWorkload *w, const SimGaps *gaps)
{
    int64_t mean = gaps->ns;

    if (!w->phase_ns) {
        return UINT64_MAX;
    }
    if (gaps->shape == SIM_BIMODAL) {
        mean += (gaps->other_ns - mean) * gaps->other_percent / 100;
    }
    return w->phase_ns / (mean + 5000);
}

static int64_t device_service(SimLoad *load, int i)
{
    const SimDeviceSpec *spec = &load->workload->device[i];
    SimDevice *d = &load->device[i];
    const SimGaps *gaps = &spec->service[d->phase];

    if (d->kicks >= d->phase_end) {
        d->phase = (d->phase + 1) % device_phases(spec);
        gaps = &spec->service[d->phase];
        d->phase_end = d->kicks + phase_requests(load->workload, gaps);
    }
    return sim_gaps_draw(gaps, &d->service, d->kicks++);
}

static int64_t device_think(SimLoad *load, int i)
{
    SimDevice *d = &load->device[i];

    return sim_gaps_draw(&load->workload->device[i].think, &d->think,
                         d->completions++);
}

static void device_init(SimLoad *load, int i, SimRandom *seeds)
{
    const SimDeviceSpec *spec = &load->workload->device[i];
    SimDevice *d = &load->device[i];

    d->service.state = sim_random(seeds);
    d->think.state = sim_random(seeds);
    d->phase_end = spec->depth ?
                   phase_requests(load->workload, &spec->service[0]) : 0;
    for (int n = 0; n < spec->depth; n++) {
        g_assert(load->slots < SIM_SLOTS);
        load->slot[load->slots++] = (SimSlot) {
            .due = sim_random_range(seeds, 1000, 20000),
            .kind = SIM_KICK,
            .device = i,
        };
    }
}

void sim_load_init(SimLoad *load, const SimWorkload *workload, uint64_t seed)
{
    SimRandom seeds = { seed };

    *load = (SimLoad) {
        .workload = workload,
        .timer = workload->timer_ns ?: SIM_NEVER,
    };
    for (int i = 0; i < SIM_DEVICES; i++) {
        device_init(load, i, &seeds);
    }
}

void sim_load_replay(SimLoad *load, const SimTrace *trace)
{
    const SimTraceEvent *first = (SimTraceEvent *)trace->events->data;

    *load = (SimLoad) {
        .trace = trace,
        .timer = SIM_NEVER,
        .slots = 1,
        .slot[0] = { .kind = first->kind, .device = first->device },
    };
}

static int earliest_slot(const SimLoad *load)
{
    int best = 0;

    for (int i = 1; i < load->slots; i++) {
        if (load->slot[i].due < load->slot[best].due) {
            best = i;
        }
    }
    return best;
}

int64_t sim_load_next(const SimLoad *load, int *handler)
{
    const SimSlot *slot = &load->slot[earliest_slot(load)];

    if (handler) {
        *handler = slot->device * SIM_KINDS + slot->kind;
    }
    return slot->due;
}

static void trace_handle(SimLoad *load, SimSlot *slot, int64_t now)
{
    const SimTrace *t = load->trace;
    const SimTraceEvent *e;

    if (++load->position >= t->events->len) {
        slot->due = SIM_NEVER;
        return;
    }
    e = &g_array_index(t->events, SimTraceEvent, load->position);
    slot->due = t->closed ? now + e->gap : e->ns;
    slot->kind = e->kind;
    slot->device = e->device;
}

static void device_handle(SimLoad *load, SimSlot *slot, int64_t now)
{
    const SimWorkload *w = load->workload;

    if (w->warm_up && load->requests >= w->warm_up) {
        slot->due = SIM_NEVER;
    } else if (slot->kind == SIM_KICK) {
        slot->due = now + device_service(load, slot->device);
        slot->kind = SIM_COMPLETION;
    } else {
        slot->due = now + device_think(load, slot->device);
        slot->kind = SIM_KICK;
    }
}

void sim_load_handle(SimLoad *load, int64_t now)
{
    SimSlot *slot = &load->slot[earliest_slot(load)];

    load->requests += slot->kind == SIM_COMPLETION;
    if (load->trace) {
        trace_handle(load, slot, now);
    } else {
        device_handle(load, slot, now);
    }
}
