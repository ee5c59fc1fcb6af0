/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Commands that a guest must not send, and responses that no TPM sends
 */
#include "qemu/osdep.h"
#include "hw/nearmetal/tpm/tpm-wire.h"
#include "tpm-rig.h"

/* What it sent out of step is gone with the connection */
#define RECONNECT ",reconnect-ms=100"

typedef struct BadCommand {
    uint32_t size;          /* in the header; LIMIT + n: above the buffer */
    size_t written;
    bool expects;           /* TIS: more bytes could make it valid */
} BadCommand;

#define LIMIT 0x40000000

static const BadCommand bad_commands[] = {
    { 6, 12 },
    { 0, 12 },
    { 9, 12 },
    { 9, 9 },
    { 0x10006, 12 },
    { 0x1000a, 12 },
    { 0xffff, 12 },
    { 0xffffffff, 12 },
    { 0x8000000a, 12 },
    { LIMIT + 1, 12 },
    { LIMIT + 1, 16 },
    /* For CRB these are fine: who knows what the buffer holds */
    { 20, 12, true },
    { 20, 19, true },
    { 20, 4, true },
    { 20, 1, true },
    { LIMIT, 12, true },
};

static TpmRig *start(const TpmFront *front, const char *script,
                     const char *tpmdev)
{
    TpmRigOptions options = {
        .script = script,
        .tpmdev = tpmdev,
        .chardev = RECONNECT,
    };

    return tpm_rig_start(front, &options);
}

static size_t command_of(TpmRig *r, const BadCommand *bad, uint8_t *cmd)
{
    uint32_t size = bad->size;

    if (size == LIMIT || size == LIMIT + 1) {
        size = r->front->limit + size - LIMIT;
    }
    memset(cmd, 0, 32);
    memcpy(cmd, tpm_good(r)->cmd, tpm_good(r)->cmd_len);
    tpm_wire_put32(cmd + 2, size);
    return bad->written;
}

static void refused(TpmRig *r, const BadCommand *bad, bool words)
{
    unsigned reached = tpm_rig_reached(r);
    uint8_t cmd[32];
    size_t len = command_of(r, bad, cmd);

    g_test_message("size 0x%x, %zu bytes", bad->size, bad->written);
    tpm_regs_take(r);
    if (words) {
        tpm_regs_write_words(r, cmd, len);
    } else {
        tpm_regs_write(r, cmd, len);
    }
    if (r->front->kind != TPM_KIND_CRB) {
        g_assert_cmpint(tpm_regs_expects(r), ==, bad->expects);
    }
    tpm_regs_go(r);
    tpm_regs_wait(r);
    g_assert_cmphex(tpm_error_response(r), ==, tpm_code_size(r));
    g_assert_cmpuint(tpm_rig_reached(r), ==, reached);
}

static void all_refused(TpmRig *r)
{
    bool crb = r->front->kind == TPM_KIND_CRB;

    for (unsigned i = 0; i < G_N_ELEMENTS(bad_commands); i++) {
        const BadCommand *bad = &bad_commands[i];

        if (crb && bad->expects) {
            continue;
        }
        refused(r, bad, false);
        if (bad->written % 4 == 0) {
            refused(r, bad, true);
        }
    }
    tpm_good_run(r);
    tpm_rig_assert_state(r, "ready");
    g_assert_cmpuint(tpm_rig_events(r, "TPM_BACKEND_ERROR"), ==, 0);
}

static void test_commands(gconstpointer front)
{
    TpmRig *r = start(front, NULL, TPM_PATIENT);

    tpm_good_run(r);
    all_refused(r);
    tpm_rig_reset(r);
    all_refused(r);
    tpm_rig_stop(r);
}

static void test_commands_1_2(gconstpointer front)
{
    TpmRig *r = start(front, "version 1.2", TPM_PATIENT);

    tpm_good_run(r);
    all_refused(r);
    tpm_rig_stop(r);
}

/* What is behind the command's end is dropped, also in the same access */
static void test_surplus(gconstpointer front)
{
    static const uint8_t read_clock[] = {
        0x80, 1, 0, 0, 0, 10, 0, 0, 1, 0x81, 0x5a, 0x5a, 0x5a
    };
    TpmRig *r = start(front, NULL, TPM_PATIENT);
    unsigned reached = tpm_rig_reached(r);
    uint8_t rsp[64];

    for (int words = 0; words < 2; words++) {
        tpm_regs_take(r);
        if (words) {
            tpm_regs_write_words(r, read_clock, sizeof(read_clock));
        } else {
            tpm_regs_write(r, read_clock, sizeof(read_clock));
        }
        g_assert_false(tpm_regs_expects(r));
        tpm_regs_go(r);
        tpm_regs_wait(r);
        g_assert_cmpuint(tpm_regs_response(r, rsp, sizeof(rsp)), ==, 35);
        tpm_good_run(r);
    }
    g_assert_cmpuint(tpm_rig_reached(r), ==, reached + 4);
    g_assert_true(tpm_fake_wait(r->fake, "data 8001 0000000a 00000181", 2));
    tpm_rig_assert_state(r, "ready");
    tpm_rig_stop(r);
}

static void start_and_rewrite(TpmRig *r)
{
    g_autofree uint8_t *rubbish = g_malloc(r->front->limit);
    unsigned reached = tpm_rig_reached(r);

    memset(rubbish, 0xff, r->front->limit);
    tpm_good_start(r);
    tpm_regs_write(r, rubbish, r->front->limit);
    tpm_regs_wait(r);
    tpm_good_check(r);
    g_assert_cmpuint(tpm_rig_reached(r), ==, reached + 1);
}

