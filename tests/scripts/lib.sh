# SPDX-FileCopyrightText: nearmetal contributors
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Frame of the script tests: a copy of the scripts and a stand-in for QEMU's
# source of a few files, in a folder of its own; sourced by the tests.
# shellcheck shell=sh disable=SC2034

here=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT
HOME=$box/home
XDG_CACHE_HOME=$box/cache
NEARMETAL_NO_SETUP=1
export HOME XDG_CACHE_HOME NEARMETAL_NO_SETUP
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
# The stand-in is one of the default base
unset NEARMETAL_BASE NEARMETAL_FEATURES
# A user's git configuration that would get in the way
mkdir -p "$HOME"
printf '[commit]\n\tgpgSign = true\n[core]\n\tautocrlf = true\n[diff]\n\tnoprefix = true\n' \
    >"$HOME/.gitconfig"
project=$box/project
tree=$project/build/10.0/tree
count=0

# make_project: scripts, lock and one patch for the stand-in source
make_project() {
    mkdir -p "$project/patches/common" "$project/iothread-tuning" \
        "$project/hw/qapi" "$project/bases"
    cp -a "$here/scripts" "$here/VERSION" "$project/"
    cp "$here/bases/10.0.lock" "$project/bases/"
    echo 'int ours;' >"$project/iothread-tuning/ours.c"
    echo "subdir('x')" >"$project/hw/meson.build"
    echo '{}' >"$project/hw/qapi/ours.json"
    printf '# series\ncommon/0001-main-one-more.patch\n' \
        >"$project/patches/series.10.0"
    cat >"$project/patches/common/0001-main-one-more.patch" <<'EOF'
From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: Jane Doe <jane@example.org>
Date: Wed, 1 Jan 2025 12:00:00 +0100
Subject: [PATCH] main: one more

Two is better.

Signed-off-by: Jane Doe <jane@example.org>
---
 main.c | 1 +
 1 file changed, 1 insertion(+)

diff --git a/main.c b/main.c
index a9e2570ae99e..4c6f8bc0c4e1 100644
--- a/main.c
+++ b/main.c
@@ -3,6 +3,7 @@ line 2
 line 3
 line 4
 line 5
+one more
 line 6
 line 7
 line 8
EOF
}

# make_source VERSION: the stand-in source in $box/qemu-VERSION, and a tarball
make_source() {
    source=$box/qemu-$1
    mkdir -p "$source/hw" "$source/qapi" "$source/tests/qtest"
    echo "$1" >"$source/VERSION"
    printf '#!/bin/sh\n' >"$source/configure"
    chmod +x "$source/configure"
    for n in 1 2 3 4 5 6 7 8 9 10; do
        echo "line $n"
    done >"$source/main.c"
    echo "subdir('acpi')" >"$source/hw/meson.build"
    tar -cJf "$source.tar.xz" -C "$box" "qemu-$1"
}

# ready: project and source, prepared
ready() {
    make_project
    make_source 10.0.13
    "$project/scripts/fetch" --tarball "$box/qemu-10.0.13.tar.xz" \
        >"$box/out" 2>&1
    "$project/scripts/prepare" >"$box/out" 2>&1
    # The stand-in's own form of the patch
    "$project/scripts/refresh" >"$box/out" 2>&1
    "$project/scripts/prepare" >"$box/out" 2>&1
}

# run COMMAND...: output in $box/out, exit status in $status
run() {
    status=0
    "$@" >"$box/out" 2>&1 </dev/null || status=$?
}

fail() {
    echo "not ok: $1"
    sed 's/^/    /' "$box/out"
    exit 1
}

# ok TEXT TEST...: the test command must succeed
ok() {
    text=$1
    shift
    "$@" >/dev/null || fail "$text"
    count=$((count + 1))
    echo "ok $count $text"
}

# refused WORDS: the last run failed with one error line that has these words
refused() {
    [ "$status" -ne 0 ] && grep -q "error:.*$1" "$box/out"
}

done_testing() {
    echo "1..$count"
}
