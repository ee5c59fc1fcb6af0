/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Buffers of virtqueues: wherever they are, the right bytes, no longer than
 * they are used, and no page that a migration does not hear of
 */
#include "qemu/osdep.h"
#include "qemu/units.h"
#include "qobject/qdict.h"
#include "standard-headers/linux/virtio_blk.h"
#include "vblk.h"

#define TIMEOUT_S   120
#define SECTORS     64          /* of a request */
#define BYTES       (SECTORS * 512)
#define DIMM        (4 * GiB)   /* where pc puts the first one */
#define DIMM_SIZE   (128 * MiB)
/* hw/acpi/memory_hotplug.h: registers of pc */
#define SLOT_PORT   0xa00
#define FLAGS_PORT  0xa14
#define FLAG_EJECT  8

typedef struct Machine {
    QTestState *qts;
    VBlk *blk;
    char *folder;
    char *disk;
    char *dimm[2];
} Machine;

static void machine_start(Machine *m, const char *blockdev,
                          const char *iothread, const char *more)
{
    g_autofree char *dev = NULL;

    m->folder = g_dir_make_tmp("virtqueue-ram-XXXXXX", NULL);
    m->disk = g_build_filename(m->folder, "disk", NULL);
    m->dimm[0] = g_build_filename(m->folder, "dimm0", NULL);
    m->dimm[1] = g_build_filename(m->folder, "dimm1", NULL);
    g_assert_true(g_file_set_contents(m->disk, "", 0, NULL));
    g_assert_cmpint(truncate(m->disk, 16 * MiB), ==, 0);
    dev = g_strdup_printf(blockdev, m->disk);
    m->qts = qtest_initf("-machine pc -m 64M,slots=2,maxmem=8G -object "
                         "iothread,id=io0 -blockdev %s -device virtio-blk-pci,"
                         "id=blk0,drive=disk,addr=4,disable-legacy=on%s %s",
                         dev, iothread, more);
    m->blk = vblk_new(m->qts);
}

static void machine_stop(Machine *m)
{
    vblk_free(m->blk);
    qtest_quit(m->qts);
    unlink(m->disk);
    unlink(m->dimm[0]);
    unlink(m->dimm[1]);
    rmdir(m->folder);
    g_free(m->disk);
    g_free(m->dimm[0]);
    g_free(m->dimm[1]);
    g_free(m->folder);
}

#define IOTHREAD ",iothread=io0"
#define PLAIN "driver=file,node-name=disk,filename=%s"
/* For requests that stop on the way */
#define STOPS "driver=raw,node-name=disk,file.driver=blkdebug," \
              "file.image.driver=file,file.image.filename=%s"

static uint8_t *pattern(uint8_t seed)
{
    uint8_t *p = g_malloc(BYTES);

    for (unsigned i = 0; i < BYTES; i++) {
        p[i] = i * 7 + i / 512 + seed;
    }
    return p;
}

static void transfer(Machine *m, bool write, uint64_t sector, uint64_t data)
{
    VBlkBuffer buffer = { data, BYTES };

    vblk_start(m->blk, write, sector, &buffer, 1);
    g_assert_cmpint(vblk_finish(m->blk), ==, VIRTIO_BLK_S_OK);
}

static void expect(Machine *m, uint64_t addr, const void *bytes)
{
    g_autofree uint8_t *got = g_malloc(BYTES);

    qtest_memread(m->qts, addr, got, BYTES);
    g_assert_cmpmem(got, BYTES, bytes, BYTES);
}

/* To the disk from @addr and back, there and in plain RAM */
static void round_trip(Machine *m, uint64_t addr, uint64_t sector)
{
    g_autofree uint8_t *bytes = pattern(sector);
    g_autofree uint8_t *none = g_malloc0(BYTES);

    qtest_memwrite(m->qts, addr, bytes, BYTES);
    transfer(m, true, sector, addr);
    qtest_memwrite(m->qts, addr, none, BYTES);
    transfer(m, false, sector, addr);
    expect(m, addr, bytes);
    transfer(m, false, sector, 32 * MiB);
    expect(m, 32 * MiB, bytes);
}

/* RAM of all kinds, and what is none */
static void test_places(void)
{
    const VBlkBuffer bios = { 0xffff0000, 512 };
    g_autofree uint8_t *rom = g_malloc(BYTES);
    Machine m;

    machine_start(&m, PLAIN, IOTHREAD, "");
    round_trip(&m, 48 * MiB, 0);
    round_trip(&m, 0x1000, 100);
    round_trip(&m, 64 * MiB - BYTES, 200);

    /* The BIOS can be read, and is as it was afterwards */
    qtest_memread(m.qts, 0xffff0000, rom, BYTES);
    transfer(&m, true, 400, 0xffff0000);
    transfer(&m, false, 400, 32 * MiB);
    expect(&m, 32 * MiB, rom);
    /* As much as a bounce buffer takes */
    vblk_start(m.blk, false, 100, &bios, 1);
    g_assert_cmpint(vblk_finish(m.blk), ==, VIRTIO_BLK_S_OK);
    expect(&m, 0xffff0000, rom);
    round_trip(&m, 48 * MiB, 500);
    machine_stop(&m);
}

