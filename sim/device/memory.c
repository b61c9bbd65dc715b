#include "sim/device/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { ALIGN = 4096 };

fa_status sim_memory_open(sim_memory *m, const fa_board *board, fa_error *e) {
    *m = (sim_memory){0};
    for (int k = 0; k < board->n_bank_kinds; k++) {
        m->n_banks += board->bank[k].count;
        m->bytes += (uint64_t)board->bank[k].count * (uint64_t)board->bank[k].bank_bytes;
    }
    m->banks = calloc((size_t)m->n_banks, sizeof *m->banks);
    if (!m->banks) return fa_fail(e, FA_ENOMEM, "%s: no memory for the board's banks", board->name);
    uint64_t address = 0;
    sim_bank *b = m->banks;
    for (int k = 0; k < board->n_bank_kinds; k++)
        for (int32_t i = 0; i < board->bank[k].count; i++, b++) {
            *b = (sim_bank){.kind = board->bank[k].name, .index = i, .address = address};
            b->count.bytes = board->bank[k].bank_bytes;
            address += (uint64_t)board->bank[k].bank_bytes;
        }
    void *base = mmap(NULL, m->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) {
        free(m->banks);
        m->banks = NULL;
        return fa_fail(e, FA_ENOMEM, "%s: the board's %.1f GB of memory are more address space than this process gets",
                       board->name, 1e-9 * (double)m->bytes);
    }
    m->base = base;
    return FA_OK;
}

void sim_memory_close(sim_memory *m) {
    for (size_t i = 0; i < m->n_buffers; i++) free(m->buffers[i]);
    free(m->buffers);
    free(m->banks);
    if (m->base) munmap(m->base, m->bytes);
    *m = (sim_memory){0};
}

int32_t sim_memory_bank(const sim_memory *m, uint64_t address) {
    int32_t low = 0, high = m->n_banks - 1;
    while (low < high) {
        int32_t middle = (low + high + 1) / 2;
        if (m->banks[middle].address <= address)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

/* The bytes of a buffer in each of its banks, added (sign 1) or taken away (-1). */
static void account(sim_memory *m, const fa_device_buffer *b, int sign) {
    uint64_t at = b->address, end = b->address + b->bytes;
    for (int32_t i = sim_memory_bank(m, at); at < end; i++) {
        uint64_t bank_end = m->banks[i].address + (uint64_t)m->banks[i].count.bytes;
        uint64_t stop = end < bank_end ? end : bank_end;
        m->banks[i].count.used += sign * (int64_t)(stop - at);
        at = stop;
    }
}

static fa_status no_room(const sim_memory *m, fa_bank_range r, size_t bytes, uint64_t largest, fa_error *e) {
    const sim_bank *first = &m->banks[r.first], *last = &m->banks[r.first + r.count - 1];
    int64_t left = 0;
    for (int32_t i = r.first; i < r.first + r.count; i++) left += m->banks[i].count.bytes - m->banks[i].count.used;
    if (r.count == 1)
        return fa_fail(e, FA_ENOMEM, "bank %s[%d]: %zu bytes are needed, %lld are left (%llu in one piece)",
                       first->kind, first->index, bytes, (long long)left, (unsigned long long)largest);
    return fa_fail(e, FA_ENOMEM, "banks %s[%d:%d]: %zu bytes are needed, %lld are left (%llu in one piece)",
                   first->kind, first->index, last->index, bytes, (long long)left, (unsigned long long)largest);
}

static fa_status insert(sim_memory *m, size_t at, fa_device_buffer *b, fa_error *e) {
    if (m->n_buffers == m->capacity) {
        size_t capacity = m->capacity * 2 + 64;
        fa_device_buffer **more = realloc(m->buffers, capacity * sizeof(fa_device_buffer *));
        if (!more) return fa_fail(e, FA_ENOMEM, "no memory for the table of %zu buffers", capacity);
        m->buffers = more;
        m->capacity = capacity;
    }
    memmove(m->buffers + at + 1, m->buffers + at, (m->n_buffers - at) * sizeof(fa_device_buffer *));
    m->buffers[at] = b;
    m->n_buffers++;
    return FA_OK;
}

fa_status sim_memory_alloc(sim_memory *m, fa_bank_range r, size_t bytes, fa_device_buffer **out, fa_error *e) {
    *out = NULL;
    if (r.first < 0 || r.count < 1 || r.count > m->n_banks - r.first ||
        strcmp(m->banks[r.first].kind, m->banks[r.first + r.count - 1].kind) != 0)
        return fa_fail(e, FA_EINVAL, "banks %d .. %d: the board has %d", r.first, r.first + r.count - 1, m->n_banks);
    const sim_bank *last = &m->banks[r.first + r.count - 1];
    uint64_t at = m->banks[r.first].address, end = last->address + (uint64_t)last->count.bytes, largest = 0;
    size_t take = bytes > SIZE_MAX - ALIGN ? SIZE_MAX : (bytes + (bytes == 0) + ALIGN - 1) / ALIGN * ALIGN, i = 0;
    for (; i <= m->n_buffers; i++) { /* the first gap that is large enough; buffers do not overlap and are in order */
        const fa_device_buffer *next = i < m->n_buffers ? m->buffers[i] : NULL;
        if (next && next->address + next->bytes <= at) continue;
        uint64_t stop = next && next->address < end ? next->address : end, gap = stop > at ? stop - at : 0;
        largest = gap > largest ? gap : largest;
        if (gap >= take) break;
        if (!next || next->address >= end) return no_room(m, r, bytes, largest, e);
        at = next->address + next->bytes;
    }
    fa_device_buffer *b = calloc(1, sizeof *b);
    if (!b) return fa_fail(e, FA_ENOMEM, "no memory for a buffer's record");
    *b = (fa_device_buffer){.bytes = take, .banks = r, .address = at, .own = m};
    fa_status s = insert(m, i, b, e);
    if (s) {
        free(b);
        return s;
    }
    account(m, b, 1);
    *out = b;
    return FA_OK;
}

void sim_memory_free(sim_memory *m, fa_device_buffer *b) {
    if (!b) return;
    size_t i = 0;
    while (m->buffers[i] != b) i++;
    m->n_buffers--;
    memmove(m->buffers + i, m->buffers + i + 1, (m->n_buffers - i) * sizeof(fa_device_buffer *));
    account(m, b, -1);
    madvise(m->base + b->address, b->bytes, MADV_DONTNEED); /* the next buffer here starts as zeros */
    free(b);
}

void sim_memory_clear(sim_memory *m) {
    madvise(m->base, m->bytes, MADV_DONTNEED);
}

fa_status sim_memory_range(const fa_device_buffer *b, size_t offset, size_t bytes, fa_error *e) {
    if (offset <= b->bytes && bytes <= b->bytes - offset) return FA_OK;
    return fa_fail(e, FA_EINVAL, "%zu bytes at %zu are outside the buffer's %zu", bytes, offset, b->bytes);
}
