#!/bin/sh
# The page: `install` brings its packages as package-lock.json has them, `build` makes web/dist.
set -eu
cd "$(dirname "$0")/../web"
# shellcheck source=scripts/common.sh
. ../scripts/common.sh

have node || fail "Node 20.19 or newer is missing (it builds the page): https://nodejs.org, or your system's package nodejs"
node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' ||
  fail "Node $(node --version) is too old to build the page: 20.19 or newer is needed"
have npm || fail "npm is missing (it comes with Node): sudo apt-get install npm"

case ${1:?install or build} in
  install)
    step "Packages of the page (npm ci)"
    npm ci --no-audit --no-fund </dev/null || fail "the packages of the page could not be installed: see above"
    ;;
  build)
    step "The page (npm run build)"
    npm run --silent build </dev/null || fail "the page could not be built: see above"
    ;;
  *) fail "scripts/web.sh knows install and build" ;;
esac
