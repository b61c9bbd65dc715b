#!/bin/sh
# tests/run.sh BUILD [NAME]: runs the test programs below BUILD/tests whose path, or one of whose cases, contains NAME;
# shows failures and skips, and ends with "N passed, N failed, N skipped". Fails when a test failed or none ran.
build=$1 want=$2
log=$(mktemp) || exit 1
trap 'rm -f "$log" "$log.one"' EXIT
for t in $(find "$build/tests" -type f -perm -u+x | grep -v /bench/ | sort); do
    name=${t#"$build"/tests/}
    filter=
    case $name in *"$want"*) ;; *) filter=$want ;; esac
    start=$(date +%s)
    "$t" $filter >"$log.one" 2>&1
    rc=$?
    grep -v '^ok ' "$log.one" | sed "s|^|$name: |"
    if [ $rc -ne 0 ] && ! grep -q '^FAIL ' "$log.one"; then
        echo "$name: FAIL: ended with status $rc"
        echo "FAIL $name" >>"$log"
    fi
    grep -E '^(ok|FAIL|skip) ' "$log.one" >>"$log"
    [ -n "$filter" ] || echo "$name: $(grep -c '^ok ' "$log.one") ok, $(($(date +%s) - start)) s"
done
passed=$(grep -c '^ok ' "$log")
failed=$(grep -c '^FAIL ' "$log")
skipped=$(grep -c '^skip ' "$log")
[ "$((passed + failed + skipped))" -gt 0 ] || echo "no test matches '$want'"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$((passed + skipped))" -gt 0 ]