static void plug_dimm(Machine *m, unsigned i)
{
    g_autofree char *mem = g_strdup_printf("mem%u", i);
    g_autofree char *dimm = g_strdup_printf("dimm%u", i);

    qtest_qmp_assert_success(m->qts,
        "{'execute': 'object-add', 'arguments': {'qom-type': "
        "'memory-backend-file', 'id': %s, 'size': %" PRIu64 ", "
        "'share': true, 'mem-path': %s}}", mem, (uint64_t)DIMM_SIZE,
        m->dimm[i]);
    qtest_qmp_assert_success(m->qts,
        "{'execute': 'device_add', 'arguments': {'driver': 'pc-dimm', "
        "'id': %s, 'memdev': %s, 'addr': %" PRIu64 ", 'slot': %u}}",
        dimm, mem, (uint64_t)(DIMM + i * DIMM_SIZE), i);
}

static void unplug_dimm(Machine *m, unsigned i)
{
    g_autofree char *mem = g_strdup_printf("mem%u", i);
    g_autofree char *dimm = g_strdup_printf("dimm%u", i);

    qtest_qmp_assert_success(m->qts, "{'execute': 'device_del', "
                             "'arguments': {'id': %s}}", dimm);
    qtest_outl(m->qts, SLOT_PORT, i);
    qtest_outb(m->qts, FLAGS_PORT, FLAG_EJECT);
    qtest_qmp_eventwait(m->qts, "DEVICE_DELETED");
    qtest_qmp_assert_success(m->qts, "{'execute': 'object-del', "
                             "'arguments': {'id': %s}}", mem);
}

/* Does QEMU have the DIMM's file in its memory? */
static bool dimm_mapped(Machine *m, unsigned i)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/maps",
                                            (int)qtest_pid(m->qts));
    g_autofree char *maps = NULL;

    g_assert_true(g_file_get_contents(path, &maps, NULL, NULL));
    return strstr(maps, m->dimm[i]);
}

static void wait_until_unmapped(Machine *m, unsigned i)
{
    for (int n = 0; dimm_mapped(m, i); n++) {
        g_assert_cmpint(n, <, TIMEOUT_S * 10);
        g_usleep(100000);
    }
}

/* A buffer that begins in one DIMM and ends in the next, also after another */
static void test_across(void)
{
    const VBlkBuffer buffers[] = {
        { DIMM + MiB, 512 }, { DIMM + DIMM_SIZE - 512, 1024 },
    };
    Machine m;

    machine_start(&m, PLAIN, IOTHREAD, "");
    plug_dimm(&m, 0);
    plug_dimm(&m, 1);
    for (unsigned i = 0; i < 3; i++) {
        round_trip(&m, DIMM + DIMM_SIZE - (i + 1) * BYTES / 4, 100 * i);
    }
    round_trip(&m, DIMM + DIMM_SIZE, 400);
    /* One reference too few would be seen by now, one too many below */
    for (unsigned i = 0; i < 500; i++) {
        vblk_start(m.blk, false, 0, buffers, 2);
        g_assert_cmpint(vblk_finish(m.blk), ==, VIRTIO_BLK_S_OK);
    }
    unplug_dimm(&m, 0);
    wait_until_unmapped(&m, 0);
    round_trip(&m, DIMM + DIMM_SIZE, 500);
    machine_stop(&m);
}

/* An element that is refused keeps nothing, wherever its buffers are */
static void test_refused(void)
{
    const VBlkBuffer buffers[] = {
        { DIMM + MiB, 512 }, { DIMM + DIMM_SIZE - 512, 1024 },
    };
    Machine m;

    for (unsigned n = 1; n <= 2; n++) {
        machine_start(&m, PLAIN, IOTHREAD, "");
        plug_dimm(&m, 0);
        plug_dimm(&m, 1);
        round_trip(&m, DIMM + MiB, 0);
        vblk_refused(m.blk, buffers, n);
        unplug_dimm(&m, 0);
        wait_until_unmapped(&m, 0);
        machine_stop(&m);
    }
}

/* Nothing keeps memory that is unplugged, when nothing uses it */
static void test_unplug(void)
{
    Machine m;

    machine_start(&m, PLAIN, IOTHREAD, "");
    for (unsigned i = 0; i < 3; i++) {
        plug_dimm(&m, 0);
        round_trip(&m, DIMM + 5 * MiB, 0);
        round_trip(&m, 48 * MiB, 100);
        g_assert_true(dimm_mapped(&m, 0));
        unplug_dimm(&m, 0);
        wait_until_unmapped(&m, 0);
        round_trip(&m, 48 * MiB, 200);
    }
    machine_stop(&m);
}

static void qemu_io(Machine *m, const char *command)
{
    g_autofree char *out = qtest_hmp(m->qts, "qemu-io -d blk0/virtio-backend "
                                     "\"%s\"", command);

    g_assert_cmpstr(out, ==, "");
}

