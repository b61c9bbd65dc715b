#!/bin/sh
# tests/run.sh NAME PROGRAM...: runs the test programs whose path, or one of whose cases, contains NAME (empty: all). Shows failures
# and skips, and ends with "N passed, N failed, N skipped". A crash, a program that runs past FATHOM_TEST_SECONDS (900) or
# one without a case is a failure. Fails when a test failed or none ran.
want=$1
shift
seconds=${FATHOM_TEST_SECONDS:-900}
log=$(mktemp) || exit 1
trap 'rm -f "$log" "$log.one"' EXIT

fail() {
    echo "$name: FAIL: $1"
    echo "FAIL $name" >>"$log"
}

for program; do
    name=${program#*/tests/}
    filter=
    case $name in *"$want"*) ;; *) filter=$want ;; esac
    start=$(date +%s)
    timeout -k 10 "$seconds" "$program" ${filter:+"$filter"} >"$log.one" 2>&1 </dev/null
    rc=$?
    grep -av '^ok ' "$log.one" | sed "s|^|$name: |"
    grep -aE '^(ok|FAIL|skip) ' "$log.one" >>"$log"
    case $rc in
    0) [ -n "$filter" ] || grep -aqE '^(ok|skip) ' "$log.one" || fail "ran no case" ;;
    1) grep -aq '^FAIL ' "$log.one" || fail "ended with status 1" ;;
    124 | 137) fail "stopped after $seconds s" ;;
    *) fail "ended with status $rc" ;;
    esac
    [ -n "$filter" ] || echo "$name: $(grep -ac '^ok ' "$log.one") ok, $(($(date +%s) - start)) s"
done
passed=$(grep -c '^ok ' "$log")
failed=$(grep -c '^FAIL ' "$log")
skipped=$(grep -c '^skip ' "$log")
[ "$((passed + failed + skipped))" -gt 0 ] || echo "no test matches '$want'"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$((passed + skipped))" -gt 0 ]
