/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * The same workload under different policies
 */
#include <glib.h>
#include <math.h>
#include "iothread-tuning/sim/sim.h"

const char *const sim_contenders[SIM_CONTENDERS] = {
    [POLL_POLICY_CLASSIC] = "classic",
    [POLL_POLICY_WEIGHTED] = "weighted",
    [POLL_POLICY_PREDICTIVE] = "predictive",
    [SIM_OFF] = "off",
    [SIM_OPTIMUM] = "optimum",
    [SIM_INFORMED] = "informed",
};

static int64_t real_begin(void *opaque, int64_t now, int64_t wanted)
{
    return poll_policy_begin(opaque, now, wanted);
}

static int64_t real_sleep(void *opaque, int64_t now)
{
    return poll_policy_sleep(opaque, now);
}

static void real_waited(void *opaque, const PollWait *wait)
{
    poll_policy_waited(opaque, wait);
}

static void real_event(void *opaque, PollHandler *handler)
{
    poll_policy_event(opaque, handler);
}

static SimResult run_real(const SimConfig *config, SimLoad *load,
                          int contender)
{
    PollPolicy *p = poll_policy_new();
    PollParams params = config->params;
    SimPolicy policy = {
        .opaque = p,
        .begin = real_begin,
        .sleep = real_sleep,
        .waited = real_waited,
        .event = real_event,
    };
    SimResult result;

    params.kind = contender == SIM_OFF ? POLL_POLICY_CLASSIC : contender;
    if (contender == SIM_OFF) {
        params.max_ns = 0;
    }
    poll_policy_set(p, &params);
    result = sim_run(config, load, &policy);
    poll_policy_free(p);
    return result;
}

static SimResult run_oracle(const SimConfig *config, SimLoad *load)
{
    SimOracle oracle;
    SimPolicy policy = sim_oracle(&oracle, config, load);

    return sim_run(config, load, &policy);
}

/* Returns: false if it is not made for the load */
static bool run_informed(const SimConfig *config, SimLoad *load,
                         SimResult *result)
{
    SimInformed informed;
    SimPolicy policy;

    if (!sim_informed(&informed, &policy, config, load)) {
        return false;
    }
    *result = sim_run(config, load, &policy);
    return true;
}

static void run_contender(SimRow *row, const SimWorkload *workload,
                          const SimTrace *trace, int contender)
{
    const SimConfig *config = &row->config;
    SimResult *result = &row->result[contender];
    SimLoad load;

    if (trace) {
        sim_load_replay(&load, trace);
    } else {
        sim_load_init(&load, workload, config->seed);
    }
    row->known[contender] = true;
    switch (contender) {
    case SIM_OPTIMUM:
        *result = run_oracle(config, &load);
        break;
    case SIM_INFORMED:
        row->known[contender] = run_informed(config, &load, result);
        break;
    default:
        *result = run_real(config, &load, contender);
    }
}

SimRow sim_compare(const SimConfig *config, const SimWorkload *workload,
                   const SimTrace *trace)
{
    SimRow row = {
        .workload = trace ? "trace" : workload->name,
        .config = *config,
    };

    for (int i = 0; i < SIM_CONTENDERS; i++) {
        run_contender(&row, workload, trace, i);
    }
    return row;
}

double sim_row_cost(const SimRow *row, int contender)
{
    return sim_result_cost(&row->result[contender], row->config.lambda);
}

double sim_row_ratio(const SimRow *row, int contender, int reference)
{
    return sim_row_cost(row, contender) / sim_row_cost(row, reference);
}

SimSummary sim_summarize(const SimRow *rows, int n, int contender,
                         int reference)
{
    SimSummary s = {};
    double log_sum = 0;

    for (int i = 0; i < n; i++) {
        double ratio;

        if (!rows[i].known[contender] || !rows[i].known[reference]) {
            continue;
        }
        ratio = sim_row_ratio(&rows[i], contender, reference);
        log_sum += log(ratio);
        s.rows++;
        s.faults += rows[i].result[contender].faults;
        if (ratio > s.worst) {
            s.worst = ratio;
            s.worst_row = &rows[i];
        }
    }
    s.mean = exp(log_sum / s.rows);
    return s;
}
