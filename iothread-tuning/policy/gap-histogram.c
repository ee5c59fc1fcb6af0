/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "iothread-tuning/policy/gap-histogram.h"

#define GAP_GROWTH      (1.0f + 1.0f / GAP_MEMORY)

/* Scaled back to 1 from here; 2^24 of it still tell samples apart */
#define GAP_NEXT_MAX    1e6f

/* Buckets either side that count as nearly the same gap */
#define GAP_NEAR        4

/* Samples' weight that is left after forgetting */
#define GAP_KEPT        4

void gap_histogram_reset(GapHistogram *g)
{
    *g = (GapHistogram) { .next = 1.0f };
}

unsigned gap_bucket(int64_t ns)
{
    unsigned octave;

    if (ns < 1 << GAP_FIRST_OCTAVE) {
        return 0;
    }
    octave = 63 - __builtin_clzll(ns);
    if (octave >= GAP_FIRST_OCTAVE + GAP_OCTAVES) {
        return GAP_OVERFLOW;
    }
    return 1 + (octave - GAP_FIRST_OCTAVE) * GAP_SUBBUCKETS +
           ((ns >> (octave - GAP_SUBBUCKET_BITS)) & (GAP_SUBBUCKETS - 1));
}

int64_t gap_bucket_start(unsigned bucket)
{
    unsigned octave, sub;

    if (!bucket) {
        return 0;
    }
    if (bucket >= GAP_BUCKETS) {
        return INT64_MAX;
    }
    octave = GAP_FIRST_OCTAVE + (bucket - 1) / GAP_SUBBUCKETS;
    sub = (bucket - 1) % GAP_SUBBUCKETS;
    return (int64_t)(GAP_SUBBUCKETS + sub) << (octave - GAP_SUBBUCKET_BITS);
}

static void gap_histogram_scale(GapHistogram *g, float factor)
{
    g->total = 0;
    for (int i = 0; i < GAP_BUCKETS; i++) {
        g->weight[i] *= factor;
        /* What is forgotten must not stay around as a trace of a weight */
        if (g->weight[i] < 0.001f) {
            g->weight[i] = 0;
        }
        g->total += g->weight[i];
    }
}

static bool gap_is_surprise(const GapHistogram *g, int bucket)
{
    float usual = g->total * GAP_SURPRISE, near = g->weight[bucket];

    for (int i = 1; i <= GAP_NEAR && near < usual; i++) {
        near += bucket >= i ? g->weight[bucket - i] : 0;
        near += bucket + i < GAP_BUCKETS ? g->weight[bucket + i] : 0;
    }
    return near < usual || g->total <= 0;
}

bool gap_histogram_add(GapHistogram *g, int64_t ns)
{
    unsigned bucket = gap_bucket(ns);
    bool surprise = gap_is_surprise(g, bucket);

    g->weight[bucket] += g->next;
    g->total += g->next;
    g->next *= GAP_GROWTH;
    if (g->next > GAP_NEXT_MAX) {
        gap_histogram_scale(g, 1 / g->next);
        g->next = 1.0f;
    }
    return surprise;
}

void gap_histogram_forget(GapHistogram *g)
{
    float kept = GAP_KEPT * g->next;

    if (g->total > kept) {
        gap_histogram_scale(g, kept / g->total);
    }
}
