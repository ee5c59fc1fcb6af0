# SPDX-FileCopyrightText: nearmetal contributors
# SPDX-License-Identifier: GPL-2.0-or-later
#
# scripts/package rpm; sourced by it
# shellcheck shell=sh disable=SC2154


top=$packages/rpm

# need_rpm: what makes a source package
need_rpm() {
    have rpmbuild || run_setup --groups rpm
    have rpmbuild ||
        die "there is no rpmbuild here; scripts/setup --groups rpm installs it"
}

# fetch_package: QEMU's source, which has to be the source package: the features of
# the build stand in it
fetch_package() {
    dsc=$(record_get PATH)
    [ -e "${dsc:-none}" ] || "$NM_ROOT/scripts/fetch" --base "$base"
    dsc=$(record_get PATH)
    [ "$(record_get KIND)" = dsc ] ||
        die "$(show "$dsc") is no source package; scripts/fetch --base $base gets it, scripts/fetch --tarball FILE.dsc takes it"
}

collect_sources() {
    rm -rf "$top"
    mkdir -p "$top/SOURCES" "$top/SPECS"
    source_archive "$top/SOURCES/nearmetal-$rpm_version.tar.gz" \
        "nearmetal-$rpm_version"
    for file in "$(basename -- "$dsc")" "$(dsc_file "$dsc" orig)" \
        "$(dsc_file "$dsc" debian)"; do
        ln -f "$(dirname -- "$dsc")/$file" "$top/SOURCES/$file" 2>/dev/null ||
            cp "$(dirname -- "$dsc")/$file" "$top/SOURCES/$file"
    done
}

# write_spec: packaging/rpm/nearmetal.spec with what this source is. The date is that
# of the commit, so that the same source makes the same package.
write_spec() {
    {
        printf '%%global nm_%s %s\n' version "$rpm_version" \
            release "$(package_version)" commit "$(release_commit)" \
            base "$base" dsc "$(basename -- "$dsc")" \
            orig "$(dsc_file "$dsc" orig)" \
            debian "$(dsc_file "$dsc" debian)"
        cat "$NM_ROOT/packaging/rpm/nearmetal.spec"
        cat <<EOF
* $(date -d "$(release_date)" '+%a %b %d %Y') nearmetal contributors <nearmetal@nearmetal.invalid> - $rpm_version-1
- $(what_it_is); NEWS.md tells what changed
EOF
    } >"$spec"
}

# run_rpm STEP...: rpmbuild on the spec, its output in the log
run_rpm() {
    rpmbuild --define "_topdir $top" "$@" "$spec" >"$log" 2>&1 || {
        grep -E '^(error|[^ ]*error):|error:' "$log" | tail -n 5 >&2 ||
            tail -n 5 "$log" >&2
        die "rpmbuild $1 failed, see $(show "$log")"
    }
}

# lint FILE...: what rpmlint says of the packages; its errors end it
lint() {
    have rpmlint || return 0
    say "rpmlint"
    rpmlint --config "$NM_ROOT/packaging/rpm/rpmlint.toml" "$@" ||
        die "rpmlint found errors, see above"
}

make_package() {
    if [ -n "$releases" ] || $here; then
        usage_error "--release and --here are for deb"
    fi
    need_rpm
    fetch_package
    rpm_version=$(package_version)+$(record_get VERSION)
    # The archive is of the commit, whatever was changed since
    rpm_version=$(printf '%s' "$rpm_version" | tr -s +)
    spec=$top/SPECS/nearmetal.spec log=$NM_ROOT/build/log/package-rpm.log
    mkdir -p "$(dirname -- "$log")"
    collect_sources
    write_spec
    say "making the source package of nearmetal $rpm_version (the log is $(show "$log"))"
    if [ "$(package_manager)" = dnf ]; then
        build_all
    else
        source_only
    fi
    say "done:"
    (cd "$top" && find . -name '*.rpm' -exec ls -1s --block-size=K {} +)
}

# build_all: on an RPM host
build_all() {
    run_setup --base "$base" --groups build,library,rpm
    ! setup_wanted || as_root dnf -y -q builddep "$spec" ||
        die "dnf builddep could not install all that $(show "$spec") asks for; enable CRB and EPEL on RHEL, or leave a feature out (docs/packages.md)"
    run_rpm -ba
    lint "$top"/SRPMS/*.rpm "$top"/RPMS/*/*.rpm
}

# source_only: elsewhere; binary packages need the libraries and macros of the
# release that they are for
source_only() {
    run_rpm -bs
    ! $prep || {
        say "unpacking it as rpmbuild would (%prep)"
        run_rpm -bp --nodeps
        rm -rf "$top/BUILD"
    }
    lint "$top"/SRPMS/*.rpm
    say "source package made; binary packages are made on an RPM host, with:"
    printf '    dnf builddep FILE && rpmbuild --rebuild FILE, or mock --rebuild FILE\n'
}
