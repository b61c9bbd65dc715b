/* Included by tests/lint.sh in front of every file: the analyser sees one file at a time, so it is told here what fa_fail
 * returns. Without that it follows failed calls as if they had succeeded. */
#include "host/base/status.h"

#define fa_fail(e, s, ...) (fa_fail(e, s, __VA_ARGS__), (s))
