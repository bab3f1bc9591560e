/* Class of a code point for splitting text into pieces (Unicode 16.0). */
#ifndef AICPI_COST_UNICODE_CLASSES_H
#define AICPI_COST_UNICODE_CLASSES_H

#include <stdint.h>

typedef enum aicpi_cost_class {
    AICPI_CLASS_OTHER = 0,
    AICPI_CLASS_UPPER = 1,   /* Lu, Lt */
    AICPI_CLASS_LOWER = 2,   /* Ll */
    AICPI_CLASS_LETTER = 3,  /* Lm, Lo */
    AICPI_CLASS_MARK = 4,    /* M */
    AICPI_CLASS_NUMBER = 5,  /* N */
    AICPI_CLASS_SPACE = 6,   /* White_Space but CR and LF */
    AICPI_CLASS_NEWLINE = 7, /* CR, LF */
} aicpi_cost_class;

extern const uint16_t aicpi_cost_class_index[0x110000 / 128];
extern const uint8_t aicpi_cost_class_blocks[][128];

static inline unsigned aicpi_cost_class_of(uint32_t scalar) {
    return aicpi_cost_class_blocks[aicpi_cost_class_index[scalar >> 7]][scalar & 127];
}

#endif
