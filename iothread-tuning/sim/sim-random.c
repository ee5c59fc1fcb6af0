/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Times that disks and guests take, drawn from a seed
 */
#include <glib.h>
#include <math.h>
#include "iothread-tuning/sim/sim.h"

/* Standard deviation of times that are "the same", in percent */
#define STEADY_JITTER   5

/* splitmix64 */
uint64_t sim_random(SimRandom *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15ull;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

int64_t sim_random_range(SimRandom *r, int64_t from, int64_t to)
{
    return from + sim_random(r) % (to - from + 1);
}

static double random_fraction(SimRandom *r)
{
    return (sim_random(r) >> 11) / (double)(1ull << 53);
}

/* The sum of four even ones is close to normal, and has an end */
static int64_t draw_steady(SimRandom *r, int64_t ns)
{
    double sum = -2;

    for (int i = 0; i < 4; i++) {
        sum += random_fraction(r);
    }
    return ns * (1 + sum * sqrt(3) * STEADY_JITTER / 100);
}

int64_t sim_gaps_draw(const SimGaps *gaps, SimRandom *r, uint64_t index)
{
    int64_t ns = gaps->ns;

    switch (gaps->shape) {
    case SIM_EVEN:
        return sim_random_range(r, ns, gaps->other_ns);
    case SIM_EXPONENTIAL:
        return -log(1 - random_fraction(r)) * ns;
    case SIM_BIMODAL:
        if (sim_random_range(r, 0, 99) < gaps->other_percent) {
            ns = gaps->other_ns;
        }
        break;
    case SIM_PAUSES:
        if ((index + 1) % gaps->burst == 0) {
            ns = gaps->other_ns;
        }
        break;
    case SIM_STEADY:
        break;
    }
    return draw_steady(r, ns);
}
