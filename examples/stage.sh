# Sourced by the examples: builds raincheck, starts it with an example's own `raincheck.toml`, and stops all at the end.
#
# An example says what it needs with `need`, starts servers with `serve`, and ends with `stay`. Everything that it makes
# is in $work, a temporary folder. RAINCHECK_PORT (8080) and EXAMPLE_PORT (8000) say where to listen. With `--once` an
# example does what it shows and ends; without it stays until Ctrl-C.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
name=$(basename "$here")
raincheck_url=http://127.0.0.1:${RAINCHECK_PORT:-8080}
example_url=http://127.0.0.1:${EXAMPLE_PORT:-8000}
once=
if [ "${1:-}" = --once ]; then
  once=yes
  shift
fi

say() { printf '\n\033[1m%s\033[0m\n' "$*" >&2; }

# need PROGRAM PACKAGE: ends with status 3 when a program is missing.
need() {
  command -v "$1" >/dev/null || { echo "examples/$name needs $1: install $2" >&2; exit 3; }
}

processes=()
work=$(mktemp -d "${TMPDIR:-/tmp}/raincheck-example.XXXXXX")
finish() {
  local status=$?
  trap - EXIT INT TERM HUP
  for process in "${processes[@]}"; do kill "$process" 2>/dev/null || true; done
  for process in "${processes[@]}"; do wait "$process" 2>/dev/null || true; done
  rm -rf "$work"
  exit "$status"
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# serve NAME URL COMMAND...: starts a server and waits until it answers at URL.
serve() {
  local what=$1 url=$2 process
  shift 2
  "$@" >"$work/$what.log" 2>&1 </dev/null &
  process=$!
  processes+=("$process")
  until curl -fsS -o /dev/null "$url" 2>/dev/null; do
    if ! kill -0 "$process" 2>/dev/null; then
      echo "examples/$name: $what has ended:" >&2
      tail -n 20 "$work/$what.log" >&2
      exit 1
    fi
    sleep 0.1
  done
  # Whoever answers must be the one that was just started.
  kill -0 "$process" 2>/dev/null || { tail -n 20 "$work/$what.log" >&2; exit 1; }
}

# Builds raincheck and starts it, all in one process; the settings of the example are beside it. Arguments go to it.
start_raincheck() {
  say "building raincheck"
  cargo build --locked --quiet --manifest-path "$root/Cargo.toml"
  PATH=${CARGO_TARGET_DIR:-$root/target}/debug:$PATH
  export RAINCHECK_URL=$raincheck_url
  unset RAINCHECK_API_KEY RAINCHECK_PROFILE
  say "starting raincheck at $raincheck_url"
  serve raincheck "$raincheck_url/readyz" raincheck up --config "$here/raincheck.toml" \
    --set "http.listen=${raincheck_url#http://}" --set "store.url=sqlite:$work/jobs.db" "$@"
}

# The last line of an example: waits for Ctrl-C, unless it was to end by itself.
stay() {
  [ -z "$once" ] || return 0
  say "$* Ctrl-C ends it all."
  wait
}
