# SPDX-FileCopyrightText: nearmetal contributors
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/setup on a system with dnf: Fedora, RHEL and its rebuilds, openEuler; sourced by it
# shellcheck shell=sh disable=SC2154


NAMES=$NM_ROOT/scripts/nmtools/package/names

# rpm_rows: the rows of the table with RPM's names, each name once
rpm_rows() {
    awk -v file="$NAMES" '
        BEGIN {
            while ((getline line < file) > 0)
                if (line !~ /^#/ && split(line, f, /[ \t]+/) >= 3)
                    rpm[f[1]] = f[2]
        }
        {
            split($1, alt, "|")
            name = rpm[alt[1]]
            if (name == "" || name == "-" || seen[name]++)
                next
            $1 = sprintf("%-24s", name)
            print
        }'
}

# What dnf does not have is left out when it installs
feature_is_known() {
    :
}

list_rows() {
    {
        wanted_rows
        ! wanted_group build || printf 'meson build configures the build\n'
    } | rpm_rows | while read -r name group why; do
        printf '%-40s %-12s %s\n' "$name" "$group" "$why"
    done
}

# is_installed NAMES: all of one alternative
is_installed() {
    for alt in $(printf '%s' "$1" | tr '|' ' '); do
        # shellcheck disable=SC2046 # several names
        ! rpm -q --quiet --whatprovides $(printf '%s' "$alt" | tr ',' ' ') \
            >/dev/null 2>&1 || return 0
    done
    return 1
}

missing_packages() {
    wanted_rows | rpm_rows | while read -r names group why; do
        is_installed "$names" || printf '%s %s %s\n' "$names" "$group" "$why"
    done
}

# As QEMU's configure finds it
meson_version() {
    "$NM_PYTHON" -c 'import mesonbuild.coredata as c; print(c.version)' 2>/dev/null
}

meson_is_new_enough() {
    meson_have=$(meson_version) &&
        printf '%s\n' "$MESON_MIN" "$meson_have" | sort -V -C
}

# ask_dnf: which of the alternatives this release has
ask_dnf() {
    alternatives=$(awk '$1 ~ /\|/ { print $1 }' "$tmp/missing" | tr '|,' '  ')
    : >"$tmp/known"
    # shellcheck disable=SC2086 # names
    [ -z "$alternatives" ] || dnf -q list $alternatives 2>/dev/null |
        awk '{ sub(/\.[^.]*$/, "", $1); print $1 }' >"$tmp/known"
}

# knows NAMES: all that are needed together
knows() {
    for one in $(printf '%s' "$1" | tr ',' ' '); do
        grep -qxF -e "$one" "$tmp/known" || return 1
    done
}

# chosen NAMES: the first alternative that this release has, else the first
chosen() {
    for alt in $(printf '%s' "$1" | tr '|' ' '); do
        if [ "$alt" = "$1" ] || knows "$alt"; then
            printf '%s\n' "$alt" | tr ',' '\n'
            return
        fi
    done
    printf '%s\n' "${1%%|*}" | tr ',' '\n'
}

# resolve PATTERN: names for the missing rows whose group is like that
resolve() {
    while read -r names group _; do
        # shellcheck disable=SC2254 # a pattern
        case $group in
        $1) chosen "$names" ;;
        esac
    done <"$tmp/missing" | awk '!seen[$0]++'
}

# where_else: what more of RHEL has to be enabled
where_else() {
    ! rhel_like ||
        printf '%s' '; many are in CRB and EPEL: dnf config-manager --set-enabled crb && dnf install epel-release'
}

dnf_install() {
    as_root dnf -y -q --setopt=install_weak_deps=False "$@" >"$tmp/dnf.log" 2>&1 || {
        tail -n 5 "$tmp/dnf.log" >&2
        return 1
    }
}

# What a build cannot do without, then the rest as far as the release has it
install_packages() {
    ask_dnf
    for pattern in '[bl]*' '[!bl]*'; do
        resolve "$pattern" >"$tmp/names"
        [ -s "$tmp/names" ] || continue
        strict=1
        [ "$pattern" = '[bl]*' ] || strict=0
        # shellcheck disable=SC2046 # package names
        dnf_install --setopt=strict=$strict install $(cat "$tmp/names") ||
            die "dnf could not install $(tr '\n' ' ' <"$tmp/names" | sed 's/ $//')$(where_else)"
    done
    missing_packages >"$tmp/missing.after"
    [ ! -s "$tmp/missing.after" ] ||
        warn "not in this release: $(awk '{ printf "%s ", $1 }' "$tmp/missing.after")$(where_else)"
}

too_old() {
    die "meson >= $MESON_MIN is needed, this release has ${1:-none}; run $NM_PYTHON -m pip install 'meson>=$MESON_MIN'"
}

install_meson() {
    say "installing meson: configures the build"
    dnf_install install meson || true
    meson_is_new_enough || too_old "$(meson_version)"
}

# quoted: names for a shell, on one line
quoted() {
    sed "/(/s/.*/'&'/" | tr '\n' ' ' | sed 's/ $//'
}

# tell_root: prints what root is to run, and stops
tell_root() {
    ask_dnf
    resolve '*' >"$tmp/names"
    ! $need_meson || echo meson >>"$tmp/names"
    printf '    dnf install --setopt=install_weak_deps=False --setopt=strict=0 %s\n' \
        "$(quoted <"$tmp/names")"
    die "installing packages needs root and there is no sudo; run the above as root$(where_else)"
}
