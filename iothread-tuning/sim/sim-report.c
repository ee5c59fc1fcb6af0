/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Results as tables
 */
#include <glib.h>
#include "iothread-tuning/sim/sim.h"

static double added_us(const SimResult *r)
{
    return r->added / 1000.0 / r->units;
}

/* Of the thread: waiting, and handling events */
static double cpu_percent(const SimResult *r)
{
    int64_t busy = sim_result_cpu(r) + r->events * SIM_HANDLE_NS;

    return 100.0 * busy / r->elapsed;
}

static void print_result(const SimRow *row, int contender)
{
    const SimResult *r = &row->result[contender];

    printf("%-15s %4" G_GUINT64_FORMAT " %3d  %-13s %8.2f %6.3f %7.2f %6.1f "
           "%6.2f%s\n",
           row->workload, row->config.seed, row->config.lambda,
           sim_contenders[contender], sim_row_cost(row, contender),
           sim_row_ratio(row, contender, SIM_OPTIMUM), added_us(r),
           cpu_percent(r), (double)r->timed_sleeps / r->units,
           r->faults ? "  FAULTS" : "");
}

static void print_table(const SimRow *rows, int n)
{
    printf("%-15s seed lam  %-13s %8s %6s %7s %6s %6s\n", "workload",
           "policy", "J us", "J/opt", "added", "CPU %", "timed");
    for (int i = 0; i < n; i++) {
        for (int c = 0; c < SIM_CONTENDERS; c++) {
            if (rows[i].known[c]) {
                print_result(&rows[i], c);
            }
        }
    }
}

static void print_summaries(const SimRow *rows, int n)
{
    printf("\n%-13s %14s %7s  %s\n", "policy", "geometric mean", "worst",
           "where");
    for (int c = 0; c < SIM_CONTENDERS; c++) {
        SimSummary s = sim_summarize(rows, n, c, SIM_OPTIMUM);

        if (s.rows) {
            printf("%-13s %14.3f %7.3f  %s, seed %" G_GUINT64_FORMAT
                   ", lambda %d\n",
                   sim_contenders[c], s.mean, s.worst,
                   s.worst_row->workload, s.worst_row->config.seed,
                   s.worst_row->config.lambda);
        }
    }
}

void sim_print(const SimRow *rows, int n)
{
    print_table(rows, n);
    print_summaries(rows, n);
}
