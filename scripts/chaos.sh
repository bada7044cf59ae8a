#!/bin/sh
# The chaos suite: every offset on emulated services, then five a row on the built-in models, whatever came of the first.
set -u
cd "$(dirname "$0")/.." || exit
# shellcheck source=scripts/common.sh
. scripts/common.sh

failed=
step "Chaos: emulated services"
.venv/bin/natter-bench chaos </dev/null || failed="$failed, emulated services"

step "Chaos: built-in models"
.venv/bin/natter-bench chaos --built-in --offsets 5 --first-ms 800 --every-ms 1200 </dev/null ||
  failed="$failed, built-in models"

[ -z "$failed" ] || fail "failed: ${failed#, }"
