/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * The benchmark's driver: starts a QEMU, brings its disks into service, and
 * runs what it reads from standard input
 *
 * Commands, one a line:  run KEY=VALUE...  |  pause  |  resume
 * Answers, one a line:   ready | result KEY=VALUE... | ok
 * Started by scripts/bench.
 */
#define _GNU_SOURCE             /* sched_setaffinity() */
#include <glib.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "bench-load.h"
#include "bench-virtio-pci.h"
#include "bench-vhost-user.h"

static Load load;
static char *opt_shim, *opt_vhost_user;
static gint opt_disks = 1, opt_slot = 4, opt_cpu = 0, opt_iothread_cpu = 1;
static gint opt_bystander, opt_nice;

void bench_die(const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "bench-driver: error: ");
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    child_kill(&load.child);
    exit(1);
}

/* QEMU runs already, so this is for the driver alone */
static void driver_pin(void)
{
    cpu_set_t set;

    load.driver_cpu = opt_cpu;
    load.iothread_cpu = opt_iothread_cpu;
    load.nice = opt_nice;
    CPU_ZERO(&set);
    CPU_SET(opt_cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set)) {
        bench_die("cannot run on CPU %d: %m", opt_cpu);
    }
}

static char **parse_options(int argc, char **argv)
{
    GOptionEntry entries[] = {
        { "shim", 0, 0, G_OPTION_ARG_FILENAME, &opt_shim,
          "What to preload into QEMU", "FILE" },
        { "vhost-user", 0, 0, G_OPTION_ARG_STRING, &opt_vhost_user,
          "Use the export at this abstract socket, no PCI device", "NAME" },
        { "disks", 0, 0, G_OPTION_ARG_INT, &opt_disks, "Disks to drive", "N" },
        { "slot", 0, 0, G_OPTION_ARG_INT, &opt_slot,
          "PCI slot of the first disk (default 4)", "N" },
        { "bystander", 0, 0, G_OPTION_ARG_INT, &opt_bystander,
          "A disk in this slot that gets one request and no other",
          "N" },
        { "cpu", 0, 0, G_OPTION_ARG_INT, &opt_cpu,
          "CPU of the driver (default 0)", "N" },
        { "iothread-cpu", 0, 0, G_OPTION_ARG_INT, &opt_iothread_cpu,
          "CPU of the IOThread (default 1)", "N" },
        { "nice", 0, 0, G_OPTION_ARG_INT, &opt_nice,
          "Nice value of both", "N" },
        { }
    };
    GOptionContext *ctx = g_option_context_new("-- QEMU ARGUMENT...");
    g_autoptr(GError) err = NULL;

    g_option_context_add_main_entries(ctx, entries, NULL);
    g_option_context_set_strict_posix(ctx, true);
    if (!g_option_context_parse(ctx, &argc, &argv, &err)) {
        bench_die("%s", err->message);
    }
    g_option_context_free(ctx);
    argv += argc > 1 && g_str_equal(argv[1], "--") ? 2 : 1;
    if (!*argv || !opt_shim || opt_disks < 1 || opt_disks > BENCH_DISKS) {
        bench_die("wrong arguments; this is started by scripts/bench");
    }
    return argv;
}

static void serve_disk(void *opaque)
{
    disk_serve(opaque, now_ns());
}

/* Each queue has 4 MiB of guest memory */
static void start_disk(Qtest *qts, int i)
{
    VirtQueue *vq = &load.queues[i];

    vq_init(vq, i, load.child.ram, (uint64_t)(4 + 4 * i) << 20);
    if (opt_vhost_user) {
        vhost_user_start(opt_vhost_user, &load.child, &load.disk, vq);
    } else {
        virtio_pci_start(qts, &load.child, &load.disk, opt_slot + i, vq);
    }
}

static void start_disks(void)
{
    static VirtQueue bystander;
    Qtest qts = {
        .in = load.child.in,
        .out = load.child.out,
        .idle = serve_disk,
        .opaque = &load.disk,
    };

    load.n_queues = opt_disks;
    for (int i = 0; i < opt_disks; i++) {
        start_disk(&qts, i);
    }
    if (opt_bystander) {
        vq_init(&bystander, 0, load.child.ram, 32 << 20);
        virtio_pci_start_bystander(&qts, &load.child, opt_bystander,
                                   &bystander);
    }
}

