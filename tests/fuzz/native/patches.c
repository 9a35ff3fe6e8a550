#define _GNU_SOURCE

#include "patches.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADERS 160 /* bytes at the beginning of a page that lead to others */

static _Noreturn void
give_up(const char *path)
{
    perror(path);
    exit(2);
}

Image
open_image(const char *path)
{
    struct stat information;
    int file = open(path, O_RDONLY);
    if (file < 0 || fstat(file, &information) < 0) {
        give_up(path);
    }
    Image image = {.file = memfd_create("image", 0), .size = (size_t)information.st_size};
    image.sound = malloc(image.size);
    if (image.file < 0 || image.sound == NULL || ftruncate(image.file, (off_t)image.size) < 0
        || pread(file, image.sound, image.size, 0) != (ssize_t)image.size) {
        give_up(path);
    }
    image.bytes = mmap(NULL, image.size, PROT_READ | PROT_WRITE, MAP_SHARED, image.file, 0);
    if (image.bytes == MAP_FAILED) {
        give_up(path);
    }
    memcpy(image.bytes, image.sound, image.size);
    close(file);
    return image;
}

/* Where a patch begins, and how many bytes it has within the file. */
static size_t
place_of(const Image *image, const uint8_t *patch, size_t *width)
{
    static const size_t widths[] = {1, 2, 4, 8};
    size_t pages = (image->size + PATCHED_PAGE - 1) / PATCHED_PAGE;
    size_t inside = (size_t)(patch[1] | patch[2] << 8) % PATCHED_PAGE;
    inside = patch[3] & 4 ? inside % HEADERS : inside;
    size_t place = ((patch[0] % pages) * PATCHED_PAGE + inside) % image->size;
    *width = widths[patch[3] & 3];
    *width = place + *width > image->size ? image->size - place : *width;
    return place;
}

void
apply_patch(Image *image, const uint8_t *patch)
{
    size_t width, place = place_of(image, patch, &width);
    uint64_t value = (uint64_t)(int64_t)(int16_t)(patch[4] | patch[5] << 8); /* -1 and the like in all widths */
    memcpy(image->bytes + place, &value, width);
}

void
undo_patch(Image *image, const uint8_t *patch)
{
    size_t width, place = place_of(image, patch, &width);
    memcpy(image->bytes + place, image->sound + place, width);
}
