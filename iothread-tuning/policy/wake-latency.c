/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "iothread-tuning/policy/wake-latency.h"

/*
 * Before the first measurement: on the low side, so that sleeping is tried and
 * thereby measured
 */
#define WAKE_LATENCY_PRIOR_NS   4000

/* One preemption must not be taken for the latency of every wakeup */
#define WAKE_LATENCY_MAX_NS     200000

/* The weight of a new sample is 1 / this */
#define WAKE_LATENCY_SMOOTHING  8

/* Sleeps after which a measurement is out of date */
#define WAKE_LATENCY_AGE        512

/* The same for a loop that polls all the time and so never sleeps */
#define WAKE_LATENCY_AGE_NS     100000000

static unsigned wake_latency_class(int64_t ns)
{
    unsigned bits = ns < 4096 ? 0 : 63 - __builtin_clzll(ns / 4096);

    return MIN(bits / 2, WAKE_LATENCY_CLASSES - 1);
}

/* The measured class nearest to @class, shorter sleeps first */
static const WakeLatencyClass *wake_latency_nearest(const WakeLatency *w,
                                                    int class)
{
    for (int distance = 0; distance < WAKE_LATENCY_CLASSES; distance++) {
        int below = class - distance, above = class + distance;

        if (below >= 0 && w->classes[below].samples) {
            return &w->classes[below];
        }
        if (above < WAKE_LATENCY_CLASSES && w->classes[above].samples) {
            return &w->classes[above];
        }
    }
    g_assert_not_reached();
}

/* Plans ask often, and samples come seldom */
static void wake_latency_resolve(WakeLatency *w)
{
    for (int i = 0; i < WAKE_LATENCY_CLASSES; i++) {
        const WakeLatencyClass *c = wake_latency_nearest(w, i);

        w->mean[i] = c->mean;
        w->margin[i] = c->mean + 4 * c->deviation;
    }
    w->measured = true;
}

static void wake_latency_tell(WakeLatency *w, unsigned class)
{
    int64_t mean = w->classes[class].mean;
    int64_t change = ABS(mean - w->told[class]);

    if (change > w->told[class] / 4 + 250) {
        w->told[class] = mean;
        w->generation++;
    }
}

void wake_latency_sample(WakeLatency *w, int64_t now, int64_t limit,
                         int64_t late)
{
    unsigned class = wake_latency_class(limit);
    WakeLatencyClass *c = &w->classes[class];

    late = CLAMP(late, 0, WAKE_LATENCY_MAX_NS);
    c->age = 0;
    c->measured_at = now;
    if (!c->samples) {
        c->mean = late;
        c->deviation = late / 16;
    } else {
        /* Averages over all samples at first, then over the latest ones */
        int64_t n = MIN(c->samples + 1, WAKE_LATENCY_SMOOTHING);

        /* A late one among many in time moves the mean, but not by its all */
        late = MIN(late, c->mean + 8 * c->deviation + 1000);
        c->deviation += (ABS(late - c->mean) - c->deviation) / n;
        c->mean += (late - c->mean) / n;
    }
    c->samples += c->samples < WAKE_LATENCY_SMOOTHING;
    wake_latency_resolve(w);
    wake_latency_tell(w, class);
}

void wake_latency_slept(WakeLatency *w)
{
    for (int i = 0; i < WAKE_LATENCY_CLASSES; i++) {
        w->classes[i].age += w->classes[i].age < WAKE_LATENCY_AGE;
    }
}

bool wake_latency_due(const WakeLatency *w, int64_t ns)
{
    const WakeLatencyClass *c = &w->classes[wake_latency_class(ns)];

    return !c->samples || c->age >= WAKE_LATENCY_AGE;
}

bool wake_latency_stale(const WakeLatency *w, int64_t now, int64_t ns)
{
    const WakeLatencyClass *c = &w->classes[wake_latency_class(ns)];

    return c->samples && now - c->measured_at >= WAKE_LATENCY_AGE_NS;
}

int64_t wake_latency_mean(const WakeLatency *w, int64_t ns)
{
    return w->measured ? w->mean[wake_latency_class(ns)] :
           WAKE_LATENCY_PRIOR_NS;
}

static int64_t wake_latency_margin(const WakeLatency *w, int64_t ns)
{
    return w->measured ? w->margin[wake_latency_class(ns)] :
           WAKE_LATENCY_PRIOR_NS * 3 / 2;
}

int64_t wake_latency_limit(const WakeLatency *w, int64_t ns)
{
    /* What counts is the latency of the sleep that comes out, not of @ns */
    int64_t limit = ns - wake_latency_margin(w, ns);

    return ns - wake_latency_margin(w, MAX(limit, 0));
}
