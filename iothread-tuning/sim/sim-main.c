/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Command line of the simulator of polling policies
 */
#include <glib.h>
#include "iothread-tuning/sim/sim.h"

/* QEMU's default, and the length of a run */
#define SIM_MAX_NS      32768
#define SIM_REQUESTS    20000

static char *opt_workload, *opt_trace;
static int opt_lambda = 5;
static gboolean opt_list, opt_check;

static GOptionEntry options[] = {
    { "workload", 0, 0, G_OPTION_ARG_STRING, &opt_workload,
      "Only this one; 'all': those kept for --check too", "NAME" },
    { "trace", 0, 0, G_OPTION_ARG_FILENAME, &opt_trace,
      "Replay a trace: lines of 'ns kick' and 'ns completion'", "FILE" },
    { "lambda", 0, 0, G_OPTION_ARG_INT, &opt_lambda,
      "What 1 ns of latency is worth in ns of CPU (5)", "N" },
    { "list", 0, 0, G_OPTION_ARG_NONE, &opt_list, "List the workloads", NULL },
    { "check", 0, 0, G_OPTION_ARG_NONE, &opt_check,
      "Fail if predictive is too far from the optimum", NULL },
    {}
};

static int usage_error(const char *what, const char *value)
{
    fprintf(stderr, "%s '%s'; try -h\n", what, value);
    return 2;
}

static void list_workloads(void)
{
    for (const SimWorkload *w = sim_workloads; w->name; w++) {
        printf("%-15s %s%s\n", w->name, w->text,
               w->unseen ? " (kept for --check)" : "");
    }
}

static bool chosen_workload(const SimWorkload *w)
{
    if (!opt_workload) {
        return !w->unseen;
    }
    return g_str_equal(opt_workload, "all") ||
           g_str_equal(opt_workload, w->name);
}

static GArray *sim_main_rows(const SimConfig *config, const SimTrace *trace)
{
    GArray *rows = g_array_new(false, false, sizeof(SimRow));
    SimRow row;

    if (trace) {
        row = sim_compare(config, NULL, trace);
        g_array_append_val(rows, row);
        return rows;
    }
    for (const SimWorkload *w = sim_workloads; w->name; w++) {
        if (chosen_workload(w)) {
            row = sim_compare(config, w, NULL);
            g_array_append_val(rows, row);
        }
    }
    return rows;
}

static SimConfig config_of_options(void)
{
    return (SimConfig) {
        .params = {
            .max_ns = SIM_MAX_NS,
            .latency_weight = CLAMP(opt_lambda, 0, POLL_LATENCY_WEIGHT_LIMIT),
        },
        .lambda = MAX(opt_lambda, 0),
        .requests = SIM_REQUESTS,
        .seed = 1,
    };
}

static int sim_main_run(void)
{
    SimConfig config = config_of_options();
    g_autoptr(GArray) rows = NULL;
    SimTrace trace = {};

    if (opt_workload && !g_str_equal(opt_workload, "all") &&
        !sim_workload_find(opt_workload)) {
        return usage_error("there is no workload", opt_workload);
    }
    if (opt_check) {
        return !sim_check(&config);
    }
    if (opt_trace && !sim_trace_read(&trace, opt_trace)) {
        return 1;
    }
    rows = sim_main_rows(&config, opt_trace ? &trace : NULL);
    sim_print((SimRow *)rows->data, rows->len);
    return 0;
}

int main(int argc, char **argv)
{
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_autoptr(GError) error = NULL;

    g_option_context_set_summary(context,
        "Polling policies on simulated disks, against the best that could be "
        "done\nknowing when each event comes. J is the CPU time of a request "
        "(polling,\nsleeping, waking) + lambda x the latency added to it, in "
        "us.");
    g_option_context_add_main_entries(context, options, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error)) {
        fprintf(stderr, "%s; try -h\n", error->message);
        return 2;
    }
    if (argc > 1) {
        return usage_error("unknown argument", argv[1]);
    }
    if (opt_list) {
        list_workloads();
        return 0;
    }
    return sim_main_run();
}
