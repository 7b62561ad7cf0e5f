// CRC-32C against published answers (RFC 3720, B.4), with and without the
// processor's help.
#include <criterion/criterion.h>
#include <string.h>

#include "crc32c.h"

static void expect(const void *data, size_t len, uint32_t answer)
{
    cr_expect_eq(crc32c(0, data, len), answer);
    cr_expect_eq(crc32c_portable(0, data, len), answer);
}

Test(crc32c, known_answers)
{
    uint8_t bytes[32] = {0};
    expect("", 0, 0);
    expect("123456789", 9, 0xE3069283);
    expect(bytes, 32, 0x8A9136AA);
    memset(bytes, 0xFF, 32);
    expect(bytes, 32, 0x62A8AB43);
    for (size_t i = 0; i < 32; i++) {
        bytes[i] = (uint8_t)i;
    }
    expect(bytes, 32, 0x46DD794E);
    for (size_t i = 0; i < 32; i++) {
        bytes[i] = (uint8_t)(31 - i);
    }
    expect(bytes, 32, 0x113FDB5C);
}

// Any length, from any address, in one piece or in two.
Test(crc32c, pieces_and_places_make_no_difference)
{
    uint8_t bytes[128];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i * 37 + 11);
    }
    for (size_t from = 0; from < 9; from++) {
        for (size_t len = 0; from + len < sizeof(bytes); len++) {
            uint32_t whole = crc32c_portable(0, bytes + from, len);
            cr_assert_eq(crc32c(0, bytes + from, len), whole);
            cr_assert_eq(crc32c(crc32c(0, bytes + from, len / 3), bytes + from + len / 3, len - len / 3), whole);
            cr_assert_eq(crc32c_portable(crc32c_portable(0, bytes + from, len / 3), bytes + from + len / 3, len - len / 3), whole);
        }
    }
}

// Long ones take another way than short ones, in blocks of two sizes with a rest behind them.
Test(crc32c, long_ones_are_as_byte_by_byte)
{
    static uint8_t bytes[3 * 3 * 4096 + 3 * 256 + 16];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i * 37 + (i >> 8) * 11);
    }
    static const size_t lengths[] = {767, 768, 1023, 1024, 1536, 12287, 12288, 12289, 13056, 24576, 36864, sizeof(bytes) - 8};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        for (size_t from = 0; from < 8; from++) {
            uint32_t start = (uint32_t)(from * 0x9E3779B9u);
            cr_expect_eq(crc32c(start, bytes + from, lengths[i]), crc32c_portable(start, bytes + from, lengths[i]));
        }
    }
}
