/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Migration of a TPM: what must arrive, and what must be refused
 */
#include "qemu/osdep.h"
#include <glib/gstdio.h>
#include "hw/nearmetal/tpm/crb-regs.h"
#include "qobject/qdict.h"
#include "../common/stock.h"
#include "tpm-rig.h"
#include "tpm-spawn.h"
#include "tpm-stream.h"

#define MIB (1024 * 1024)
#define HALF 7                  /* bytes, before the migration */

static char *state_dir;

static char *state_file(const char *name)
{
    return g_build_filename(state_dir, name, NULL);
}

/* As the source or the destination; @var: an environment variable, or NULL */
static TpmRig *start(const TpmFront *front, const char *var,
                     const char *script, const char *args)
{
    TpmRigOptions options = {
        .var = var,
        .script = script,
        .tpmdev = var ? NULL : TPM_PATIENT,
        .args = args,
        .mute = var,
    };

    return tpm_rig_start(front, &options);
}

static TpmRig *start_incoming(const TpmFront *front, const char *var,
                              const char *script)
{
    return start(front, var, script, "-incoming defer");
}

/* Returns: NULL, or why it failed */
static char *save(TpmRig *r, const char *file)
{
    g_autofree char *uri = g_strdup_printf("file:%s", file);
    char *refused = tpm_rig_migrate(r, uri);

    return refused ?: tpm_rig_migrated(r);
}

static void save_ok(TpmRig *r, const char *file)
{
    g_autofree char *how = save(r, file);

    g_assert_cmpstr(how, ==, NULL);
}

static void load_begin(TpmRig *r, const char *file)
{
    g_autofree char *uri = g_strdup_printf("file:%s", file);

    qtest_qmp_assert_success(r->qts, "{ 'execute': 'migrate-incoming', "
                             "'arguments': { 'uri': %s } }", uri);
}

static void load_ok(TpmRig *r, const char *file)
{
    load_begin(r, file);
    tpm_rig_await_events(r, "RESUME", 1);
    g_unlink(file);
}

/* The controller of the I2C bus is another one, but for its state */
static void after_load(TpmRig *r)
{
    if (r->front->kind == TPM_KIND_I2C) {
        g_assert_cmphex(qtest_readl(r->qts, r->front->base) & 1, ==, 1);
    }
}

/* Half of a response is read here, the rest there */
static void half_read(const TpmFront *front, const char *from, const char *to)
{
    g_autofree char *file = state_file("half-read");
    TpmRig *r = start(front, from, NULL, NULL);
    size_t len = tpm_good(r)->rsp_len;
    g_autofree uint8_t *whole = g_malloc(len), *halves = g_malloc(len);

    tpm_good_start(r);
    tpm_regs_wait(r);
    g_assert_cmpuint(tpm_regs_response(r, whole, len), ==, len);
    tpm_good_start(r);
    tpm_regs_wait(r);
    tpm_regs_read(r, halves, 0, HALF);
    save_ok(r, file);
    tpm_rig_stop(r);

    r = start_incoming(front, to, NULL);
    load_ok(r, file);
    after_load(r);
    tpm_regs_read(r, halves + HALF, HALF, len - HALF);
    g_assert_true(front->kind == TPM_KIND_CRB || !tpm_regs_done(r));
    g_assert_cmpmem(halves, len, whole, len);
    tpm_good_run(r);
    tpm_rig_stop(r);
}

/* Half of a command is written here, the rest there */
static void half_written(const TpmFront *front, const char *from,
                         const char *to)
{
    g_autofree char *file = state_file("half-written");
    TpmRig *r = start(front, from, NULL, NULL);
    const TpmGood *good = tpm_good(r);

    tpm_regs_take(r);
    tpm_regs_write(r, good->cmd, HALF);
    save_ok(r, file);
    tpm_rig_stop(r);

    r = start_incoming(front, to, NULL);
    load_ok(r, file);
    if (front->kind == TPM_KIND_CRB) {
        tpm_regs_write(r, good->cmd, good->cmd_len);
    } else {
        g_assert_true(tpm_regs_expects(r));
        tpm_regs_write(r, good->cmd + HALF, good->cmd_len - HALF);
    }
    tpm_regs_go(r);
    tpm_regs_wait(r);
    tpm_good_check(r);
    tpm_rig_stop(r);
}

static void test_half(gconstpointer front)
{
    half_read(front, NULL, NULL);
    half_written(front, NULL, NULL);
}

