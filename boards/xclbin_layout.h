/* The structures of an xclbin file, version 2, byte for byte, little endian: those of xrt/detail/xclbin.h, to which
 * tests/unit/test_xclbin.c holds them. Our own, so that files are written, and strange ones looked into, where no XRT is
 * installed. A file: fa_axlf, then a header for each section, then the sections, each at a multiple of 8. */
#ifndef FA_BOARDS_XCLBIN_LAYOUT_H
#define FA_BOARDS_XCLBIN_LAYOUT_H

#include <stdint.h>

#define FA_AXLF_MAGIC "xclbin2" /* 8 bytes with the NUL */

enum { FA_AXLF_MAX_SECTIONS = 0x10000, FA_AXLF_ALIGN = 8 };

typedef enum fa_section_kind {
    FA_SECTION_BITSTREAM = 0,
    FA_SECTION_EMBEDDED_METADATA = 2,
    FA_SECTION_MEM_TOPOLOGY = 6,
    FA_SECTION_CONNECTIVITY = 7,
    FA_SECTION_IP_LAYOUT = 8,
    FA_SECTION_CLOCK_FREQ_TOPOLOGY = 11,
    FA_SECTION_BUILD_METADATA = 14,
    FA_SECTION_GROUP_TOPOLOGY = 26,
    FA_SECTION_GROUP_CONNECTIVITY = 27,
    FA_SECTION_KINDS = 32
} fa_section_kind;

enum { FA_AXLF_HW = 1, FA_AXLF_HW_EMU = 4, FA_AXLF_SW_EMU = 5 }; /* mode; HW: a partial bitstream for a shell */

typedef struct fa_axlf {
    char magic[8];
    int32_t signature_length; /* -1: none */
    uint8_t reserved[28];     /* 0xFF */
    uint8_t key_block[256];
    uint64_t unique_id;
    uint64_t length; /* of the file */
    uint64_t time_stamp, feature_rom_time_stamp;
    uint16_t version_patch;
    uint8_t version_major, version_minor;
    uint16_t mode, action_mask;
    uint8_t rom_uuid[16];
    char platform[64]; /* "vendor:board:name:version", ends with NUL */
    uint8_t uuid[16];
    char debug_bin[16];
    uint32_t sections;
    uint32_t pad;
} fa_axlf;

typedef struct fa_axlf_section {
    uint32_t kind;
    char name[16];
    uint32_t pad;
    uint64_t offset, bytes;
} fa_axlf_section;

typedef enum fa_mem_type { FA_MEM_DDR4 = 1, FA_MEM_DRAM = 2, FA_MEM_HBM = 6 } fa_mem_type;

typedef struct fa_axlf_mem { /* MEM_TOPOLOGY: int32 count, 4 bytes of padding, then these */
    uint8_t type, used, pad[6];
    uint64_t kib, base;
    char tag[16]; /* ends with NUL */
} fa_axlf_mem;

typedef struct fa_axlf_connection { /* CONNECTIVITY: int32 count, then these */
    int32_t arg, ip, mem;
} fa_axlf_connection;

enum {
    FA_IP_KERNEL = 1,
    FA_IP_INTERRUPT = 1,       /* properties, bit 0 */
    FA_IP_INTERRUPT_SHIFT = 1, /* bits 1 to 7: its number */
    FA_IP_CONTROL_SHIFT = 8,   /* bits 8 to 15: fa_ip_control */
    FA_IP_INTERRUPTS = 128
};

typedef enum fa_ip_control { FA_AP_CTRL_HS = 0, FA_AP_CTRL_CHAIN = 1 } fa_ip_control;

typedef struct fa_axlf_ip { /* IP_LAYOUT: int32 count, 4 bytes of padding, then these in the order of `base` */
    uint32_t type, properties;
    uint64_t base;
    char name[64]; /* "kernel:unit", ends with NUL */
} fa_axlf_ip;

typedef enum fa_clock_type { FA_CLOCK_DATA = 1, FA_CLOCK_KERNEL = 2 } fa_clock_type;

typedef struct fa_axlf_clock { /* CLOCK_FREQ_TOPOLOGY: int16 count, then these */
    uint16_t mhz;
    uint8_t type, unused[5];
    char name[128];
} fa_axlf_clock;

_Static_assert(sizeof(fa_axlf) == 456 && sizeof(fa_axlf_section) == 40 && sizeof(fa_axlf_mem) == 40, "as on disk");
_Static_assert(sizeof(fa_axlf_connection) == 12 && sizeof(fa_axlf_ip) == 80 && sizeof(fa_axlf_clock) == 136,
               "as on disk");

/* Where the entries of a section begin, behind its count. */
enum { FA_AXLF_MEMS_AT = 8, FA_AXLF_CONNECTIONS_AT = 4, FA_AXLF_IPS_AT = 8, FA_AXLF_CLOCKS_AT = 2 };

#endif
