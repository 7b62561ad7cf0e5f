// STORE_TEST(name) { ... rig ... }: one test, run against every implementation of the store.
#pragma once
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include "store_rig.h"

#define STORE_TEST(name)                                                                                                           \
    static void name(struct store_rig *rig);                                                                                       \
    ParameterizedTestParameters(store, name)                                                                                       \
    {                                                                                                                              \
        static enum store_kind kinds[] = {STORE_MEMORY, STORE_LMDB, STORE_DISK};                                                   \
        return cr_make_param_array(enum store_kind, kinds, STORE_KINDS);                                                           \
    }                                                                                                                              \
    ParameterizedTest(const enum store_kind *kind, store, name)                                                                    \
    {                                                                                                                              \
        struct store_rig rig;                                                                                                      \
        rig_start(&rig, *kind);                                                                                                    \
        name(&rig);                                                                                                                \
        rig_end(&rig);                                                                                                             \
    }                                                                                                                              \
    static void name(struct store_rig *rig)
