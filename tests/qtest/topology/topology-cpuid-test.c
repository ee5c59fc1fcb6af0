/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * What a guest reads from CPUID when clusters are given: a ROM that executes
 * the instruction and leaves the answers in memory
 */
#include "qemu/osdep.h"
#include "hw/nearmetal/compat.h"
#include <glib/gstdio.h>
#include "../common/stock.h"
#include "topology-machine.h"

#define ROM_SIZE        0x10000
#define ROM_QUESTIONS   0x100
#define ROM_RESET       0xfff0
#define ANSWERS         0x8000
#define DONE            0x7000
#define DONE_VALUE      0x600dcafe
#define DEADLINE        (60 * G_USEC_PER_SEC)

/* Leaf, subleaf; until a leaf of 0xffffffff */
static const uint32_t questions[] = {
    0x0b, 0, 0x0b, 1,
    0x1f, 0, 0x1f, 1, 0x1f, 2, 0x1f, 3,
    0x1f, 6, 0x1f, 0xffffffff,          /* which aborted QEMU */
    4, 0, 4, 1, 4, 2, 4, 3,
    0x8000001d, 0, 0x8000001d, 1, 0x8000001d, 2, 0x8000001d, 3,
    0xffffffff,
};
#define COUNT (ARRAY_SIZE(questions) / 2)

typedef struct Answer {
    uint32_t eax, ebx, ecx, edx;
} Answer;

/* Real mode, from f000:0000 */
static const uint8_t code[] = {
    0x31, 0xc0,                         /* xor %ax,%ax */
    0x8e, 0xd8,                         /* mov %ax,%ds */
    0x8e, 0xc0,                         /* mov %ax,%es */
    0x8e, 0xd0,                         /* mov %ax,%ss */
    0xbc, 0x00, 0x70,                   /* mov $0x7000,%sp */
    0xfc,                               /* cld */
    0xbe, 0x00, 0x01,                   /* mov $ROM_QUESTIONS,%si */
    0xbf, 0x00, 0x80,                   /* mov $ANSWERS,%di */
    0x2e, 0x66, 0xad,                   /* next: cs lodsl */
    0x66, 0x83, 0xf8, 0xff,             /* cmp $-1,%eax */
    0x74, 0x1c,                         /* je done */
    0x2e, 0x66, 0x8b, 0x0c,             /* mov %cs:(%si),%ecx */
    0x83, 0xc6, 0x04,                   /* add $4,%si */
    0x0f, 0xa2,                         /* cpuid */
    0x66, 0xab,                         /* stosl */
    0x66, 0x89, 0xd8, 0x66, 0xab,       /* mov %ebx,%eax; stosl */
    0x66, 0x89, 0xc8, 0x66, 0xab,       /* mov %ecx,%eax; stosl */
    0x66, 0x89, 0xd0, 0x66, 0xab,       /* mov %edx,%eax; stosl */
    0xeb, 0xdb,                         /* jmp next */
    0x66, 0xc7, 0x06, 0x00, 0x70,       /* done: movl $DONE_VALUE,DONE */
    0xfe, 0xca, 0x0d, 0x60,
    0xf4,                               /* hlt */
    0xeb, 0xfd,                         /* jmp back */
};

static const uint8_t reset[] = { 0xea, 0x00, 0x00, 0x00, 0xf0 };

static char *write_rom(void)
{
    g_autofree uint8_t *rom = g_malloc0(ROM_SIZE);
    char *path;
    int fd = g_file_open_tmp("topology-cpuid.XXXXXX", &path, NULL);

    g_assert_cmpint(fd, >=, 0);
    memcpy(rom, code, sizeof(code));
    memcpy(rom + ROM_QUESTIONS, questions, sizeof(questions));
    memcpy(rom + ROM_RESET, reset, sizeof(reset));
    g_assert_cmpint(write(fd, rom, ROM_SIZE), ==, ROM_SIZE);
    close(fd);
    return path;
}