static void test_stock(gconstpointer opaque)
{
    const TpmFront *front = opaque;

    if (!have_stock()) {
        return;
    }
    if (front->ours) {
        g_test_skip("stock QEMU does not have this device");
        return;
    }
    half_read(front, NULL, STOCK_BINARY);
    half_read(front, STOCK_BINARY, NULL);
    half_written(front, STOCK_BINARY, NULL);
}

/*
 * A command runs when the machine stops: its response gets into the state, for
 * CRB that is the RAM, which is sent before the devices
 */
static void in_flight(const TpmFront *front, const char *rule)
{
    g_autofree char *file = state_file("in-flight");
    TpmRig *r = start(front, NULL, "caps 1ffff", NULL);

    tpm_rig_rule(r, "%s", rule);
    tpm_good_start(r);
    g_assert_false(tpm_regs_done(r));
    save_ok(r, file);
    g_assert_true(tpm_regs_done(r));
    tpm_good_check(r);
    /* The state was handed over, but this machine goes on */
    qtest_qmp_assert_success(r->qts, "{ 'execute': 'cont' }");
    g_assert_true(tpm_fake_wait(r->fake, "ctrl LOCK_STORAGE", 1));
    tpm_good_run(r);
    tpm_rig_stop(r);

    r = start_incoming(front, NULL, NULL);
    load_ok(r, file);
    g_assert_true(tpm_regs_done(r));
    tpm_good_check(r);
    tpm_good_run(r);
    tpm_rig_assert_state(r, "ready");
    tpm_rig_stop(r);
}

static void test_in_flight(gconstpointer front)
{
    in_flight(front, "on data cc 17e: delay 500 serial");
}

/* It ends only since it is cancelled */
static void test_cancelled(gconstpointer front)
{
    in_flight(front, "on data cc 17e: wait-cancel");
}

static char *blob_rule(unsigned type, uint32_t size)
{
    return g_strdup_printf("on ctrl GET_STATEBLOB #%u: "
                           "reply 0000000000000000%08x%08x extra %u",
                           type, size, size, MIN(size, MIB + 1));
}

static void blob_ok(const TpmFront *front, unsigned type, uint32_t size)
{
    g_autofree char *file = state_file("blob");
    g_autofree char *rule = blob_rule(type, size);
    g_autofree char *seen =
        g_strdup_printf("ctrl SET_STATEBLOB 00000000%08x%08x", type, size);
    g_autofree char *log = NULL;
    TpmRig *r = start(front, NULL, rule, NULL);

    g_test_message("part %u, %u bytes", type, size);
    save_ok(r, file);
    tpm_rig_stop(r);

    r = start_incoming(front, NULL, NULL);
    load_ok(r, file);
    tpm_good_run(r);
    log = tpm_fake_log(r->fake);
    g_assert_cmpint(strstr(log, seen) != NULL, ==, size != 0);
    tpm_rig_stop(r);
}

static void blob_refused(const TpmFront *front, unsigned type, uint32_t size)
{
    g_autofree char *file = state_file("blob");
    g_autofree char *rule = blob_rule(type, size);
    TpmRig *r = start(front, NULL, rule, NULL);
    g_autofree char *how = save(r, file);

    g_test_message("%s", how);
    g_assert_nonnull(how);
    g_assert_nonnull(strstr(how, "tpm0"));
    g_assert_nonnull(strstr(how, "1048576"));
    /* The machine goes on, and if the TPM needs it, with a reset */
    tpm_rig_await_events(r, "RESUME", 1);
    g_unlink(file);
    tpm_rig_stop(r);
}

static void test_blobs(gconstpointer front)
{
    blob_ok(front, 1, 0);
    blob_ok(front, 1, 1);
    blob_ok(front, 1, MIB);
    blob_ok(front, 3, MIB);
    blob_refused(front, 1, MIB + 1);
    blob_refused(front, 2, 0xffffffff);
}

