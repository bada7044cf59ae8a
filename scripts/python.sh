#!/bin/sh
# Brings uv, if there is none, and with it every Python package, exactly as uv.lock has it, into .venv.
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=scripts/common.sh
. scripts/common.sh

UV_VERSION=0.13.9

# A Python that the packages have wheels for.
find_python() {
  for candidate in python3.11 python3 python3.12 python3.13; do
    if have "$candidate" && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      "$candidate" -c 'import sys; print(sys.executable)'
      return
    fi
  done
}

# uv on the PATH, if it is new enough to read uv.lock.
find_uv() {
  have uv && uv --version 2>/dev/null | awk '{ split($2, v, "."); ok = v[1] > 0 || v[2] >= 9 } END { exit !ok }' && command -v uv
}

bring_uv() {
  step "uv $UV_VERSION (into .venv-tools)"
  rm -rf .venv-tools
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    need_debian_package python3-venv "Python's venv, to bring uv"
  fi
  "$python" -m venv .venv-tools || fail "$python could not make a virtual environment: see above"
  .venv-tools/bin/python -m pip install --quiet --disable-pip-version-check "uv==$UV_VERSION" ||
    fail "uv could not be fetched: is the package index reachable from here?"
}

python=$(find_python)
[ -n "$python" ] || fail "Python 3.11 or newer is missing: sudo apt-get install python3 python3-venv"

uv=$(find_uv) || {
  [ -x .venv-tools/bin/uv ] || bring_uv
  uv=.venv-tools/bin/uv
}

# The built-in language model's runtime is linked against it, and its wheel does not carry it.
if ! "$python" -c 'import ctypes; ctypes.CDLL("libgomp.so.1")' 2>/dev/null; then
  need_debian_package libgomp1 "the built-in language model runs on it"
fi

step "Python packages (uv sync)"
[ -d .venv ] || set -- --python "$python"
UV_PYTHON_DOWNLOADS=never "$uv" sync --frozen "$@" || fail "the Python packages could not be installed: see above"
