# SPDX-FileCopyrightText: nearmetal contributors
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The newest release of a base, tried in a scratch copy of the project; sourced by
# scripts/base-status and scripts/base-update after lib.sh and load_base. Sets
# C_NEWEST and its like, or C_ERROR.
# shellcheck shell=sh disable=SC2034,SC2154

# in_scratch COMMAND...: of the copy in $scratch, to which no setting of the caller's
# may give another base; its lines go to $scratch.log
in_scratch() {
    nm_command=$1
    shift
    "$scratch/scripts/$nm_command" --base "$NM_BASE" "$@" >>"$scratch.log" 2>&1
}

# candidate_error: the line in which a script of the copy said why it stopped
candidate_error() {
    sed -n 's/^[a-z]*: error: //p' "$scratch.log" | tail -n 1 | grep . ||
        tail -n 1 "$scratch.log"
}

# archive_field KEY: what scripts/fetch --update found
archive_field() {
    sed -n "s/^$1=//p" "$scratch/build/$NM_BASE/archive"
}

# candidate_find FOLDER: looks what there is, and fetches it; false, with C_ERROR, if
# that cannot be told
candidate_find() {
    scratch=$1/$NM_BASE
    C_ERROR='' C_NEWER='' C_NOTES=''
    mkdir -p "$scratch"
    : >"$scratch.log"
    scratch_project "$scratch"
    in_scratch fetch --update || {
        C_ERROR=$(candidate_error)
        return 1
    }
    C_NOTES=$(sed -n 's/^fetch: warning: //p' "$scratch.log")
    C_LOOKED=$(archive_field LOOKED) C_ANY=$(archive_field ANY)
    C_SERIES_NEWEST=$(archive_field NEWEST)
    C_DSC=$(sed -n 's/^PATH=//p' "$scratch/build/$NM_BASE/source")
    candidate_changelog
    nm_version=$(dsc_field "$C_DSC" Version)
    [ "$nm_version" = "$LOCK_SOURCE_VERSION" ] || {
        C_NEWER=$nm_version C_SUITE=$(archive_field SUITE)
    }
}

# candidate_changelog: that of the package that was fetched
candidate_changelog() {
    tar -xOf "${C_DSC%.dsc}.debian.tar.xz" debian/changelog \
        >"$scratch.changelog" 2>/dev/null || : >"$scratch.changelog"
}

# entry_date VERSION: day of its entry in the changelog; nothing if it has none
entry_date() {
    nm_date=$(dpkg-parsechangelog -l "$scratch.changelog" --from "$1" --to "$1" \
        -S Date 2>/dev/null) || return 0
    [ -z "$nm_date" ] || date -u -d "$nm_date" +%F
}

# entries_since_lock: the changelog's entries after the locked one
entries_since_lock() {
    dpkg-parsechangelog -l "$scratch.changelog" --since "$LOCK_SOURCE_VERSION" \
        -S Changes 2>/dev/null | sed -e 's/^\.$//' -e '1{/^$/d}'
}

# candidate_cves: the numbers that stand in these entries, one a line
candidate_cves() {
    entries_since_lock | grep -Eo 'CVE-[0-9]{4}-[0-9]{4,}' | sort -uV
}

# candidate_try: does the series apply? As strictly as scripts/prepare has it, which
# does it. Sets C_APPLIES, C_WHY (if not) and C_LOOSE: patches with less context
candidate_try() {
    C_APPLIES=true C_WHY=''
    in_scratch prepare --copy --force || {
        C_APPLIES=false C_WHY=$(candidate_error)
    }
    C_LOOSE=$(sed -n 's/.*warning: patches.\([^ ]*\) applies .*less context.*/\1/p' \
        "$scratch.log")
}
