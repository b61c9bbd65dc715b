#!/bin/sh
# tests/numa/fetch-kernel.sh FILE: puts the kernel of Debian's newest linux-image-cloud-amd64 at FILE unless it is there, out of the package and
# without installing it. Fails with the reason where apt does not know it.
set -eu
file=$1
[ ! -f "$file" ] || exit 0
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || {
    echo "this is not Debian" >&2
    exit 1
}
package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | awk '$1 == "Depends:" && $2 ~ /^linux-image/ {print $2; exit}')
[ -n "$package" ] || {
    echo "apt knows no linux-image-cloud-amd64" >&2
    exit 1
}
echo "fetching $package (27 MB), for tests of NUMA in a guest"
mkdir -p "$(dirname "$file")"
work=$(mktemp -d "$file.XXXXXX")
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
(cd "$work" && apt-get download "$package" >log 2>&1) || {
    tail -n 1 "$work/log" >&2
    exit 1
}
dpkg-deb --fsys-tarfile "$work"/*.deb | tar -x -C "$work" --wildcards './boot/vmlinuz-*'
mv "$work"/boot/vmlinuz-* "$file"
