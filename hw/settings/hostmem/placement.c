/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "placement.h"

static Placement *placement_find(Placement *list, unsigned n, guint64 start)
{
    for (unsigned i = 0; i < n; i++) {
        if (start >= list[i].start && start < list[i].end) {
            return &list[i];
        }
    }
    return NULL;
}

static void merge_text(char *text, const char *more)
{
    if (!*text) {
        g_strlcpy(text, more, PLACEMENT_TEXT);
    } else if (strcmp(text, more)) {
        g_strlcpy(text, PLACEMENT_MIXED, PLACEMENT_TEXT);
    }
}

/* After the address: "bind:0", or "prefer (many):0" */
static void add_policy(Placement *area, const char *words)
{
    g_autofree char *line = g_strchomp(g_strdup(words));
    g_auto(GStrv) word = g_strsplit(line, " ", 3);
    g_autofree char *text = NULL;

    if (!word[0]) {
        return;
    }
    if (g_str_has_prefix(word[0], "prefer")) {
        const char *nodes = strchr(word[1] && *word[1] == '(' ? word[1] :
                                                                word[0], ':');

        text = g_strdup_printf("preferred%s", nodes ?: "");
    } else {
        text = g_strdup(word[0]);
    }
    merge_text(area->policy, text);
}

void placement_numa_maps(Placement *list, unsigned n, const char *line)
{
    char *word;
    Placement *area = placement_find(list, n,
                                     g_ascii_strtoull(line, &word, 16));

    if (!area || word == line) {
        return;
    }
    add_policy(area, word + strspn(word, " "));
    /* " bind:0 anon=3 dirty=3 N0=1 N1=2 kernelpagesize_kB=4" */
    while ((word = strstr(word, " N"))) {
        char *end;
        guint64 node = g_ascii_strtoull(word + 2, &end, 10);

        if (end > word + 2 && *end == '=' && node < PLACEMENT_NODES) {
            area->pages[node] += g_ascii_strtoull(end + 1, NULL, 10);
        }
        word += 2;
    }
}

/* "VmFlags: rd wr mr mw me dc ac sd hg" */
static void add_flags(Placement *area, const char *flags)
{
    g_auto(GStrv) flag = g_strsplit_set(flags, "\n ", -1);
    const gchar *const *list = (const gchar *const *)flag;

    merge_text(area->thp, g_strv_contains(list, "ht") ? "hugetlb" :
                          g_strv_contains(list, "hg") ? "on" :
                          g_strv_contains(list, "nh") ? "off" : "inherit");
}

/* Does a huge page fit in, at an address that it can have? */
static bool has_room(guint64 start, guint64 end, guint64 huge_page)
{
    guint64 skip = huge_page ? -start % huge_page : 0;

    return end - start >= skip + huge_page;
}

Placement *placement_smaps(Placement *list, unsigned n, Placement *current,
                           const char *line)
{
    static const char *const huge[] = {
        "AnonHugePages:", "ShmemPmdMapped:", "FilePmdMapped:",
        "Shared_Hugetlb:", "Private_Hugetlb:",
    };
    char *end;
    guint64 start = g_ascii_strtoull(line, &end, 16);

    if (end > line && *end == '-') {
        current = placement_find(list, n, start);
        if (current) {
            current->fits = has_room(start, g_ascii_strtoull(end + 1, NULL, 16),
                                     current->huge_page);
        }
        return current;
    }
    for (unsigned i = 0; current && i < G_N_ELEMENTS(huge); i++) {
        if (g_str_has_prefix(line, huge[i])) {
            current->huge_bytes += 1024 *
                g_ascii_strtoull(line + strlen(huge[i]), NULL, 10);
        }
    }
    if (current && current->fits && g_str_has_prefix(line, "THPeligible:")) {
        current->no_thp |= !g_ascii_strtoull(line + strlen("THPeligible:"),
                                              NULL, 10);
    }
    if (current && g_str_has_prefix(line, "VmFlags:")) {
        add_flags(current, line + strlen("VmFlags:"));
    }
    return current;
}

static FILE *open_proc(const char *proc, const char *name, char **error)
{
    g_autofree char *path = g_build_filename(proc, name, NULL);
    FILE *file = fopen(path, "re");

    if (!file) {
        *error = g_strdup_printf("'%s': %s", path, g_strerror(errno));
    }
    return file;
}

gboolean placement_read_nodes(Placement *list, unsigned n, const char *proc,
                              char **error)
{
    FILE *file = open_proc(proc, "numa_maps", error);
    char *line = NULL;
    size_t size = 0;

    if (!file) {
        return FALSE;
    }
    while (getline(&line, &size, file) >= 0) {
        placement_numa_maps(list, n, line);
    }
    free(line);
    fclose(file);
    return TRUE;
}

gboolean placement_read(Placement *list, unsigned n, const char *proc,
                        char **error)
{
    Placement *current = NULL;
    char *line = NULL;
    size_t size = 0;
    FILE *file;

    if (!placement_read_nodes(list, n, proc, error)) {
        return FALSE;
    }
    file = open_proc(proc, "smaps", error);
    if (!file) {
        return FALSE;
    }
    while (getline(&line, &size, file) >= 0) {
        current = placement_smaps(list, n, current, line);
    }
    free(line);
    fclose(file);
    return TRUE;
}
