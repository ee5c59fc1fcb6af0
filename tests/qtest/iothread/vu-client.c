/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "qemu/atomic.h"
#include "qemu/bswap.h"
#include "qemu/memfd.h"
#include "qemu/processor.h"
#include "standard-headers/linux/virtio_blk.h"
#include "standard-headers/linux/virtio_config.h"
#include "standard-headers/linux/virtio_ring.h"
#include "vu-client.h"
#include "vu-message.h"

#define QUEUE_SIZE  16
#define MEMORY_SIZE (64 * 1024)
#define TIMEOUT_US  (60 * G_USEC_PER_SEC)
#define PROTOCOL    (1ull << VHOST_USER_F_PROTOCOL_FEATURES)

/* The memory that is shared with the export, guest address 0 on */
typedef struct Shared {
    struct vring_desc desc[QUEUE_SIZE];
    /* As drivers place them; vring_used_event and vring_avail_event included */
    uint16_t avail[3 + QUEUE_SIZE];
    uint8_t used[6 + 8 * QUEUE_SIZE] QEMU_ALIGNED(4096);
    struct virtio_blk_outhdr header QEMU_ALIGNED(4096);
    uint8_t status;
    uint8_t data[4096] QEMU_ALIGNED(4096);
} Shared;

struct VuClient {
    int sock;
    int memory_fd;
    int kick_fd;
    int call_fd;
    Shared *shared;
    struct vring_avail *avail;
    struct vring_used *used;
    bool event_idx;
    uint16_t idx;           /* requests so far */
    uint64_t kicks;
};

/* @fd goes along unless it is negative */
static void send_msg(VuClient *client, VhostUserMsg *msg, int fd)
{
    g_assert_true(vu_send(client->sock, msg, fd));
}

static void receive(VuClient *client, void *buf, size_t size)
{
    g_assert_cmpint(recv(client->sock, buf, size, MSG_WAITALL), ==, size);
}

static void get_answer(VuClient *client, VhostUserMsg *msg, int request)
{
    receive(client, msg, VHOST_USER_HDR_SIZE);
    g_assert_cmpint(msg->request, ==, request);
    g_assert_cmpint(msg->size, <=, sizeof(msg->payload));
    receive(client, &msg->payload, msg->size);
}

/* Sends it and waits for the answer, which takes its place */
static void ask(VuClient *client, VhostUserMsg *msg)
{
    int request = msg->request;

    send_msg(client, msg, -1);
    get_answer(client, msg, request);
}

static uint64_t ask_u64(VuClient *client, int request)
{
    VhostUserMsg msg = { .request = request };

    ask(client, &msg);
    return msg.payload.u64;
}

static void send_u64(VuClient *client, int request, uint64_t value, int fd)
{
    g_assert_true(vu_send_u64(client->sock, request, value, fd));
}

static void send_state(VuClient *client, int request, unsigned num)
{
    g_assert_true(vu_send_state(client->sock, request, num));
}

static void send_memory(VuClient *client)
{
    VhostUserMsg msg = {
        .request = VHOST_USER_SET_MEM_TABLE,
        .size = offsetof(VhostUserMemory, regions[1]),
        .payload.memory = {
            .nregions = 1,
            .regions[0] = {
                .memory_size = MEMORY_SIZE,
                .userspace_addr = (uintptr_t)client->shared,
            },
        },
    };

    send_msg(client, &msg, client->memory_fd);
}

static void send_addresses(VuClient *client)
{
    VhostUserMsg msg = {
        .request = VHOST_USER_SET_VRING_ADDR,
        .size = sizeof(msg.payload.addr),
        .payload.addr = {
            .desc_user_addr = (uintptr_t)client->shared->desc,
            .avail_user_addr = (uintptr_t)client->avail,
            .used_user_addr = (uintptr_t)client->used,
        },
    };

    send_msg(client, &msg, -1);
}

