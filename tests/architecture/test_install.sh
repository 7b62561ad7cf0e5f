#!/usr/bin/env bash
# test_install.sh SOURCE_DIR BUILD_DIR: what `cmake --install` installs can be used: a program is built against it once with
# pkg-config and once with find_package, and the installed programs start.
set -euo pipefail

source_dir=$1 build_dir=$2
work=$(mktemp -d "${TMPDIR:-/tmp}/netqueue-install.XXXXXX")
trap 'rm -rf -- "$work"' EXIT
# Another place than the one configured: what is installed must not depend on where it was meant to be.
prefix="$work/a prefix"

cmake --install "$build_dir" --prefix "$prefix" >"$work/install.log" || { cat "$work/install.log"; exit 1; }

for program in netqueue-broker netqueue-producer netqueue-consumer netqueue; do
    "$prefix/bin/$program" --version || { echo "$program --version: exit code $?"; exit 1; }
    "$prefix/bin/$program" --help >/dev/null || { echo "$program --help: exit code $?"; exit 1; }
done

mkdir "$work/app"
cat >"$work/app/app.c" <<'C'
#include <netqueue.h>
#include <stdio.h>
#include <string.h>
int main(void)
{
    struct nq_client *client = NULL;
    enum nq_status status = nq_client_create(NULL, &client, NULL);
    nq_client_destroy(&client);
    printf("%s %s %s\n", nq_version(), VERSION, nq_status_text(status));
    return status == NQ_OK && strcmp(nq_version(), VERSION) == 0 && strcmp(nq_status_text(NQ_FULL), "the queue is full") == 0 ? 0 : 1;
}
C
cat >"$work/app/app.cc" <<'C'
#include <netqueue.h>
int main()
{
    return nq_version() != nullptr ? 0 : 1;
}
C
cat >"$work/app/CMakeLists.txt" <<'CMAKE'
cmake_minimum_required(VERSION 3.25)
project(app C CXX)
find_package(netqueue 0.1 REQUIRED)
foreach(_kind shared static)
    add_executable(app_${_kind} app.c)
    target_compile_definitions(app_${_kind} PRIVATE VERSION="${netqueue_VERSION}")
endforeach()
target_link_libraries(app_shared PRIVATE netqueue::netqueue)
target_link_libraries(app_static PRIVATE netqueue::netqueue_static)
add_executable(app_cxx app.cc)
target_link_libraries(app_cxx PRIVATE netqueue::netqueue)
CMAKE

pc=$(find "$prefix" -name netqueue.pc)
[[ -n $pc ]] || { echo "netqueue.pc is not installed"; exit 1; }
libdir=$(dirname -- "$(find "$prefix" -name libnetqueue.so)")
PKG_CONFIG_PATH=$(dirname -- "$pc")
export PKG_CONFIG_PATH
version=$(pkg-config --modversion netqueue)

echo "with pkg-config"
# Its output escapes what the shell must not split.
eval "cc -std=c11 -Wall -Wextra -Werror -DVERSION='\"$version\"' -o \"\$work/pc_shared\" \"\$work/app/app.c\" $(pkg-config --cflags --libs netqueue)"
LD_LIBRARY_PATH=$libdir "$work/pc_shared"
eval "cc -std=c11 -Wall -Wextra -Werror -DVERSION='\"$version\"' -o \"\$work/pc_static\" \"\$work/app/app.c\" $(pkg-config --cflags netqueue) \
    \"\$libdir/libnetqueue.a\" $(pkg-config --libs-only-l --static netqueue | sed 's/-lnetqueue//')"
"$work/pc_static"

echo "with find_package"
cmake -G Ninja -S "$work/app" -B "$work/app/build" -DCMAKE_PREFIX_PATH="$prefix" >"$work/configure.log" 2>&1 || { cat "$work/configure.log"; exit 1; }
cmake --build "$work/app/build" >"$work/build.log" 2>&1 || { cat "$work/build.log"; exit 1; }
"$work/app/build/app_shared"
"$work/app/build/app_static"
"$work/app/build/app_cxx"

echo "what the shared library shows"
shown=$(nm -D --defined-only "$libdir/libnetqueue.so" | awk '{ print $3 }' | grep -v '^nq_' || true)
[[ -z $shown ]] || { echo "symbols that are not of the library's interface: $shown"; exit 1; }

for page in netqueue netqueue-broker netqueue-producer netqueue-consumer; do
    if [[ -f $source_dir/docs/man/$page.1 ]]; then
        find "$prefix" -name "$page.1*" | grep -q . || { echo "$page.1 is not installed"; exit 1; }
    fi
done
unit=$(find "$prefix" -name netqueue.service)
grep -q '^Type=notify$' "$unit" || { echo "the unit is not of Type=notify"; exit 1; }
echo "installed and used: ok"
