/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * kvm-halt-poll-ns: values and errors, and what KVM does then, by the counters
 * of a guest in real mode that halts and is woken up by a timer
 */
#include "qemu/osdep.h"
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include "libqtest.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "qobject/qnum.h"
#include "qobject/qstring.h"
#include "../common/start-fails.h"

#define PROPERTY "kvm-halt-poll-ns"
#define MACHINE "-nodefaults -display none -no-user-config -M pc"
/* Without an APIC, which the ROM would have to program */
#define KVM_MACHINE MACHINE " -accel kvm -cpu qemu64,-arch-capabilities,-apic "
#define ROM_SIZE 65536
/* Longer than the timer's period, so that polls may hit */
#define LONG_POLL 10000000
#define DEADLINE_SECONDS 120

/* At f000:0; the timer of the PC ticks 1000 times a second */
static const uint8_t rom_code[] = {
    0xfa,                       /* cli */
    0x31, 0xc0,                 /* xor ax, ax */
    0x8e, 0xd8,                 /* mov ds, ax */
    0x8e, 0xd0,                 /* mov ss, ax */
    0xbc, 0x00, 0x7c,           /* mov sp, 7c00h */
    0xc7, 0x06, 0x20, 0x00, 0x50, 0x00, /* mov word [8 * 4], 50h */
    0xc7, 0x06, 0x22, 0x00, 0x00, 0xf0, /* mov word [8 * 4 + 2], f000h */
    0xb0, 0x11, 0xe6, 0x20,     /* PIC: ICW1 */
    0xb0, 0x08, 0xe6, 0x21,     /* ICW2: vectors from 8 */
    0xb0, 0x04, 0xe6, 0x21,     /* ICW3 */
    0xb0, 0x01, 0xe6, 0x21,     /* ICW4 */
    0xb0, 0xfe, 0xe6, 0x21,     /* all masked but the timer */
    0xb0, 0x34, 0xe6, 0x43,     /* PIT: channel 0, rate generator */
    0xb0, 0xa9, 0xe6, 0x40,     /* 1193 = 4a9h */
    0xb0, 0x04, 0xe6, 0x40,
    0xfb,                       /* sti */
    0xf4,                       /* hlt */
    0xeb, 0xfd,                 /* jmp to the hlt */
};

/* At f000:50 */
static const uint8_t rom_handler[] = {
    0x50,                       /* push ax */
    0xb0, 0x20, 0xe6, 0x20,     /* end of interrupt */
    0x58,                       /* pop ax */
    0xcf,                       /* iret */
};

/* At f000:fff0 */
static const uint8_t rom_reset[] = { 0xea, 0x00, 0x00, 0x00, 0xf0 };

static char *write_rom(void)
{
    g_autofree uint8_t *rom = g_malloc0(ROM_SIZE);
    char *path = NULL;
    int fd = g_file_open_tmp("halt-poll-XXXXXX", &path, NULL);

    g_assert_cmpint(fd, >=, 0);
    QEMU_BUILD_BUG_ON(sizeof(rom_code) > 0x50);
    memcpy(rom, rom_code, sizeof(rom_code));
    memcpy(rom + 0x50, rom_handler, sizeof(rom_handler));
    memcpy(rom + 0xfff0, rom_reset, sizeof(rom_reset));
    g_assert_cmpint(write(fd, rom, ROM_SIZE), ==, ROM_SIZE);
    close(fd);
    return path;
}

/* Can KVM do it here? */
static bool kvm_has_halt_poll(void)
{
    int kvm = open("/dev/kvm", O_RDWR);
    int vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
    bool has = vm >= 0 &&
        ioctl(vm, KVM_CHECK_EXTENSION, KVM_CAP_HALT_POLL) > 0;

    if (vm >= 0) {
        close(vm);
    }
    if (kvm >= 0) {
        close(kvm);
    }
    return has;
}

static int64_t get(QTestState *qts)
{
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'qom-get', 'arguments': {"
                           "'path': '/machine', 'property': %s }}", PROPERTY);
    int64_t value = qdict_get_int(rsp, "return");

    qobject_unref(rsp);
    return value;
}

/* What the error says, or NULL */
static char *try_set(QTestState *qts, int64_t value)
{
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'qom-set', 'arguments': {"
                           "'path': '/machine', 'property': %s, 'value': %"
                           PRId64 "}}", PROPERTY, value);
    QDict *error = qdict_get_qdict(rsp, "error");
    char *text = error ? g_strdup(qdict_get_str(error, "desc")) : NULL;

    qobject_unref(rsp);
    return text;
}

static void set(QTestState *qts, int64_t value)
{
    g_autofree char *error = try_set(qts, value);

    g_assert_cmpstr(error, ==, NULL);
    g_assert_cmpint(get(qts), ==, value);
}

