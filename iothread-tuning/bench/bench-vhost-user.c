/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * The frontend of a vhost-user-blk export (QEMU's docs/interop/vhost-user.rst)
 */
#include <errno.h>
#include <linux/vhost_types.h>
#include <linux/virtio_config.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "send-fd.h"
#include "bench-vhost-user.h"

enum {
    GET_FEATURES = 1,
    SET_FEATURES = 2,
    SET_OWNER = 3,
    SET_MEM_TABLE = 5,
    SET_VRING_NUM = 8,
    SET_VRING_ADDR = 9,
    SET_VRING_BASE = 10,
    SET_VRING_KICK = 12,
    SET_VRING_CALL = 13,
    GET_PROTOCOL_FEATURES = 15,
    SET_PROTOCOL_FEATURES = 16,
    SET_VRING_ENABLE = 18,
};

#define VERSION              1
#define F_PROTOCOL_FEATURES  (1ull << 30)
#define FEATURES             ((1ull << VIRTIO_F_VERSION_1) | \
                              (1ull << VIRTIO_RING_F_EVENT_IDX) | \
                              (1ull << VIRTIO_RING_F_INDIRECT_DESC))

typedef struct Message {
    uint32_t request;
    uint32_t flags;
    uint32_t size;
    union {
        uint64_t u64;
        struct vhost_vring_state state;
        struct vhost_vring_addr addr;
        struct {
            uint32_t n;
            uint32_t padding;
            uint64_t guest, size, user, offset;
        } memory;
    } payload;
} __attribute__((packed)) Message;

#define HEADER_BYTES offsetof(Message, payload)

/* @fd: goes along with the message unless it is negative */
static void send_message(int sock, Message *msg, int fd)
{
    msg->flags = VERSION;
    if (!send_with_fd(sock, msg, HEADER_BYTES + msg->size, fd)) {
        bench_die("cannot talk to the vhost-user export: %m");
    }
}

static void send_u64(int sock, uint32_t request, uint64_t value, int fd)
{
    Message msg = { .request = request, .size = 8, .payload.u64 = value };

    send_message(sock, &msg, fd);
}

static void send_state(int sock, uint32_t request, unsigned num)
{
    Message msg = {
        .request = request,
        .size = sizeof(msg.payload.state),
        .payload.state.num = num,
    };

    send_message(sock, &msg, -1);
}

/* QEMU's main loop may wait for the disk, so that must go on */
static void vhost_user_receive(int sock, Disk *disk, void *buf, size_t size)
{
    int64_t deadline = now_ns() + BENCH_TIMEOUT_NS;
    size_t have = 0;

    while (have < size) {
        ssize_t len = recv(sock, buf + have, size - have, MSG_DONTWAIT);

        if (len > 0) {
            have += len;
        } else if (!len || errno != EAGAIN || now_ns() > deadline) {
            bench_die("the vhost-user export does not answer");
        }
        disk_serve(disk, now_ns());
    }
}

static uint64_t vhost_user_ask(int sock, Disk *disk, uint32_t request)
{
    Message msg = { .request = request };

    send_message(sock, &msg, -1);
    vhost_user_receive(sock, disk, &msg, HEADER_BYTES);
    if (msg.request != request || msg.size != 8) {
        bench_die("the vhost-user export answered something else");
    }
    vhost_user_receive(sock, disk, &msg.payload, msg.size);
    return msg.payload.u64;
}

static int vhost_user_connect(const char *name, Disk *disk)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    socklen_t len = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name);
    int64_t deadline = now_ns() + BENCH_TIMEOUT_NS;
    int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (strlen(name) + 1 >= sizeof(addr.sun_path)) {
        bench_die("the socket's name is too long");
    }
    strcpy(addr.sun_path + 1, name);
    while (connect(sock, (struct sockaddr *)&addr, len)) {
        disk_serve(disk, now_ns());
        if (now_ns() > deadline) {
            bench_die("the vhost-user export does not listen (%m); "
                      "messages of qemu-storage-daemon are above");
        }
        usleep(1000);
    }
    return sock;
}

static void send_memory(int sock, const Child *child)
{
    Message msg = {
        .request = SET_MEM_TABLE,
        .size = sizeof(msg.payload.memory),
        .payload.memory = {
            .n = 1,
            .size = GUEST_RAM_BYTES,
            .user = (uintptr_t)child->ram,
        },
    };

    send_message(sock, &msg, child->ram_fd);
}

static void send_addresses(int sock, const VirtQueue *vq)
{
    Message msg = {
        .request = SET_VRING_ADDR,
        .size = sizeof(msg.payload.addr),
        .payload.addr = {
            .desc_user_addr = (uintptr_t)vq->desc,
            .avail_user_addr = (uintptr_t)vq->avail,
            .used_user_addr = (uintptr_t)vq->used,
        },
    };

    send_message(sock, &msg, -1);
}

/* The connection stays open for as long as the process lives */
void vhost_user_start(const char *name, const Child *child, Disk *disk,
                      VirtQueue *vq)
{
    int sock = vhost_user_connect(name, disk);
    uint64_t features = vhost_user_ask(sock, disk, GET_FEATURES);

    if ((features & FEATURES) != FEATURES) {
        bench_die("the export has no event indexes or indirect descriptors");
    }
    if (features & F_PROTOCOL_FEATURES) {
        vhost_user_ask(sock, disk, GET_PROTOCOL_FEATURES);
        send_u64(sock, SET_PROTOCOL_FEATURES, 0, -1);
    }
    send_u64(sock, SET_OWNER, 0, -1);
    send_u64(sock, SET_FEATURES,
             FEATURES | (features & F_PROTOCOL_FEATURES), -1);
    send_memory(sock, child);
    send_state(sock, SET_VRING_NUM, QUEUE_SIZE);
    send_state(sock, SET_VRING_BASE, 0);
    send_addresses(sock, vq);
    vq->kick_fd = eventfd(0, EFD_CLOEXEC);
    send_u64(sock, SET_VRING_KICK, 0, vq->kick_fd);
    send_u64(sock, SET_VRING_CALL, 0, eventfd(0, EFD_CLOEXEC));
    if (features & F_PROTOCOL_FEATURES) {
        send_state(sock, SET_VRING_ENABLE, 1);
    }
    /* An answer means that all of this is done */
    vhost_user_ask(sock, disk, GET_FEATURES);
}
