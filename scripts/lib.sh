# SPDX-FileCopyrightText: nearmetal contributors
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Helpers shared by the scripts of this folder; sourced, never run.
# Expects $0 to be a script of this folder (or NM_ROOT to be set).
# shellcheck shell=sh disable=SC2034

# The real path: reached by a link, a checkout would be built once more
: "${NM_ROOT:=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)}"
NM_PROG=$(basename -- "$0")
NM_CACHE=${NEARMETAL_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/nearmetal}
NM_PYTHON=/usr/bin/python3
NM_TARGETS=x86_64-softmmu,aarch64-softmmu
NM_BASE_DEFAULT=${NEARMETAL_BASE:-10.0}
NM_FEATURES_DEFAULT=${NEARMETAL_FEATURES:-lean}
# Those that packages are made for
NM_RELEASES='bookworm trixie'
# The base that patches/common is written from: others have copies of what differs
NM_BASE_COMMON=10.0
# Where distributions keep guest firmware: Debian's source has next to none
NM_FIRMWARE='/usr/share/seabios /usr/share/qemu /usr/lib/ipxe/qemu
/usr/share/OVMF /usr/share/ovmf /usr/share/AAVMF /usr/share/qemu-efi-aarch64'
# Fedora, RHEL (qemu-kvm) and openEuler (all in qemu)
[ -e /etc/debian_version ] || NM_FIRMWARE='/usr/share/qemu-firmware
/usr/share/ipxe/qemu /usr/share/seavgabios /usr/share/seabios /usr/share/qemu
/usr/share/qemu-kvm /usr/share/edk2/ovmf /usr/share/edk2/aarch64'
NM_OS_RELEASE=${NEARMETAL_OS_RELEASE:-/etc/os-release}

# A caller's git environment (hooks set it) must not leak into our trees
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_PREFIX
LC_ALL=C.UTF-8
export LC_ALL
# So that an interrupted script cleans up as well
trap 'exit 130' INT TERM HUP

# --- terminal ---------------------------------------------------------------

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
    NM_RED=$(printf '\033[31m') NM_GREEN=$(printf '\033[32m')
    NM_YELLOW=$(printf '\033[33m') NM_BOLD=$(printf '\033[1m')
    NM_OFF=$(printf '\033[0m')
else
    NM_RED='' NM_GREEN='' NM_YELLOW='' NM_BOLD='' NM_OFF=''
