/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads the description of the devices of the stand-in for VFIO
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "vfio-standin.h"

#define BLANKS " \t\n"

static unsigned line_number;

static void __attribute__((noreturn, format(printf, 1, 2)))
wrong(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    fprintf(stderr, "vfio-standin: devices:%u: ", line_number);
    vfprintf(stderr, format, ap);
    fputc('\n', stderr);
    va_end(ap);
    _exit(1);
}

static bool read_number(const char *text, uint64_t *value)
{
    static const char units[] = "KMG";
    const char *unit;
    int len = 0;

    if (sscanf(text, "%" SCNi64 "%n", (int64_t *)value, &len) != 1) {
        return false;
    }
    unit = text[len] ? strchr(units, text[len]) : NULL;
    if (unit) {
        *value <<= 10 * (unit - units + 1);
        len++;
    }
    return !text[len];
}

static uint64_t number(const char *key, const char *text, uint64_t max)
{
    uint64_t value;

    if (!read_number(text, &value) || value > max) {
        wrong("%s=%s: expected a number up to %ju", key, text,
              (uintmax_t)max);
    }
    return value;
}

static void set_bar(StandinBar *bar, const char *key, char *value)
{
    char *save = NULL;
    char *word = strtok_r(value, ",", &save);

    bar->size = number(key, word ?: "", 1ull << STANDIN_REGION_SHIFT);
    if (!bar->size || bar->size & (bar->size - 1)) {
        wrong("%s=%s: expected a power of two", key, word);
    }
    while ((word = strtok_r(NULL, ",", &save))) {
        if (!strcmp(word, "mem64")) {
            bar->mem64 = true;
        } else if (!strcmp(word, "prefetch")) {
            bar->prefetch = true;
        } else if (!strcmp(word, "io")) {
            bar->io = true;
        } else if (!strcmp(word, "nommap")) {
            bar->nommap = true;
        } else {
            wrong("%s: %s: expected mem64, prefetch, io or nommap", key, word);
        }
    }
}

static uint32_t place(const char *key, const char *value)
{
    unsigned bir, offset;

    if (sscanf(value, "%u:%i", &bir, (int *)&offset) != 2 || bir > 7 ||
        offset & 7) {
        wrong("%s=%s: expected BIR:OFFSET, 0 to 7 and a multiple of 8", key,
              value);
    }
    return offset | bir;
}

static void set_id(StandinDevice *d, const char *value)
{
    if (sscanf(value, "%hx:%hx", &d->vendor, &d->device) != 2) {
        wrong("id=%s: expected VVVV:DDDD", value);
    }
}

static void set_class(StandinDevice *d, const char *value)
{
    if (strlen(value) != 6 || sscanf(value, "%6x", &d->class) != 1) {
        wrong("class=%s: expected CCSSPP", value);
    }
}

/* Returns: is @key one of those with a number? */
static bool set_number(StandinDevice *d, const char *key, const char *value)
{
    if (!strcmp(key, "group")) {
        d->group = number(key, value, 9999);
    } else if (!strcmp(key, "msix")) {
        d->msix = number(key, value, 2048);
    } else if (!strcmp(key, "mappable")) {
        d->mappable = number(key, value, 1);
    } else if (!strcmp(key, "noresize")) {
        d->noresize = number(key, value, 1);
    } else if (!strcmp(key, "express")) {
        d->express = number(key, value, 1);
    } else if (!strcmp(key, "intx")) {
        d->intx = number(key, value, 1);
    } else if (!strcmp(key, "numa-node")) {
        d->numa_node = strcmp(value, "-1") ? number(key, value, 1023) : -1;
    } else {
        return false;
    }
    return true;
}

static void set_key(StandinDevice *d, const char *key, char *value)
{
    if (!strncmp(key, "bar", 3) && key[3] >= '0' && key[3] <= '5' && !key[4]) {
        set_bar(&d->bar[key[3] - '0'], key, value);
    } else if (!strcmp(key, "id")) {
        set_id(d, value);
    } else if (!strcmp(key, "class")) {
        set_class(d, value);
    } else if (!strcmp(key, "table")) {
        d->table = place(key, value);
    } else if (!strcmp(key, "pba")) {
        d->pba = place(key, value);
    } else if (!set_number(d, key, value)) {
        wrong("%s: no such key", key);
    }
}

static void check_bars(const StandinDevice *d)
{
    for (int i = 0; i < STANDIN_BARS; i++) {
        const StandinBar *bar = &d->bar[i];

        if (bar->mem64 && (i == STANDIN_BARS - 1 || d->bar[i + 1].size)) {
            wrong("bar%d: no room for its upper half", i);
        }
        if (!bar->mem64 && bar->size > 1u << 31) {
            wrong("bar%d: too large without mem64", i);
        }
    }
}

static void add_device(StandinState *s, const char *name, char **save)
{
    StandinDevice *d = &s->device[s->devices];
    unsigned domain, bus, slot, function;
    char *word;

    if (s->devices == STANDIN_DEVICES) {
        wrong("more than %d devices", STANDIN_DEVICES);
    }
    if (strlen(name) != 12 || sscanf(name, "%4x:%2x:%2x.%1x", &domain, &bus,
                                     &slot, &function) != 4) {
        wrong("%s: expected DDDD:BB:DD.F in front", name);
    }
    *d = (StandinDevice) {
        .vendor = 0x1b36,
        .device = 0x0010,
        .class = 0x010802,
        .mappable = true,
        .express = true,
        .intx = true,
        .numa_node = -1,
        .group = s->devices + 1,
    };
    strcpy(d->name, name);
    while ((word = strtok_r(NULL, BLANKS, save))) {
        char *value = strchr(word, '=');

        if (!value) {
            wrong("%s: expected KEY=VALUE", word);
        }
        *value++ = '\0';
        set_key(d, word, value);
    }
    check_bars(d);
    s->devices++;
}

static void set_page_size(StandinState *s, const char *value)
{
    uint64_t size = number("page-size", value, 1 << 20);

    if (size & (size - 1) || size < 4096) {
        wrong("page-size=%s: expected a power of two from 4K", value);
    }
    if (size < standin_real_page_size()) {
        wrong("page-size=%s: this host's is %zu", value,
              standin_real_page_size());
    }
    s->page_size = size;
}

void standin_config_load(StandinState *s, FILE *file)
{
    char line[1024];

    while (fgets(line, sizeof(line), file)) {
        char *save = NULL;
        char *word;

        line_number++;
        if (!strchr(line, '\n')) {
            wrong("too long, or without an end");
        }
        word = strtok_r(line, BLANKS, &save);
        if (!word || word[0] == '#') {
            continue;
        }
        if (!strncmp(word, "page-size=", 10)) {
            set_page_size(s, word + 10);
        } else if (!strncmp(word, "fail=", 5)) {
            if (!standin_fail_add(word + 5)) {
                wrong("%s: expected fail=IOCTL:ERRNO[:COUNT[:SKIP]]", word);
            }
        } else {
            add_device(s, word, &save);
        }
    }
}
