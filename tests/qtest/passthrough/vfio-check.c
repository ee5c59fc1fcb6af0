/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "vfio-check.h"

#define TIMEOUT_US      (60 * G_USEC_PER_SEC)

static void wait_for_message(QTestState *qts, uint64_t mailbox, uint32_t data)
{
    gint64 deadline = g_get_monotonic_time() + TIMEOUT_US;

    while (qtest_readl(qts, mailbox) != data) {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
    }
}

static void wait_until_pending(VfioDevice *dev, unsigned n)
{
    gint64 deadline = g_get_monotonic_time() + TIMEOUT_US;

    while (!vfio_device_pending(dev, n)) {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
    }
}

static void check_vector(VfioHost *host, const char *address, VfioDevice *dev,
                         unsigned n)
{
    uint64_t mailbox = vfio_device_mailbox(n);
    uint32_t data = 0x4000 + n;

    qtest_writel(dev->qts, mailbox, 0);
    vfio_device_set_vector(dev, n, mailbox, data);
    vfio_device_mask(dev, n, false);
    vfio_host_fire(host, address, n);
    wait_for_message(dev->qts, mailbox, data);

    qtest_writel(dev->qts, mailbox, 0);
    vfio_device_mask(dev, n, true);
    vfio_host_fire(host, address, n);
    wait_until_pending(dev, n);
    g_assert_cmphex(qtest_readl(dev->qts, mailbox), ==, 0);
    vfio_device_mask(dev, n, false);
    wait_for_message(dev->qts, mailbox, data);
    g_assert_false(vfio_device_pending(dev, n));
}

void vfio_check_vectors(VfioHost *host, const char *address, VfioDevice *dev)
{
    vfio_device_msix_enable(dev);
    check_vector(host, address, dev, 0);
    check_vector(host, address, dev, dev->vectors / 2);
    check_vector(host, address, dev, dev->vectors - 1);
}
