/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * QEMU with a TPM backend that cannot be used: it says so in one line, soon
 */
#include "qemu/osdep.h"
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include "tpm-rig.h"
#include "tpm-spawn.h"

#define START_MS "700"

/* Returns: the line that it said, to be freed */
static char *refused(const TpmSpawn *start)
{
    TpmSpawn s = *start;
    char *said;

    s.front = tpm_fronts();
    s.tpmdev = s.tpmdev ?: ",start-timeout=" START_MS;
    said = tpm_spawn_refused(&s);
    /* A character device that connects later has its own word */
    g_assert_true(!strchr(said, '\n') ||
                  (s.chardev && strstr(s.chardev, "reconnect-ms") &&
                   strstr(said, "Unable to connect character device chr")));
    return said;
}

static void assert_refused(const TpmSpawn *s, const char *word,
                           const char *other)
{
    g_autofree char *said = refused(s);

    g_assert_nonnull(strstr(said, word));
    g_assert_nonnull(strstr(said, other));
}

/* Each message of a start, and each way not to answer it */
static void test_messages(void)
{
    static const char *const messages[] = {
        "SET_DATAFD", "GET_CAPABILITY", "SET_BUFFERSIZE", "STOP", "INIT",
        "GET_TPMESTABLISHED"
    };
    static const char *const faults[] = {
        "silent", "close", "rubbish 64"
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(messages); i++) {
        for (unsigned f = 0; f < G_N_ELEMENTS(faults); f++) {
            g_autofree char *script =
                g_strdup_printf("on ctrl %s: %s", messages[i], faults[f]);
            TpmSpawn s = { .script = script };
            bool named = !strstr(faults[f], "rubbish");

            /* A TPM without this bit is one that is not established */
            if (!named && strstr(messages[i], "ESTABLISHED")) {
                continue;
            }
            g_test_message("%s", script);
            assert_refused(&s, "tpm-emulator: ", named ? messages[i] : "");
        }
    }
}

/* The command that finds the version out, and half an answer */
static void test_probe(void)
{
    static const char *const scripts[] = {
        "on data: silent", "on data: close", "on data: short 7",
        "on data: rubbish 20", "on data: echo-size 9",
        "on ctrl GET_CAPABILITY: short 3",
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(scripts); i++) {
        TpmSpawn s = { .script = scripts[i] };

        assert_refused(&s, "tpm-emulator: ", "chr");
    }
}

/* A TPM that says no, lacks something, or has no room for a command */
static void test_unfit(void)
{
    static const TpmSpawn starts[] = {
        { .script = "on ctrl INIT: result 9" },
        { .script = "on ctrl STOP: result 9" },
        { .script = "caps 0" },
        { .script = "caps 1" },
        { .script = "buffer 9" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(starts); i++) {
        assert_refused(&starts[i], "tpm-emulator: ", "");
    }
    assert_refused(&starts[0], "INIT", "0x9");
}

/* Nobody is there, or not yet */
static void test_absent(void)
{
    static const TpmSpawn starts[] = {
        { .chardev = "socket,id=chr,path=/nonexistent,reconnect-ms=50" },
        { .chardev = "socket,id=chr,path=/dev/null,reconnect-ms=50" },
    };
    g_autofree char *dir = g_dir_make_tmp("tpm-start.XXXXXX", NULL);
    g_autofree char *listen = g_strdup_printf(
        "socket,id=chr,path=%s/sock,server=on,wait=off", dir);
    g_autofree char *path = g_build_filename(dir, "sock", NULL);
    TpmSpawn waits = { .chardev = listen };

    for (unsigned i = 0; i < G_N_ELEMENTS(starts); i++) {
        assert_refused(&starts[i], "'chr'", START_MS);
    }
    assert_refused(&waits, "'chr'", START_MS);
    g_unlink(path);
    g_rmdir(dir);
}

static int tcp_listener(int *port)
{
    struct sockaddr_in addr = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t len = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_cmpint(bind(fd, (struct sockaddr *)&addr, len), ==, 0);
    g_assert_cmpint(listen(fd, 1), ==, 0);
    g_assert_cmpint(getsockname(fd, (struct sockaddr *)&addr, &len), ==, 0);
    *port = ntohs(addr.sin_port);
    return fd;
}

static void test_chardev(void)
{
    int port, fd = tcp_listener(&port);
    g_autofree char *tcp = g_strdup_printf(
        "socket,id=chr,host=127.0.0.1,port=%d", port);
    g_autofree char *server =
        g_strdup("socket,id=chr,host=127.0.0.1,port=0,server=on,wait=off");
    g_autofree char *reconnect = g_strdup_printf("%s,reconnect-ms=50", tcp);
    TpmSpawn starts[] = {
        { .chardev = tcp }, { .chardev = server }, { .chardev = reconnect },
    };
    static const TpmSpawn other[] = {
        { .chardev = "null,id=chr" },
        { .chardev = "ringbuf,id=chr" },
    };
    TpmSpawn missing = { .chardev = "null,id=another" };

    for (unsigned i = 0; i < G_N_ELEMENTS(starts); i++) {
        assert_refused(&starts[i], "'chr'", "Unix socket");
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(other); i++) {
        assert_refused(&other[i], "'chr'", "socket");
    }
    assert_refused(&missing, "'chr'", "not found");
    close(fd);
}

static void test_options(void)
{
    static const char *const names[] = { "start-timeout", "control-timeout" };
    static const char *const out[] = { "0", "3600001", "4294967297" };
    static const char *const bad[] = { "-1", "soon", "" };

    for (unsigned n = 0; n < G_N_ELEMENTS(names); n++) {
        for (unsigned i = 0; i < G_N_ELEMENTS(out); i++) {
            g_autofree char *options = g_strdup_printf(",%s=%s", names[n],
                                                       out[i]);
            TpmSpawn s = { .tpmdev = options };
            g_autofree char *said = refused(&s);

            g_assert_nonnull(strstr(said, names[n]));
            g_assert_nonnull(strstr(said, out[i]));
            g_assert_nonnull(strstr(said, "1..3600000"));
        }
        for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
            g_autofree char *options = g_strdup_printf(",%s=%s", names[n],
                                                       bad[i]);
            TpmSpawn s = { .tpmdev = options };

            assert_refused(&s, names[n], "");
        }
    }
}

static void starts(const TpmRigOptions *options)
{
    TpmRig *r = tpm_rig_start(tpm_fronts(), options);

    tpm_good_run(r);
    tpm_rig_assert_state(r, "ready");
    tpm_rig_stop(r);
}

/* What is allowed works: the limits, a socket that connects later, 1.2 */
static void test_good(void)
{
    static const TpmRigOptions good[] = {
        { 0 },
        { .tpmdev = ",start-timeout=3600000,control-timeout=3600000" },
        { .chardev = ",reconnect-ms=50" },
        { .script = "version 1.2" },
        { .script = "established" },
        { .script = "on ctrl any *: delay 30" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(good); i++) {
        g_test_message("start %u", i);
        starts(&good[i]);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("tpm-start/messages", test_messages);
    qtest_add_func("tpm-start/probe", test_probe);
    qtest_add_func("tpm-start/unfit", test_unfit);
    qtest_add_func("tpm-start/absent", test_absent);
    qtest_add_func("tpm-start/chardev", test_chardev);
    qtest_add_func("tpm-start/options", test_options);
    qtest_add_func("tpm-start/good", test_good);
    return g_test_run();
}
