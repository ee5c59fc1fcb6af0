# SPDX-FileCopyrightText: nearmetal contributors
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/package deb; sourced by it
# shellcheck shell=sh disable=SC2154

in_rooms() {
    need_apt "Debian's packages are made" \
        "scripts/package rpm makes those of Fedora, RHEL and openEuler"
    in_git || die "a clean room clones a git checkout, which this is not; scripts/package deb --here makes packages for the running system"
    for release in $releases; do
        say "Debian $release"
        # What is brought from there comes to what is here
        rm -f "$packages/$release"/*.deb
        "$NM_ROOT/scripts/clean-room" --release "$release" --base "$base" \
            --bring build/packages -- scripts/package deb --base "$base" --here
    done
}

make_package() {
    for release in ${releases:=$NM_RELEASES}; do
        case " $NM_RELEASES " in
        *" $release "*) ;;
        *) usage_error "there is no release '$release' (known: $NM_RELEASES)" ;;
        esac
    done
    if $here; then
        package_here
    else
        in_rooms
    fi
}

# stage_debian: the rules, with what they take from the distribution's package: the
# script that keeps modules for VMs that run on while QEMU is upgraded, and the guest
# agent's service; each package knows which Debian it is for
stage_debian() {
    rm -rf "$stage"
    mkdir -p "$stage"
    cp -a "$NM_ROOT/packaging/deb/debian" "$stage/"
    cp "$NM_TREE/debian/gen-module-upgrade.sh" "$stage/debian/"
    cp "$NM_TREE/debian/qemu-guest-agent.service" \
        "$stage/debian/nearmetal-guest-agent.qemu-guest-agent.service"
    cp "$NM_TREE/debian/qemu-guest-agent.udev" \
        "$stage/debian/nearmetal-guest-agent.udev"
    others=$(echo "$NM_RELEASES" | sed "s/$code//; s/^ *//; s/ *\$//; s/  */ | /g")
    for package in nearmetal nearmetal-guest-agent; do
        sed "s/@PACKAGE@/$package/g; s/@CODENAME@/$code/g; s/@OTHERS@/$others/g" \
            "$stage/debian/preinst.in" >"$stage/debian/$package.preinst"
    done
    rm "$stage/debian/preinst.in"
}

# Its date is that of the commit, so that the same source makes the same package
write_changelog() {
    cat >"$stage/debian/changelog" <<EOF
nearmetal ($deb_version) $code; urgency=medium

  * $(what_it_is).
    /usr/share/doc/nearmetal/NEWS.md tells what changed.

 -- nearmetal contributors <nearmetal@nearmetal.invalid>  $(release_date)
EOF
}

run_debian() {
    log=$NM_ROOT/build/log/package-$code.log
    mkdir -p "$(dirname -- "$log")" "$packages/$code"
    say "building nearmetal $deb_version (the log is $(show "$log"))"
    (cd "$stage" && NEARMETAL=$NM_ROOT BASE=$base NEARMETAL_NO_SETUP=1 \
        dpkg-buildpackage -b -us -uc) >"$log" 2>&1 || {
        tail -n 5 "$log" >&2
        die "dpkg-buildpackage failed, see $(show "$log")"
    }
    rm -f "$packages/$code"/*.deb
    mv "$NM_PLACE"/nearmetal*_*.deb "$packages/$code/"
    rm -f "$NM_PLACE"/nearmetal_*.changes "$NM_PLACE"/nearmetal_*.buildinfo
}

package_here() {
    need_apt "Debian's packages are made" \
        "scripts/package rpm makes those of Fedora, RHEL and openEuler"
    code=$(host_codename)
    run_setup --groups build,library,speed,package
    "$NM_ROOT/scripts/prepare" --base "$base"
    run_setup --base "$base" --groups distribution
    deb_version=$(package_version)+$(record_get VERSION)-1~$code
    stage=$NM_PLACE/package
    stage_debian
    write_changelog
    run_debian
    if have lintian; then
        say "lintian"
        lintian --no-tag-display-limit --fail-on error "$packages/$code"/*.deb
    fi
    say "done:"
    ls -1s --block-size=K "$packages/$code"
}
