# shellcheck shell=bash
# What the scripts share. Sourced, never run.

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)

say() { printf '%s\n' "$*" >&2; }
die() {
    say "${0##*/}: $*"
    exit 1
}
usage_error() {
    say "${0##*/}: $* (--help shows the options)"
    exit 64
}
have() { command -v "$1" >/dev/null 2>&1; }

# The comment at the top of a script, below its first line, is its --help.
show_help() { sed -n '2,/^$/{/^#/!d;s/^# \{0,1\}//;p}' "$1"; }

cpus() { nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2; }

# A python3 that can import zmq and protobuf: the distribution's before the first on PATH, which may be somebody's own.
find_python() {
    local python
    for python in /usr/bin/python3 "$(command -v python3 || true)"; do
        if [[ -x $python ]] && "$python" -c 'import zmq, google.protobuf' >/dev/null 2>&1; then
            printf '%s\n' "$python"
            return 0
        fi
    done
    return 1
}

# build PRESET [cmake -D...]: configure once, build what changed. All output goes to stdout.
build() {
    local preset=$1
    shift
    if (($# > 0)) || [[ ! -f $root/build/$preset/build.ninja ]]; then
        (cd "$root" && cmake --preset "$preset" "$@") || return 1
    fi
    (cd "$root" && cmake --build --preset "$preset" -j "$(cpus)")
}
