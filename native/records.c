/* The checksums of records: src/coshelf/records.py has the format. */

#include "native.h"

#include <pthread.h>

#if defined(__x86_64__) && defined(__GNUC__)
#include <wmmintrin.h>
#define FOLDS 1
#endif

#define POLYNOMIAL 0xEDB88320u
#define RESIDUE 0x2144DF1Cu /* the CRC-32 of any bytes that are followed by their own CRC-32 */

static uint32_t table[8][256];
static pthread_once_t made = PTHREAD_ONCE_INIT;

#ifdef FOLDS
#define FEWEST_FOLDED 32 /* bytes: fewer are quicker by the table */
static bool folds;       /* whether the processor multiplies polynomials */

#define FOLDED(a, by, more)                                                                                            \
    _mm_xor_si128(_mm_xor_si128(_mm_clmulepi64_si128(a, by, 0x00), _mm_clmulepi64_si128(a, by, 0x11)), more)
#define LOADED(at) _mm_loadu_si128((const __m128i *)(const void *)(at))

/* The remainder after the first ``length`` bytes, which is at least 16 and a multiple of 16. Sixteen bytes are folded
 * into the sixteen behind them, four times side by side while enough are left. Gopal and others, "Fast CRC Computation
 * for Generic Polynomials Using PCLMULQDQ", 2009, explain the constants. */
__attribute__((target("pclmul"))) static uint32_t
folded(const uint8_t *bytes, size_t length, uint32_t rest)
{
    const __m128i by_four = _mm_set_epi64x(0x01c6e41596, 0x0154442bd4);
    const __m128i by_one = _mm_set_epi64x(0x00ccaa009e, 0x01751997d0);
    const __m128i by_half = _mm_set_epi64x(0, 0x0163cd6124);
    const __m128i divisor = _mm_set_epi64x(0x01f7011641, 0x01db710641);
    const __m128i low_halves = _mm_setr_epi32(-1, 0, -1, 0);
    const uint8_t *end = bytes + length;
    __m128i first = _mm_xor_si128(LOADED(bytes), _mm_cvtsi32_si128((int)rest));
    bytes += 16;
    if (end - bytes >= 48) {
        __m128i second = LOADED(bytes), third = LOADED(bytes + 16), fourth = LOADED(bytes + 32);
        for (bytes += 48; end - bytes >= 64; bytes += 64) {
            first = FOLDED(first, by_four, LOADED(bytes));
            second = FOLDED(second, by_four, LOADED(bytes + 16));
            third = FOLDED(third, by_four, LOADED(bytes + 32));
            fourth = FOLDED(fourth, by_four, LOADED(bytes + 48));
        }
        first = FOLDED(first, by_one, second);
        first = FOLDED(first, by_one, third);
        first = FOLDED(first, by_one, fourth);
    }
    for (; bytes != end; bytes += 16) {
        first = FOLDED(first, by_one, LOADED(bytes));
    }
    first = _mm_xor_si128(_mm_srli_si128(first, 8), _mm_clmulepi64_si128(first, by_one, 0x10));
    first = _mm_xor_si128(_mm_srli_si128(first, 4),
                          _mm_clmulepi64_si128(_mm_and_si128(first, low_halves), by_half, 0x00));
    __m128i quotient = _mm_clmulepi64_si128(_mm_and_si128(first, low_halves), divisor, 0x10);
    quotient = _mm_clmulepi64_si128(_mm_and_si128(quotient, low_halves), divisor, 0x00);
    return (uint32_t)_mm_cvtsi128_si32(_mm_srli_si128(_mm_xor_si128(first, quotient), 4));
}
#endif

static void
make_table(void)
{
#ifdef FOLDS
    folds = __builtin_cpu_supports("pclmul");
#endif
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

/* The same as zlib.crc32(bytes, start), sixteen bytes at a time if the processor can, and eight if not. */
uint32_t
checksum(const uint8_t *bytes, size_t length, uint32_t start)
{
    pthread_once(&made, make_table);
    uint32_t rest = ~start;
#ifdef FOLDS
    if (folds && length >= FEWEST_FOLDED) {
        size_t whole = length & ~(size_t)15;
        rest = folded(bytes, whole, rest);
        bytes += whole;
        length -= whole;
    }
#endif
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