fi
# Messages go to standard error, which may be a file when the rest is not
if [ -t 2 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
    NM_ERROR=$(printf '\033[31merror:\033[0m')
    NM_WARNING=$(printf '\033[33mwarning:\033[0m')
else
    NM_ERROR=error: NM_WARNING=warning:
fi

# live: may a line of standard output be written over?
live() {
    [ -t 1 ] && [ "${TERM:-dumb}" != dumb ]
}

# say TEXT...: one line about what goes on
say() {
    printf '%s%s:%s %s\n' "$NM_BOLD" "$NM_PROG" "$NM_OFF" "$*"
}

warn() {
    printf '%s: %s %s\n' "$NM_PROG" "$NM_WARNING" "$*" >&2
}

# die TEXT...: one line with the error and its remedy, then stop
die() {
    printf '%s: %s %s\n' "$NM_PROG" "$NM_ERROR" "$*" >&2
    exit 1
}

usage_error() {
    printf '%s: %s %s (see %s -h)\n' "$NM_PROG" "$NM_ERROR" "$*" "$NM_PROG" >&2
    exit 2
}

# need_arg "$@": the option at the head needs a value
need_arg() {
    if [ $# -lt 2 ] || [ -z "$2" ]; then
        usage_error "$1 needs a value"
    fi
}

# need_count OPTION VALUE: a whole number, 1 or more
need_count() {
    case $2 in
    *[!0-9]* | '' | 0*) usage_error "$1 needs a number of 1 or more, not '$2'" ;;
    esac
}

have() {
    command -v "$1" >/dev/null 2>&1
}

# package_manager: the one that scripts/setup installs with: apt, dnf or none
package_manager() {
    if have apt-get && have dpkg-query; then
        echo apt
    elif have dnf && have rpm; then
        echo dnf
    else
        echo none
    fi
}

# need_apt WHAT REMEDY...: stops on a system without apt; WHAT is possible with it
need_apt() {
    have apt-get && return 0
    nm_what=$1
    shift
    die "$nm_what on a Debian system only, and there is no apt-get here; $*"
}

# setup_wanted: may a script look for packages, and install them?
setup_wanted() {
    [ -z "${NEARMETAL_NO_SETUP:-}" ]
}

# run_setup ARG...: scripts/setup, unless NEARMETAL_NO_SETUP says not to; every
# script that needs packages calls it by this function
run_setup() {
    ! setup_wanted || "$NM_ROOT/scripts/setup" "$@"
}

# Path as shown to the user: relative to the project where possible
show() {
    case $1 in
    "$NM_ROOT"/*) printf '%s' "${1#"$NM_ROOT"/}" ;;
    *) printf '%s' "$1" ;;
    esac
}

sha256_of() {
    sha256sum -- "$1" | cut -d' ' -f1
}

# sha256_in: of standard input
sha256_in() {
    sha256sum | cut -d' ' -f1
}

absolute_path() {
    case $1 in
    /*) printf '%s\n' "$1" ;;
    *) printf '%s/%s\n' "$(pwd)" "$1" ;;
    esac
}

# lock FD FILE WHAT: holds FILE locked until the script ends; says so when it
# has to wait for WHAT
lock() {
    have flock || return 0
    (: >>"$2") 2>/dev/null || die "cannot write to $2; make its folder writable"
    eval "exec $1>>\"\$2\""
    flock -n "$1" || {
        say "waiting for $3"
        flock "$1"
    }
}

# copy_tree FROM TO [OPTION-OF-TAR...]: copies what is in a folder into another
# one; folders that exist there stay as they are. False if anything failed.
copy_tree() {
    nm_from=$1 nm_to=$2
    shift 2
    nm_failed=$(mktemp)
    {
        tar -C "$nm_from" "$@" -cf - . || echo failed >"$nm_failed"
    } | tar -C "$nm_to" -xpf - --no-same-owner --no-overwrite-dir \
        --keep-directory-symlink || echo failed >"$nm_failed"
    [ ! -s "$nm_failed" ] || {
        rm -f "$nm_failed"
        return 1
    }
    rm -f "$nm_failed"
}

# --- the base ---------------------------------------------------------------

# load_base NAME: reads bases/NAME.lock into LOCK_*, sets the build paths
load_base() {
    NM_BASE=$1
    NM_LOCK=$NM_ROOT/bases/$1.lock
    [ -f "$NM_LOCK" ] ||
        usage_error "no base '$1' (known: $(known_bases)); use --base NAME"
    for nm_key in SERIES VERSION SUITE SOURCE SOURCE_VERSION DSC DSC_SHA256 \
        ORIG ORIG_SHA256 DEBIAN DEBIAN_SHA256; do
        nm_val=$(sed -n "s/^LOCK_$nm_key=//p" "$NM_LOCK")
        [ -n "$nm_val" ] || die "$(show "$NM_LOCK"): LOCK_$nm_key is missing"
        eval "LOCK_$nm_key=\$nm_val"
    done
    NM_BUILD=$NM_ROOT/build/$1
    NM_TREE=$NM_BUILD/tree
    load_features "$NM_FEATURES_DEFAULT"
    NM_SERIES=$NM_ROOT/patches/series.$1
    NM_RECORD=$NM_BUILD/source
    NM_DOWNLOADS=$NM_CACHE/source
}

# load_features NAME: what QEMU is built with, lean or as the distribution has it;
# sets where it is built
load_features() {
    NM_FEATURES=$1
    case $1 in
    lean) NM_PLACE=$NM_BUILD ;;
    distribution) NM_PLACE=$NM_BUILD/distribution ;;
    *) usage_error "--features is lean or distribution, not '$1'" ;;
    esac
    NM_OBJ=$NM_PLACE/obj
}

known_bases() {
    for nm_file in "$NM_ROOT"/bases/*.lock; do
        basename -- "$nm_file" .lock
    done | tr '\n' ' ' | sed 's/ $//'
}

# version_in_series VERSION: is it the locked release series (10.0.z)?
# .50 and later are development snapshots of the next series.
version_in_series() {
    case $1 in
    "$LOCK_SERIES".*[!0-9]* | "$LOCK_SERIES".) return 1 ;;
    "$LOCK_SERIES".*) [ "${1##*.}" -lt 50 ] ;;
    *) return 1 ;;
    esac
}

# record_get KEY: a value fetch left in the build folder
record_get() {
    [ ! -f "$NM_RECORD" ] || sed -n "s/^$1=//p" "$NM_RECORD"
}

# release_version: of nearmetal
release_version() {
    head -n 1 "$NM_ROOT/VERSION"
}

# in_git: is this a checkout? An unpacked release may lie within another one.
in_git() {
    [ -e "$NM_ROOT/.git" ] && nm_git -C "$NM_ROOT" rev-parse -q --verify HEAD \
        >/dev/null 2>&1
}

# archive_get KEY: what git wrote into a source tarball (.release); nothing in a
# checkout
archive_get() {
    sed -n "s/^$1=\\([^\$]*\\)\$/\\1/p" "$NM_ROOT/.release" 2>/dev/null || true
}

# news_heading: "VERSION, DATE" of the newest release in NEWS.md
news_heading() {
    sed -n 's/^## //p' "$NM_ROOT/NEWS.md" 2>/dev/null | head -n 1
}

# news_dated: does NEWS.md say when this version was released?
news_dated() {
    news_heading | grep -qx "$(release_version | sed 's/\./\\./g'), [0-9-]\{10\}"
}

# tag_commit: the commit that is tagged as this version, if any is
tag_commit() {
    nm_git -C "$NM_ROOT" rev-parse -q --verify \
        "refs/tags/nearmetal-$(release_version)^{commit}" 2>/dev/null || true
}

# is_release: is this a release, or what is to become one? That is a commit whose
# NEWS.md has the date; once there is a tag, the one that it names.
is_release() {
    news_dated || return 1
    in_git || return 0
    nm_tagged=$(tag_commit)
    [ -z "$nm_tagged" ] ||
        [ "$nm_tagged" = "$(nm_git -C "$NM_ROOT" rev-parse HEAD)" ]
}

# package_version: that of a release is its own; before it, commits count. A build of a
# package's source, where there is no repository, is told it.
package_version() {
    [ -z "${NEARMETAL_VERSION:-}" ] || {
        printf '%s\n' "$NEARMETAL_VERSION"
        return
    }
    nm_version=$(release_version)
    is_release || {
        nm_count=0
        ! in_git || nm_count=$(nm_git -C "$NM_ROOT" rev-list --count HEAD)
        nm_version=$nm_version~$nm_count.$(release_commit)
    }
    printf '%s\n' "$nm_version"
}

# deployed_version: what a QEMU for deployment says it is, always with its commit, so
# that modules of another one are not loaded
deployed_version() {
    nm_shown=$(package_version)
    case $nm_shown in
    *"$(release_commit)"*) printf '%s\n' "$nm_shown" ;;
    *) printf '%s %s\n' "$nm_shown" "$(release_commit)" ;;
    esac
}

# release_commit: what is built, with a plus if it was changed since
release_commit() {
    [ -z "${NEARMETAL_COMMIT:-}" ] || {
        printf '%s\n' "$NEARMETAL_COMMIT"
        return
    }
    if in_git; then
        nm_commit=$(nm_git -C "$NM_ROOT" rev-parse --short=12 HEAD)
        [ -z "$(nm_git -C "$NM_ROOT" status --porcelain -uno 2>/dev/null)" ] ||
            nm_commit=$nm_commit+
    else
        nm_commit=$(archive_get COMMIT | cut -c1-12)
    fi
    printf '%s\n' "${nm_commit:-unknown}"
}

# release_date: of the commit, as mail and changelogs write it
release_date() {
    if in_git; then
        nm_git -C "$NM_ROOT" log -1 --format=%cD
    else
        archive_get DATE | grep . || date -R -r "$NM_ROOT/VERSION"
    fi
}

# dsc_field FILE NAME
dsc_field() {
    sed -n "s/^$2: *//p" "$1" | head -n 1
}

# dsc_sums FILE: "SHA256  NAME" lines of a .dsc
dsc_sums() {
    awk '/^Checksums-Sha256:/ { on = 1; next } /^[^ ]/ { on = 0 }
         on { print $1 "  " $3 }' "$1"
}

# dsc_file FILE KIND: the name of the .orig or .debian tarball that a .dsc lists
dsc_file() {
    dsc_sums "$1" | sed -n "s/^[^ ]*  \\(.*\\.$2\\.tar\\.[a-z0-9]*\\)\$/\\1/p" | head -n 1
}

# base_package: version of the source package that was fetched, without epoch, or
# that of QEMU where it was no package
base_package() {
    nm_dsc=$(record_get PATH)
    case $nm_dsc in
    *.dsc) dsc_field "$nm_dsc" Version | sed 's/^[0-9]*://' ;;
    *) record_get VERSION ;;
    esac
}

