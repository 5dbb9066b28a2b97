#!/usr/bin/env bash
# Names the Debian packages that the tests and the demo need and that are missing, and installs them after a question.
#
#   scripts/packages.sh            ask on a terminal; without one, with CI or with YES=1, go on without a question
#   scripts/packages.sh --missing  print the missing ones and change nothing
#
# No daemon is started and none that runs is touched: for the time of the installation policy-rc.d forbids it, and
# postgresql-common is told to create no cluster. Both files are put back as they were, after Ctrl-C too; what a run
# that was killed with -9 left behind is put back by the next one.
set -euo pipefail

root=${KEYTURN_SETUP_ROOT:-} # an empty prefix outside this script's own tests
policy=$root/usr/sbin/policy-rc.d
cluster=$root/etc/postgresql-common/createcluster.conf
mark='# keyturn: for the time of one apt-get, put back afterwards'

say() { printf 'keyturn: %s\n' "$*" >&2; }

on_path() {
  command -v "$1" >/dev/null 2>&1 || [ -x "$root/usr/sbin/$1" ] || [ -x "$root/sbin/$1" ]
}

has_postgresql() {
  local found
  if command -v initdb >/dev/null 2>&1; then return 0; fi
  for found in "$root"/usr/lib/postgresql/*/bin/initdb; do
    [ -x "$found" ] && return 0
  done
  return 1
}

missing() {
  has_postgresql || echo postgresql
  on_path git || echo git
  on_path ip || echo iproute2
  on_path unshare || echo util-linux
  on_path pgbouncer || echo pgbouncer
  on_path redis-server || echo redis-server
  on_path nginx || echo nginx
  on_path strace || echo strace
  KEYTURN_PYTHON_QUIET=1 "$(dirname "$0")/python.sh" >/dev/null || echo python3-venv
}

# The file as it was stands beside it as FILE.keyturn-saved, or FILE.keyturn-absent says that there was none.
put_back() {
  local file=$1
  if [ -e "$file.keyturn-saved" ] || [ -L "$file.keyturn-saved" ]; then
    if grep -qsF "$mark" "$file"; then mv -f "$file.keyturn-saved" "$file"; else rm -f "$file.keyturn-saved"; fi
  elif [ -e "$file.keyturn-absent" ]; then
    if grep -qsF "$mark" "$file"; then rm -f "$file"; fi
    rm -f "$file.keyturn-absent"
  fi
  rm -f "$file.keyturn-new" "$file.keyturn-saving"
}

# stand_in FILE MODE < CONTENT
stand_in() {
  local file=$1 mode=$2
  mkdir -p "$(dirname "$file")"
  cat >"$file.keyturn-new"
  chmod "$mode" "$file.keyturn-new"
  if [ -e "$file" ] || [ -L "$file" ]; then
    cp -a "$file" "$file.keyturn-saving" && mv -f "$file.keyturn-saving" "$file.keyturn-saved"
  else
    : >"$file.keyturn-absent"
  fi
  mv -f "$file.keyturn-new" "$file"
}

restore() {
  put_back "$cluster"
  put_back "$policy" # last: killed in between, nothing may start
}

lock() {
  exec 9<"$root/usr/sbin" # one installation at a time; a child that outlives a killed run keeps the lock
  flock -n 9 || { say "waiting for another installation"; flock 9; }
}

# A package that was unpacked is configured while what protects the machine still stands.
repair() {
  compgen -G "$policy.keyturn-*" >/dev/null || compgen -G "$cluster.keyturn-*" >/dev/null || return 0
  lock
  say "putting right what a killed run left behind"
  if grep -qsF "$mark" "$policy"; then
    quietly dpkg --force-confdef --force-confold --configure -a </dev/null >&2 || say "dpkg --configure -a failed"
  fi
  restore
}

quietly() {
  DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true APT_LISTCHANGES_FRONTEND=none \
    NEEDRESTART_SUSPEND=1 UCF_FORCE_CONFFOLD=1 "$@"
}

forbid_cluster() {
  { [ ! -e "$cluster" ] || cat "$cluster"; printf '\n%s\ncreate_main_cluster = false\n' "$mark"; } | stand_in "$cluster" 644
}

apt() {
  quietly apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
    "$@" </dev/null >&2
}

install_packages() {
  lock
  trap restore EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  restore
  printf '#!/bin/sh\n%s\nexit 101\n' "$mark" | stand_in "$policy" 755
  apt update || say "apt-get update failed: going on with the lists that are there"
  case " $* " in
    *" postgresql "*)
      if ! [ -e "$cluster" ]; then apt install --no-install-recommends --no-upgrade postgresql-common; fi
      forbid_cluster
      ;;
  esac
  apt install --no-install-recommends --no-upgrade "$@"
  case " $* " in *" pgbouncer "*) not_at_boot pgbouncer.service ;; esac
  case " $* " in *" redis-server "*) not_at_boot redis-server.service ;; esac
  case " $* " in *" nginx "*) not_at_boot nginx.service ;; esac
}

# Debian's package would have it started at the next boot.
not_at_boot() {
  command -v systemctl >/dev/null 2>&1 || return 0
  systemctl --quiet --root="$root/" disable "$1" >&2 || say "$1 may start at the next boot: systemctl disable $1"
}

agreed() {
  if [ "${YES:-}" = 1 ] || [ -n "${CI:-}" ] || ! [ -t 0 ]; then return 0; fi
  local answer
  read -r -p "Install $* with apt-get? [Y/n] " answer || return 1
  case $answer in '' | [Yy] | [Yy][Ee][Ss]) return 0 ;; *) return 1 ;; esac
}

main() {
  local wanted
  mapfile -t wanted < <(missing)
  if [ "${1:-}" = --missing ]; then
    [ "${#wanted[@]}" -eq 0 ] || printf '%s\n' "${wanted[@]}"
    return 0
  fi
  [ "$(id -u)" -ne 0 ] || (repair)
  [ "${#wanted[@]}" -gt 0 ] || return 0
  say "missing Debian packages: ${wanted[*]}"
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    say "not root on Debian, so nothing is installed here: apt-get install ${wanted[*]}"
    return 0
  fi
  agreed "${wanted[@]}" || { say "going on without them"; return 0; }
  local status=0
  set +e # not `|| status=$?`: that would switch off -e inside
  (set -e && install_packages "${wanted[@]}")
  status=$?
  set -e
  [ "$status" -lt 128 ] || exit "$status"
  mapfile -t wanted < <(missing)
  [ "${#wanted[@]}" -eq 0 ] || say "still missing: ${wanted[*]}"
}

main "$@"
