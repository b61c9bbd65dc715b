#!/bin/sh
# host/server/page/vendor/update.sh: copies the page's libraries again from Debian's packages (libjs-marked, node-dompurify,
# libjs-katex, fonts-katex, libjs-highlight.js), of highlight.js only the languages below, of KaTeX's fonts only woff2.
set -eu
cd "$(dirname "$0")"
languages='bash c cpp cs css diff dockerfile go haskell http ini java javascript json kotlin latex lua makefile markdown objectivec
perl php plaintext python r ruby rust scala shell sql swift tcl typescript verilog vhdl xml yaml'
js=/usr/share/javascript
cp "$js/marked/marked.umd.min.js" marked.js
cp /usr/share/nodejs/dompurify/dist/purify.min.js purify.js
# 2.4.1+dfsg+~2.4.0-2+deb12u1 has a line of _sanitizeShadowDOM in sanitize() as well, where its variable is not defined: every call throws.
# The line is taken out (the check that it stands for follows in the loop); a version without it ends this script.
line='(shadowNode\.__depth>=st||k(shadowNode\.__depth))&&vt(r\.firstChild);'
grep -q "$line" purify.js
sed "s/$line//; s,//# sourceMappingURL=.*,," purify.js >purify.tmp && mv purify.tmp purify.js
cp "$js/katex/katex.min.js" katex.js
sed 's/src:url(\([^)]*\)fonts\/\([^)]*\)\.woff2)[^;}]*/src:url(fonts\/\2.woff2) format("woff2")/g' "$js/katex/katex.min.css" >katex.css
mkdir -p fonts
cp /usr/share/fonts/truetype/katex/*.woff2 fonts/
sed 's/hljs\.registerLanguage("/\n&/g' "$js/highlight.js/highlight.min.js" | awk -v keep="$languages" '
    BEGIN { n = split(keep, name, /[ \n]+/); for (i = 1; i <= n; i++) wanted["hljs.registerLanguage(\"" name[i] "\""] = 1 }
    NR == 1 { print; next }
    { split($0, part, ","); if (part[1] in wanted) print }' >highlight.js
for p in libjs-marked node-dompurify libjs-katex libjs-highlight.js; do
    cp "/usr/share/doc/$p/copyright" "$p.copyright"
    dpkg-query -W -f '${Package} ${Version}\n' "$p"
done >VERSIONS
