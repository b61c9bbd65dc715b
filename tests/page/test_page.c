/* The chat page in a real browser: runs drive.py with Debian's Python, Selenium and Chromium, and passes its lines on. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PYTHON "/usr/bin/python3"

int main(int argc, char **argv) {
    if (access("/usr/bin/chromedriver", X_OK) || system(PYTHON " -c 'import selenium' 2>/dev/null")) {
        puts("skip the chat page: chromium-driver and python3-selenium are not installed");
        return 0;
    }
    fflush(stdout);
    execl(PYTHON, PYTHON, "tests/page/drive.py", argc > 1 ? argv[1] : (char *)NULL, (char *)NULL);
    printf("FAIL the chat page: %s cannot be started\n", PYTHON);
    return 1;
}
