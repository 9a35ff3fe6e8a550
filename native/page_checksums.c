/* The checksums of pages for the closing stamp: src/coshelf/engines/lmdb/pages/closing_stamp.py says what they are.

   Every opening of a small shelf sums all its pages. So where the processor can, sixteen bytes are summed at a time. */

#include "native.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define HAS_WIDE 1
#include <tmmintrin.h>
#else
#define HAS_WIDE 0
#endif

#define MODULUS 65521u
#define MOST_ADDED 5552 /* bytes after which the sums of an Adler-32 would overflow 32 bits, as in zlib */

/* The same as zlib.adler32(bytes). */
static uint32_t
adler(const uint8_t *bytes, size_t length)
{
    uint32_t low = 1, high = 0;
    while (length) {
        size_t some = length < MOST_ADDED ? length : MOST_ADDED;
        length -= some;
        while (some--) {
            low += *bytes++;
            high += low;
        }
        low %= MODULUS;
        high %= MODULUS;
    }
    return high << 16 | low;
}

static uint32_t
sum_of_page(const uint8_t *page, size_t length)
{
    return checksum(page, length, adler(page, length));
}

#if HAS_WIDE
#define STEP 16 /* bytes */

/* The same as adler, for a multiple of 16 bytes. */
__attribute__((target("ssse3"))) static uint32_t
wide_adler(const uint8_t *bytes, size_t length)
{
    const __m128i weights = _mm_set_epi8(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
    const __m128i ones = _mm_set1_epi16(1), zero = _mm_setzero_si128();
    uint32_t low = 1, high = 0;
    while (length) {
        size_t some = length < MOST_ADDED / STEP * STEP ? length : MOST_ADDED / STEP * STEP;
        length -= some;
        __m128i lows = zero, before = zero, highs = zero;
        high += low * (uint32_t)some;
        for (; some; some -= STEP, bytes += STEP) {
            __m128i data = _mm_loadu_si128((const __m128i *)bytes);
            before = _mm_add_epi32(before, lows); /* each earlier byte counts once more for each byte of this step */
            lows = _mm_add_epi32(lows, _mm_sad_epu8(data, zero));
            highs = _mm_add_epi32(highs, _mm_madd_epi16(_mm_maddubs_epi16(data, weights), ones));
        }
        uint32_t four_lows[4], four_before[4], four_highs[4];
        _mm_storeu_si128((__m128i *)four_lows, lows);
        _mm_storeu_si128((__m128i *)four_before, before);
        _mm_storeu_si128((__m128i *)four_highs, highs);
        low = (low + four_lows[0] + four_lows[2]) % MODULUS;
        uint64_t total = (uint64_t)high + STEP * ((uint64_t)four_before[0] + four_before[2]);
        for (int lane = 0; lane < 4; lane++) {
            total += four_highs[lane];
        }
        high = (uint32_t)(total % MODULUS);
    }
    return high << 16 | low;
}

static uint32_t
wide_sum_of_page(const uint8_t *page, size_t length)
{
    return length % STEP ? sum_of_page(page, length) : checksum(page, length, wide_adler(page, length));
}
#endif

typedef uint32_t (*Sum)(const uint8_t *, size_t);

static Sum
fastest_sum(void)
{
#if HAS_WIDE
    if (__builtin_cpu_supports("ssse3")) {
        return wide_sum_of_page;
    }
#endif
    return sum_of_page;
}

PyObject *
native_page_checksums(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    Py_buffer pages;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(arguments, "y*n:page_checksums", &pages, &size)) {
        return NULL;
    }
    PyObject *sums = NULL;
    if (size <= 0) {
        PyErr_SetString(PyExc_ValueError, "the size of a page is positive");
    } else {
        sums = PyList_New(pages.len / size + (pages.len % size != 0));
    }
    Sum sum = fastest_sum();
    for (Py_ssize_t number = 0, at = 0; sums != NULL && at < pages.len; number++) {
        Py_ssize_t length = pages.len - at < size ? pages.len - at : size;
        PyObject *one = PyLong_FromUnsignedLong(sum((const uint8_t *)pages.buf + at, (size_t)length));
        if (one == NULL) {
            Py_CLEAR(sums);
            break;
        }
        PyList_SET_ITEM(sums, number, one);
        at += length;
    }
    PyBuffer_Release(&pages);
    return sums;
}
