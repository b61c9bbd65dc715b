#!/bin/sh
# tests/lint-includes.sh [ROOT]: fails when a source includes against the direction of the arrows, or not from the root.
#   base <- format <- backend <- cache <- model <- cluster <- engine <- server, cli
# Each line of the table: a folder, then all that its files may include besides their own.
cd "${1:-.}" || exit 2
find host quant hls sim boards opencl -name '*.[ch]' 2>/dev/null | sort | xargs -r awk '
BEGIN {
    rule["host/base"]    = ""
    rule["host/format"]  = "host/base"
    rule["host/image"]   = "host/base"
    rule["host/text"]    = "host/base host/format"
    rule["host/backend"] = "host/base host/format boards hls sim/device/sim.h sim/xrt_device/control.h opencl"
    rule["host/xrt"]     = "host/base hls host/backend/xrt/wire.h host/backend/xrt/folder.h host/backend/xrt/shim.h"
    rule["host/cache"]   = "host/base host/format host/backend"
    rule["host/vision"]  = "host/base host/format host/backend host/image"
    rule["host/model"]   = "host/base host/format host/backend host/cache"
    rule["host/grammar"] = "host/base host/format host/text"
    rule["host/sandbox"] = "host/base"
    rule["host/cluster"] = "host/base host/format host/backend host/cache host/model"
    rule["host/engine"]  = "host/base host/format host/backend host/cache host/model host/cluster host/text host/grammar host/image host/vision host/fathom.h"
    rule["host/server"]  = rule["host/engine"] " host/engine"
    rule["host/cli"]     = rule["host/engine"] " host/engine host/server host/sandbox quant boards sim"
    rule["quant"]        = "host/base host/format host/backend/scalar.h host/text/gguf_pre.h"
    rule["hls"]          = ""
    rule["boards"]       = "host/base hls"
    rule["sim"]          = "host/base host/format host/backend/kv.h host/model/config.h host/model/trace.h boards hls"
    rule["opencl"]       = ""
    rule["host"]         = "" # fathom.h stands alone
}
function folder(path) { return match(path, /^(host\/[a-z_]+|[a-z_]+)\//) ? substr(path, 1, RLENGTH - 1) : path }
function bad(why) { printf "%s:%d: %s\n", FILENAME, FNR, why; wrong = 1 }
/^[ \t]*#[ \t]*include[ \t]*"/ {
    split($0, part, "\"")
    to = part[2]
    from = folder(FILENAME)
    if (!(from in rule)) next
    if (to !~ /^(host|quant|hls|sim|boards|opencl)\//) { bad("\"" to "\" is not written from the root"); next }
    if (folder(to) == from) next
    n = split(rule[from], may, " ")
    for (i = 1; i <= n; i++) if (may[i] == to || may[i] == folder(to)) next
    bad(from " may not include \"" to "\"")
}
END { exit wrong }' || exit 1
