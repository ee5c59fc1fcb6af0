/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * -set device.ID.PROPERTY=VALUE: for devices given as key=value and as JSON,
 * before and after -device, what it refuses, and which devices take it
 */
#include "qemu/osdep.h"
#include "libqtest.h"
#include "libqos/malloc-pc.h"
#include "libqos/pci-pc.h"
#include "libqos/virtio-pci.h"
#include "qobject/qdict.h"
#include "qobject/qjson.h"
#include "../common/start-fails.h"
#include "standard-headers/linux/virtio_config.h"

#define MACHINE "-machine q35 -nodefaults -display none "
#define NIC "-device '{\"driver\":\"e1000e\",\"id\":\"x\",\"addr\":\"3\"}' "
#define NIC_KEYVAL "-device e1000e,id=x,addr=3 "
#define DISKS "-blockdev null-co,node-name=d0 -blockdev null-co,node-name=d1 " \
              "-object iothread,id=t0 "
#define BLK "-device '{\"driver\":\"virtio-blk-pci\",\"id\":\"x\"," \
            "\"drive\":\"d0\"}' "
#define NVME "-device '{\"driver\":\"nvme\",\"id\":\"x\",\"serial\":\"s\"," \
             "\"max_ioqpairs\":8,\"drive\":\"d0\"}' "
#define NETDEV "-netdev hubport,id=n0,hubid=0 -netdev hubport,id=n1,hubid=1 " \
               "-device '{\"driver\":\"e1000e\",\"id\":\"x\"," \
               "\"netdev\":\"n0\"}' "
#define TABLET "'driver': 'usb-tablet', 'id': 'x', 'serial': 'own'"

static char *get(QTestState *qts, const char *path, const char *name)
{
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'qom-get', 'arguments': {"
                           "'path': %s, 'property': %s }}", path, name);
    QObject *value = qdict_get(rsp, "return");
    char *text = NULL;

    if (value) {
        g_autoptr(GString) json = qobject_to_json(value);

        text = g_strdup(json->str);
    }
    qobject_unref(rsp);
    return text;
}

static void expect(QTestState *qts, const char *id, const char *name,
                   const char *json)
{
    g_autofree char *path = g_strdup_printf("/machine/peripheral/%s", id);
    g_autofree char *value = get(qts, path, name);

    g_assert_cmpstr(value, ==, json);
}

/* What QEMU says when it is started with @args, and does not start */
static char *refused(const char *args)
{
    /* It would not load a snapshot: QEMU ends in any case */
    g_autofree char *line = g_strdup_printf("-accel qtest " MACHINE
                                            "%s -loadvm none", args);

    return start_fails(line);
}

/* One line and perhaps a hint, with all of @words, separated by '|' */
static void refuse(const char *args, const char *words)
{
    g_autofree char *text = refused(args);
    g_auto(GStrv) word = g_strsplit(words, "|", -1);
    g_auto(GStrv) part = g_strsplit(g_strchomp(text),
                                    "\nPossible values: ", 2);

    for (int i = 0; word[i]; i++) {
        if (!strstr(text, word[i])) {
            g_test_message("%s: expected '%s', got: %s", args, word[i], text);
            g_test_fail();
        }
    }
    g_assert_null(strchr(part[0], '\n'));
}

typedef struct Case {
    const char *device;         /* it has the ID x */
    const char *setting;        /* of -set, without "device.x." */
    const char *name;
    const char *json;           /* value of @name after that */
} Case;