static void negotiate(VuClient *client)
{
    uint64_t features = ask_u64(client, VHOST_USER_GET_FEATURES);
    uint64_t wanted = 1ull << VIRTIO_F_VERSION_1 | PROTOCOL;

    if (client->event_idx) {
        wanted |= 1ull << VIRTIO_RING_F_EVENT_IDX;
    }
    g_assert_cmphex(features & wanted, ==, wanted);
    ask_u64(client, VHOST_USER_GET_PROTOCOL_FEATURES);
    send_u64(client, VHOST_USER_SET_PROTOCOL_FEATURES, 0, -1);
    send_u64(client, VHOST_USER_SET_OWNER, 0, -1);
    send_u64(client, VHOST_USER_SET_FEATURES, wanted, -1);
}

/* One request of three descriptors, which is used again and again */
static void init_ring(VuClient *client)
{
    Shared *shared = client->shared;

    shared->desc[0] = (struct vring_desc) {
        .addr = cpu_to_le64(offsetof(Shared, header)),
        .len = cpu_to_le32(sizeof(shared->header)),
        .flags = cpu_to_le16(VRING_DESC_F_NEXT),
        .next = cpu_to_le16(1),
    };
    shared->desc[1] = (struct vring_desc) {
        .addr = cpu_to_le64(offsetof(Shared, data)),
        .len = cpu_to_le32(sizeof(shared->data)),
        .flags = cpu_to_le16(VRING_DESC_F_NEXT | VRING_DESC_F_WRITE),
        .next = cpu_to_le16(2),
    };
    shared->desc[2] = (struct vring_desc) {
        .addr = cpu_to_le64(offsetof(Shared, status)),
        .len = cpu_to_le32(1),
        .flags = cpu_to_le16(VRING_DESC_F_WRITE),
    };
    shared->header.type = cpu_to_le32(VIRTIO_BLK_T_IN);
    client->avail = (struct vring_avail *)shared->avail;
    client->used = (struct vring_used *)shared->used;
    client->avail->flags = cpu_to_le16(VRING_AVAIL_F_NO_INTERRUPT);
}

/* The export may still be about to listen */
static int connect_to(const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    gint64 deadline = g_get_monotonic_time() + TIMEOUT_US;
    int sock = socket(AF_UNIX, SOCK_STREAM, 0);

    g_assert_cmpint(sock, >=, 0);
    g_strlcpy(addr.sun_path, path, sizeof(addr.sun_path));
    while (connect(sock, (struct sockaddr *)&addr, sizeof(addr))) {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        g_usleep(1000);
    }
    return sock;
}

VuClient *vu_client_new(const char *socket_path, bool event_idx)
{
    VuClient *client = g_new0(VuClient, 1);

    QEMU_BUILD_BUG_ON(sizeof(Shared) > MEMORY_SIZE);
    client->sock = connect_to(socket_path);
    client->event_idx = event_idx;
    client->memory_fd = memfd_create("vu-client", 0);
    g_assert_cmpint(ftruncate(client->memory_fd, MEMORY_SIZE), ==, 0);
    client->shared = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
                          client->memory_fd, 0);
    g_assert_true(client->shared != MAP_FAILED);
    client->kick_fd = eventfd(0, 0);
    client->call_fd = eventfd(0, 0);
    init_ring(client);
    negotiate(client);
    send_memory(client);
    vu_client_start(client);
    return client;
}

void vu_client_connect_again(VuClient *client, const char *socket_path)
{
    vu_client_hang_up(client);
    client->sock = connect_to(socket_path);
    negotiate(client);
    send_memory(client);
    vu_client_start(client);
}

bool vu_client_is_closed(VuClient *client)
{
    char byte;

    return recv(client->sock, &byte, 1, MSG_DONTWAIT) == 0;
}

