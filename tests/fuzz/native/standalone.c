/* Runs a target without libFuzzer, by any compiler: ``target COUNT SEED KEPT CORPUS...``.
 *
 * Each input is one of the corpus' files after some random changes. It lies in the file KEPT while it is tried, so it is
 * there after a crash.
 */

#define _GNU_SOURCE

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LARGEST 4096

int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct {
    uint8_t *bytes;
    size_t size;
} Input;

static uint64_t state;

static size_t
chance(size_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return below ? (size_t)(state >> 11) % below : 0;
}

static Input
read_input(const char *path)
{
    Input input = {malloc(LARGEST), 0};
    FILE *file = fopen(path, "rb");
    if (input.bytes == NULL || file == NULL) {
        perror(path);
        exit(2);
    }
    input.size = fread(input.bytes, 1, LARGEST, file);
    fclose(file);
    return input;
}

static size_t
change(uint8_t *data, size_t size, const Input *other)
{
    size_t at = chance(size + 1), length = 1 + chance(8);
    switch (chance(5)) {
    case 0: /* other bytes */
        for (size_t i = at; i < size && i < at + length; i++) {
            data[i] = (uint8_t)chance(256);
        }
        return size;
    case 1: /* one bit */
        if (at < size) {
            data[at] ^= (uint8_t)(1u << chance(8));
        }
        return size;
    case 2: /* some bytes less */
        length = length > size - at ? size - at : length;
        memmove(data + at, data + at + length, size - at - length);
        return size - length;
    case 3: /* some bytes twice */
        length = length > size - at ? size - at : length;
        length = length > LARGEST - size ? LARGEST - size : length;
        memmove(data + at + length, data + at, size - at);
        return size + length;
    default: /* a part of another one */
        length = chance(other->size + 1);
        length = length > LARGEST - at ? LARGEST - at : length;
        memcpy(data + at, other->bytes, length);
        return at + length > size ? at + length : size;
    }
}

int
main(int count, char **arguments)
{
    if (count < 5) {
        fprintf(stderr, "usage: %s COUNT SEED KEPT CORPUS...\n", arguments[0]);
        return 2;
    }
    LLVMFuzzerInitialize(&count, &arguments);
    unsigned long inputs = strtoul(arguments[1], NULL, 10);
    state = strtoul(arguments[2], NULL, 10) * 2654435761u + 88172645463325252u;
    size_t many = (size_t)count - 4;
    Input *corpus = calloc(many, sizeof(Input));
    int file = open(arguments[3], O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (corpus == NULL || file < 0) {
        perror(arguments[3]);
        return 2;
    }
    for (size_t number = 0; number < many; number++) {
        corpus[number] = read_input(arguments[4 + number]);
        LLVMFuzzerTestOneInput(corpus[number].bytes, corpus[number].size);
    }
    for (unsigned long number = 0; number < inputs; number++) {
        const Input *one = &corpus[chance(many)];
        uint8_t data[LARGEST];
        size_t size = one->size;
        memcpy(data, one->bytes, size);
        for (size_t changes = 1 + chance(6); changes; changes--) {
            size = change(data, size, &corpus[chance(many)]);
        }
        if (ftruncate(file, 0) < 0 || pwrite(file, data, size, 0) != (ssize_t)size) {
            perror(arguments[3]);
            return 2;
        }
        uint8_t *exact = malloc(size ? size : 1); /* so that a read beyond its end is seen */
        memcpy(exact, data, size);
        LLVMFuzzerTestOneInput(exact, size);
        free(exact);
    }
    printf("%lu inputs\n", inputs);
    return 0;
}
