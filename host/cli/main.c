#include <stdio.h>

int main(void) {
    puts("fathom " FATHOM_VERSION);
    return 0;
}
