#!/bin/sh
# Style, types, generated code; says at the end what failed.
set -u
cd "$(dirname "$0")/.." || exit
# shellcheck source=scripts/common.sh
. scripts/common.sh

failed=
check() {
  name=$1
  shift
  step "$name"
  "$@" </dev/null || failed="$failed, $name"
}

check "ruff check" .venv/bin/ruff check .
check "ruff format" .venv/bin/ruff format --check .
check "pyright" .venv/bin/pyright
check "generated code" .venv/bin/python proto/generate.py --check
check "types of the page" npm --prefix web run --silent check
if have shellcheck; then check "shellcheck" shellcheck -x scripts/*.sh .ci/run; fi

[ -z "$failed" ] || fail "failed: ${failed#, }"
step "Nothing to complain about"
