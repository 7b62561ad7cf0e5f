#!/bin/sh
# check_symbols.sh ARCHIVE [BELOW...]: what a pure layer needs from outside itself and the layers below, and that it keeps no state.
#
# Includes can be read, but a clock or a socket can also be declared by hand: the link line proves that there is none.
set -eu
archive=$1
allowed='^(malloc|calloc|realloc|free|abort|qsort|bsearch|strto[a-z]+|mem[a-z]+|str[a-z]+|snprintf|vsnprintf|__[a-z_]*chk(_fail)?|__assert_fail|_GLOBAL_OFFSET_TABLE_|__errno_location|__stack_chk_fail|__isoc[0-9]*_[a-z]+|__gcov_.*|__(a|ub|t)san_.*)$'

defined=$(mktemp)
trap 'rm -f "$defined"' EXIT
nm --defined-only "$@" 2>/dev/null | awk 'NF == 3 { print $3 }' | sort -u >"$defined"
status=0
for symbol in $(nm --undefined-only "$archive" 2>/dev/null | awk 'NF == 2 && $1 == "U" { print $2 }' | sort -u); do
    if ! grep -qxF -- "$symbol" "$defined" && ! printf '%s\n' "$symbol" | grep -qE "$allowed"; then
        echo "$archive needs $symbol"
        status=1
    fi
done
# B, b, D, d: variables that can be written. What is constant is in R, or in a .data.rel.ro section.
for object in $(nm --defined-only "$archive" 2>/dev/null | awk 'NF == 3 && $2 ~ /^[BbDdC]$/ { print $3 }' | sort -u); do
    if ! objdump -t "$archive" 2>/dev/null | grep -qE "\.data\.rel\.ro.*[[:space:]]$object\$"; then
        echo "$archive keeps state: $object"
        status=1
    fi
done
[ -s "$defined" ] || { echo "$archive defines nothing"; status=1; }
exit $status
