/* The accelerator cards in this machine: found on the PCI bus, which needs neither driver nor XRT; what XRT knows besides (shell, temperatures,
 * power) comes from its program xbutil. */
#ifndef FA_BOARDS_CARDS_H
#define FA_BOARDS_CARDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/base/status.h"

enum { FA_CARDS = 32 };

typedef struct fa_card {
    char bdf[16];    /* "0000:3b:00.1": the function that programs use, else the one for management */
    uint32_t device; /* PCI device id */
    char board[24];  /* of boards/: "u55c"; empty: none of those */
    char driver[32]; /* bound to it: "xocl"; empty: none */
    int32_t node;    /* NUMA node; -1: not known */
    bool user;       /* the function that programs use is there */
    /* of xbutil */
    bool ready;
    char shell[96];          /* "xilinx_u55c_gen3x16_xdma_base_3"; empty: not known */
    double watts, max_watts; /* of the whole card; below 0: not known */
    double celsius;          /* of the hottest sensor; below -273: not known */
    char hottest[48];        /* that sensor's name */
} fa_card;

/* Lists the cards below `folder`, which is "/sys/bus/pci/devices", in the order of their BDF; returns how many of `max` were filled. */
int fa_cards_scan(const char *folder, fa_card *cards, int max);

/* Takes shells, sensors and readiness from a JSON report of `xbutil examine` (schema 2020.2, which XRT 2.8 to 2.19 write): of the host, of
 * one device, or both. Cards that it does not name stay as they are. FA_EFORMAT names `name` and what is wrong. */
fa_status fa_cards_take_report(fa_card *cards, int n, const char *text, size_t bytes, const char *name, fa_error *e);

/* Asks xbutil about all cards: FA_EUNSUPPORTED when there is no xbutil, FA_EIO when it fails or takes longer than 20 s for one. */
fa_status fa_cards_ask(fa_card *cards, int n, fa_error *e);

/* Where xbutil is: below $XILINX_XRT, /opt/xilinx/xrt or in $PATH; false when nowhere. Debian's package has a script of that name
 * without its program: that counts as nowhere. */
bool fa_cards_xbutil(char *path, size_t size);

#endif
