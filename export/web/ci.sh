#!/usr/bin/env bash
# Checks the web client: types, lint, tests in Node, and the page in Chromium and Firefox where they are.
# Installs what it needs from npm. With --apt it installs the browsers from Debian's packages where they are missing.
# PYTHON: a Python with tinytl_tf, whose server the browser tests use (default: python3).
set -euo pipefail
cd "$(dirname "$0")"
oldest=20
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
  echo "web client not checked: there is no Node.js with npm (Debian: apt-get install nodejs npm)"
  exit 0
fi
if [ "$(node -p 'process.versions.node.split(".")[0]')" -lt "$oldest" ]; then
  echo "web client not checked: Node.js $(node --version) is older than $oldest"
  exit 0
fi
for browser in chromium firefox-esr; do
  if [ "${1:-}" = --apt ] && ! command -v "$browser" >/dev/null; then
    echo "installing $browser from Debian's packages"
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$browser"; } >/dev/null 2>&1 ||
      echo "$browser could not be installed"
  fi
done
echo "installing the web client's packages from npm"
npm ci --silent --no-audit --no-fund
npm run --silent check
npm test --silent
npm run --silent build
npm run --silent test:browser