/* The destination's TPM does not take the state: an error, not an abort */
static void test_not_taken(gconstpointer opaque)
{
    static const char *const scripts[] = {
        "on ctrl SET_STATEBLOB: result 9",
        "on ctrl SET_STATEBLOB: silent",
        "on ctrl SET_STATEBLOB #2: close",
        "on ctrl SET_STATEBLOB: rubbish 9",
        "on ctrl STOP #2: silent",
        "on ctrl INIT: result 9",
        "on ctrl INIT: silent",
    };
    const TpmFront *front = opaque;
    g_autofree char *file = state_file("state");
    g_autofree char *args = g_strdup_printf("-incoming file:%s", file);
    TpmRig *r = start(front, NULL, NULL, NULL);

    tpm_good_run(r);
    save_ok(r, file);
    tpm_rig_stop(r);
    for (unsigned i = 0; i < G_N_ELEMENTS(scripts); i++) {
        TpmSpawn s = {
            .front = front,
            .script = scripts[i],
            .tpmdev = TPM_HASTY,
            .args = args,
        };
        g_autofree char *said = NULL;

        g_test_message("%s", scripts[i]);
        said = tpm_spawn_refused(&s);
        g_assert_nonnull(strstr(said, "tpm-emulator"));
    }
    g_unlink(file);
}

/* It takes its time: QMP answers */
static void test_slow_load(gconstpointer front)
{
    g_autofree char *file = state_file("state");
    TpmRig *r = start(front, NULL, NULL, NULL);

    tpm_good_run(r);
    save_ok(r, file);
    tpm_rig_stop(r);
    r = start_incoming(front, NULL, NULL);
    tpm_fake_freeze(r->fake, true);
    load_begin(r, file);
    tpm_ask_more(r->ask, 20);
    g_assert_cmpuint(tpm_rig_events(r, "RESUME"), ==, 0);
    tpm_fake_freeze(r->fake, false);
    tpm_rig_await_events(r, "RESUME", 1);
    tpm_good_run(r);
    g_unlink(file);
    tpm_rig_stop(r);
}

/* A field of the stream that no source writes */
typedef struct Change {
    TpmKind kind;           /* TIS: also I2C */
    size_t at;
    unsigned len;
    uint32_t value;
    const char *word;       /* of the error */
} Change;

#define LOC(n) (TPM_STREAM_LOCALITY + (n) * TPM_STREAM_LOCALITY_LEN)

static const Change changes[] = {
    { TPM_KIND_TIS, TPM_STREAM_RW_OFFSET, 2, 0xffff, "rw_offset" },
    { TPM_KIND_TIS, TPM_STREAM_RW_OFFSET, 2, 4098, "rw_offset" },
    { TPM_KIND_TIS, TPM_STREAM_ACTIVE, 1, 5, "active_locty" },
    { TPM_KIND_TIS, TPM_STREAM_ACTIVE, 1, 0xfe, "active_locty" },
    { TPM_KIND_TIS, TPM_STREAM_ABORTING, 1, 5, "aborting_locty" },
    { TPM_KIND_TIS, TPM_STREAM_NEXT, 1, 5, "next_locty" },
    { TPM_KIND_TIS, LOC(0), 4, 5, "state" },
    { TPM_KIND_TIS, LOC(4), 4, 0xffffffff, "state" },
    { TPM_KIND_I2C, TPM_STREAM_I2C_LOC_SEL, 1, 5, "loc_sel" },
    { TPM_KIND_I2C, TPM_STREAM_I2C_LOC_SEL, 1, 0xff, "loc_sel" },
    { TPM_KIND_I2C, TPM_STREAM_I2C_OFFSET, 1, 6, "offset" },
    { TPM_KIND_I2C, TPM_STREAM_I2C_OPERATION, 1, 3, "operation" },
    { TPM_KIND_CRB, CRB_CTRL_START, 4, 1, "0x4c" },
    { TPM_KIND_CRB, CRB_LOC_STATE, 4, 0x9f, "0x0" },
    { TPM_KIND_CRB, CRB_CTRL_CMD_SIZE, 4, 0xffffffff, "0x58" },
    { TPM_KIND_CRB, CRB_CTRL_RSP_LADDR, 4, 0x1000, "0x68" },
};

static void refused(const TpmFront *front, const char *file, const char *word)
{
    g_autofree char *args = g_strdup_printf("-incoming file:%s", file);
    TpmSpawn s = { .front = front, .tpmdev = TPM_PATIENT, .args = args };
    g_autofree char *said = tpm_spawn_refused(&s);

    g_assert_nonnull(strstr(said, word));
    g_unlink(file);
}

static const char *section_of(const TpmFront *front)
{
    return g_str_equal(front->device, "tpm-tis-device") ? "tpm-tis"
                                                        : front->device;
}

static bool fits(const TpmFront *front, const Change *c)
{
    return front->kind == c->kind ||
           (front->kind == TPM_KIND_I2C && c->kind == TPM_KIND_TIS);
}

