/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A connection to swtpm: control channel and data channel
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * Pure POSIX: no QEMU headers.  One thread owns a TpmLink; everything that
 * waits has a deadline (tpm_io_now() + ms), but for a command that nobody
 * asked to cancel.
 *
 * What returns false leaves the reason in TpmLink.reason.  Afterwards the link
 * is either in step (the TPM refused), or owes bytes (tpm_link_in_step() is
 * false: it did not answer, tpm_link_resync() may get them), or is down (only
 * a new connection helps).
 */

#ifndef NEARMETAL_TPM_LINK_H
#define NEARMETAL_TPM_LINK_H

#include "tpm-io.h"
#include "tpm-wire.h"

/* TpmLink.locality: to be set before the next command */
#define TPM_LINK_NO_LOCALITY    0xff

/* What poll_requests() of a running command may answer */
#define TPM_REQ_CANCEL  1u  /* ask the TPM to cancel; never taken back */
#define TPM_REQ_DRAIN   2u  /* and give it up if that does not help */
#define TPM_REQ_HURRY   4u  /* as CANCEL, but silence means nothing */

typedef struct TpmLinkOps {
    /* TPM_REQ_x; asked before each wait, in the link's thread */
    unsigned (*poll_requests)(void *opaque);
    /* eventfd or pipe that ends a wait so that requests are asked for; or -1 */
    int wake_fd;
    void *opaque;
} TpmLinkOps;

typedef struct TpmLink {
    int ctrl;               /* -1: none */
    int data;               /* -1: none */
    int64_t ctl_ms;         /* control-timeout */
    uint32_t caps;          /* TPM_CTL_CAP_x */
    TpmWireVersion version;
    uint8_t locality;
    bool down;
    bool probed;            /* tpm_link_probe() came to its end */
    uint32_t result;        /* of the last control message answered */
    char reason[160];

    /* The answer that is expected on the control channel */
    uint32_t ctrl_cmd;
    uint32_t ctrl_owed;     /* its size, as far as known; 0: none */
    uint32_t ctrl_pos;
    uint8_t ctrl_buf[16];

    /* The response that is expected on the data channel */
    bool data_owed;
    size_t rsp_pos;
    size_t rsp_size;        /* as far as known */
    uint8_t rsp_hdr[TPM_WIRE_HDR];
} TpmLink;

void tpm_link_init(TpmLink *l, int64_t ctl_ms);

/* Close both channels; as after tpm_link_init(), but reason stays */
void tpm_link_close(TpmLink *l);

/* Is it connected, with no answer outstanding? */
bool tpm_link_in_step(const TpmLink *l);

/**
 * tpm_link_probe: take a fresh connection in use
 * @ctrl_fd: is owned by @l from now on, even on failure; old ones are closed
 *
 * Opens the data channel, finds version and caps and checks that these suffice.
 */
bool tpm_link_probe(TpmLink *l, int ctrl_fd, int64_t deadline);

/* The same once more, after it ended since an answer was late */
bool tpm_link_probe_again(TpmLink *l, int64_t deadline);

/* Close the data channel, with whatever response it owes, and open another */
bool tpm_link_reopen_data(TpmLink *l, int64_t deadline);

/* Are answers owed that were given up waiting for? */
bool tpm_link_owes(const TpmLink *l);

/*
 * Take what has arrived of the answers that are owed, to drop it.  Never waits.
 * Returns: false if the link is down
 */
bool tpm_link_collect(TpmLink *l);

/*
 * Get what is owed, and a data channel if there is none since opening it
 * failed, so that both channels can be used again.
 * @ops: a request ends it; NULL: none can
 */
bool tpm_link_resync(TpmLink *l, const TpmLinkOps *ops, int64_t deadline);

/**
 * tpm_link_idle_ok: judge what poll() says while nothing is outstanding
 *
 * Returns: false if the peer closed a channel, or sent bytes unasked: the link
 * is down then
 */
bool tpm_link_idle_ok(TpmLink *l, short ctrl_revents, short data_revents);

/**
 * tpm_link_start: power the TPM on, the way a reset does; the link is in step
 * @buf_size: wanted; the TPM's own if that is less, or if 0 is wanted
 * @init: false: stop before CMD_INIT, since the state is yet to come
 * @flags: for CMD_INIT
 * @est: the established bit
 */
bool tpm_link_start(TpmLink *l, uint32_t *buf_size, bool init, uint32_t flags,
                    bool *est, int64_t deadline);

/* Its steps */
bool tpm_link_stop(TpmLink *l, int64_t deadline);
bool tpm_link_set_buffer_size(TpmLink *l, uint32_t *buf_size,
                              int64_t deadline);
bool tpm_link_run(TpmLink *l, uint32_t flags, bool *est, int64_t deadline);

/* false in *@est also when the TPM does not run */
bool tpm_link_get_established(TpmLink *l, bool *est, int64_t deadline);
bool tpm_link_reset_established(TpmLink *l, uint8_t locty, int64_t deadline);
bool tpm_link_lock_storage(TpmLink *l, uint32_t retries, int64_t deadline);
/* Owed answers are not waited for first */
bool tpm_link_shutdown(TpmLink *l, int64_t deadline);

typedef enum TpmCmdResult {
    TPM_CMD_DONE,
    TPM_CMD_DROPPED,    /* no usable response, but the link is in step */
    TPM_CMD_CANCELLED,  /* it was not sent; earlier answers may be owed */
    TPM_CMD_STUCK,      /* cancelled, given up: the response is still owed */
    TPM_CMD_LOST,
} TpmCmdResult;

/**
 * tpm_link_command: let the TPM carry out a command
 * @in: passed tpm_wire_check_command()
 * @out: of @out_max bytes; only written to, up to *@out_len, if TPM_CMD_DONE
 *       is returned, but for bytes of a response that did not come to its end
 */
TpmCmdResult tpm_link_command(TpmLink *l, uint8_t locty,
                              const uint8_t *in, size_t in_len,
                              uint8_t *out, size_t out_max, size_t *out_len,
                              const TpmLinkOps *ops);

/**
 * tpm_link_get_blob: fetch a part of the TPM's state
 * @p: to be g_free()d; NULL if the TPM has none of this type
 * @max: bytes accepted
 */
bool tpm_link_get_blob(TpmLink *l, uint32_t type, uint32_t *flags,
                       uint8_t **p, uint32_t *n, size_t max,
                       int64_t deadline);

/* The TPM must be stopped.  Nothing is sent for 0 bytes */
bool tpm_link_set_blob(TpmLink *l, uint32_t type, uint32_t flags,
                       const uint8_t *p, uint32_t n, int64_t deadline);

#endif
