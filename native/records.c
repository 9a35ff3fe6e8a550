/* The checksums of records: src/coshelf/records.py has the format. */

#include "native.h"

#include <pthread.h>

#define POLYNOMIAL 0xEDB88320u
#define RESIDUE 0x2144DF1Cu /* the CRC-32 of any bytes that are followed by their own CRC-32 */

static uint32_t table[8][256];
static pthread_once_t made = PTHREAD_ONCE_INIT;

static void
make_table(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t rest = byte;
        for (int bit = 0; bit < 8; bit++) {
            rest = rest >> 1 ^ (rest & 1 ? POLYNOMIAL : 0);
        }
        table[0][byte] = rest;
    }
    for (int step = 1; step < 8; step++) {
        for (uint32_t byte = 0; byte < 256; byte++) {
            table[step][byte] = table[step - 1][byte] >> 8 ^ table[0][table[step - 1][byte] & 0xff];
        }
    }
}

/* The same as zlib.crc32(bytes, start), eight bytes at a time. */
uint32_t
checksum(const uint8_t *bytes, size_t length, uint32_t start)
{
    pthread_once(&made, make_table);
    uint32_t rest = ~start;
    while (length >= 8) {
        uint32_t low = rest ^ ((uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16
                               | (uint32_t)bytes[3] << 24);
        rest = table[7][low & 0xff] ^ table[6][low >> 8 & 0xff] ^ table[5][low >> 16 & 0xff] ^ table[4][low >> 24]
               ^ table[3][bytes[4]] ^ table[2][bytes[5]] ^ table[1][bytes[6]] ^ table[0][bytes[7]];
        bytes += 8;
        length -= 8;
    }
    while (length--) {
        rest = rest >> 8 ^ table[0][(rest ^ *bytes++) & 0xff];
    }
    return ~rest;
}

bool
is_intact(const uint8_t *key, size_t key_length, const uint8_t *record, size_t length)
{
    return length > TRAILER && checksum(record, length, checksum(key, key_length, 0)) == RESIDUE;
}