static void refuse(QTestState *qts, int64_t value, const char *why)
{
    g_autofree char *number = g_strdup_printf(" %" PRId64 " ", value);
    int64_t before = get(qts);
    g_autofree char *error = try_set(qts, value);

    g_assert_nonnull(error);
    g_test_message("%s", error);
    g_assert_nonnull(strstr(error, PROPERTY));
    g_assert_nonnull(strstr(error, number));
    g_assert_nonnull(strstr(error, why));
    g_assert_cmpint(get(qts), ==, before);
}

/* A counter of vCPU 0 */
static int64_t counter(QTestState *qts, const char *name)
{
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'query-stats', 'arguments': {"
                           "'target': 'vcpu', 'providers': [ {"
                           "'provider': 'kvm', 'names': [ %s ] } ] }}", name);
    QDict *vcpu = qobject_to(QDict,
        qlist_entry_obj(qlist_first(qdict_get_qlist(rsp, "return"))));
    QDict *stat = qobject_to(QDict,
        qlist_entry_obj(qlist_first(qdict_get_qlist(vcpu, "stats"))));
    int64_t value;

    g_assert_cmpstr(qdict_get_str(stat, "name"), ==, name);
    value = qdict_get_int(stat, "value");
    qobject_unref(rsp);
    return value;
}

/* Waits until the counter has grown by that much; how much in all */
static int64_t wait_for(QTestState *qts, const char *name, int64_t more)
{
    int64_t before = counter(qts, name), now;
    int64_t deadline = g_get_monotonic_time() +
        DEADLINE_SECONDS * G_USEC_PER_SEC;

    do {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        g_usleep(1000);
        now = counter(qts, name);
    } while (now - before < more);
    return now - before;
}

/* Polls while the guest halts @halts times */
static int64_t polls(QTestState *qts, int halts)
{
    int64_t before;

    /* One poll may be under way */
    wait_for(qts, "halt_exits", 5);
    before = counter(qts, "halt_attempted_poll");
    wait_for(qts, "halt_exits", halts);
    return counter(qts, "halt_attempted_poll") - before;
}

static void test_counters(void)
{
    g_autofree char *rom = write_rom();
    QTestState *qts = qtest_initf(KVM_MACHINE "-bios %s -machine " PROPERTY
                                  "=%d", rom, LONG_POLL);

    g_assert_cmpint(get(qts), ==, LONG_POLL);
    wait_for(qts, "halt_attempted_poll", 100);
    set(qts, 0);
    g_assert_cmpint(polls(qts, 200), ==, 0);
    set(qts, LONG_POLL);
    wait_for(qts, "halt_attempted_poll", 100);
    refuse(qts, -1, "host's default");
    refuse(qts, -2, "0 to 4294967295");
    set(qts, 0);
    g_assert_cmpint(polls(qts, 200), ==, 0);
    /* Refused, and nothing has changed */
    refuse(qts, 1LL << 32, "0 to 4294967295");
    g_assert_cmpint(polls(qts, 200), ==, 0);
    set(qts, UINT32_MAX);
    qtest_quit(qts);
    unlink(rom);
}

static void test_default(void)
{
    g_autofree char *rom = write_rom();
    QTestState *qts = qtest_initf(KVM_MACHINE "-bios %s", rom);

    g_assert_cmpint(get(qts), ==, -1);
    set(qts, -1);
    set(qts, 5);
    refuse(qts, -1, "host's default");
    qtest_quit(qts);
    unlink(rom);
}

static void test_no_kvm(void)
{
    QTestState *qts = qtest_init(MACHINE " -accel qtest");

    g_assert_cmpint(get(qts), ==, -1);
    set(qts, -1);
    refuse(qts, 0, "accelerator kvm");
    refuse(qts, 200000, "accelerator kvm");
    refuse(qts, 1LL << 32, "0 to 4294967295");
    qtest_quit(qts);
}

/* What QEMU says when it is started with this, and does not start */
static void refuse_start(const char *value, const char *words)
{
    g_autofree char *args = g_strdup_printf(
        "-accel tcg " MACHINE "," PROPERTY "=%s", value);
    g_autofree char *text = start_fails(args);

    g_assert_nonnull(strstr(text, PROPERTY));
    g_assert_nonnull(strstr(text, words));
}

static void test_start_errors(void)
{
    refuse_start("200000", "accelerator kvm");
    refuse_start("0", "accelerator kvm");
    refuse_start("4294967296", "0 to 4294967295");
    refuse_start("-2", "0 to 4294967295");
    refuse_start("fast", "0 to 4294967295");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("halt-poll/no-kvm", test_no_kvm);
    qtest_add_func("halt-poll/start-errors", test_start_errors);
    if (qtest_has_accel("kvm") && kvm_has_halt_poll()) {
        qtest_add_func("halt-poll/counters", test_counters);
        qtest_add_func("halt-poll/default", test_default);
    } else {
        g_test_message("KVM or its KVM_CAP_HALT_POLL is missing here: only "
                       "errors are tested");
    }
    return g_test_run();
}
