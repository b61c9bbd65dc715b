#!/bin/sh
# boards/embed.sh FILE.board...: prints a C source with the files' texts, the table that boards/fields.h declares.
echo '#include "boards/fields.h"'
echo
echo 'const fa_board_file fa_board_files[] = {'
for file; do
    printf '{"%s",\n' "$(basename "$file" .board)"
    sed 's/\\/\\\\/g; s/"/\\"/g; s/.*/"&\\n"/' "$file"
    echo '},'
done
echo '{NULL, NULL}};'