/* @var: names the binary; @options: machine, CPUs; @answers: COUNT of them */
static void ask_env(const char *var, const char *options, Answer *answers)
{
    g_autofree char *rom = write_rom();
    g_autofree char *args = g_strdup_printf("-accel tcg -nodefaults -bios %s "
                                            "%s", rom, options);
    QTestState *qts = qtest_init_ext(var, args, NULL, true);
    gint64 end = g_get_monotonic_time() + DEADLINE;

    while (qtest_readl(qts, DONE) != DONE_VALUE) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(10000);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        uint64_t at = ANSWERS + i * sizeof(Answer);

        answers[i] = (Answer) {
            qtest_readl(qts, at), qtest_readl(qts, at + 4),
            qtest_readl(qts, at + 8), qtest_readl(qts, at + 12),
        };
    }
    qtest_quit(qts);
    g_unlink(rom);
}

static void ask(const char *options, Answer *answers)
{
    ask_env(NULL, options, answers);
}

static const Answer *answer(const Answer *answers, uint32_t leaf,
                            uint32_t subleaf)
{
    for (unsigned i = 0; i < COUNT; i++) {
        if (questions[2 * i] == leaf && questions[2 * i + 1] == subleaf) {
            return &answers[i];
        }
    }
    g_assert_not_reached();
}

/* APIC IDs that there is room for among those that share the cache */
static unsigned sharing(const Answer *answers, uint32_t leaf, unsigned cache)
{
    return (answer(answers, leaf, cache)->eax >> 14 & 0xfff) + 1;
}

typedef struct Case {
    const char *name, *options;
    uint32_t leaf;
    unsigned l1d, l1i, l2, l3;
} Case;

#define INTEL "-cpu Skylake-Server-v1 "
#define AMD "-cpu EPYC-v1 "

static const Case cases[] = {
    /* Without clusters= nothing has changed */
    { "intel-modules", INTEL "-machine q35 -smp 8,modules=4", 4, 1, 1, 1, 8 },
    { "intel-plain", INTEL "-machine q35 -smp 8", 4, 1, 1, 1, 8 },
    { "intel-clusters", INTEL "-machine q35 -smp 8,clusters=4", 4,
      1, 1, 2, 8 },
    { "intel-pc", INTEL "-machine pc -smp 8,clusters=4", 4, 1, 1, 2, 8 },
    { "intel-threads", INTEL "-machine q35 "
      "-smp 32,sockets=1,clusters=4,cores=4,threads=2", 4, 2, 2, 8, 32 },
    { "intel-three", INTEL "-machine q35 -smp 18,clusters=3,cores=3,threads=2",
      4, 2, 2, 8, 32 },
    { "intel-both", INTEL "-machine q35 -smp 8,clusters=4,modules=4", 4,
      1, 1, 2, 8 },
    { "intel-l2-core", INTEL "-machine q35,smp-cache.0.cache=l2,"
      "smp-cache.0.topology=core -smp 8,clusters=4", 4, 1, 1, 1, 8 },
    { "intel-l3-cluster", INTEL "-machine q35,smp-cache.0.cache=l3,"
      "smp-cache.0.topology=cluster -smp 8,clusters=4", 4, 1, 1, 2, 2 },
    { "intel-l3-core", INTEL "-machine q35,smp-cache.0.cache=l3,"
      "smp-cache.0.topology=core -smp 8,clusters=4", 4, 1, 1, 1, 1 },
    { "amd-plain", AMD "-machine q35 -smp 8", 0x8000001d, 1, 1, 1, 8 },
    { "amd-clusters", AMD "-machine q35 -smp 8,clusters=4", 0x8000001d,
      1, 1, 2, 8 },
    { "amd-threads", AMD "-machine q35 "
      "-smp 32,sockets=1,clusters=4,cores=4,threads=2", 0x8000001d,
      2, 2, 8, 32 },
    { "amd-dies", AMD "-machine q35 -smp 16,dies=2,clusters=4,cores=2",
      0x8000001d, 1, 1, 2, 8 },
};