/* The guest changes the command too late: before it is sent, and after that */
static void test_rewrite(gconstpointer opaque)
{
    const TpmFront *front = opaque;
    TpmRig *r;

    if (front->kind != TPM_KIND_CRB) {
        g_test_skip("the buffer of TIS is not the guest's");
        return;
    }
    /* The first command is sent when its locality is set */
    r = start(front, "on ctrl SET_LOCALITY: delay 300\n"
              "on data cc 17e #2: delay 300", TPM_PATIENT);
    start_and_rewrite(r);
    start_and_rewrite(r);
    tpm_good_run(r);
    tpm_rig_stop(r);
}

/* The response must be whole, and what the fake has filled it with */
static void fits(TpmRig *r, size_t size)
{
    g_autofree uint8_t *rsp = g_malloc0(size);

    tpm_rig_rule(r, "on data cc 17e: oversize %zu", size);
    tpm_good_start(r);
    tpm_regs_wait(r);
    g_assert_cmpuint(tpm_regs_response(r, rsp, size), ==, size);
    for (size_t i = TPM_WIRE_HDR; i < size; i++) {
        g_assert_cmphex(rsp[i], ==, 0xa5);
    }
    tpm_rig_assert_state(r, "ready");
}

static void test_sizes(gconstpointer opaque)
{
    const TpmFront *front = opaque;
    TpmRig *r = start(front, NULL, TPM_PATIENT);
    size_t too_large[] = {
        front->limit + 1, front->limit + 2, 0x1fff, 0xffff, 0x10000
    };

    fits(r, TPM_WIRE_HDR);
    fits(r, TPM_WIRE_HDR + 1);
    if (front->kind != TPM_KIND_I2C) {
        /* Takes long there, and is the same as for TIS */
        fits(r, front->limit - 1);
        fits(r, front->limit);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(too_large); i++) {
        tpm_rig_rule(r, "on data cc 17e: oversize %zu", too_large[i]);
        tpm_bad_run(r, tpm_code_failed(r));
        /* It was read to its end: not lost */
        tpm_good_run(r);
    }
    g_assert_cmpuint(tpm_rig_events(r, "TPM_BACKEND_ERROR"), ==, 0);
    tpm_rig_assert_state(r, "ready");
    tpm_rig_stop(r);
}

/* Nobody knows where the next response begins: lost, until the guest resets */
static void test_rubbish(gconstpointer front)
{
    static const char *const rules[] = {
        "echo-size 9", "echo-size 0", "echo-size 65537", "oversize 65537",
        "echo-size 4294967295", "rubbish 4096", "close", "short 3",
        "short 10", "short 61", "echo-size 4096", "rubbish 1"
    };
    TpmRig *r = start(front, NULL, TPM_HASTY);

    for (unsigned i = 0; i < G_N_ELEMENTS(rules); i++) {
        g_test_message("%s", rules[i]);
        tpm_rig_rule(r, "on data cc 17e: %s", rules[i]);
        tpm_bad_run(r, tpm_code_failed(r));
        tpm_rig_await_loss(r, i + 1);
        tpm_bad_run(r, tpm_code_failed(r));
        tpm_rig_reset(r);
        tpm_rig_await_state(r, "ready");
        tpm_good_run(r);
    }
    g_assert_cmpuint(tpm_rig_events(r, "TPM_BACKEND_ERROR"), ==,
                    G_N_ELEMENTS(rules));
    tpm_rig_stop(r);
}

/* Bytes that nobody asked for: right behind a response, or out of the blue */
static void test_unasked(gconstpointer front)
{
    static const char *const rules[] = {
        "on data cc 17e: extra 1", "on data cc 17e: extra 5000",
        "on ctrl CANCEL_TPM_CMD: extra 4\non data cc 17e: wait-cancel",
    };
    static const char *const idle[] = {
        "on idle 50: rubbish 4", "on idle 50: rubbish 4 data",
        "on idle 50: rubbish 70000 data", "on idle 50: close"
    };
    TpmRig *r = start(front, NULL, TPM_HASTY);
    unsigned lost = 0;

    for (unsigned i = 0; i < G_N_ELEMENTS(rules); i++) {
        g_test_message("%s", rules[i]);
        tpm_rig_rule(r, "%s", rules[i]);
        tpm_good_start_heard(r);
        tpm_regs_cancel(r);
        tpm_regs_wait(r);
        tpm_rig_await_loss(r, ++lost);
        tpm_rig_reset(r);
        tpm_rig_await_state(r, "ready");
        tpm_good_run(r);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(idle); i++) {
        g_test_message("%s", idle[i]);
        tpm_rig_rule(r, "%s", idle[i]);
        tpm_rig_await_loss(r, ++lost);
        tpm_bad_run(r, tpm_code_failed(r));
        tpm_rig_reset(r);
        tpm_rig_await_state(r, "ready");
        tpm_good_run(r);
    }
    tpm_rig_stop(r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    tpm_front_add("tpm-hostile/commands", test_commands);
    for (const TpmFront *f = tpm_fronts(); f->device; f++) {
        if (f->old) {
            g_autofree char *name =
                g_strdup_printf("tpm-hostile/commands-1.2/%s", f->device);

            qtest_add_data_func(name, f, test_commands_1_2);
        }
    }
    tpm_front_add("tpm-hostile/surplus", test_surplus);
    tpm_front_add("tpm-hostile/rewrite", test_rewrite);
    tpm_front_add("tpm-hostile/sizes", test_sizes);
    /* These are the backend's alone, so that one device will do */
    qtest_add_data_func("tpm-hostile/rubbish", tpm_fronts(), test_rubbish);
    qtest_add_data_func("tpm-hostile/unasked", tpm_fronts(), test_unasked);
    return g_test_run();
}
