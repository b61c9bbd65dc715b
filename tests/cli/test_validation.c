/* The planner against published results: the goal holds, and the documentation shows what the program says. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/command.h"
#include "tests/lib/files.h"

static void published_results_are_predicted(void *arg) {
    (void)arg;
    check_output o = check_command("\"$FATHOM_BUILD/validate-sim\"");
    CHECK(o.status == 0 && strstr(o.out, "): reached."), "status %d: %s%s", o.status, o.out, o.err);
    CHECK(strstr(o.out, "| V2 | TeraFly"), "TeraFly is missing:\n%s", o.out);
    check_output_free(&o);
}

/* The fifth column of a row of the table. */
static double ratio_of(const char *line) {
    for (int i = 0; i < 5; i++) {
        line = strchr(line, '|');
        CHECK(line);
        line++;
    }
    return atof(line);
}

/* Every row of the table, with its ratio. */
static void the_documented_table_is_true(void *arg) {
    (void)arg;
    size_t bytes;
    int rows = 0;
    char *text = (char *)check_read("docs/simulator.md", &bytes);
    check_output o = check_command("\"$FATHOM_BUILD/validate-sim\"");
    for (char *line = strtok(o.out, "\n"); line; line = strtok(NULL, "\n")) {
        if (strncmp(line, "| V", 3)) continue;
        char *design = strdup(line), *documented;
        *strchr(strchr(design + 2, '|') + 1, ',') = 0; /* "| V2 | TeraFly" */
        documented = strstr(text, design);
        CHECK(documented, "docs/simulator.md lacks the row %s", line);
        CHECK(fabs(ratio_of(documented) - ratio_of(line)) < 0.05,
              "docs/simulator.md says %.80s; make validate-sim: %.80s", documented, line);
        free(design);
        rows++;
    }
    CHECK(rows >= 12, "%d rows", rows);
    check_output_free(&o);
    free(text);
}

static const check_case cases[] = {
    {"published results are predicted within the goal", published_results_are_predicted, NULL},
    {"docs/simulator.md shows what validate-sim prints", the_documented_table_is_true, NULL},
};

int main(int argc, char **argv) {
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
