/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * A vhost-user server does in its AioContext what the main thread wants
 *
 * The main thread begins and ends drained sections, accepts connections and
 * removes exports.  The watches of the kick fds and the coroutine that serves
 * the connection are of the AioContext's thread.  So the main thread notes down
 * what it wants, and an update in the AioContext brings that about.  A handler
 * of a kick that ran meanwhile has ended when the update runs.
 */
#ifndef IOTHREAD_TUNING_VU_UPDATE_H
#define IOTHREAD_TUNING_VU_UPDATE_H

#include "qemu/coroutine.h"

/* Part of VuServer; of the AioContext's thread, but for what says otherwise */
typedef struct VuUpdate {
    unsigned int pending;   /* atomic, updates to come */
    bool stopping;          /* of the main thread: the connection has to end */
    bool stopped;           /* of the main thread: no update may begin */
    bool attached;          /* the kick fds, to the event loop */
    bool interrupted;       /* no message was read, for a drained section */
    bool parked;            /* atomic: half a message waits for its end */
    bool config_changed;    /* atomic: the client is to be told */
    CoroutineEntry *serve;  /* begins to serve the connection */
} VuUpdate;

/*
 * In qemu/vhost-user-server.h, as they need all of VuServer:
 *
 * vhost_user_server_update(): the AioContext's thread shall see what changed
 * vhost_user_server_is_busy(): a connection is served, or an update is to come
 * vhost_user_server_end_if_broken(): libvhost-user may have found an error
 * vhost_user_server_after_message(): a message has been executed
 * vhost_user_server_config_changed(): of the main thread: tell the client
 * vhost_user_server_wait_readable(): of who reads: wait for more;
 *   a drained section ends that before a message (update.interrupted), and
 *   makes half a message wait.  false: read no more
 */

#endif /* IOTHREAD_TUNING_VU_UPDATE_H */