static void test_changed(gconstpointer opaque)
{
    const TpmFront *front = opaque;
    g_autofree char *file = state_file("state");
    g_autofree char *changed = state_file("changed");
    TpmRig *r = start(front, NULL, NULL, NULL);

    tpm_good_start(r);
    tpm_regs_wait(r);
    save_ok(r, file);
    tpm_rig_stop(r);
    for (unsigned i = 0; i < G_N_ELEMENTS(changes); i++) {
        const Change *c = &changes[i];

        if (fits(front, c)) {
            g_test_message("%s: %u", c->word, c->value);
            tpm_stream_change(file, changed, section_of(front), c->at, c->len,
                              c->value);
            refused(front, changed, c->word);
        }
    }
    /* What was changed is what is refused */
    r = start_incoming(front, NULL, NULL);
    load_ok(r, file);
    tpm_good_check(r);
    tpm_rig_stop(r);
}

static void test_changed_blob(gconstpointer front)
{
    static const uint32_t sizes[] = { MIB + 1, 0x7fffffff, 0xffffffff };
    g_autofree char *file = state_file("state");
    g_autofree char *changed = state_file("changed");
    TpmRig *r = start(front, NULL, NULL, NULL);

    tpm_good_run(r);
    save_ok(r, file);
    tpm_rig_stop(r);
    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        tpm_stream_change(file, changed, "tpm-emulator", TPM_STREAM_BLOB_SIZE,
                          4, sizes[i]);
        refused(front, changed, "1048576");
    }
    g_unlink(file);
}

/*
 * Its storage fails, so that its state cannot be had: that is the migration's
 * misfortune alone, and the next one's not
 */
static void storage_fails(const TpmFront *front, const char *like,
                          const char *storage)
{
    g_autofree char *file = state_file("storage");
    g_autofree char *uri = g_strdup_printf("file:%s", file);
    g_autofree char *script = g_strdup_printf("like %s", like);
    g_autofree char *how = NULL;
    TpmRig *r = start(front, NULL, script, NULL);

    tpm_rig_rule(r, "storage %s", storage);
    g_assert_cmpstr(tpm_rig_migrate(r, uri), ==, NULL);
    how = tpm_rig_migrated(r);
    g_test_message("%s, storage %s: %s", like, storage, how);
    g_assert_nonnull(how);
    g_assert_nonnull(strstr(how, "tpm0"));
    g_assert_nonnull(strstr(how, "0x9"));
    tpm_rig_await_events(r, "RESUME", 1);
    tpm_good_run(r);
    tpm_rig_assert_state(r, "ready");
    g_assert_cmpuint(tpm_rig_events(r, "TPM_BACKEND_ERROR"), ==, 0);
    tpm_rig_rule(r, "storage good");
    save_ok(r, file);
    qtest_qmp_assert_success(r->qts, "{ 'execute': 'cont' }");
    tpm_good_run(r);
    g_unlink(file);
    tpm_rig_stop(r);
}

static void test_storage(gconstpointer front)
{
    storage_fails(front, "0.7", "gone");
    storage_fails(front, "0.7", "full");
    storage_fails(front, "0.10", "full");
}

int main(int argc, char **argv)
{
    const TpmFront *first;
    int ret;

    g_test_init(&argc, &argv, NULL);
    state_dir = g_dir_make_tmp("tpm-migrate.XXXXXX", NULL);
    g_assert_nonnull(state_dir);
    first = tpm_fronts();
    tpm_front_add("tpm-migrate/half", test_half);
    tpm_front_add("tpm-migrate/stock", test_stock);
    tpm_front_add("tpm-migrate/in-flight", test_in_flight);
    qtest_add_data_func("tpm-migrate/cancelled", first, test_cancelled);
    qtest_add_data_func("tpm-migrate/blobs", first, test_blobs);
    qtest_add_data_func("tpm-migrate/not-taken", first, test_not_taken);
    qtest_add_data_func("tpm-migrate/slow-load", first, test_slow_load);
    qtest_add_data_func("tpm-migrate/storage", first, test_storage);
    tpm_front_add("tpm-migrate/changed", test_changed);
    qtest_add_data_func("tpm-migrate/changed-blob", first, test_changed_blob);
    ret = g_test_run();
    g_rmdir(state_dir);
    g_free(state_dir);
    return ret;
}
