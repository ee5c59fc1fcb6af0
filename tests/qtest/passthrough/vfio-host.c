/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include <sys/socket.h>
#include <sys/un.h>
#include <glib/gstdio.h>
#include "qemu/bswap.h"
#include "vfio-host.h"

struct VfioHost {
    char *dir;
};

static const char *machine(void)
{
    return g_str_equal(qtest_get_arch(), "x86_64") ?
           "-machine q35 -nodefaults "
           /* The slots' own hotplug, as on Arm */
           "-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off" :
           "-machine virt,highmem-mmio-size=1T -cpu max -nodefaults";
}

bool vfio_host_available(void)
{
    if (!g_getenv("VFIO_STANDIN_LIB")) {
        g_test_skip("VFIO_STANDIN_LIB does not name the stand-in for VFIO");
        return false;
    }
    if (!qtest_has_device("vfio-pci")) {
        g_test_skip("this QEMU has no vfio-pci");
        return false;
    }
    return true;
}

static void remove_tree(const char *path)
{
    if (g_file_test(path, G_FILE_TEST_IS_DIR) &&
        !g_file_test(path, G_FILE_TEST_IS_SYMLINK)) {
        GDir *dir = g_dir_open(path, 0, NULL);
        const char *name;

        while (dir && (name = g_dir_read_name(dir))) {
            g_autofree char *entry = g_build_filename(path, name, NULL);

            remove_tree(entry);
        }
        g_clear_pointer(&dir, g_dir_close);
    }
    g_remove(path);
}

static void remove_host(void *opaque)
{
    VfioHost *host = opaque;

    remove_tree(host->dir);
}

VfioHost *vfio_host_new(const char *devices)
{
    g_autoptr(GError) err = NULL;
    VfioHost *host = g_new0(VfioHost, 1);
    g_autofree char *path = NULL;

    host->dir = g_dir_make_tmp("vfio-host-XXXXXX", &err);
    g_assert_no_error(err);
    path = g_build_filename(host->dir, "devices", NULL);
    g_file_set_contents(path, devices, -1, &err);
    g_assert_no_error(err);
    qtest_add_abrt_handler(remove_host, host);
    return host;
}

void vfio_host_free(VfioHost *host)
{
    qtest_remove_abrt_handler(host);
    remove_tree(host->dir);
    g_free(host->dir);
    g_free(host);
}

/* QEMU inherits the environment; this process loads nothing more */
static void set_environment(VfioHost *host)
{
    g_setenv("VFIO_STANDIN", host->dir, true);
    g_setenv("LD_PRELOAD", g_getenv("VFIO_STANDIN_LIB"), true);
}

static void clear_environment(void)
{
    g_unsetenv("LD_PRELOAD");
    g_unsetenv("VFIO_STANDIN");
}

QTestState *vfio_host_start(VfioHost *host, const char *fmt, ...)
{
    g_autofree char *args = NULL;
    QTestState *qts;
    va_list ap;

    va_start(ap, fmt);
    args = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    set_environment(host);
    qts = qtest_initf("%s %s", strstr(args, "-machine ") ? "" : machine(),
                      args);
    clear_environment();
    return qts;
}

char *vfio_host_refused(VfioHost *host, const char *device)
{
    /* The last option fails in any case, so that QEMU always ends */
    g_autofree char *line =
        g_strdup_printf("%s %s -display none -accel qtest -device '%s' "
                        "-device no-such-device",
                        g_getenv("QTEST_QEMU_BINARY"), machine(), device);
    g_autoptr(GError) err = NULL;
    g_auto(GStrv) argv = NULL;
    char *text = NULL;
    int status;

    g_shell_parse_argv(line, NULL, &argv, &err);
    g_assert_no_error(err);
    set_environment(host);
    g_spawn_sync(NULL, argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL,
                 &text, &status, &err);
    clear_environment();
    g_assert_no_error(err);
    g_assert_true(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, 1);
    g_assert_null(strstr(text, "no-such-device"));
    return text;
}

/* Returns: the answer to a line, to be freed */
static char *control(VfioHost *host, const char *line)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    g_autofree char *request = g_strconcat(line, "\n", NULL);
    GString *answer = g_string_new(NULL);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    char buf[1024];
    ssize_t n;

    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/control", host->dir);
    g_assert_cmpint(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), ==,
                    0);
    g_assert_cmpint(write(fd, request, strlen(request)), ==, strlen(request));
    while ((n = read(fd, buf, sizeof(buf))) > 0) {
        g_string_append_len(answer, buf, n);
    }
    close(fd);
    if (!g_str_has_suffix(answer->str, "ok\n")) {
        vfio_fail("vfio-standin: %s: %s", line, answer->str);
    }
    return g_string_free(answer, false);
}

uint64_t vfio_host_status(VfioHost *host, const char *name)
{
    g_autofree char *answer = control(host, "status");
    g_auto(GStrv) lines = g_strsplit(answer, "\n", -1);
    size_t len = strlen(name);

    for (int i = 0; lines[i]; i++) {
        if (g_str_has_prefix(lines[i], name) && lines[i][len] == '=') {
            return g_ascii_strtoull(lines[i] + len + 1, NULL, 10);
        }
    }
    vfio_fail("vfio-standin: status has no %s", name);
    return 0;
}

void vfio_host_assert_unused(VfioHost *host)
{
    g_assert_cmpuint(vfio_host_status(host, "containers"), ==, 0);
    g_assert_cmpuint(vfio_host_status(host, "groups"), ==, 0);
    g_assert_cmpuint(vfio_host_status(host, "devices"), ==, 0);
    g_assert_cmpuint(vfio_host_status(host, "eventfds"), ==, 0);
    g_assert_cmpuint(vfio_host_status(host, "dma-maps"), ==, 0);
    g_assert_cmpuint(vfio_host_status(host, "stale-dma-maps"), ==, 0);
}

void vfio_host_fire(VfioHost *host, const char *address, unsigned vector)
{
    g_autofree char *line = g_strdup_printf("fire %s msix %u", address,
                                            vector);

    g_free(control(host, line));
}

void vfio_host_fail(VfioHost *host, const char *what)
{
    g_autofree char *line = g_strconcat("fail ", what, NULL);

    g_free(control(host, line));
}

static int open_bar(VfioHost *host, const char *address, unsigned bar)
{
    g_autofree char *path = g_strdup_printf("%s/%s/bar%u", host->dir, address,
                                            bar);
    int fd = open(path, O_RDWR | O_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    return fd;
}

uint32_t vfio_host_read(VfioHost *host, const char *address, unsigned bar,
                        uint64_t offset)
{
    int fd = open_bar(host, address, bar);
    uint32_t value;

    g_assert_cmpint(pread(fd, &value, 4, offset), ==, 4);
    close(fd);
    return le32_to_cpu(value);
}

void vfio_host_write(VfioHost *host, const char *address, unsigned bar,
                     uint64_t offset, uint32_t value)
{
    int fd = open_bar(host, address, bar);

    value = cpu_to_le32(value);
    g_assert_cmpint(pwrite(fd, &value, 4, offset), ==, 4);
    close(fd);
}
