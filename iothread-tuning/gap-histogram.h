/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * A histogram of the gaps between events that forgets
 *
 * Buckets are eight to an octave, from 512 ns to 1.05 ms, one below and one
 * above.  Instead of decaying every bucket at each sample, newer samples weigh
 * more; the weights are scaled back before they grow out of a float.
 */
#ifndef IOTHREAD_TUNING_GAP_HISTOGRAM_H
#define IOTHREAD_TUNING_GAP_HISTOGRAM_H

#include <stdint.h>

#define GAP_FIRST_OCTAVE    9       /* 2^9 ns */
#define GAP_OCTAVES         11
#define GAP_SUBBUCKETS      8
#define GAP_BUCKETS         (GAP_OCTAVES * GAP_SUBBUCKETS + 2)
#define GAP_OVERFLOW        (GAP_BUCKETS - 1)

/* Samples that the histogram remembers, about */
#define GAP_MEMORY          128

typedef struct GapHistogram {
    float weight[GAP_BUCKETS];
    float total;
    float next;                     /* weight of the next sample */
} GapHistogram;

void gap_histogram_reset(GapHistogram *g);

/**
 * gap_bucket: the bucket of a gap of @ns, 0 or more
 */
unsigned gap_bucket(int64_t ns);

/**
 * gap_bucket_start: the shortest gap of @bucket; where GAP_BUCKETS begins is
 * where GAP_OVERFLOW ends, which is nowhere: INT64_MAX
 */
int64_t gap_bucket_start(unsigned bucket);

/**
 * gap_histogram_add: a gap of @ns was seen
 *
 * Returns: the share of such gaps, or nearly such, among those seen before,
 * 0 to 1
 */
float gap_histogram_add(GapHistogram *g, int64_t ns);

/**
 * gap_histogram_forget: let all samples so far weigh a quarter
 */
void gap_histogram_forget(GapHistogram *g);

#endif /* IOTHREAD_TUNING_GAP_HISTOGRAM_H */
