# SPDX-FileCopyrightText: nearmetal contributors
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Made-up archives of a distribution: source packages of the stand-in, a main and
# a security archive, signed, and an apt that is set up with them; sourced by the
# tests after lib.sh.
# shellcheck shell=sh disable=SC2034,SC2154

for tool in gpg dpkg-source dpkg-scansources apt-get; do
    command -v "$tool" >/dev/null || {
        echo "skipped: no $tool here, which made-up archives need"
        exit 77
    }
done
GNUPGHOME=$box/gnupg
APT_CONFIG=$box/apt.conf
NEARMETAL_KEYRING=$box/keyring.gpg
export GNUPGHOME APT_CONFIG NEARMETAL_KEYRING
trap 'gpgconf --kill all 2>/dev/null || true; rm -rf "$box"' EXIT
main=$box/debian security=$box/security

# make_apt SUITE...: the machine's own apt, with these; security is another archive
make_apt() {
    mkdir -p "$box/lists/partial" "$box/aptcache/archives/partial"
    cat >"$APT_CONFIG" <<EOF
Dir::Etc::SourceList "$box/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::State::Lists "$box/lists";
Dir::Cache "$box/aptcache";
APT::Sandbox::User "$(id -un)";
EOF
    for suite in "$@"; do
        printf 'deb-src [signed-by=%s] copy:%s/ %s main\n' \
            "$NEARMETAL_KEYRING" "$(archive_of "$suite")" "$suite"
    done >"$box/sources.list"
    apt-get -q update >"$box/out" 2>&1
}

make_key() {
    mkdir -m 700 "$GNUPGHOME"
    gpg -q --batch --passphrase '' --quick-gen-key archive@localhost ed25519 \
        sign never >"$box/out" 2>&1
    gpg -q --batch --export >"$NEARMETAL_KEYRING"
}

archive_of() {
    case $1 in
    *-security) printf '%s\n' "$security" ;;
    *) printf '%s\n' "$main" ;;
    esac
}

# publish SUITE [DSC...]: the suite has these packages, and no others
publish() {
    suite=$1
    shift
    root=$(archive_of "$suite")
    rm -rf "$root/pool/$suite" "$root/dists/$suite"
    mkdir -p "$root/pool/$suite" "$root/dists/$suite/main/source"
    for dsc in "$@"; do
        cp "${dsc%.dsc}.debian.tar.xz" "$dsc" "$root/pool/$suite/"
        cp "${dsc%-*}.orig.tar.xz" "$root/pool/$suite/"
    done
    (cd "$root" && dpkg-scansources "pool/$suite" 2>/dev/null) \
        >"$root/dists/$suite/main/source/Sources"
    sign "$root/dists/$suite"
}

# sign FOLDER: writes InRelease of a suite
sign() {
    index=main/source/Sources
    {
        printf 'Origin: Debian\nSuite: %s\nCodename: %s\nDate: %s\n' \
            "${1##*/}" "${1##*/}" "$(date -uR)"
        printf 'Architectures: amd64\nComponents: main\nSHA256:\n %s %s %s\n' \
            "$(sha256sum "$1/$index" | cut -d' ' -f1)" \
            "$(stat -c %s "$1/$index")" "$index"
    } | gpg -q --batch --yes --clearsign -o "$1/InRelease" 2>"$box/out"
}

# changelog VERSION DATE TEXT: one entry
changelog() {
    printf 'qemu (%s) trixie; urgency=medium\n\n  * %s\n\n -- Jane Doe <jane@example.org>  %s\n\n' \
        "$1" "$3" "$2"
}

# make_package VERSION: a source package of $box/qemu-UPSTREAM, which make_source
# has made, with the changelog in $box/changelog; prints the .dsc
make_package() {
    upstream=${1#*:} revision=${1##*-}
    upstream=${upstream%-*}
    (
        cd "$box" || exit
        rm -rf packed
        cp -a "qemu-${upstream%%+*}" packed
        [ -f "qemu_$upstream.orig.tar.xz" ] ||
            tar -cJf "qemu_$upstream.orig.tar.xz" packed
        mkdir -p packed/debian/source packed/debian/patches
        echo '3.0 (quilt)' >packed/debian/source/format
        cp changelog packed/debian/changelog
        printf 'Source: qemu\nMaintainer: Jane Doe <jane@example.org>\n\nPackage: qemu\nArchitecture: any\nDescription: x\n' \
            >packed/debian/control
        [ ! -d "patches-$revision" ] || cp -a "patches-$revision/." packed/debian/patches/
        dpkg-source -b packed
    ) >"$box/out" 2>&1
    printf '%s\n' "$box/qemu_$upstream-$revision.dsc"
}

# lock_to DSC VERSION SUITE: the base of the made-up project is this package
lock_to() {
    lock=$project/bases/10.0.lock
    sed -i "s/^LOCK_SUITE=.*/LOCK_SUITE=$3/
        s/^LOCK_SOURCE_VERSION=.*/LOCK_SOURCE_VERSION=$2/" "$lock"
    upstream=${2#*:}
    sed -i "s/^LOCK_VERSION=.*/LOCK_VERSION=${upstream%%[-+]*}/" "$lock"
    lock_file DSC "$1"
    lock_file ORIG "${1%-*}.orig.tar.xz"
    lock_file DEBIAN "${1%.dsc}.debian.tar.xz"
}

# lock_file KEY FILE
lock_file() {
    sed -i "s/^LOCK_$1=.*/LOCK_$1=${2##*/}/
        s/^LOCK_$1_SHA256=.*/LOCK_$1_SHA256=$(sha256sum "$2" | cut -d' ' -f1)/" "$lock"
}