/* Types of properties; each overrides a value of the device or a default */
static const Case cases[] = {
    { NIC, "addr=5", "addr", "40" },
    { NIC, "addr=5.0", "addr", "40" },
    { NIC, "multifunction=on", "multifunction", "true" },
    { NIC, "mac=52:54:00:00:00:07", "mac", "\"52:54:00:00:00:07\"" },
    { NIC, "subsys=0x17", "subsys", "23" },
    { NETDEV, "netdev=n1", "netdev", "\"n1\"" },   /* not to be set twice */
    { BLK, "drive=d1", "drive", "\"d1\"" },
    { BLK, "iothread=t0", "iothread", "\"/objects/t0\"" },
    { BLK, "disable-legacy=on", "disable-legacy", "\"on\"" },
    { BLK, "discard_granularity=4k", "discard_granularity", "4096" },
    { NVME, "max_ioqpairs=3", "max_ioqpairs", "3" },
    { NVME, "serial=a=b,c.d", "serial", "\"a=b,c.d\"" },
    { NIC, "romfile=", "romfile", "\"\"" },
};

/* Both orders of -device and -set */
static QTestState *start(const char *device, const char *setting, bool before)
{
    g_autofree char *set = g_strdup_printf("-set device.x.%s", setting);

    return qtest_initf(MACHINE DISKS "%s %s", before ? set : device,
                       before ? device : set);
}

static void test_json(void)
{
    for (int i = 0; i < G_N_ELEMENTS(cases); i++) {
        const Case *c = &cases[i];

        for (int before = 0; before < 2; before++) {
            QTestState *qts = start(c->device, c->setting, before);

            expect(qts, "x", c->name, c->json);
            qtest_quit(qts);
        }
    }
}

static void test_keyval(void)
{
    for (int before = 0; before < 2; before++) {
        QTestState *qts = start(NIC_KEYVAL, "addr=5", before);

        expect(qts, "x", "addr", "40");
        qtest_quit(qts);
    }
}

static void test_last_wins(void)
{
    static const char *const devices[] = { NIC, NIC_KEYVAL };

    for (int i = 0; i < G_N_ELEMENTS(devices); i++) {
        QTestState *qts = qtest_initf(
            MACHINE "-set device.x.addr=9 -set device.x.addr=6 %s"
            "-set device.x.subsys=1 -set device.x.addr=7 "
            "-set device.x.subsys=2", devices[i]);

        expect(qts, "x", "addr", "56");
        expect(qts, "x", "subsys", "2");
        qtest_quit(qts);
    }
    /* What was overridden is not looked at, not even on the command line */
    qtest_quit(qtest_init(MACHINE NIC "-set device.x.addr=bad "
                          "-set device.x.addr=7"));
}

/* Each device takes its own */
static void test_two_devices(void)
{
    QTestState *qts = qtest_init(
        MACHINE "-set device.y.subsys=2 " NIC
        "-device '{\"driver\":\"e1000e\",\"id\":\"y\"}' "
        "-device e1000e,id=z -device '{\"driver\":\"e1000e\"}' "
        "-set device.z.subsys=3 -set device.x.subsys=1");

    expect(qts, "x", "subsys", "1");
    expect(qts, "y", "subsys", "2");
    expect(qts, "z", "subsys", "3");
    qtest_quit(qts);
}

/* What is looked at before there is a device */
static void test_before_device(void)
{
    static const char *const devices[] = {
        "-device '{\"driver\":\"e1000e\",\"id\":\"x\",\"bus\":\"pcie.0\"}' ",
        "-device e1000e,id=x,bus=pcie.0 ",
    };

    for (int i = 0; i < G_N_ELEMENTS(devices); i++) {
        QTestState *qts = qtest_initf(
            MACHINE "-device pcie-root-port,id=rp,chassis=1 "
            "-set device.x.driver=igb -set device.x.id=y "
            "-set device.x.bus=rp %s-set device.x.mac=52:54:00:00:00:08",
            devices[i]);

        expect(qts, "x", "type", NULL);
        expect(qts, "y", "type", "\"igb\"");
        expect(qts, "y", "parent_bus", "\"/machine/peripheral/rp/rp\"");
        expect(qts, "y", "mac", "\"52:54:00:00:00:08\"");
        qtest_quit(qts);
    }
}

