#!/bin/sh
# Every test: Python (unit, contract, integration, end to end) and the page's. Runs both even if the first fails.
# Arguments go to pytest.
set -u
cd "$(dirname "$0")/.." || exit
# shellcheck source=scripts/common.sh
. scripts/common.sh

has_chromium() {
  [ -n "${NATTER_CHROMIUM:-}" ] || have chromium || have chromium-browser || have google-chrome-stable || have google-chrome
}

has_chromium || need_debian_package chromium "the end-to-end tests talk through a real browser"

failed=
step "Tests of the services (pytest)"
.venv/bin/python -m pytest "$@" </dev/null || failed="$failed pytest"
step "Tests of the page (npm test)"
(cd web && npm run --silent test </dev/null) || failed="$failed npm-test"

[ -z "$failed" ] || fail "failed:$failed"
step "All tests passed"
