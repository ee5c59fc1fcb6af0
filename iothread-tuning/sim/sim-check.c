/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * The regression test of the predictive policy
 */
#include <glib.h>
#include "iothread-tuning/sim/sim.h"

#define MEAN_LIMIT      1.10
#define WORST_LIMIT     1.35

/*
 * The limits are for the default lambda; with others the policy must do well,
 * but what sets it apart from the optimum, to know the future, weighs more.
 */
#define WORST_LIMIT_OTHERS  1.40

/*
 * Sleeping until shortly before an event beats that optimum by far, which does
 * not do so.  What shows a policy that has become worse is the comparison with
 * one that knows the distributions, for all lambdas.
 */
#define INFORMED_LIMIT      1.30

static const int check_lambdas[] = { POLL_LATENCY_WEIGHT_DEFAULT, 1, 20 };

#define CHECK_SEEDS     3

/* Changes of load need time to show; the rest does not */
#define CHECK_REQUESTS          12000
#define CHECK_REQUESTS_PHASES   90000

static GArray *check_rows(const SimConfig *config)
{
    unsigned which = 1 << POLL_POLICY_CLASSIC | 1 << POLL_POLICY_WEIGHTED |
                     1 << POLL_POLICY_PREDICTIVE | 1 << SIM_OFF;
    GArray *rows = g_array_new(false, false, sizeof(SimRow));
    SimRow row;

    for (const SimWorkload *w = sim_workloads; w->name; w++) {
        for (int i = 0; i < (int)G_N_ELEMENTS(check_lambdas); i++) {
            for (int seed = 0; seed < CHECK_SEEDS; seed++) {
                SimConfig c = *config;

                c.lambda = c.params.latency_weight = check_lambdas[i];
                c.seed += seed;
                c.requests = w->phase_ns ? CHECK_REQUESTS_PHASES :
                             CHECK_REQUESTS;
                sim_compare(&row, &c, w, NULL, which);
                g_array_append_val(rows, row);
            }
        }
    }
    return rows;
}

static bool check_limits(const SimRow *rows, int n, const char *what,
                         double worst)
{
    SimSummary s = sim_summarize(rows, n, POLL_POLICY_PREDICTIVE, SIM_OPTIMUM);
    double mean = sim_summary_mean(&s);
    bool ok = mean <= MEAN_LIMIT && s.worst <= worst && !s.faults;

    printf("%s: %s: predictive's geometric mean is %.3f (at most %.2f), "
           "its worst %.3f (at most %.2f), %" G_GUINT64_FORMAT " faults\n",
           ok ? "PASS" : "FAIL", what, mean, MEAN_LIMIT, s.worst, worst,
           s.faults);
    return ok;
}

static bool check_informed(const SimRow *rows, int n)
{
    SimSummary s = sim_summarize(rows, n, POLL_POLICY_PREDICTIVE,
                                 SIM_INFORMED);
    double mean = sim_summary_mean(&s);
    bool ok = mean <= INFORMED_LIMIT;

    printf("%s: one that knows the distributions: predictive costs %.3f "
           "times that (at most %.2f), at worst %.3f\n",
           ok ? "PASS" : "FAIL", mean, INFORMED_LIMIT, s.worst);
    return ok;
}

static GArray *check_with_lambda(const GArray *rows, bool standard)
{
    GArray *some = g_array_new(false, false, sizeof(SimRow));

    for (unsigned i = 0; i < rows->len; i++) {
        SimRow *row = &g_array_index(rows, SimRow, i);

        if ((row->config.lambda == POLL_LATENCY_WEIGHT_DEFAULT) == standard) {
            g_array_append_val(some, *row);
        }
    }
    return some;
}

bool sim_check(const SimConfig *config)
{
    g_autoptr(GArray) rows = check_rows(config);
    g_autoptr(GArray) standard = check_with_lambda(rows, true);
    g_autoptr(GArray) others = check_with_lambda(rows, false);
    const SimRow *row = (SimRow *)rows->data;
    bool ok;

    sim_print(row, rows->len);
    ok = check_limits((SimRow *)standard->data, standard->len, "lambda 5",
                      WORST_LIMIT);
    ok &= check_limits((SimRow *)others->data, others->len, "lambda 1 and 20",
                       WORST_LIMIT_OTHERS);
    return check_informed(row, rows->len) && ok;
}
