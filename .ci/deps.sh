#!/bin/sh
# .ci/deps.sh PACKAGE...: installs those Debian packages that are missing; costs nothing when none is.
command -v dpkg-query >/dev/null || {
    echo "This is not Debian: what these packages hold must be installed by hand: $*"
    exit 0
}
have=" $(dpkg-query -W -f '${db:Status-Abbrev}${Package} ' "$@" 2>/dev/null) "
missing=
for p; do
    case $have in *" ii $p "*) ;; *) missing="$missing $p" ;; esac
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
    as_root="sudo$([ -t 0 ] || echo ' -n')"
    $as_root true 2>/dev/null || {
        echo "These Debian packages are missing, and neither root nor sudo is available:$missing" >&2
        echo "As root: apt-get install$missing" >&2
        exit 1
    }
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2086
if $as_root apt-get update >"$log" 2>&1 &&
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing >>"$log" 2>&1; then
    exit 0
fi
tail -n 15 "$log" >&2
echo "apt-get could not install:$missing" >&2
exit 1
