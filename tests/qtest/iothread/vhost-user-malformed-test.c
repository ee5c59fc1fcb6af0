/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Whatever a frontend sends to a vhost-user-blk export, or does not: the daemon
 * lives, its monitor answers, and the next frontend is served
 */
#include "qemu/osdep.h"
#include <glib/gstdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "qemu/cutils.h"
#include "qobject/qdict.h"
#include "qsd.h"
#include "vu-client.h"
#include "vu-message.h"

#define SIZE            (1024 * 1024)
#define GUEST_ADDRESS   0x7f0000000000ull
#define PROTOCOL        (1ull << VHOST_USER_F_PROTOCOL_FEATURES)
/* The daemon has read it by then; if it has not, the test tests less */
#define BEGIN_US        100000
#define HALF            4       /* bytes of a header or a payload */

typedef struct Setup {
    Qsd *qsd;
    char *folder, *socket, *image;
    int sock;               /* of the frontend that misbehaves, or -1 */
} Setup;

static int file_of(size_t size)
{
    int fd = memfd_create("nearmetal", 0);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(ftruncate(fd, size), ==, 0);
    return fd;
}

static void setup_start(Setup *s)
{
    g_autofree char *args = NULL;
    int fd;

    s->folder = g_dir_make_tmp("nearmetal-XXXXXX", NULL);
    s->socket = g_strdup_printf("%s/vu", s->folder);
    s->image = g_strdup_printf("%s/disk", s->folder);
    fd = open(s->image, O_RDWR | O_CREAT, 0600);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(ftruncate(fd, SIZE), ==, 0);
    close(fd);
    args = g_strdup_printf(
        "--object iothread,id=io0 "
        "--blockdev file,node-name=disk,filename=%s "
        "--blockdev null-co,node-name=other,size=%d "
        "--export vhost-user-blk,id=export,node-name=disk,iothread=io0,"
        "writable=on,addr.type=unix,addr.path=%s", s->image, SIZE, s->socket);
    s->qsd = qsd_start(args);
    s->sock = -1;
}

static void connect_frontend(Setup *s)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };

    pstrcpy(addr.sun_path, sizeof(addr.sun_path), s->socket);
    s->sock = socket(AF_UNIX, SOCK_STREAM, 0);
    g_assert_cmpint(s->sock, >=, 0);
    g_assert_cmpint(connect(s->sock, (void *)&addr, sizeof(addr)), ==, 0);
}

static void resize(Setup *s, int64_t size)
{
    QDict *rsp = qsd_qmp(s->qsd, "{ 'execute': 'block_resize', 'arguments': {"
                         "'node-name': 'disk', 'size': %" PRId64 "} }", size);

    g_assert_true(qdict_haskey(rsp, "return"));
    qobject_unref(rsp);
}

/* Another frontend finds the export as if nothing had been */
static void setup_end(Setup *s)
{
    VuClient *client;

    if (s->sock >= 0) {
        close(s->sock);
    }
    resize(s, 2 * SIZE);
    client = vu_client_new(s->socket, false);
    vu_client_read(client);
    vu_client_free(client);
    qsd_quit(s->qsd);
    g_unlink(s->socket);
    g_unlink(s->image);
    g_assert_cmpint(g_rmdir(s->folder), ==, 0);
    g_free(s->image);
    g_free(s->socket);
    g_free(s->folder);
}

/* @fd: -1: none; it is closed.  The export may have hung up already. */
static void send_msg(Setup *s, VhostUserMsg *msg, int fd)
{
    vu_send(s->sock, msg, fd);
    if (fd >= 0) {
        close(fd);
    }
}

static void send_kick(Setup *s, int fd)
{
    vu_send_u64(s->sock, VHOST_USER_SET_VRING_KICK, 0, fd);
    close(fd);
}

static void send_num(Setup *s, unsigned num)
{
    vu_send_state(s->sock, VHOST_USER_SET_VRING_NUM, num);
}

/* Waits for the answer to @request */
static void ask(Setup *s, int request)
{
    VhostUserMsg msg = { .request = request };

    if (request != VHOST_USER_SET_MEM_TABLE) {
        send_msg(s, &msg, -1);
    }
    g_assert_cmpint(recv(s->sock, &msg, VHOST_USER_HDR_SIZE, MSG_WAITALL), ==,
                    VHOST_USER_HDR_SIZE);
    g_assert_cmpint(msg.request, ==, request);
    g_assert_cmpint(msg.size, <=, sizeof(msg.payload));
    /* Of nothing, recv() would wait for more */
    if (msg.size) {
        g_assert_cmpint(recv(s->sock, &msg.payload, msg.size, MSG_WAITALL), ==,
                        msg.size);
    }
}

