/* `fathom bench serve`, a part of `fathom bench`. */
#ifndef FA_CLI_BENCH_SERVE_H
#define FA_CLI_BENCH_SERVE_H

/* argv[0] is "fathom bench serve"; returns an exit code. */
int cli_bench_serve(int argc, char **argv);

#endif