# series_list: the patches of the series, without comments
series_list() {
    sed -e 's/[[:space:]]*#.*$//' -e 's/[[:space:]]*$//' -e '/^$/d' \
        "$NM_SERIES"
}

# need_series: is there a series, and do all of its patches exist?
need_series() {
    [ -f "$NM_SERIES" ] ||
        die "$(show "$NM_SERIES") is missing; git checkout brings it back, for a new base see docs/rebasing.md"
    for nm_patch in $(series_list); do
        [ -f "$NM_ROOT/patches/$nm_patch" ] ||
            die "$(show "$NM_SERIES") lists $nm_patch, but patches/$nm_patch does not exist; git checkout brings it back, or take out the line"
    done
}

# own_firmware TREE: firmware that the source has and the distribution lacks
own_firmware() {
    for nm_file in "$1"/pc-bios/*.bin "$1"/pc-bios/*.rom; do
        [ -f "$nm_file" ] || continue
        for nm_dir in $NM_FIRMWARE; do
            [ ! -e "$nm_dir/$(basename -- "$nm_file")" ] || continue 2
        done
        printf '%s\n' "$nm_file"
    done
}

# dev_configured: is build/dev there, and of this place? Meson's files name it:
# in a checkout that was copied they would build the sources of the old one.
dev_configured() {
    [ -f "$NM_ROOT/build/dev/build.ninja" ] &&
        grep -qF "\"source\": \"$NM_ROOT\"" \
            "$NM_ROOT/build/dev/meson-info/meson-info.json" 2>/dev/null
}

# --- git --------------------------------------------------------------------

# nm_git ARG...: git for the managed trees, independent of the caller's
# configuration: no signing, no line-end conversion, no hooks, fixed identity
nm_git() {
    GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null \
        git -c safe.directory='*' -c core.autocrlf=false -c core.eol=lf \
        -c commit.gpgSign=false -c core.hooksPath=/dev/null -c gc.auto=0 \
        -c user.name=nearmetal -c user.email=nearmetal@localhost \
        -c core.fileMode=true -c core.quotePath=false -c advice.detachedHead=false "$@"
}

tree_git() {
    nm_git -C "$NM_TREE" "$@"
}

# tree_is_idle: stops if a git operation in the tree is half done
tree_is_idle() {
    for nm_operation in rebase-apply:am rebase-merge:rebase \
        CHERRY_PICK_HEAD:cherry-pick; do
        [ ! -e "$NM_TREE/.git/${nm_operation%%:*}" ] || {
            nm_git_word=${nm_operation#*:}
            [ ! -e "$NM_TREE/.git/rebase-apply/rebasing" ] || nm_git_word=rebase
            die "a git $nm_git_word is under way in $(show "$NM_TREE"); finish it there with git $nm_git_word --continue, or give it up with --abort"
        }
    done
}

# apply_to_index INDEX DIFF LOG: applies a diff to an index of the tree. Offsets
# are fine. NM_LOOSE tells whether less context had to do: git asks for one line
# on either side then, and may have taken the wrong place.
apply_to_index() {
    NM_LOOSE=false
    GIT_INDEX_FILE=$1 nm_git --git-dir="$NM_TREE/.git" apply --cached \
        --whitespace=nowarn "$2" 2>"$3" && return 0
    NM_LOOSE=true
    GIT_INDEX_FILE=$1 nm_git --git-dir="$NM_TREE/.git" apply --cached \
        --whitespace=nowarn -C1 "$2" 2>"$3.loose"
}

# --- overlay ----------------------------------------------------------------

# overlay_list: "SOURCE<TAB>DESTINATION" for each file of the overlay, both
# relative (to the project and to the QEMU tree)
overlay_list() {
    for nm_dir in hw iothread-tuning tests/qtest; do
        [ -d "$NM_ROOT/$nm_dir" ] || continue
        (cd "$NM_ROOT" && find "$nm_dir" -name __pycache__ -prune -o -type f \
            ! -name '*~' ! -name '.*.swp' ! -name '*.orig' ! -name '*.rej' \
            ! -name '*.pyc' -print)
    done | LC_ALL=C sort | awk '
        { d = $0 }
        /\/qapi\/[^\/]*\.json$/ { sub(/^.*\/qapi\//, "qapi/", d) }
        d ~ /^hw\// { sub(/^hw\//, "hw/nearmetal/", d) }
        d ~ /^tests\/qtest\// {
            sub(/^tests\/qtest\//, "tests/qtest/nearmetal/", d)
        }
        { print $0 "\t" d }'
}

# overlay_folders: "FOLDER IN THE TREE<TAB>FOLDER HERE"
overlay_folders() {
    printf '%s\t%s\n' hw/nearmetal hw iothread-tuning iothread-tuning \
        tests/qtest/nearmetal tests/qtest
}

# overlay_excluded OVERLAY: path specs that leave out the files of the overlay
overlay_excluded() {
    {
        overlay_folders | cut -f1
        tree_git diff --name-only --diff-filter=A "$1^" "$1"
    } | sed 's/^/:(exclude,literal)/'
}

# format_patches OVERLAY HEAD ARG...: the commits between as patches, the same
# with any version and configuration of git; overlay files are left out
format_patches() {
    nm_from=$1 nm_to=$2
    shift 2
    nm_specs=$(overlay_excluded "$nm_from")
    nm_tail=$*
    set -f
    # shellcheck disable=SC2086 # options and path specs without spaces
    tree_git -c diff.algorithm=myers -c diff.indentHeuristic=true \
        format-patch -q --zero-commit --no-signature -N --no-base \
        --no-renames --abbrev=12 --no-ext-diff --no-textconv --no-color \
        --no-thread --no-attach --no-cover-letter --no-to --no-cc \
        --filename-max-length=64 $nm_tail "$nm_from..$nm_to" -- . $nm_specs
    set +f
}

# --- a copy to try something in ---------------------------------------------

# project_files: what git tracks or would track; all files without a repository
project_files() {
    if in_git; then
        nm_git -C "$NM_ROOT" ls-files -co --exclude-standard
    else
        (cd "$NM_ROOT" && find . -path ./build -prune -o -name __pycache__ -prune \
            -o -type f -print | sed 's|^\./||')
    fi | while read -r nm_file; do
        [ ! -f "$NM_ROOT/$nm_file" ] || printf '%s\n' "$nm_file"
    done
}

# scratch_project FOLDER: makes a copy of the project, of the base that is loaded;
# its tree, where there is one, shares the objects of the real one
scratch_project() {
    mkdir -p "$1/build/$NM_BASE"
    project_files >"$1/build/files"
    xargs -d '\n' tar -C "$NM_ROOT" -cf - <"$1/build/files" | tar -xf - -C "$1"
    [ ! -f "$NM_RECORD" ] || cp "$NM_RECORD" "$1/build/$NM_BASE/"
    [ ! -d "$NM_TREE/.git" ] ||
        nm_git clone -q --shared --no-checkout --template= -b nearmetal \
            "$NM_TREE" "$1/build/$NM_BASE/tree"
}

# --- apt --------------------------------------------------------------------

# as_root COMMAND...
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif have sudo; then
        sudo "$@"
    else
        die "this needs root; run as root: $*"
    fi
}

# os_field NAME: a line of os-release
os_field() {
    sed -n "s/^$1=//p" "$NM_OS_RELEASE" 2>/dev/null | tr -d '"'
}

# Code name of the running release
host_codename() {
    os_field VERSION_CODENAME
}

# rhel_like: RHEL or one of its rebuilds, some of whose packages are in CRB and EPEL?
rhel_like() {
    case " $(os_field ID) $(os_field ID_LIKE) " in
    *' rhel '* | *' centos '*) ;;
    *) return 1 ;;
    esac
}

# apt_indexed: "SUITE ADDRESS" for each source that the machine has an index of from
# Debian, taken from apt's own configuration
apt_indexed() {
    # shellcheck disable=SC2016 # apt expands these
    apt-get indextargets --format '$(REPO_URI)|$(CODENAME)|$(ORIGIN)' \
        2>/dev/null | sed -n 's/^\(.*\)|\(.*\)|Debian$/\2 \1/p' | sort -u
}

# apt_listed: the same for each source that it is set up with, whoever's it is
apt_listed() {
    apt-get update --print-uris 2>/dev/null |
        sed -n "s/^'\\([^']*\\)\\/dists\\/\\([^/']*\\)\\/InRelease'.*/\\2 \\1\\//p"
}

