/* A board's facts, read from boards/NAME.board: the only place for them. They feed the host, the constants of hls/, the link
 * lines of v++ and the simulator. docs/boards.md describes the file. A fact that no source gives is not in the file, or it is
 * there as an assumption that says so. */
#ifndef FA_BOARDS_BOARD_H
#define FA_BOARDS_BOARD_H

#include <stdbool.h>
#include <stdint.h>

#include "host/base/status.h"

enum { FA_BOARD_BANK_KINDS = 2 };

/* One kind of memory: HBM pseudo-channels or DDR channels, all alike. */
typedef struct fa_bank_kind {
    char name[8];                   /* "HBM", "DDR" */
    char tag[16];                   /* as v++ connectivity calls bank #: "HBM[#]" */
    int32_t count;                  /* banks */
    int64_t bank_bytes;             /* capacity of one */
    double peak_bytes_per_s;        /* of one bank, by its data sheet */
    double read_share, write_share; /* of the peak, that one port reaches streaming at full width */
    int32_t bank_ports;             /* ports that reach that on one bank at the same time */
    double total_bytes_per_s;       /* all banks together, read, measured; 0: no limit but the banks' own */
    int32_t port_bytes;             /* bytes a cycle of one AXI port into it (32: 256 bits); wider ones are split */
    double read_latency_s, write_latency_s; /* of one burst, before the first byte */
} fa_bank_kind;

/* Fabric resources: of the part, of what the platform leaves, or of a design. BRAM in 36 Kb blocks. 0: not known. */
typedef struct fa_resources {
    double lut, ff, dsp, bram, uram;
} fa_resources;

/* How the kernels of hls/ are built for this board: constants of the build, proposed by the file, swept by `fathom explore`. */
typedef struct fa_board_build {
    double clock_hz;    /* of the kernels */
    int32_t units;      /* compute units, each with its own ports and weights */
    int32_t ports;      /* weight ports (banks) of one unit: 1, 2, 4, 8 or 16 */
    int32_t port_bytes; /* codes a cycle of one port: 32 or 64; lanes of a unit = ports * port_bytes * rows */
    int32_t rows;       /* activation rows that share one pass over the weights: a power of two */
    int32_t lanes_fp32; /* FP32 multiply-adds a cycle of a unit, for all that is not FP8: 16 times a power of two */
    int32_t io_kind;    /* kind of memory behind the io ports: an index into fa_board.bank */
} fa_board_build;

/* What starts kernels on a board. */
typedef enum fa_board_runtime {
    FA_RUNTIME_XRT,      /* a PCIe card with an XRT platform */
    FA_RUNTIME_EMBEDDED, /* XRT on the board's own ARM processor */
    FA_RUNTIME_F2,       /* XRT over an image that AWS makes from the xclbin */
    FA_RUNTIME_AVED,     /* Alveo V80: AVED with AMI, or SLASH; not XRT */
    FA_RUNTIME_NONE,     /* no platform is published */
    FA_RUNTIME_COUNT
} fa_board_runtime;

typedef struct fa_board {
    char name[24];  /* "u55c": the file's name */
    char title[64]; /* "AMD Alveo U55C" */
    char part[48], platform[64];
    fa_board_runtime runtime;
    bool packaged;                 /* Versal: `v++ -p` makes the xclbin from what the linker leaves */
    bool dsp58;                    /* DSP58 (27x24), else DSP48E2 (27x18) */
    int32_t slrs;                  /* super logic regions; 1: monolithic */
    fa_resources part_has, usable; /* usable: after the platform's static region */
    fa_bank_kind bank[FA_BOARD_BANK_KINDS];
    int n_bank_kinds;
    double to_card_bytes_per_s, from_card_bytes_per_s; /* host link, practical; 0: the host shares the memory (SoC) */
    double launch_s;                  /* starting a kernel and seeing that it ended, one of many in a queue */
    double idle_w, full_w;            /* whole board: at rest; all units and banks busy */
    double limit_w;                   /* the card's power limit; 0: not known */
    double price_usd, rent_usd_per_h; /* either may be 0: not known */
    fa_board_build build;
    uint64_t assumed; /* bit i: the file marks fact i (below) as an assumption */
} fa_board;

