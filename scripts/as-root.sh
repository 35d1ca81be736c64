#!/usr/bin/env bash
# Runs a program of the lab as root: as-root.sh demo|playground|bench. Everything is installed and built as the user
# who calls; only the program itself gets root.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

case "${1:-}" in
demo | playground) program="lab/$1.ts" ;;
bench) program=test/bench/main.ts ;;
*) die "usage: $0 demo|playground|bench" ;;
esac
[ -e "$program" ] || die "$program does not exist"
prepare
can_be_root || die "$1 makes network namespaces, so it needs root: run it as root or install sudo"
trap give_back EXIT
as_root "$(command -v node)" --import tsx "$program" "${@:2}"
