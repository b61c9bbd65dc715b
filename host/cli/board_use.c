#include "host/cli/board_use.h"

#include "host/cli/cli.h"
#include "host/cli/common.h"

bool cli_board_use(const fathom_engine *engine, const fathom_device *start, fathom_device *use) {
    if (!fathom_engine_device(engine, use)) return false;
    use->seconds -= start->seconds;
    use->joules -= start->joules;
    use->unit_cycles -= start->unit_cycles;
    use->bank_bytes -= start->bank_bytes;
    use->to_card_bytes -= start->to_card_bytes;
    use->from_card_bytes -= start->from_card_bytes;
    use->launches -= start->launches;
    use->transfers -= start->transfers;
    return true;
}

void cli_print_board_use(FILE *f, const fathom_engine *engine, const fathom_device *start, int64_t tokens) {
    fathom_device d;
    if (!cli_board_use(engine, start, &d)) return;
    fprintf(f, "%s %s: %.4g s, %.4g J", d.simulated ? "simulated board" : "board", d.board, d.seconds, d.joules);
    if (tokens > 0) fprintf(f, ", %.3g J a token", d.joules / (double)tokens);
    fprintf(f, "; %lld launches, %.4g unit cycles, %.4g GB through its banks, %.4g MB to it and %.4g MB back\n",
            (long long)d.launches, d.unit_cycles, 1e-9 * d.bank_bytes, 1e-6 * d.to_card_bytes,
            1e-6 * d.from_card_bytes);
}

int cli_write_timeline(fathom_engine *engine, const char *path) {
    fathom_error e;
    if (!path || !fathom_engine_timeline(engine, path, &e)) return CLI_OK;
    return cli_fail("%s", e.text);
}
