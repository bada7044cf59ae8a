# Sourced by the other scripts (sh).
# shellcheck shell=sh

# What is being done now.
step() {
  if [ -t 1 ]; then printf '\033[1m==> %s\033[0m\n' "$*"; else printf '==> %s\n' "$*"; fi
}

# What is missing, and what to do about it.
fail() {
  printf 'natter: %s\n' "$*" >&2
  exit 1
}

have() {
  command -v "$1" >/dev/null 2>&1
}

# Debian's package $1, wanted for $2, installed where that is allowed; else a sentence on what is missing.
need_debian_package() {
  have apt-get || fail "$1 is missing ($2). Please install it; this system has no apt-get to bring it."
  if [ "$(id -u)" -eq 0 ]; then
    as_root=
  elif have sudo && sudo -n true 2>/dev/null; then
    as_root='sudo -n'
  else
    fail "$1 is missing ($2), and only root can install it: sudo apt-get install $1"
  fi
  step "Debian package $1 ($2)"
  # shellcheck disable=SC2086  # empty, or two words
  {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q </dev/null &&
      $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$1" </dev/null
  } || fail "$1 could not be installed ($2): see what apt-get says above"
}
