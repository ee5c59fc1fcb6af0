# SPDX-FileCopyrightText: nearmetal contributors
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/setup on a system with apt; sourced by it
# shellcheck shell=sh disable=SC2154

# candidate PACKAGE...: version the system's apt would install of the first
candidate() {
    apt-cache policy "$@" 2>/dev/null |
        sed -n 's/^  Candidate: //p' | grep -v '(none)' | head -n 1
}

# provider PACKAGE: one that provides a virtual package
provider() {
    apt-cache showpkg "$1" 2>/dev/null | sed '1,/^Reverse Provides:/d' |
        awk '{ print $1; exit }' | grep .
}

# package_name ALTERNATIVES: the first alternative that apt knows
package_name() {
    for alt in $(printf '%s' "$1" | tr '|' ' '); do
        if [ -n "$(candidate "$alt")" ]; then
            printf '%s\n' "$alt"
            return
        fi
        ! provider "$alt" || return 0
    done
    return 1
}

# apt_has_lists: does apt know packages at all?
apt_has_lists() {
    [ -n "$(candidate libglib2.0-dev)" ]
}

# feature_is_known PACKAGE: does this release have it? Without lists it may have
feature_is_known() {
    ! apt_has_lists || package_name "$1" >/dev/null
}

list_rows() {
    wanted_rows
    ! wanted_group build ||
        printf '%-24s %-9s %s\n' "meson (>= $MESON_MIN)" build "configures the build" \
            python3-pycotap build "optional: source other than Debian's"
}

# missing_packages: wanted rows of which no alternative is installed
missing_packages() {
    dpkg-query -W -f '${db:Status-Status} ${Package}, ${Provides}\n' 2>/dev/null |
        sed -n 's/^installed //p' | tr ',' '\n' | awk 'NF { print $1 }' \
        >"$tmp/installed"
    wanted_rows | awk -v list="$tmp/installed" '
        BEGIN { while ((getline line < list) > 0) installed[line] = 1 }
        {
            n = split($1, alt, "|")
            for (i = 1; i <= n; i++)
                if (alt[i] in installed)
                    next
            print
        }'
}

meson_version() {
    dpkg-query -W -f '${db:Status-Status} ${Version}\n' meson 2>/dev/null |
        sed -n 's/^installed //p'
}

meson_is_new_enough() {
    meson_have=$(meson_version)
    [ -n "$meson_have" ] && dpkg --compare-versions "$meson_have" ge "$MESON_MIN"
}

# apt_run ARG...: apt-get as root, quiet; its output is shown on failure only
apt_run() {
    if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
        -o Dpkg::Use-Pty=0 "$@" >"$tmp/apt.log" 2>&1; then
        tail -n 15 "$tmp/apt.log" >&2
        return 1
    fi
}

update_lists() {
    say "updating the package lists"
    apt_run update ||
        warn "the package lists could not be updated completely"
}

# resolve FILE: real package names for the rows in FILE
resolve() {
    while read -r names _; do
        package_name "$names" || printf '?%s\n' "$names"
    done <"$1"
}

install_packages() {
    resolve "$tmp/missing" >"$tmp/names"
    if grep -q '^?' "$tmp/names"; then
        update_lists
        resolve "$tmp/missing" >"$tmp/names"
    fi
    # Features of another release are left out
    awk '$2 == "distribution" { print "?" $1 }' "$tmp/missing" |
        grep -vxFf - "$tmp/names" >"$tmp/known" || true
    mv "$tmp/known" "$tmp/names"
    unknown=$(sed -n 's/^?//p' "$tmp/names" | tr '\n' ' ')
    [ -z "$unknown" ] ||
        die "apt knows no package $unknown- enable a Debian source with it"
    tr '\n' ' ' <"$tmp/names" >"$tmp/line"
    # shellcheck disable=SC2046 # package names
    if ! apt_run install --no-install-recommends $(cat "$tmp/line"); then
        update_lists
        # shellcheck disable=SC2046
        apt_run install --no-install-recommends $(cat "$tmp/line") ||
            die "apt-get could not install: $(cat "$tmp/line")"
    fi
}

# Meson of the backports, through source lists of our own
install_meson() {
    if dpkg --compare-versions "$(candidate meson || echo 0)" ge "$MESON_MIN"; then
        say "installing meson: configures the build"
        apt_run install --no-install-recommends meson ||
            die "apt-get could not install meson"
        return
    fi
    code=$(host_codename)
    say "installing meson >= $MESON_MIN from $code-backports (this release has $(candidate meson || echo none))"
    private_apt backports "deb $code main" "deb $code-backports main" ||
        die "no Debian mirror among apt's sources; install meson >= $MESON_MIN by hand"
    papt apt-get -q update >"$tmp/apt.log" 2>&1 || {
        tail -n 5 "$tmp/apt.log" >&2
        die "cannot read $code-backports; install meson >= $MESON_MIN by hand"
    }
    pycotap=''
    if papt apt-cache policy python3-pycotap | grep -q 'Candidate: [0-9]'; then
        pycotap=python3-pycotap
    fi
    # shellcheck disable=SC2086 # empty when not available
    apt_run -o Dir::Etc::SourceList="$NM_APT/sources.list" \
        -o Dir::Etc::SourceParts="$NM_APT/parts" \
        -o Dir::State::Lists="$NM_APT/lists" \
        -o Dir::Cache::pkgcache='' -o Dir::Cache::srcpkgcache='' \
        -o APT::Sandbox::User=root -t "$code-backports" \
        install --no-install-recommends meson $pycotap ||
        die "apt-get could not install meson from $code-backports"
}

# tell_root: prints what root is to run, and stops
tell_root() {
    resolve "$tmp/missing" >"$tmp/names"
    # Names that apt does not know: its lists may be empty
    ! grep -q '^?' "$tmp/names" || printf '    apt-get update\n'
    sed -i -e 's/^?//' -e 's/|.*//' "$tmp/names"
    backports=''
    if $need_meson; then
        if dpkg --compare-versions "$(candidate meson || echo 0)" ge "$MESON_MIN"; then
            echo meson >>"$tmp/names"
        else
            backports=$(host_codename)-backports
        fi
    fi
    [ ! -s "$tmp/names" ] ||
        printf '    apt-get install --no-install-recommends %s\n' \
            "$(tr '\n' ' ' <"$tmp/names" | sed 's/ $//')"
    [ -z "$backports" ] ||
        printf '    apt-get install --no-install-recommends -t %s meson\n' "$backports"
    [ -z "$backports" ] || backports=" (apt needs $backports among its sources)"
    die "installing packages needs root and there is no sudo; run the above as root$backports"
}