static void test_sharing(gconstpointer data)
{
    const Case *c = data;
    Answer answers[COUNT];

    ask(c->options, answers);
    g_assert_cmpuint(sharing(answers, c->leaf, 0), ==, c->l1d);
    g_assert_cmpuint(sharing(answers, c->leaf, 1), ==, c->l1i);
    g_assert_cmpuint(sharing(answers, c->leaf, 2), ==, c->l2);
    g_assert_cmpuint(sharing(answers, c->leaf, 3), ==, c->l3);
}

/* Threads 2, cores 4, clusters 4: bits of the APIC ID up to each level */
static void test_levels(void)
{
    static const struct {
        unsigned type, shift, cpus;
    } expect[] = {
        { 1, 1, 2 },            /* SMT */
        { 2, 3, 8 },            /* core */
        { 3, 5, 32 },           /* module */
        { 0, 0, 0 },
    };
    static const uint32_t past_the_end[] = { 6, 0xffffffff };
    Answer answers[COUNT];

    ask(INTEL "-machine q35 -smp 32,sockets=1,clusters=4,cores=4,threads=2",
        answers);
    for (unsigned i = 0; i < ARRAY_SIZE(expect); i++) {
        const Answer *a = answer(answers, 0x1f, i);

        g_assert_cmpuint(a->ecx >> 8 & 0xff, ==, expect[i].type);
        g_assert_cmpuint(a->eax, ==, expect[i].shift);
        g_assert_cmpuint(a->ebx, ==, expect[i].cpus);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(past_the_end); i++) {
        const Answer *a = answer(answers, 0x1f, past_the_end[i]);

        g_assert_cmpuint(a->ecx >> 8 & 0xff, ==, 0);
        g_assert_cmpuint(a->eax, ==, 0);
        g_assert_cmpuint(a->ebx, ==, 0);
    }
}

/* The same CPUID as with modules=, but for L2 */
static void test_alias(void)
{
    Answer clusters[COUNT], modules[COUNT];

    ask(INTEL "-machine q35 -smp 8,clusters=4", clusters);
    ask(INTEL "-machine q35,smp-cache.0.cache=l2,smp-cache.0.topology=module "
        "-smp 8,modules=4", modules);
    g_assert_cmpmem(clusters, sizeof(clusters), modules, sizeof(modules));
}

static void compare_with_stock(gconstpointer data)
{
    Answer ours[COUNT], stock[COUNT];

    if (!have_stock()) {
        return;
    }
    ask(data, ours);
    ask_env(STOCK_BINARY, data, stock);
    g_assert_cmpmem(ours, sizeof(ours), stock, sizeof(stock));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *path = g_strdup_printf("/topology/cpuid/%s",
                                                cases[i].name);

        qtest_add_data_func(path, &cases[i], test_sharing);
    }
    qtest_add_func("/topology/cpuid/levels", test_levels);
    qtest_add_func("/topology/cpuid/alias", test_alias);
    qtest_add_data_func("/topology/cpuid/stock/intel", INTEL
                        "-machine q35 -smp 8,sockets=2,cores=2,threads=2",
                        compare_with_stock);
    qtest_add_data_func("/topology/cpuid/stock/amd", AMD
                        "-machine pc,smp-cache.0.cache=l2,"
                        "smp-cache.0.topology=socket,smp-cache.1.cache=l3,"
                        "smp-cache.1.topology=socket -smp 6,cores=3,threads=2",
                        compare_with_stock);
    /* As libvirt says it to all machines, which asks for nothing */
    qtest_add_data_func("/topology/cpuid/stock/clusters-1", INTEL
                        "-machine q35 -smp 4,sockets=1,dies=1,clusters=1,"
                        "cores=4,threads=1", compare_with_stock);
    qtest_add_data_func("/topology/cpuid/stock/clusters-1-amd", AMD
                        "-machine pc-i440fx-8.2 -smp 8,sockets=2,dies=1,"
                        "clusters=1,cores=2,threads=2", compare_with_stock);
    return g_test_run();
}