/* Reads and checks a file. FA_EIO; FA_EFORMAT with file, line and key. */
fa_status fa_board_read(fa_board *b, const char *path, fa_error *e);

/* Reads the board called `name` ("u55c", any case) among the built-in ones, which are the files of boards/ compiled in;
 * a name with a slash or ending in .board is a path. FA_EINVAL lists the known names. */
fa_status fa_board_find(fa_board *b, const char *name, fa_error *e);

/* The built-in boards in the order of their names; NULL after the last. */
const char *fa_board_name(int i);

/* The assumptions of a board, "memory.read_latency_ns" and the like; NULL after the last. */
const char *fa_board_assumption(const fa_board *b, int i);

/* "xrt", "embedded", "f2", "aved", "none". */
const char *fa_board_runtime_name(fa_board_runtime r);

/* One line of a file as it stands there, for listings. `value` is NULL for a fact that the file does not give. */
typedef struct fa_board_fact {
    const char *name;  /* "memory.read_share" */
    const char *unit;  /* "W", "GB/s", "" */
    const char *about; /* what it is, one phrase */
    const char *value, *source;
    bool assumed;
} fa_board_fact;

/* Calls `each` for every fact that a file may hold, in the order of the table of boards/fields.c, then for its sources
 * ("sources.S1"; the text is `value`). What a fact points to lives for the call. `name` as in fa_board_find. */
fa_status fa_board_facts(const char *name, void (*each)(void *context, const fa_board_fact *fact), void *context,
                         fa_error *e);

/* ---- what a build takes and what it reaches ---- */

/* What a build takes of the fabric, all units together (boards/needs.c says from which counts). */
void fa_board_needs(const fa_board *b, const fa_board_build *build, fa_resources *needs);

/* What one unit of `kernel` ("fathom_matmul") takes; false when no kernel is called so. */
bool fa_board_kernel_needs(const fa_board *b, const fa_board_build *build, const char *kernel, fa_resources *needs);

/* The share of each usable resource that a design may fill and still be routed. */
extern const fa_resources fa_board_fill;

/* FA_OK when `build` is within its ranges and fits what is usable; FA_ELIMIT with needed and usable numbers of every
 * resource that does not fit and the factor by which the lanes must shrink; FA_EINVAL for a value out of range. */
fa_status fa_board_fits(const fa_board *b, const fa_board_build *build, fa_error *e);

/* Bytes of all banks. */
int64_t fa_board_bytes(const fa_board *b);

/* Banks count over all kinds, those of bank[0] first. Weight port `port` (0 .. build->ports - 1) of unit `unit` reads
 * fa_board_port_banks neighbouring banks of the first kind, from this one on; no two ports share a bank while there are enough.
 * Port build->ports is the io port: it reaches all banks of its kind; this one is where its memory begins. */
int32_t fa_board_port_bank(const fa_board *b, const fa_board_build *build, int32_t unit, int32_t port);
int32_t fa_board_port_banks(const fa_board *b, const fa_board_build *build);

/* Streaming read rate of one port of `port_bytes` at `clock_hz`, alone on its bank (bytes/s). */
double fa_board_port_rate(const fa_bank_kind *k, int32_t port_bytes, double clock_hz);

/* Streaming read rate of the io port (64 bytes wide) of each unit while no weights are read (bytes/s). */
double fa_board_io_rate(const fa_board *b, const fa_board_build *build);

/* Streaming read rate of all weight ports together with this build's ports and clock (bytes/s). */
double fa_board_read_rate(const fa_board *b, const fa_board_build *build);

/* Streaming read rate of all banks of the first kind, with as many ports as they take (bytes/s): what a build can reach at most. */
double fa_board_memory_rate(const fa_board *b);

/* What v++ calls a bank counted over all kinds, "DDR[1]"; returns `text`. */
const char *fa_board_bank_tag(const fa_board *b, int32_t bank, char text[24]);

#endif
