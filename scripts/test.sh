#!/bin/sh
# Every test: Python (unit, contract, integration, end to end) and the page's. Goes on to the end whatever fails.
# Arguments go to pytest; -n 0 has it all run in one process, one test after the other.
set -u
cd "$(dirname "$0")/.." || exit
# shellcheck source=scripts/common.sh
. scripts/common.sh

has_chromium() {
  [ -n "${NATTER_CHROMIUM:-}" ] || have chromium || have chromium-browser || have google-chrome-stable || have google-chrome
}

# Runs the tests that carry the marks $2, and notes how long it took; the rest goes to pytest.
pytest_phase() {
  phase=$1
  marks=$2
  shift 2
  step "Tests: $phase (pytest -m \"$marks\")"
  began_s=$(date +%s)
  .venv/bin/python -m pytest -m "$marks" --durations 8 --durations-min 5 "$@" </dev/null
  case $? in
    0) result=passed none_selected="" ;;
    # Where arguments chose the tests, none of them need be of this kind.
    5) result="none selected" ;;
    *) result=FAILED none_selected="" failed="$failed, $phase" ;;
  esac
  summary="$summary
    $(printf '%-24s %-14s %4d s' "$phase" "$result" "$(($(date +%s) - began_s))")"
}

has_chromium || need_debian_package chromium "the end-to-end tests talk through a real browser"

failed=
summary=
none_selected=yes
# Modules, not tests, are dealt out to the processes (loadscope): what a module's tests share is started once.
# In the order of `testpaths`, where the longest come early; else in that of the numbers of their tests.
pytest_phase "parts" "not system and not alone" --numprocesses logical --maxprocesses 4 --dist loadscope \
  --no-loadscope-reorder "$@"
# Conversations mostly wait for the sound to pass: two at a time leave a small machine room to be in time.
pytest_phase "systems" "system and not alone" --numprocesses 2 --dist loadscope "$@"
pytest_phase "against the clock" "alone" "$@"
[ -z "$none_selected" ] || failed="$failed, no test was selected"

step "Tests: page (npm test)"
(cd web && npm run --silent test </dev/null) || failed="$failed, page"

step "Tests took:$summary"
[ -z "$failed" ] || fail "failed: ${failed#, }"
step "All tests passed"
