# SPDX-FileCopyrightText: nearmetal contributors
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/setup on a system whose packages it does not know: what is there is looked for
# itself, programs on the PATH, libraries with pkg-config; sourced by it
# shellcheck shell=sh disable=SC2154


feature_is_known() {
    :
}

list_rows() {
    wanted_rows
}

# names_lacking DEBIAN...: NAME<tab>what is looked for
names_lacking() {
    NM_FIRMWARE=$NM_FIRMWARE PYTHONPATH=$NM_ROOT/scripts \
        PYTHONDONTWRITEBYTECODE=1 "$NM_PYTHON" -m nmtools.package.names lacking "$@"
}

missing_packages() {
    # Without these nothing else can be looked for
    for program in "$NM_PYTHON" pkg-config cc; do
        have "$program" || printf '%s\t%s\n' "$program" "$program"
    done >"$tmp/tools"
    if [ -s "$tmp/tools" ]; then
        cat "$tmp/tools"
        return
    fi
    # shellcheck disable=SC2046 # package names
    names_lacking $(wanted_rows | awk '{ sub(/\|.*/, "", $1); print $1 }')
}

meson_is_new_enough() {
    meson_have=$("$NM_PYTHON" -c 'import mesonbuild.coredata as c; print(c.version)' 2>/dev/null) &&
        printf '%s\n' "$MESON_MIN" "$meson_have" | sort -V -C
}

# tell_missing: all in one line, and what to do
tell_missing() {
    ! $need_meson || printf 'meson\tmeson >= %s\n' "$MESON_MIN" >>"$tmp/missing"
    die "missing: $(cut -f2 "$tmp/missing" | tr '\n' '|' | sed -e 's/|$//' -e 's/|/, /g'); this system has neither apt nor dnf: install them with its own package manager (scripts/setup --list has Debian's names)"
}