static void send_memory(Setup *s, unsigned nregions, uint64_t size, int fd)
{
    VhostUserMsg msg = {
        .request = VHOST_USER_SET_MEM_TABLE,
        .size = sizeof(VhostUserMemory),
        .payload.memory.nregions = nregions,
    };

    for (int i = 0; i < VHOST_MEMORY_BASELINE_NREGIONS; i++) {
        msg.payload.memory.regions[i] = (VhostUserMemoryRegion) {
            .guest_phys_addr = i * size,
            .userspace_addr = GUEST_ADDRESS + i * size,
            .memory_size = size,
        };
    }
    send_msg(s, &msg, fd);
}

static void send_rings(Setup *s, uint64_t offset)
{
    VhostUserMsg msg = {
        .request = VHOST_USER_SET_VRING_ADDR,
        .size = sizeof(msg.payload.addr),
        .payload.addr = {
            .desc_user_addr = GUEST_ADDRESS + offset,
            .avail_user_addr = GUEST_ADDRESS + offset,
            .used_user_addr = GUEST_ADDRESS + offset,
        },
    };

    send_msg(s, &msg, -1);
}

static void negotiate(Setup *s)
{
    vu_send_u64(s->sock, VHOST_USER_SET_FEATURES,
                1ull << VIRTIO_F_VERSION_1 | PROTOCOL |
                1ull << VHOST_F_LOG_ALL, -1);
    vu_send_u64(s->sock, VHOST_USER_SET_PROTOCOL_FEATURES,
                1ull << VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD |
                1ull << VHOST_USER_PROTOCOL_F_LOG_SHMFD, -1);
}

/* --- what a frontend may send --------------------------------------------- */

static void many_regions(Setup *s)
{
    send_memory(s, VHOST_MEMORY_BASELINE_NREGIONS + 1, SIZE, file_of(SIZE));
}

static void absurd_regions(Setup *s)
{
    send_memory(s, UINT_MAX, SIZE, file_of(SIZE));
}

static void region_without_file(Setup *s)
{
    send_memory(s, 1, SIZE, -1);
}

static void region_beyond_file(Setup *s)
{
    send_memory(s, 1, SIZE, file_of(4096));
    send_num(s, 128);
    send_rings(s, SIZE - 8192);
}

static void absurd_queue(Setup *s)
{
    send_memory(s, 1, SIZE, file_of(SIZE));
    send_num(s, UINT_MAX);
    send_rings(s, 0);
    send_kick(s, eventfd(1, 0));
}

static void rings_at_the_end(Setup *s)
{
    send_memory(s, 1, SIZE, file_of(SIZE));
    send_num(s, 128);
    send_rings(s, SIZE - 16);
    send_kick(s, eventfd(1, 0));
}

static void queue_that_grows(Setup *s)
{
    send_memory(s, 1, SIZE, file_of(SIZE));
    send_num(s, 1);
    send_rings(s, SIZE - 32);
    send_num(s, 1024);
    send_kick(s, eventfd(1, 0));
}

static void kick_no_eventfd(Setup *s)
{
    send_kick(s, open("/dev/null", O_RDWR));
}

static void send_inflight(Setup *s, uint64_t offset, size_t file)
{
    VhostUserMsg msg = {
        .request = VHOST_USER_SET_INFLIGHT_FD,
        .size = sizeof(msg.payload.inflight),
        .payload.inflight = {
            .mmap_size = SIZE, .mmap_offset = offset, .num_queues = 1,
            .queue_size = 128,
        },
    };

    send_msg(s, &msg, file_of(file));
}

static void kick_before_rings(Setup *s)
{
    send_memory(s, 1, SIZE, file_of(SIZE));
    send_inflight(s, 0, SIZE);
    send_kick(s, eventfd(1, 0));
}

static void inflight_beyond_file(Setup *s)
{
    send_inflight(s, 0, 1024);
}

static void inflight_at_the_end(Setup *s)
{
    send_inflight(s, SIZE, SIZE);
}

static void send_log(Setup *s, uint64_t size, size_t file)
{
    VhostUserMsg msg = {
        .request = VHOST_USER_SET_LOG_BASE,
        .size = sizeof(msg.payload.log),
        .payload.log.mmap_size = size,
    };

    send_msg(s, &msg, file_of(file));
}

static void empty_log(Setup *s)
{
    send_log(s, 0, 4096);
}

static void log_beyond_file(Setup *s)
{
    send_log(s, SIZE, 1024);
}

/* Its acknowledgement is a message within the message */
static void postcopy(Setup *s)
{
    ask(s, VHOST_USER_POSTCOPY_ADVISE);
    ask(s, VHOST_USER_POSTCOPY_LISTEN);
    send_memory(s, 1, SIZE, file_of(SIZE));
    ask(s, VHOST_USER_SET_MEM_TABLE);
    vu_send_u64(s->sock, VHOST_USER_SET_MEM_TABLE, 0, -1);
}

