/* The files of page/, put into the program by the assembler. */
#include "host/server/page.h"

#include <string.h>

#include "host/server/exchange.h"
#include "host/server/reply.h"
#include "host/server/routes.h"

#define HTML "text/html; charset=utf-8"
#define CSS "text/css; charset=utf-8"
#define SCRIPT "text/javascript; charset=utf-8"
#define MANIFEST "application/manifest+json"
#define SVG "image/svg+xml"
#define FONT "font/woff2"

/* symbol, name behind /page/, file in page/, type */
#define FILES(X)                                                                                                     \
    X(index, "", "index.html", HTML)                                                                                 \
    X(manifest, "manifest.webmanifest", "manifest.webmanifest", MANIFEST)                                            \
    X(icon, "icon.svg", "icon.svg", SVG)                                                                             \
    X(style, "style.css", "style.css", CSS)                                                                          \
    X(app, "app.js", "app.js", SCRIPT)                                                                               \
    X(api, "api.js", "api.js", SCRIPT)                                                                               \
    X(render, "render.js", "render.js", SCRIPT)                                                                      \
    X(pictures, "pictures.js", "pictures.js", SCRIPT)                                                                \
    X(store, "store.js", "store.js", SCRIPT)                                                                         \
    X(view, "view.js", "view.js", SCRIPT)                                                                            \
    X(marked, "vendor/marked.js", "vendor/marked.js", SCRIPT)                                                        \
    X(purify, "vendor/purify.js", "vendor/purify.js", SCRIPT)                                                        \
    X(katex, "vendor/katex.js", "vendor/katex.js", SCRIPT)                                                           \
    X(highlight, "vendor/highlight.js", "vendor/highlight.js", SCRIPT)                                               \
    X(katex_css, "vendor/katex.css", "vendor/katex.css", CSS)                                                        \
    X(AMS_Regular, "vendor/fonts/KaTeX_AMS-Regular.woff2", "vendor/fonts/KaTeX_AMS-Regular.woff2", FONT)             \
    X(Caligraphic_Bold, "vendor/fonts/KaTeX_Caligraphic-Bold.woff2", "vendor/fonts/KaTeX_Caligraphic-Bold.woff2",    \
      FONT)                                                                                                          \
    X(Caligraphic_Regular, "vendor/fonts/KaTeX_Caligraphic-Regular.woff2",                                           \
      "vendor/fonts/KaTeX_Caligraphic-Regular.woff2", FONT)                                                          \
    X(Fraktur_Bold, "vendor/fonts/KaTeX_Fraktur-Bold.woff2", "vendor/fonts/KaTeX_Fraktur-Bold.woff2", FONT)          \
    X(Fraktur_Regular, "vendor/fonts/KaTeX_Fraktur-Regular.woff2", "vendor/fonts/KaTeX_Fraktur-Regular.woff2", FONT) \
    X(Main_Bold, "vendor/fonts/KaTeX_Main-Bold.woff2", "vendor/fonts/KaTeX_Main-Bold.woff2", FONT)                   \
    X(Main_BoldItalic, "vendor/fonts/KaTeX_Main-BoldItalic.woff2", "vendor/fonts/KaTeX_Main-BoldItalic.woff2", FONT) \
    X(Main_Italic, "vendor/fonts/KaTeX_Main-Italic.woff2", "vendor/fonts/KaTeX_Main-Italic.woff2", FONT)             \
    X(Main_Regular, "vendor/fonts/KaTeX_Main-Regular.woff2", "vendor/fonts/KaTeX_Main-Regular.woff2", FONT)          \
    X(Math_BoldItalic, "vendor/fonts/KaTeX_Math-BoldItalic.woff2", "vendor/fonts/KaTeX_Math-BoldItalic.woff2", FONT) \
    X(Math_Italic, "vendor/fonts/KaTeX_Math-Italic.woff2", "vendor/fonts/KaTeX_Math-Italic.woff2", FONT)             \
    X(SansSerif_Bold, "vendor/fonts/KaTeX_SansSerif-Bold.woff2", "vendor/fonts/KaTeX_SansSerif-Bold.woff2", FONT)    \
    X(SansSerif_Italic, "vendor/fonts/KaTeX_SansSerif-Italic.woff2", "vendor/fonts/KaTeX_SansSerif-Italic.woff2",    \
      FONT)                                                                                                          \
    X(SansSerif_Regular, "vendor/fonts/KaTeX_SansSerif-Regular.woff2", "vendor/fonts/KaTeX_SansSerif-Regular.woff2", \
      FONT)                                                                                                          \
    X(Script_Regular, "vendor/fonts/KaTeX_Script-Regular.woff2", "vendor/fonts/KaTeX_Script-Regular.woff2", FONT)    \
    X(Size1_Regular, "vendor/fonts/KaTeX_Size1-Regular.woff2", "vendor/fonts/KaTeX_Size1-Regular.woff2", FONT)       \
    X(Size2_Regular, "vendor/fonts/KaTeX_Size2-Regular.woff2", "vendor/fonts/KaTeX_Size2-Regular.woff2", FONT)       \
    X(Size3_Regular, "vendor/fonts/KaTeX_Size3-Regular.woff2", "vendor/fonts/KaTeX_Size3-Regular.woff2", FONT)       \
    X(Size4_Regular, "vendor/fonts/KaTeX_Size4-Regular.woff2", "vendor/fonts/KaTeX_Size4-Regular.woff2", FONT)       \
    X(Typewriter_Regular, "vendor/fonts/KaTeX_Typewriter-Regular.woff2",                                             \
      "vendor/fonts/KaTeX_Typewriter-Regular.woff2", FONT)

#define EMBED(symbol, name, file, type)                                          \
    extern const char fa_page_##symbol[], fa_page_##symbol##_end[];              \
    __asm__(".pushsection .rodata\n"                                             \
            ".hidden fa_page_" #symbol "\n.global fa_page_" #symbol "\n"         \
            ".hidden fa_page_" #symbol "_end\n.global fa_page_" #symbol "_end\n" \
            "fa_page_" #symbol ":\n.incbin \"host/server/page/" file "\"\n"      \
            "fa_page_" #symbol "_end:\n.byte 0\n"                                \
            ".popsection\n");
FILES(EMBED)

static const fa_page_file files[] = {
#define ROW(symbol, name, file, type) {name, type, fa_page_##symbol, fa_page_##symbol##_end},
    FILES(ROW)
#undef ROW
};

/* Formulas set their lengths by script, which style-src allows; nothing needs an inline style. */
const char fa_page_policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const fa_page_file *fa_page_find(const char *name) {
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (!strcmp(files[i].name, name)) return &files[i];
    return NULL;
}

bool fa_handle_page(fa_exchange *x) {
    const fa_page_file *file = fa_page_find(x->name);
    if (file)
        fa_exchange_fixed(x, file->type, file->data, (size_t)(file->end - file->data));
    else
        fa_reply_error(x, FA_ERROR_PATH, NULL, "There is no such file");
    return false;
}