/* A request that is under way keeps its memory, and ends as it would have */
static void test_unplug_under_request(void)
{
    const VBlkBuffer buffer = { DIMM + MiB, BYTES };
    g_autofree uint8_t *bytes = pattern(9);
    g_autofree uint8_t *got = NULL;
    size_t size;
    Machine m;

    machine_start(&m, STOPS, "", "");
    plug_dimm(&m, 0);
    qtest_memwrite(m.qts, 16 * MiB, bytes, BYTES);
    transfer(&m, true, 8, 16 * MiB);
    transfer(&m, false, 8, DIMM);
    plug_dimm(&m, 1);
    transfer(&m, false, 8, DIMM + DIMM_SIZE + MiB);
    qemu_io(&m, "break read_aio A");
    vblk_start(m.blk, false, 8, &buffer, 1);
    qemu_io(&m, "wait_break A");
    unplug_dimm(&m, 0);
    /* What is not in use goes meanwhile */
    unplug_dimm(&m, 1);
    wait_until_unmapped(&m, 1);
    g_assert_true(dimm_mapped(&m, 0));
    qemu_io(&m, "resume A");
    g_assert_cmpint(vblk_finish(m.blk), ==, VIRTIO_BLK_S_OK);
    wait_until_unmapped(&m, 0);
    g_assert_true(g_file_get_contents(m.dimm[0], (char **)&got, &size, NULL));
    g_assert_cmpuint(size, ==, DIMM_SIZE);
    g_assert_cmpmem(got + MiB, BYTES, bytes, BYTES);
    round_trip(&m, 48 * MiB, 200);
    machine_stop(&m);
}

static QDict *migration(Machine *m)
{
    return qtest_qmp_assert_success_ref(m->qts, "{'execute': 'query-migrate'}");
}

static bool migration_is(Machine *m, const char *status)
{
    QDict *info = migration(m);
    bool is = g_str_equal(qdict_get_str(info, "status"), status);

    g_assert_cmpstr(qdict_get_str(info, "status"), !=, "failed");
    qobject_unref(info);
    return is;
}

static int64_t migrated(Machine *m)
{
    QDict *info = migration(m);
    QDict *ram = qdict_get_qdict(info, "ram");
    int64_t bytes = ram ? qdict_get_int(ram, "transferred") : 0;

    qobject_unref(info);
    return bytes;
}

static void bandwidth(Machine *m, uint64_t bytes)
{
    qtest_qmp_assert_success(m->qts,
        "{'execute': 'migrate-set-parameters', 'arguments': "
        "{'max-bandwidth': %" PRIu64 "}}", bytes);
}

/* What the device writes to pages that have been sent already is sent again */
static void test_dirty(void)
{
    g_autofree uint8_t *old = pattern(1), *new = pattern(2);
    g_autofree char *stream = NULL, *uri = NULL, *incoming = NULL;
    g_autofree char *opts = NULL;
    Machine m;
    QTestState *dst;
    g_autofree uint8_t *got = g_malloc(BYTES);

    machine_start(&m, PLAIN, IOTHREAD, "");
    stream = g_build_filename(m.folder, "stream", NULL);
    uri = g_strdup_printf("file:%s", stream);
    /* Pages that take time: the first are those that are read over */
    for (unsigned i = 0; i < 16 * MiB / BYTES; i++) {
        qtest_memwrite(m.qts, 2 * MiB + i * BYTES, old, BYTES);
    }
    qtest_memwrite(m.qts, 48 * MiB, new, BYTES);
    transfer(&m, true, 0, 48 * MiB);
    bandwidth(&m, 4 * MiB);
    qtest_qmp_assert_success(m.qts, "{'execute': 'migrate', 'arguments': "
                             "{'uri': %s}}", uri);
    while (migrated(&m) < 4 * MiB) {
        g_usleep(10000);
    }
    /* It does not end before the disk has written */
    bandwidth(&m, 4 * KiB);
    transfer(&m, false, 0, 2 * MiB);
    bandwidth(&m, GiB);
    while (!migration_is(&m, "completed")) {
        g_usleep(10000);
    }
    expect(&m, 2 * MiB, new);

    incoming = g_strdup_printf("-incoming %s", uri);
    opts = g_strdup_printf("-machine pc -m 64M,slots=2,maxmem=8G -object "
                           "iothread,id=io0 -blockdev " PLAIN " -device "
                           "virtio-blk-pci,drive=disk,iothread=io0,addr=4,"
                           "disable-legacy=on %s", m.disk, incoming);
    qtest_quit(m.qts);
    dst = qtest_init(opts);
    m.qts = dst;
    while (!migration_is(&m, "completed")) {
        g_usleep(10000);
    }
    expect(&m, 2 * MiB, new);
    expect(&m, 2 * MiB + BYTES, old);
    unlink(stream);
    machine_stop(&m);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/virtqueue-ram/places", test_places);
    qtest_add_func("/virtqueue-ram/across", test_across);
    qtest_add_func("/virtqueue-ram/refused", test_refused);
    qtest_add_func("/virtqueue-ram/unplug", test_unplug);
    qtest_add_func("/virtqueue-ram/unplug-under-request",
                   test_unplug_under_request);
    qtest_add_func("/virtqueue-ram/dirty", test_dirty);
    return g_test_run();
}
