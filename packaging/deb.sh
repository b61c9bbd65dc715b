#!/bin/sh
# packaging/deb.sh TARBALL FOLDER: builds the Debian packages from the sources of `make dist`, unpacked afresh, and has lintian look at them.
# No mail address is the project's yet, so lintian is not asked about it; a packager puts theirs into debian/control and debian/changelog.
set -eu
tarball=$(realpath "$1")
rm -rf "$2"
mkdir -p "$2"
cd "$2"
tar -xf "$tarball"
(cd fathom-* && dpkg-buildpackage -us -uc -j"$(nproc)" >../log 2>&1) || { tail -n 40 log >&2; exit 1; }
rm -r fathom-*/
lintian --allow-root --fail-on error,warning --suppress-tags bogus-mail-host,bogus-mail-host-in-debian-changelog,initial-upload-closes-no-bugs ./*.changes
ls -- *.deb