void vu_client_want_no_call(VuClient *client)
{
    send_u64(client, VHOST_USER_SET_VRING_CALL, VHOST_USER_VRING_NOFD_MASK, -1);
    /* All the same it does not ask the device to leave interrupts out */
    client->avail->flags = 0;
}

uint16_t vu_client_done(VuClient *client)
{
    return le16_to_cpu(qatomic_read(&client->used->idx));
}


void vu_client_free(VuClient *client)
{
    vu_client_hang_up(client);
    close(client->kick_fd);
    close(client->call_fd);
    munmap(client->shared, MEMORY_SIZE);
    close(client->memory_fd);
    g_free(client);
}

void vu_client_hang_up(VuClient *client)
{
    if (client->sock >= 0) {
        close(client->sock);
        client->sock = -1;
    }
}

void vu_client_start(VuClient *client)
{
    send_state(client, VHOST_USER_SET_VRING_NUM, QUEUE_SIZE);
    /* Where a device that went away has left it */
    send_state(client, VHOST_USER_SET_VRING_BASE,
               le16_to_cpu(client->used->idx));
    send_addresses(client);
    send_u64(client, VHOST_USER_SET_VRING_KICK, 0, client->kick_fd);
    send_u64(client, VHOST_USER_SET_VRING_CALL, 0, client->call_fd);
    send_state(client, VHOST_USER_SET_VRING_ENABLE, 1);
    /* Its answer means that all of this is done */
    ask_u64(client, VHOST_USER_GET_FEATURES);
}

void vu_client_ping(VuClient *client)
{
    ask_u64(client, VHOST_USER_GET_FEATURES);
}

void vu_client_stop(VuClient *client)
{
    vu_client_stop_begin(client);
    g_assert_cmpuint(vu_client_stop_end(client), ==, client->idx);
}

void vu_client_stop_begin(VuClient *client)
{
    send_state(client, VHOST_USER_GET_VRING_BASE, 0);
}

uint16_t vu_client_stop_end(VuClient *client)
{
    VhostUserMsg msg;

    get_answer(client, &msg, VHOST_USER_GET_VRING_BASE);
    return msg.payload.state.num;
}

void vu_client_remap(VuClient *client)
{
    send_memory(client);
    ask_u64(client, VHOST_USER_GET_FEATURES);
}

bool vu_client_would_kick(VuClient *client)
{
    uint16_t *avail_event = (uint16_t *)&client->used->ring[QUEUE_SIZE];

    if (client->event_idx) {
        return vring_need_event(le16_to_cpu(qatomic_read(avail_event)),
                                client->idx + 1, client->idx);
    }
    return !(qatomic_read(&client->used->flags) &
             cpu_to_le16(VRING_USED_F_NO_NOTIFY));
}

uint64_t vu_client_kicks(VuClient *client)
{
    return client->kicks;
}

static void wait_used(VuClient *client)
{
    gint64 deadline = g_get_monotonic_time() + TIMEOUT_US;

    while (le16_to_cpu(qatomic_read(&client->used->idx)) != client->idx) {
        for (int i = 0; i < 1000; i++) {
            cpu_relax();
        }
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
    }
}

void vu_client_submit(VuClient *client)
{
    bool kick;

    client->avail->ring[client->idx % QUEUE_SIZE] = 0;
    qatomic_store_release(&client->avail->idx, cpu_to_le16(client->idx + 1));
    /* The index before what the device wants (virtio 1.2, 2.7.13.4) */
    smp_mb();
    kick = vu_client_would_kick(client);
    client->idx++;
    if (kick) {
        g_assert_cmpint(eventfd_write(client->kick_fd, 1), ==, 0);
        client->kicks++;
    }
}

void vu_client_read(VuClient *client)
{
    client->shared->status = 0xff;
    vu_client_submit(client);
    wait_used(client);
    /* The index before the status that it announces */
    smp_rmb();
    g_assert_cmpuint(client->shared->status, ==, VIRTIO_BLK_S_OK);
}
