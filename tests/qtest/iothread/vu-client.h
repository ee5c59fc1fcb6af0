/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * The frontend of a vhost-user-blk export, and the driver of its queue
 *
 * The queue is driven through shared memory at native speed, and kicked through
 * its eventfd when the device asks for it.  Each request is the same read.
 */
#ifndef NEARMETAL_QTEST_VU_CLIENT_H
#define NEARMETAL_QTEST_VU_CLIENT_H

typedef struct VuClient VuClient;

/**
 * vu_client_new: connect to the export and start its queue
 * @event_idx: negotiate VIRTIO_RING_F_EVENT_IDX
 */
VuClient *vu_client_new(const char *socket_path, bool event_idx);

void vu_client_free(VuClient *client);

/* Closes the connection without a word; memory and kick fd are still shared */
void vu_client_hang_up(VuClient *client);

/* The same guest with the same memory at an export, which may be another */
void vu_client_connect_again(VuClient *client, const char *socket_path);

/* Has the export ended the connection? */
bool vu_client_is_closed(VuClient *client);

/* How many requests have been completed (modulo 2^16) */
uint16_t vu_client_done(VuClient *client);

/* Takes the call fd away, without a word to the device in the ring */
void vu_client_want_no_call(VuClient *client);

/* Submits a read, and kicks if the export wants it, but waits for nothing */
void vu_client_submit(VuClient *client);

/* Reads a block and asserts that it succeeds within a generous time */
void vu_client_read(VuClient *client);

/* How many times the export had to be kicked so far */
uint64_t vu_client_kicks(VuClient *client);

/* Returns when the export has executed what it was sent */
void vu_client_ping(VuClient *client);

/* Stops the queue, and asserts that it has been used to the end */
void vu_client_stop(VuClient *client);

/*
 * The same in two: the export may take its time for the answer.  Returns: how
 * many requests it had taken from the ring (modulo 2^16)
 */
void vu_client_stop_begin(VuClient *client);
uint16_t vu_client_stop_end(VuClient *client);

/* Starts it again where it was */
void vu_client_start(VuClient *client);

/* Does a driver kick for its next request?  What a ring at rest must say. */
bool vu_client_would_kick(VuClient *client);

/* Gives the export the same memory anew; another thread may read meanwhile */
void vu_client_remap(VuClient *client);

#endif /* NEARMETAL_QTEST_VU_CLIENT_H */
