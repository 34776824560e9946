# shellcheck shell=bash
# shellcheck disable=SC2034 # what is found here, the callers use
# What the scripts share: where things are, how tools are installed, how servers
# are started and stopped. Sourced, not run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Tools of the tests are kept here between runs and between clones.
tools=${AIRSIDE_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/airside}
scratch=$(mktemp -d "${TMPDIR:-/tmp}/airside.XXXXXX")
servers=()

# Stops what was started, newest first.
stop_servers() {
  local index
  for ((index = ${#servers[@]} - 1; index >= 0; index--)); do
    stop_server "${servers[index]}"
  done
}
clean_up() {
  stop_servers
  rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say() { printf '%s\n' "$*"; }
fail() {
  printf 'error: %s\n' "$1" >&2
  if [ $# -gt 1 ]; then printf 'hint: %s\n' "$2" >&2; fi
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# need_packages COMMAND=PACKAGE…: installs Debian packages whose command is missing.
need_packages() {
  local pair missing=()
  for pair in "$@"; do
    have "${pair%%=*}" || missing+=("${pair#*=}")
  done
  [ ${#missing[@]} -eq 0 ] && return
  have apt-get || fail "missing: ${missing[*]}" "install these packages and run again"
  local become=()
  [ "$(id -u)" -eq 0 ] || become=(sudo)
  say "installing ${missing[*]}"
  "${become[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${become[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# What the build needs: cargo itself, a C compiler and make (SQLite, aws-lc), git.
need_build_tools() {
  need_packages cc=gcc g++=g++ make=make git=git
  have cargo || fail "cargo is missing" "install Rust 1.95 or newer, see https://rustup.rs"
}

# need_cargo_tool NAME VERSION: puts a tool of that version, built from source,
# on the path, unless the machine has it.
need_cargo_tool() {
  local name=$1 version=$2
  if have "$name" && "$name" --version 2>/dev/null | grep -qF "$version"; then return; fi
  if ! "$tools/cargo/bin/$name" --version 2>/dev/null | grep -qF "$version"; then
    say "installing $name $version"
    CARGO_TARGET_DIR="$tools/build" cargo install --quiet --locked --root "$tools/cargo" "$name@$version"
    rm -rf "$tools/build"
  fi
  PATH="$tools/cargo/bin:$PATH"
}

# Installs what the tests take from npm and puts Node 22 and the conformance
# suite on the path.
need_node_tools() {
  need_packages npm=npm
  local source="$root/testkit/clients" folder="$tools/node"
  mkdir -p "$folder"
  if ! cmp -s "$source/package-lock.json" "$folder/installed.json"; then
    say "installing Node 22, the conformance suite and the TypeScript client"
    cp "$source/package.json" "$source/package-lock.json" "$folder/"
    (cd "$folder" && npm ci --no-audit --no-fund --loglevel=error >/dev/null)
    cp "$source/package-lock.json" "$folder/installed.json"
  fi
  node_path="$folder/node_modules/node/bin:$folder/node_modules/.bin"
  "$folder/node_modules/node/bin/node" --version >/dev/null ||
    fail "Node 22 does not run" "remove $folder and run again"
}

# Installs the identity provider that is not ours and tells the tests where it is.
need_identity_provider() {
  need_node_tools
  local source="$root/testkit/idp" folder="$tools/idp"
  mkdir -p "$folder"
  if ! cmp -s "$source/package-lock.json" "$folder/installed.json"; then
    say "installing oidc-provider"
    cp "$source/package.json" "$source/package-lock.json" "$folder/"
    (cd "$folder" && npm ci --no-audit --no-fund --loglevel=error >/dev/null)
    cp "$source/package-lock.json" "$folder/installed.json"
  fi
  export AIRSIDE_TEST_IDP="$folder" AIRSIDE_TEST_NODE="$tools/node/node_modules/node/bin/node"
}

# Installs the distribution's Chromium and what drives and judges it.
need_browser_tools() {
  need_packages chromium=chromium npm=npm
  local source="$root/testkit/browser" folder="$tools/browser"
  mkdir -p "$folder"
  cmp -s "$source/package-lock.json" "$folder/installed.json" && return
  say "installing playwright-core and axe-core"
  cp "$source/package.json" "$source/package-lock.json" "$folder/"
  (cd "$folder" && npm ci --no-audit --no-fund --loglevel=error >/dev/null)
  cp "$source/package-lock.json" "$folder/installed.json"
}

# need_python FOLDER REQUIREMENTS: installs packages from PyPI into an environment of its own.
need_python() {
  need_packages python3=python3
  local source="$root/$2" folder="$tools/$1"
  if ! cmp -s "$source" "$folder/installed.txt"; then
    say "installing $2"
    rm -rf "$folder"
    if ! python3 -m venv "$folder" 2>/dev/null; then
      need_packages "no-such-command=python3-venv"
      python3 -m venv --clear "$folder"
    fi
    "$folder/bin/pip" install --quiet --disable-pip-version-check -r "$source"
    cp "$source" "$folder/installed.txt"
  fi
}

# Installs the Python client and what checks the scripts.
need_python_tools() {
  need_python python testkit/clients/requirements.txt
  python="$tools/python/bin/python"
}

# Starts a server that speaks the protocol of S3 and sets AIRSIDE_TEST_S3 to its URL.
start_s3() {
  local port log="$scratch/s3.log"
  need_python s3 testkit/s3-requirements.txt
  port=$(free_port)
  "$tools/s3/bin/moto_server" -H 127.0.0.1 -p "$port" >"$log" 2>&1 &
  servers+=($!)
  timeout 60 bash -c "until grep -q 'Running on' '$log'; do sleep 0.1; done" ||
    { cat "$log" >&2; fail "the storage did not become ready"; }
  export AIRSIDE_TEST_S3="http://127.0.0.1:$port"
}

# start_postgres [OPTION…]: starts a PostgreSQL server of its own and sets
# AIRSIDE_TEST_POSTGRES to the URL of its superuser. Tests make databases in it.
# Without options for the server it runs without durability. $postgres_bin is the
# folder of its programs.
start_postgres() {
  local bin data log port become=()
  data=$(mktemp -d "$scratch/postgres.XXXXXX")
  log="$data.log"
  [ $# -gt 0 ] || set -- -c fsync=off -c full_page_writes=off
  bin=$(newest_postgres)
  if [ -z "$bin" ]; then
    # The distribution would start a cluster of its own, which nobody asked for.
    if [ "$(id -u)" -eq 0 ] && [ ! -e /etc/postgresql-common/createcluster.conf ]; then
      mkdir -p /etc/postgresql-common
      echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
    fi
    need_packages no-such-command=postgresql
    bin=$(newest_postgres)
    [ -n "$bin" ] || fail "PostgreSQL was installed but is not found"
  fi
  if [ "$(id -u)" -eq 0 ]; then
    # PostgreSQL refuses to run as root.
    chmod 711 "$scratch"
    chown postgres "$data"
    become=(setpriv --reuid=postgres --regid=postgres --clear-groups)
  fi
  "${become[@]}" "$bin/initdb" --no-sync --auth=trust --username=postgres --encoding=UTF8 \
    --locale=C.UTF-8 --pgdata="$data" >"$log" 2>&1 || { cat "$log" >&2; fail "initdb failed"; }
  port=$(free_port)
  # SIGINT is its quick way to stop: clients are not waited for.
  "${become[@]}" "$bin/postgres" -D "$data" "$@" \
    -c listen_addresses=127.0.0.1 -p "$port" -c unix_socket_directories="" -c max_connections=300 \
    >>"$log" 2>&1 &
  servers+=($!)
  timeout 60 bash -c "until '$bin/pg_isready' -q -h 127.0.0.1 -p $port; do sleep 0.1; done" ||
    { cat "$log" >&2; fail "PostgreSQL did not become ready"; }
  export AIRSIDE_TEST_POSTGRES="postgres://postgres@127.0.0.1:$port/postgres"
  postgres_bin=$bin
}

# Prints the folder of the newest PostgreSQL's programs, if there is one.
newest_postgres() {
  local bin newest=
  for bin in /usr/lib/postgresql/*/bin; do
    [ -x "$bin/initdb" ] && newest=$bin
  done
  if [ -z "$newest" ] && have initdb; then newest=$(dirname "$(command -v initdb)"); fi
  printf '%s' "$newest"
}

# Prints a port of the loopback address that nobody uses at the moment.
free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# start_server NAME PREFIX COMMAND…: starts a server and waits until it prints a
# line that begins with PREFIX. The URL at the end of that line becomes $url.
start_server() {
  local name=$1 prefix=$2 line fd
  shift 2
  exec {fd}< <(exec "$@" 2>"$scratch/$name.log")
  servers+=($!)
  while IFS= read -r -t 120 -u "$fd" line; do
    case $line in
    "$prefix"*)
      url=${line##* }
      return
      ;;
    esac
  done
  cat "$scratch/$name.log" >&2
  fail "$name did not become ready"
}

# stop_server PID: asks it to stop and waits; a server that does not is killed.
stop_server() {
  local waits state
  kill -TERM "$1" 2>/dev/null || return 0
  for ((waits = 0; waits < 100; waits++)); do
    # Ended, or ended and not yet waited for by this shell.
    state=$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) || return 0
    [ "${state:0:1}" != Z ] || return 0
    sleep 0.1
  done
  kill -KILL "$1" 2>/dev/null || true
}