# host_mirror: address of the Debian archive this machine is set up with (of the
# release itself rather than of its updates)
host_mirror() {
    { apt_indexed | grep . || apt_listed; } | awk -v code="$(host_codename)" '
        $1 == code { print 1, $2; next }
        $1 == code "-updates" { print 2, $2; next }
        $1 !~ /-/ { print 3, $2; next }
        $1 !~ /security/ { print 4, $2 }' |
        sort -u | awk 'NR == 1 { print $2 }'
}

# security_mirror: address of Debian's security archive, which is another one;
# nothing if the machine has no source of it
security_mirror() {
    { apt_indexed | grep -e '-security ' || apt_listed | grep -e '-security '; } |
        awk 'NR == 1 { print $2 }'
}

# private_apt NAME LINE...: sets up an apt of our own under the cache folder
# with the given source lines ("deb-src SUITE main"), so that the system's
# lists stay untouched; use it with papt. Suites of the security archive are left
# out where the machine has no source of that. NEARMETAL_KEYRING: what the archive
# is signed with, if not by Debian.
private_apt() {
    NM_APT=$NM_CACHE/apt/$1
    shift
    mkdir -p "$NM_APT/lists/partial" "$NM_APT/cache/archives/partial" \
        "$NM_APT/parts" || die "cannot write to $NM_APT; set XDG_CACHE_HOME"
    lock 6 "$NM_APT/.lock" "another run of apt-get in $NM_APT"
    nm_mirror=$(host_mirror)
    [ -n "$nm_mirror" ] || return 1
    nm_key=${NEARMETAL_KEYRING:-/usr/share/keyrings/debian-archive-keyring.gpg}
    nm_opt=''
    [ ! -r "$nm_key" ] || nm_opt="[signed-by=$nm_key] "
    for nm_line in "$@"; do
        nm_from=$nm_mirror
        case $nm_line in
        *-security\ *) nm_from=$(security_mirror) ;;
        esac
        [ -z "$nm_from" ] || printf '%s %s%s %s\n' "${nm_line%% *}" "$nm_opt" \
            "$nm_from" "${nm_line#* }"
    done >"$NM_APT/sources.list"
}

# papt TOOL ARG...: apt-get or apt-cache on the private lists. Downloads run
# as the calling user: the sandbox user could not write to the cache folder.
papt() {
    nm_tool=$1
    shift
    "$nm_tool" -o Dir::Etc::SourceList="$NM_APT/sources.list" \
        -o Dir::Etc::SourceParts="$NM_APT/parts" \
        -o Dir::State::Lists="$NM_APT/lists" \
        -o Dir::Cache="$NM_APT/cache" \
        -o APT::Sandbox::User="$(id -un)" \
        -o Acquire::Languages=none -o Acquire::Retries=2 \
        -o APT::Update::Error-Mode=any "$@"
}
