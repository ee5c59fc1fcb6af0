/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * What ACPI tables and a device in the DSDT say: as much of AML as a TPM's
 * device needs.  What is not known fails the test.
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "aml-walk.h"

#define HEADER 36               /* of each table but the FACS */
#define EXT 0x5b

AmlSpan acpi_table(const GByteArray *tables, const char *signature)
{
    size_t at = 0, size;

    while (at + 8 <= tables->len && tables->data[at]) {
        size = ldl_le_p(tables->data + at + 4);
        g_assert_cmpuint(size, >=, 8);
        g_assert_cmpuint(size, <=, tables->len - at);
        if (!memcmp(tables->data + at, signature, 4)) {
            return (AmlSpan) { tables->data + at, size };
        }
        at += size;
    }
    return (AmlSpan) { };
}

/* PkgLength at @p: how many bytes from @p on; *@width: of the length itself */
static size_t pkg_length(const uint8_t *p, unsigned *width)
{
    unsigned more = p[0] >> 6, i;
    size_t length = more ? p[0] & 0xf : p[0] & 0x3f;

    for (i = 0; i < more; i++) {
        length |= (size_t)p[1 + i] << (4 + 8 * i);
    }
    *width = 1 + more;
    return length;
}

AmlSpan aml_device(AmlSpan dsdt, const char *name)
{
    const uint8_t *end = dsdt.data + dsdt.size, *p;
    unsigned width;

    for (p = dsdt.data + HEADER; p + 8 < end; p++) {
        if (p[0] == EXT && p[1] == 0x82) {
            size_t size = 2 + pkg_length(p + 2, &width);

            if (!memcmp(p + 2 + width, name, 4)) {
                g_assert_cmpuint(size, <=, end - p);
                return (AmlSpan) { p, size };
            }
        }
    }
    return (AmlSpan) { };
}

/* How long the constant, string, buffer or package at @p is */
static size_t object_size(const uint8_t *p)
{
    unsigned width;

    switch (p[0]) {
    case 0x00:
    case 0x01:
    case 0xff:
        return 1;
    case 0x0a:
        return 2;
    case 0x0b:
        return 3;
    case 0x0c:
        return 5;
    case 0x0e:
        return 9;
    case 0x0d:
        return 2 + strlen((const char *)p + 1);
    case 0x11:
    case 0x12:
        return 1 + pkg_length(p + 1, &width);
    }
    g_test_message("AML object 0x%02x is not known", p[0]);
    g_assert_not_reached();
}

typedef struct Term {
    char name[5];
    AmlSpan object;
    size_t size;
} Term;

/* A method or a field, whose length precedes its name */
static Term packaged(const uint8_t *p, unsigned opcode)
{
    unsigned width;
    Term t = { .size = opcode + pkg_length(p + opcode, &width) };

    memcpy(t.name, p + opcode + width, 4);
    t.object = (AmlSpan) { p + opcode + width, t.size - opcode - width };
    return t;
}

/* A Name() or an OperationRegion(): @skip bytes and @objects after its name */
static Term named(const uint8_t *p, unsigned opcode, unsigned skip,
                  unsigned objects)
{
    Term t = { };
    size_t size = skip;

    memcpy(t.name, p + opcode, 4);
    while (objects--) {
        size += object_size(p + opcode + 4 + size);
    }
    t.object = (AmlSpan) { p + opcode + 4, size };
    t.size = opcode + 4 + size;
    return t;
}

static Term term_at(const uint8_t *p)
{
    if (p[0] == 0x08) {
        return named(p, 1, 0, 1);
    } else if (p[0] == 0x14) {
        return packaged(p, 1);
    } else if (p[0] == EXT && p[1] == 0x80) {
        return named(p, 2, 1, 2);
    } else if (p[0] == EXT && p[1] == 0x81) {
        return packaged(p, 2);
    }
    g_test_message("AML term 0x%02x 0x%02x is not known", p[0], p[1]);
    g_assert_not_reached();
}

/* The next one of @device, *@at: 0 at first. Returns: false at its end */
static bool next_term(AmlSpan device, size_t *at, Term *t)
{
    unsigned width;

    if (!*at) {
        g_assert_nonnull(device.data);
        pkg_length(device.data + 2, &width);
        *at = 2 + width + 4;
    }
    if (*at == device.size) {
        return false;
    }
    *t = term_at(device.data + *at);
    *at += t->size;
    g_assert_cmpuint(*at, <=, device.size);
    return true;
}

char *aml_names(AmlSpan device)
{
    GString *names = g_string_new(NULL);
    size_t at = 0;
    Term t;

    while (next_term(device, &at, &t)) {
        g_string_append_printf(names, "%s%s", names->len ? " " : "", t.name);
    }
    return g_string_free(names, false);
}

AmlSpan aml_object(AmlSpan device, const char *name)
{
    size_t at = 0;
    Term t;

    while (next_term(device, &at, &t)) {
        if (g_str_equal(t.name, name)) {
            return t.object;
        }
    }
    return (AmlSpan) { };
}

uint64_t aml_integer(AmlSpan object)
{
    g_assert_nonnull(object.data);
    switch (object.data[0]) {
    case 0x00:
    case 0x01:
        return object.data[0];
    case 0x0a:
        return object.data[1];
    case 0x0b:
        return lduw_le_p(object.data + 1);
    case 0x0c:
        return (uint32_t)ldl_le_p(object.data + 1);
    case 0x0e:
        return ldq_le_p(object.data + 1);
    }
    g_assert_not_reached();
}

const char *aml_string(AmlSpan object)
{
    g_assert_nonnull(object.data);
    g_assert_cmphex(object.data[0], ==, 0x0d);
    return (const char *)object.data + 1;
}

AmlSpan aml_resource(AmlSpan crs, uint8_t tag)
{
    unsigned width;
    const uint8_t *p, *end = crs.data + crs.size;

    g_assert_nonnull(crs.data);
    g_assert_cmphex(crs.data[0], ==, 0x11);
    pkg_length(crs.data + 1, &width);
    p = crs.data + 1 + width;
    for (p += object_size(p); p < end && p[0] != 0x79; ) {
        size_t size = p[0] & 0x80 ? 3 + lduw_le_p(p + 1) : 1 + (p[0] & 7);

        if (p[0] == tag) {
            return (AmlSpan) { p, size };
        }
        p += size;
    }
    return (AmlSpan) { };
}
