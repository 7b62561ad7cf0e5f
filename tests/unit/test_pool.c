#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "pool.h"

enum { OBJECTS = 5000, OBJECT_BYTES = 40 };

Test(pool, objects_are_zeroed_aligned_and_apart)
{
    static uint8_t *objects[OBJECTS];
    struct pool pool;
    pool_init(&pool, OBJECT_BYTES);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < OBJECTS; i++) {
            objects[i] = pool_get(&pool);
            cr_assert_not_null(objects[i]);
            cr_assert_eq((uintptr_t)objects[i] % 16, (uintptr_t)0);
            for (int k = 0; k < OBJECT_BYTES; k++) {
                cr_assert_eq(objects[i][k], 0);
            }
            memset(objects[i], i % 251 + 1, OBJECT_BYTES);
        }
        for (int i = 0; i < OBJECTS; i++) {
            cr_assert_eq(objects[i][OBJECT_BYTES - 1], i % 251 + 1);
        }
        cr_assert_eq(pool.used, (size_t)OBJECTS);
        for (int i = 0; i < OBJECTS; i++) {
            pool_put(&pool, objects[i]);
        }
    }
    cr_assert_eq(pool.used, (size_t)0);
    pool_fini(&pool);
}
