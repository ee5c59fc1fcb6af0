/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * The workloads that policies are compared on
 */
#include <glib.h>
#include "iothread-tuning/sim/sim.h"

#define US 1000

/* A guest sends its next request about 2 us after the last one's completion */
#define THINK { SIM_EVEN, 1 * US, 3 * US }

#define STEADY(us)  { { SIM_STEADY, (us) * US } }
#define MIX(us, other_us, percent) \
    { { SIM_BIMODAL, (us) * US, (other_us) * US, percent } }

#define ONE(...) { { .service = __VA_ARGS__, .think = THINK, .depth = 1 } }

#define FIXED(us) { \
    .name = "fixed-" #us, .text = "a disk of " #us " us", \
    .device = ONE(STEADY(us)) }

#define UNSEEN(us) { \
    .name = "fixed-" #us, .text = "a disk of " #us " us", \
    .device = ONE(STEADY(us)), .unseen = true }

const SimWorkload sim_workloads[] = {
    FIXED(10),
    FIXED(20),
    FIXED(28),
    FIXED(50),
    FIXED(100),
    {
        .name = "bimodal", .text = "80 % 8 us, 20 % 90 us",
        .device = ONE(MIX(8, 90, 20)),
    }, {
        .name = "burst", .text = "32 requests to a disk of 10 us, then 2 ms",
        .device = { {
            .service = STEADY(10), .depth = 1,
            .think = { SIM_PAUSES, 2 * US, 2000 * US, .burst = 32 },
        } },
    }, {
        .name = "sparse", .text = "one request to a disk of 20 us each ms",
        .device = { {
            .service = STEADY(20), .depth = 1,
            .think = { SIM_STEADY, 1000 * US },
        } },
    }, {
        .name = "two-devices", .text = "a disk of 10 us and one of 120 us",
        .device = {
            { .service = STEADY(10), .think = THINK, .depth = 1 },
            { .service = STEADY(120), .think = THINK, .depth = 1 },
        },
    }, {
        .name = "idle-timer", .text = "a timer each 100 us, after requests",
        .device = ONE(STEADY(10)),
        .timer_ns = 100 * US, .warm_up = 2000,
    },
    UNSEEN(7),
    UNSEEN(14),
    UNSEEN(23),
    UNSEEN(37),
    UNSEEN(64),
    UNSEEN(80),
    UNSEEN(150),
    UNSEEN(250),
    UNSEEN(700),
    {
        .name = "bimodal-5-40", .text = "50 % 5 us, 50 % 40 us",
        .device = ONE(MIX(5, 40, 50)), .unseen = true,
    }, {
        .name = "bimodal-15-200", .text = "90 % 15 us, 10 % 200 us",
        .device = ONE(MIX(15, 200, 10)), .unseen = true,
    }, {
        .name = "exponential", .text = "memoryless, 40 us on average",
        .device = ONE({ { SIM_EXPONENTIAL, 40 * US } }), .unseen = true,
    }, {
        .name = "even", .text = "anything from 10 to 110 us",
        .device = ONE({ { SIM_EVEN, 10 * US, 110 * US } }), .unseen = true,
    }, {
        .name = "deep-8", .text = "8 requests in flight to a disk of 100 us",
        .device = { {
            .service = STEADY(100), .think = THINK, .depth = 8,
        } },
        .unseen = true,
    }, {
        .name = "changing", .text = "another disk every 0.5 s",
        .device = ONE({
            { SIM_STEADY, 10 * US },
            { SIM_STEADY, 90 * US },
            { SIM_STEADY, 28 * US },
            { SIM_BIMODAL, 8 * US, 90 * US, 20 },
            { SIM_STEADY, 400 * US },
            { SIM_STEADY, 16 * US },
        }),
        .phase_ns = 500000 * US, .unseen = true,
    }, {
        .name = "changing-fast", .text = "another disk every 20 ms",
        .device = ONE({
            { SIM_STEADY, 12 * US },
            { SIM_STEADY, 70 * US },
        }),
        .phase_ns = 20000 * US, .unseen = true,
    },
    {}
};

const SimWorkload *sim_workload_find(const char *name)
{
    for (const SimWorkload *w = sim_workloads; w->name; w++) {
        if (g_str_equal(w->name, name)) {
            return w;
        }
    }
    return NULL;
}