/* So many answers that the socket has no room for more */
static void reads_no_answer(Setup *s)
{
    VhostUserMsg msg = {
        .request = VHOST_USER_GET_FEATURES, .flags = VU_MESSAGE_VERSION,
    };

    for (int i = 0; i < 100000; i++) {
        if (send(s->sock, &msg, VHOST_USER_HDR_SIZE,
                 MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN) {
            break;
        }
    }
}

/* What becomes of the connection */
typedef enum Fate {
    ENDS,
    LIVES,
    UNREAD,     /* to look would be to read the answers */
} Fate;

static const struct {
    const char *name;
    void (*send)(Setup *s);
    Fate fate;
} cases[] = {
    { "many-regions", many_regions },
    { "absurd-regions", absurd_regions },
    { "region-without-file", region_without_file },
    { "region-beyond-file", region_beyond_file },
    { "absurd-queue", absurd_queue },
    { "rings-at-the-end", rings_at_the_end },
    { "queue-that-grows", queue_that_grows },
    { "kick-before-rings", kick_before_rings, LIVES },
    { "kick-no-eventfd", kick_no_eventfd },
    { "inflight-beyond-file", inflight_beyond_file },
    { "inflight-at-the-end", inflight_at_the_end },
    { "empty-log", empty_log },
    { "log-beyond-file", log_beyond_file },
    { "postcopy", postcopy, LIVES },
    { "reads-no-answer", reads_no_answer, UNREAD },
};

/* The export hangs up, in its own time */
static void await_end(Setup *s)
{
    struct timeval deadline = { .tv_sec = 60 };
    ssize_t n;
    char c;

    g_assert_cmpint(setsockopt(s->sock, SOL_SOCKET, SO_RCVTIMEO, &deadline,
                               sizeof(deadline)), ==, 0);
    do {
        n = recv(s->sock, &c, 1, 0);
    } while (n > 0);
    g_assert_true(n == 0 || errno == ECONNRESET);
}

static void test_case(gconstpointer opaque)
{
    unsigned i = GPOINTER_TO_UINT(opaque);
    Setup s;

    setup_start(&s);
    connect_frontend(&s);
    negotiate(&s);
    cases[i].send(&s);
    if (cases[i].fate == ENDS) {
        await_end(&s);
    } else if (cases[i].fate == LIVES) {
        ask(&s, VHOST_USER_GET_FEATURES);
    }
    /* With the frontend still there */
    resize(&s, SIZE / 2);
    setup_end(&s);
}

/* --- what it may not send ------------------------------------------------- */

/* Only the begin of it is there while the export is drained */
static void test_half(gconstpointer in_payload)
{
    VhostUserMsg msg = {
        .request = VHOST_USER_SET_VRING_ENABLE, .flags = VU_MESSAGE_VERSION,
        .size = sizeof(msg.payload.state), .payload.state.num = 1,
    };
    size_t size = VHOST_USER_HDR_SIZE + msg.size;
    size_t part = HALF + (in_payload ? VHOST_USER_HDR_SIZE : 0);
    Setup s;

    setup_start(&s);
    connect_frontend(&s);
    negotiate(&s);
    for (int i = 0; i < 3; i++) {
        g_assert_cmpint(send(s.sock, &msg, part, 0), ==, part);
        g_usleep(BEGIN_US);
        resize(&s, (i + 2) * SIZE);
        g_assert_cmpint(send(s.sock, (char *)&msg + part, size - part, 0), ==,
                        size - part);
        /* The stream is in step */
        ask(&s, VHOST_USER_GET_FEATURES);
    }
    /* Nor does it keep anybody from removing the export */
    g_assert_cmpint(send(s.sock, &msg, part, 0), ==, part);
    g_usleep(BEGIN_US);
    setup_end(&s);
}

/* Nobody has connected yet */
static void test_resize(void)
{
    Setup s;

    setup_start(&s);
    resize(&s, SIZE / 2);
    setup_end(&s);
}

static void test_skipped(void)
{
    g_test_skip("no qemu-storage-daemon in QTEST_QEMU_STORAGE_DAEMON_BINARY");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    signal(SIGPIPE, SIG_IGN);

    if (!qsd_available()) {
        g_test_add_func("/vhost-user-malformed", test_skipped);
        return g_test_run();
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strdup_printf("/vhost-user-malformed/%s",
                                                cases[i].name);

        g_test_add_data_func(path, GUINT_TO_POINTER(i), test_case);
    }
    g_test_add_data_func("/vhost-user-malformed/half-header", NULL, test_half);
    g_test_add_data_func("/vhost-user-malformed/half-payload", "payload",
                         test_half);
    g_test_add_func("/vhost-user-malformed/resize", test_resize);
    return g_test_run();
}
