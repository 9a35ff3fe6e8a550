/* The checksums of pages for the closing stamp: src/coshelf/engines/lmdb/pages/closing_stamp.py says what they are.

   Every opening of a small shelf sums all its pages. So where the processor can, sixteen bytes are summed at a time. */

#include "native.h"

#include <errno.h>
#include <unistd.h>

#if defined(__x86_64__) && defined(__GNUC__)
#define HAS_WIDE 1
#include <tmmintrin.h>
#else
#define HAS_WIDE 0
#endif

#define LEAST_PAGE 4096
#define MOST_PAGE 32768
#define KIND_AT 10 /* where the header of a page has its kind; it begins with its number */

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
#endif

static uint32_t
page_adler(const uint8_t *page, size_t length)
{
#if HAS_WIDE
    if (length % STEP == 0 && __builtin_cpu_supports("ssse3")) { /* as pages are that the end of the file does not cut */
        return wide_adler(page, length);
    }
#endif
    return adler(page, length);
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
    for (Py_ssize_t number = 0, at = 0; sums != NULL && at < pages.len; number++) {
        Py_ssize_t length = pages.len - at < size ? pages.len - at : size;
        const uint8_t *page = (const uint8_t *)pages.buf + at;
        PyObject *one = PyLong_FromUnsignedLong(checksum(page, (size_t)length, page_adler(page, (size_t)length)));
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

typedef struct {
    int file;
    size_t size;   /* of a page */
    uint16_t kind; /* that each page has */
} Source;

/* Add pages to a checksum. Returns 1, 0 if one of them is cut or another page, -1 after an error of the system. */
static int
add_pages(const Source *source, const uint64_t *numbers, Py_ssize_t count, uint8_t *page, uint32_t *sum)
{
    for (Py_ssize_t at = 0; at < count; at++) {
        if (numbers[at] > INT64_MAX / source->size) {
            return 0;
        }
        ssize_t length;
        do {
            length = pread(source->file, page, source->size, (off_t)(numbers[at] * source->size));
        } while (length < 0 && errno == EINTR);
        if (length < (ssize_t)source->size) {
            return length < 0 ? -1 : 0;
        }
        uint64_t number;
        uint16_t kind;
        memcpy(&number, page, sizeof(number));
        memcpy(&kind, page + KIND_AT, sizeof(kind));
        if (number != numbers[at] || kind != source->kind) {
            return 0;
        }
        *sum = checksum(page, source->size, *sum);
    }
    return 1;
}

static int
take_numbers(PyObject *list, uint64_t *numbers)
{
    for (Py_ssize_t at = 0; at < PyList_GET_SIZE(list); at++) {
        numbers[at] = PyLong_AsUnsignedLongLong(PyList_GET_ITEM(list, at));
        if (numbers[at] == (uint64_t)-1 && PyErr_Occurred()) {
            return -1;
        }
    }
    return 0;
}

PyObject *
native_checksum_of_pages(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    Source source;
    PyObject *list;
    Py_ssize_t size;
    unsigned int sum;
    if (!PyArg_ParseTuple(arguments, "iO!nHI:checksum_of_pages", &source.file, &PyList_Type, &list, &size,
                          &source.kind, &sum)) {
        return NULL;
    }
    if (size < LEAST_PAGE || size > MOST_PAGE) {
        PyErr_SetString(PyExc_ValueError, "no page has this size");
        return NULL;
    }
    source.size = (size_t)size;
    Py_ssize_t count = PyList_GET_SIZE(list);
    uint64_t *numbers = PyMem_Calloc((size_t)count, sizeof(*numbers));
    uint8_t *page = PyMem_Malloc(source.size);
    PyObject *found = NULL;
    if (numbers == NULL || page == NULL) {
        PyErr_NoMemory();
    } else if (take_numbers(list, numbers) == 0) {
        int added;
        Py_BEGIN_ALLOW_THREADS
        added = add_pages(&source, numbers, count, page, &sum);
        Py_END_ALLOW_THREADS
        if (added < 0) {
            PyErr_SetFromErrno(PyExc_OSError);
        } else {
            found = added ? PyLong_FromUnsignedLong(sum) : Py_NewRef(Py_None);
        }
    }
    PyMem_Free(page);
    PyMem_Free(numbers);
    return found;
}
