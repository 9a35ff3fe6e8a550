/* Changes of a file by an input, which are undone afterwards: for readers of files that anything may have damaged. */

#ifndef COSHELF_FUZZ_PATCHES_H
#define COSHELF_FUZZ_PATCHES_H

#include <stddef.h>
#include <stdint.h>

#define PATCH_SIZE 6
#define PATCHED_PAGE 4096

typedef struct {
    int file;         /* a descriptor of the file in memory */
    uint8_t *bytes;   /* its map */
    uint8_t *sound;   /* a copy of what it had at first */
    size_t size;
} Image;

/* Copy a file into memory. */
Image open_image(const char *path);

/* Six bytes of input change up to eight bytes: page, place in the page (two bytes), kind, and a value (two bytes). */
void apply_patch(Image *image, const uint8_t *patch);

/* Give the file back what apply_patch() changed. */
void undo_patch(Image *image, const uint8_t *patch);

#endif
