/* fathom doctor: its parts and what they find. */
#ifndef FA_CLI_DOCTOR_H
#define FA_CLI_DOCTOR_H

#include <stddef.h>

typedef enum doctor_state {
    DOCTOR_OK,
    DOCTOR_NOTE,    /* works, with less than could be */
    DOCTOR_MISSING, /* what the part is for does not work */
} doctor_state;

enum { DOCTOR_TEXT = 512, DOCTOR_FINDINGS = 64 };

typedef struct doctor_finding {
    const char *part;
    doctor_state state;
    char found[DOCTOR_TEXT];
    char advice[DOCTOR_TEXT]; /* what to do; empty when nothing */
} doctor_finding;

typedef struct doctor_findings {
    doctor_finding all[DOCTOR_FINDINGS];
    int n;
} doctor_findings;

/* Adds one (dropped when there is no room); the texts of it are then set by the two below. */
void doctor_add(doctor_findings *f, const char *part, doctor_state state, const char *form, ...)
    __attribute__((format(printf, 4, 5)));
/* What to do about the one added last. */
void doctor_advise(doctor_findings *f, const char *form, ...) __attribute__((format(printf, 2, 3)));

typedef struct doctor_part {
    const char *name, *about;
    int needed; /* by every use of fathom, so that the exit status tells of it unasked */
    void (*check)(doctor_findings *f, const char *part);
} doctor_part;

/* All parts; name is NULL after the last. */
extern const doctor_part doctor_parts[];

/* doctor_boards.c */
void doctor_check_xrt(doctor_findings *f, const char *part);
void doctor_check_boards(doctor_findings *f, const char *part);
void doctor_check_emulation(doctor_findings *f, const char *part);
void doctor_check_vitis(doctor_findings *f, const char *part);

#endif