/* IDs with dots, as libvirt gives them to controllers */
static void test_dots(void)
{
    QTestState *qts = qtest_init(
        MACHINE "-set device.pci.1.port=7 "
        "-device '{\"driver\":\"pcie-root-port\",\"id\":\"pci.1\"}' "
        "-device '{\"driver\":\"e1000e\",\"id\":\"pci\"}' "
        "-device pcie-root-port,id=pci.2,chassis=2 "
        "-set device.pci.subsys=1 -set device.pci.2.port=8 "
        "-device '{\"driver\":\"qemu64-x86_64-cpu\",\"id\":\"cpu1\","
        "\"socket-id\":1,\"core-id\":0,\"thread-id\":0}' -smp 1,sockets=2,maxcpus=2 "
        "-set device.cpu1.sse4.1=on");

    expect(qts, "pci.1", "port", "7");
    expect(qts, "pci.2", "port", "8");
    expect(qts, "pci", "subsys", "1");
    expect(qts, "cpu1", "sse4.1", "true");
    qtest_quit(qts);
}

static void test_readconfig(void)
{
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("set-option-XXXXXX", &path, NULL);
    const char *text = "[device \"x\"]\ndriver = \"e1000e\"\naddr = \"3\"\n";

    g_assert_cmpint(fd, >=, 0);
    close(fd);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    for (int before = 0; before < 2; before++) {
        g_autofree char *config = g_strdup_printf("-readconfig %s", path);
        QTestState *qts = start(config, "addr=5", before);

        expect(qts, "x", "addr", "40");
        qtest_quit(qts);
    }
    unlink(path);
}

typedef struct Refusal {
    const char *args;
    const char *words;
} Refusal;

static const Refusal refusals[] = {
    { NIC "-set device.nosuch.addr=5",
      "-set device.nosuch.addr=5|there is no device \"nosuch\" defined" },
    { "-set device.nosuch.addr=5 " NIC,
      "-set device.nosuch.addr=5|there is no device \"nosuch\" defined" },
    { "-set device.y.addr=5 " NIC "-device help",
      "-set device.y.addr=5|there is no device \"y\" defined" },
    { NIC "-set device.x.nosuch=5",
      "-set device.x.nosuch=5|'e1000e.nosuch' not found" },
    { NIC "-set device.x.addr=32", "-set device.x.addr=32|value '32'" },
    { NIC "-set device.x.subsys=much", "-set device.x.subsys=much|subsys" },
    { NIC "-set device.x.multifunction=2", "-set device.x.multifunction=2" },
    { NIC "-set device.x.type=igb", "-set device.x.type=igb" },
    { NIC "-set device.x.realized=on", "-set device.x.realized=on" },
    { NIC "-set device.x.bus=nosuch", "'nosuch'" },
    { NIC "-set device.x.driver=nosuch", "'nosuch'" },
    { NIC "-set device.x.netdev=nosuch", "-set device.x.netdev=nosuch" },
    { NIC "-set device.x", "-set device.x|can't parse" },
    { NIC "-set device.x.=5", "can't parse" },
    { NIC "-set device.x.addr", "can't parse" },
    { NIC "-set device..addr=5", "can't parse" },
    { DISKS BLK "-set device.x.iothread=nosuch",
      "-set device.x.iothread=nosuch" },
    { DISKS BLK "-set device.x.disable-legacy=maybe",
      "-set device.x.disable-legacy=maybe|'maybe'" },
    { DISKS BLK "-set device.x.iothread-vq-mapping=t0",
      "-set device.x.iothread-vq-mapping=t0|'iothread-vq-mapping' is a list" },
    { "-device '{\"driver\":\"rocker\",\"id\":\"x\"}' -set device.x.ports=a",
      "-set device.x.ports=a|'ports' is a list" },
    { NIC_KEYVAL "-set device.x.nosuch=5", "'e1000e.nosuch' not found" },
};

static void test_refusals(void)
{
    for (int i = 0; i < G_N_ELEMENTS(refusals); i++) {
        refuse(refusals[i].args, refusals[i].words);
    }
}

