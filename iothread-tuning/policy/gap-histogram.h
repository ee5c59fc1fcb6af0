/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * A histogram of the gaps between events that forgets
 *
 * Buckets are sixteen to an octave, from 512 ns to 1.05 ms, one below and one
 * above.  Instead of decaying every bucket at each sample, newer samples weigh
 * more; the weights are scaled back before they grow out of a float.
 *
 * Of the thread that runs the event loop, as all of a PollPolicy is.
 */
#ifndef IOTHREAD_TUNING_GAP_HISTOGRAM_H
#define IOTHREAD_TUNING_GAP_HISTOGRAM_H

#include <stdbool.h>
#include <stdint.h>

#define GAP_FIRST_OCTAVE    9       /* 2^9 ns */
#define GAP_OCTAVES         11
#define GAP_SUBBUCKET_BITS  4
#define GAP_SUBBUCKETS      (1 << GAP_SUBBUCKET_BITS)
#define GAP_BUCKETS         (GAP_OCTAVES * GAP_SUBBUCKETS + 2)
#define GAP_OVERFLOW        (GAP_BUCKETS - 1)

#define GAP_SURPRISE        0.04f

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
 * Returns: true if it is a surprise: such gaps, or nearly such, are less than
 * GAP_SURPRISE of those seen before
 */
bool gap_histogram_add(GapHistogram *g, int64_t ns);

/**
 * gap_histogram_forget: let all samples so far weigh as much as four new ones
 */
void gap_histogram_forget(GapHistogram *g);

#endif /* IOTHREAD_TUNING_GAP_HISTOGRAM_H */