static const char *value_of(char **words, const char *key,
                            const char *otherwise)
{
    size_t len = strlen(key);

    for (; *words; words++) {
        if (!strncmp(*words, key, len) && (*words)[len] == '=') {
            return *words + len + 1;
        }
    }
    return otherwise;
}

static int64_t number_of(char **words, const char *key, int64_t otherwise)
{
    const char *text = value_of(words, key, NULL);

    return text ? g_ascii_strtoll(text, NULL, 10) : otherwise;
}

static LoadMode mode_of(char **words)
{
    const char *mode = value_of(words, "mode", "closed");

    return g_str_equal(mode, "periodic") ? LOAD_PERIODIC :
           g_str_equal(mode, "idle") ? LOAD_IDLE : LOAD_CLOSED;
}

static LoadParams params_of(char **words)
{
    return (LoadParams) {
        .mode = mode_of(words),
        .depth = CLAMP(number_of(words, "depth", 1), 1, QUEUE_SIZE),
        .disks = CLAMP(number_of(words, "disks", opt_disks), 1, opt_disks),
        .period_ns = number_of(words, "period-ns", NS_PER_MS),
        .warm_ns = number_of(words, "warm-ns", 300 * NS_PER_MS),
        .run_ns = number_of(words, "run-ns", NS_PER_S),
        .seed = number_of(words, "seed", 1),
        .model = {
            .low_ns = number_of(words, "low-ns", 10 * NS_PER_US),
            .high_ns = number_of(words, "high-ns", 0),
            .high_percent = number_of(words, "high-percent", 0),
            .jitter_percent = number_of(words, "jitter-percent", 0),
        },
    };
}

static void use_trace(Trace *trace)
{
    load.trace = trace;
    load.disk.trace = trace;
    for (unsigned i = 0; i < load.n_queues; i++) {
        load.queues[i].trace = trace;
    }
}

static void driver_run(const char *line, char **words)
{
    LoadParams params = params_of(words);
    const char *record = value_of(words, "record", NULL);
    LoadResult r = { 0 };

    use_trace(record ? trace_new() : NULL);
    load_run(&load, &params, &r);
    if (record) {
        trace_write(load.trace, record, line);
        trace_free(load.trace);
        use_trace(NULL);
    }
    printf("result ns=%" PRId64 " requests=%" PRIu64 " kicks=%" PRIu64
           " errors=%" PRIu64 " mean-ns=%.1f p50-ns=%.1f p99-ns=%.1f"
           " cpu-ns=%" PRId64 " wait-ns=%" PRId64 " driver-cpu-ns=%" PRId64
           " idle-ns=%" PRId64 "\n",
           r.ns, r.requests, r.kicks, r.errors, r.mean_ns, r.p50_ns, r.p99_ns,
           r.iothread.cpu_ns, r.iothread.wait_ns, r.driver_cpu_ns, r.idle_ns);
}

static void driver_obey(char *line)
{
    g_auto(GStrv) words = g_strsplit(g_strstrip(line), " ", -1);

    if (!g_strcmp0(words[0], "run")) {
        driver_run(line, words + 1);
    } else if (!g_strcmp0(words[0], "pause")) {
        child_pause(&load.child, true);
        puts("ok");
    } else if (!g_strcmp0(words[0], "resume")) {
        child_pause(&load.child, false);
        puts("ok");
    } else {
        bench_die("unknown command '%s'", line);
    }
}

int main(int argc, char **argv)
{
    char **command = parse_options(argc, argv);
    DiskModel model = { .low_ns = 10 * NS_PER_US };
    char line[1024];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    child_start(&load.child, command, opt_shim);
    driver_pin();
    disk_init(&load.disk, load.child.shm, load.child.pidfd);
    disk_program(&load.disk, &model, 1);
    start_disks();
    puts("ready");
    while (fgets(line, sizeof(line), stdin)) {
        driver_obey(line);
    }
    child_kill(&load.child);
    return 0;
}
