/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * QEMU as a child of the benchmark's driver
 */
#define _GNU_SOURCE             /* memfd_create() */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench-child.h"

static void *child_memory(const char *name, size_t bytes, int *fd)
{
    void *memory;

    *fd = memfd_create(name, 0);        /* the child inherits it */
    if (*fd < 0 || ftruncate(*fd, bytes)) {
        bench_die("no shared memory of %zu bytes: %m", bytes);
    }
    memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_POPULATE, *fd, 0);
    if (memory == MAP_FAILED) {
        bench_die("cannot map %zu bytes: %m", bytes);
    }
    return memory;
}

/* QEMU takes the guest's memory by the path of a descriptor that it inherits */
static char *child_expand(const char *arg, int ram_fd)
{
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", ram_fd);
    g_auto(GStrv) parts = g_strsplit(arg, "@RAM@", -1);

    return g_strjoinv(path, parts);
}

static void __attribute__((noreturn))
child_exec(char **argv, const char *shim, int shm_fd, pid_t parent)
{
    g_autofree char *fd = g_strdup_printf("%d", shm_fd);

    setenv(BENCH_SHM_ENV, fd, 1);
    setenv("LD_PRELOAD", shim, 1);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent) {
        execvp(argv[0], argv);
        fprintf(stderr, "bench-driver: error: cannot run %s: %s\n", argv[0],
                strerror(errno));
    }
    _exit(127);
}

void child_start(Child *child, char **argv, const char *shim)
{
    int to[2], from[2], shm_fd;
    pid_t parent = getpid();

    child->shm = child_memory("bench-disk", sizeof(*child->shm), &shm_fd);
    child->ram = child_memory("bench-ram", GUEST_RAM_BYTES, &child->ram_fd);
    if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC)) {
        bench_die("no pipe: %m");
    }
    for (char **arg = argv; *arg; arg++) {
        *arg = child_expand(*arg, child->ram_fd);
    }
    child->pid = fork();
    if (child->pid < 0) {
        bench_die("cannot fork: %m");
    }
    if (!child->pid) {
        dup2(to[0], 0);
        dup2(from[1], 1);
        child_exec(argv, shim, shm_fd, parent);
    }
    close(to[0]);
    close(from[1]);
    close(shm_fd);
    child->in = from[0];
    child->out = to[1];
    child->pidfd = syscall(SYS_pidfd_open, child->pid, 0);
    if (child->pidfd < 0) {
        bench_die("cannot open the process (%m); Linux 5.6 or later is needed");
    }
}

void child_kill(Child *child)
{
    if (child->pid > 0) {
        kill(child->pid, SIGKILL);
        waitpid(child->pid, NULL, 0);
        child->pid = 0;
    }
}

int child_take_fd(int pidfd, int fd)
{
    int local = syscall(SYS_pidfd_getfd, pidfd, fd, 0);

    if (local < 0) {
        bench_die("cannot get QEMU's eventfd (%m); pidfd_getfd must be "
                  "allowed: run outside the container or with SYS_PTRACE");
    }
    return local;
}

void child_pause(const Child *child, bool paused)
{
    kill(child->pid, paused ? SIGSTOP : SIGCONT);
}

/* Updated by the kernel's tick only while the thread runs */
static ThreadUse child_schedstat(pid_t pid, pid_t tid)
{
    g_autofree char *path =
        g_strdup_printf("/proc/%d/task/%d/schedstat", pid, tid);
    ThreadUse use = { 0 };
    FILE *f = fopen(path, "r");

    if (f) {
        if (fscanf(f, "%" SCNd64 " %" SCNd64, &use.cpu_ns, &use.wait_ns) != 2) {
            use = (ThreadUse) { 0 };
        }
        fclose(f);
    }
    return use;
}

/*
 * A thread's own clock can only be read from its own process, and schedstat is
 * up to a tick old while the thread runs.  The clock of a whole process is
 * exact, and so is schedstat of threads that sleep.
 */
ThreadUse child_thread_use(const Child *child, pid_t tid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/task", child->pid);
    ThreadUse use = child_schedstat(child->pid, tid);
    struct timespec ts = { 0 };
    clockid_t clock;
    DIR *dir = opendir(path);
    struct dirent *entry;
    int64_t others = 0;

    if (!dir || clock_getcpuclockid(child->pid, &clock)) {
        bench_die("QEMU ended; its own message is above");
    }
    while ((entry = readdir(dir))) {
        pid_t other = g_ascii_strtoll(entry->d_name, NULL, 10);

        if (other && other != tid) {
            others += child_schedstat(child->pid, other).cpu_ns;
        }
    }
    closedir(dir);
    clock_gettime(clock, &ts);
    use.cpu_ns = ts.tv_sec * NS_PER_S + ts.tv_nsec - others;
    return use;
}

int64_t cpu_idle_ns(int cpu)
{
    g_autofree char *name = g_strdup_printf("cpu%d ", cpu);
    int64_t idle = 0, iowait = 0;
    char line[256];
    FILE *f = fopen("/proc/stat", "r");

    while (f && fgets(line, sizeof(line), f)) {
        if (g_str_has_prefix(line, name)) {
            sscanf(line + strlen(name), "%*d %*d %*d %" SCNd64 " %" SCNd64,
                   &idle, &iowait);
            break;
        }
    }
    if (f) {
        fclose(f);
    }
    return (idle + iowait) * (NS_PER_S / sysconf(_SC_CLK_TCK));
}