/* The other groups: at once, and in QemuOpts only, as in stock QEMU */
static void test_other_groups(void)
{
    QTestState *qts = qtest_init(
        MACHINE "-drive if=none,id=disk,driver=null-co "
        "-set drive.disk.read-zeroes=on "
        "-device '{\"driver\":\"virtio-blk-pci\",\"id\":\"x\","
        "\"drive\":\"disk\"}' -set device.x.addr=5");

    expect(qts, "x", "addr", "40");
    qtest_quit(qts);
    refuse("-set drive.disk.cache=none -drive if=none,id=disk,driver=null-co",
           "-set drive.disk.cache=none|there is no drive \"disk\" defined");
    refuse("-machine none -set machine.x.memory=0",
           "-set is not supported with machine");
    refuse("-set nosuch.x.y=0", "nosuch");
    refuse("-set drive.disk", "can't parse");
}

static void test_unplug(void)
{
    QTestState *qts = qtest_init(
        MACHINE "-device qemu-xhci -device '{\"driver\":\"usb-tablet\","
        "\"id\":\"x\",\"serial\":\"own\"}' -set device.x.serial=override");

    expect(qts, "x", "serial", "\"override\"");
    qtest_qmp_device_del(qts, "x");
    qtest_qmp_assert_success(qts, "{ 'execute': 'device_add', "
                             "'arguments': {" TABLET " }}");
    expect(qts, "x", "serial", "\"own\"");
    qtest_quit(qts);
}

#define VIRTIO_NET_F_STANDBY 62

/* The driver takes over: failover plugs its primary device */
static void start_driver(QTestState *qts)
{
    QPCIAddress addr = { .devfn = QPCI_DEVFN(4, 0) };
    QGuestAllocator alloc;
    QVirtioPCIDevice *dev;
    QPCIBus *bus;

    pc_alloc_init(&alloc, qts, 0);
    bus = qpci_new_pc(qts, &alloc);
    dev = virtio_pci_new(bus, &addr);
    g_assert_nonnull(dev);
    qvirtio_pci_device_enable(dev);
    qvirtio_start_device(&dev->vdev);
    qvirtio_set_features(&dev->vdev, qvirtio_get_features(&dev->vdev) &
                         (1ULL << VIRTIO_F_VERSION_1 |
                          1ULL << VIRTIO_NET_F_STANDBY));
    qtest_qmp_eventwait(qts, "FAILOVER_NEGOTIATED");
    qos_object_destroy((QOSGraphObject *)dev);
    qpci_free_pc(bus);
    alloc_destroy(&alloc);
}

/* A device that is hidden at first takes it when it comes */
static void test_failover(void)
{
    QTestState *qts = qtest_init(
        MACHINE "-device pcie-root-port,id=rp,chassis=1 "
        "-device virtio-net-pci,id=net,failover=on,addr=4 "
        "-device '{\"driver\":\"e1000e\",\"id\":\"x\",\"bus\":\"rp\","
        "\"mac\":\"52:54:00:00:00:01\"}' "
        "-set device.x.failover_pair_id=net "
        "-set device.x.mac=52:54:00:00:00:09");

    expect(qts, "x", "type", NULL);
    start_driver(qts);
    expect(qts, "x", "mac", "\"52:54:00:00:00:09\"");
    qtest_quit(qts);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("set-option/json", test_json);
    qtest_add_func("set-option/keyval", test_keyval);
    qtest_add_func("set-option/last-wins", test_last_wins);
    qtest_add_func("set-option/two-devices", test_two_devices);
    qtest_add_func("set-option/before-device", test_before_device);
    qtest_add_func("set-option/dots", test_dots);
    qtest_add_func("set-option/readconfig", test_readconfig);
    qtest_add_func("set-option/refusals", test_refusals);
    qtest_add_func("set-option/other-groups", test_other_groups);
    qtest_add_func("set-option/unplug", test_unplug);
    qtest_add_func("set-option/failover", test_failover);
    return g_test_run();
}
