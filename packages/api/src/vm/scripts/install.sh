#!/bin/sh
# Makes this machine a VM of the mesh: writes its files, then starts the agent and the renewer.
# Options: --prefix DIR writes below DIR and starts nothing; --no-start writes and starts nothing.
set -eu
umask 022

fail() {
  printf 'podless: %s\n' "$*" >&2
  exit 1
}

put() { # PATH MODE: base64 on standard input
  mkdir -p "$root/${1%/*}"
  (umask 077 && base64 -d >"$root/$1.new")
  chmod "$2" "$root/$1.new"
  mv -f "$root/$1.new" "$root/$1"
}

files() {
  : FILES
}

add_hosts() {
  while read -r address name rest; do
    [ -n "${name:-}" ] || continue
    {
      grep -v "[[:space:]]$name\([[:space:]]\|\$\)" "$root/etc/hosts" 2>/dev/null || :
      printf '%s %s\n' "$address" "$name"
    } >"$root/etc/hosts.podless"
    # Not moved: in containers the file is a mount.
    cat "$root/etc/hosts.podless" >"$root/etc/hosts"
    rm -f "$root/etc/hosts.podless"
  done <"$root/etc/podless/hosts"
}

add_user() {
  id istio-proxy >/dev/null 2>&1 ||
    useradd --system --uid 1337 --user-group --no-create-home --shell /usr/sbin/nologin istio-proxy ||
    fail 'the user istio-proxy (uid 1337) cannot be made; add it and run the line again'
}

main() {
  root='' start=yes
  while [ $# -gt 0 ]; do
    case $1 in
    --prefix)
      [ $# -gt 1 ] || fail '--prefix needs a folder'
      root=${2%/} start=no
      shift
      ;;
    --no-start) start=no ;;
    *) fail "unknown option $1; there are --prefix DIR and --no-start" ;;
    esac
    shift
  done
  for tool in curl base64 cut tr date flock; do
    command -v "$tool" >/dev/null 2>&1 || fail "$tool is missing; install it, then run another line: podless vm renew prints it"
  done
  if [ -z "$root" ] && [ "$(id -u)" != 0 ]; then
    fail 'only root can install this; podless vm renew prints another line to run as root'
  fi
  mkdir -p "$root/etc/istio/proxy" "$root/var/log/istio" "$root/var/lib/podless"
  # A renewal on its way would put what it got with an older credential over the new files.
  exec 9>"$root/var/lib/podless/lock"
  flock -w 120 9 || fail 'a renewal of this VM has been running for two minutes; podless vm renew prints another line to try again with'
  files
  # What another istiod issued would be shown instead of the new token, and refused.
  rm -f "$root/etc/certs/cert-chain.pem" "$root/etc/certs/key.pem"
  exec 9>&-
  chmod 711 "$root/var/lib/podless"
  add_hosts
  if [ -n "$root" ]; then
    printf 'podless: wrote the files of this VM below %s\n' "$root"
    return
  fi
  add_user
  chown -R istio-proxy /etc/istio/proxy /etc/certs /var/log/istio
  chown istio-proxy /var/lib/podless/istio-token
  [ "$start" = yes ] || return 0
  command -v systemctl >/dev/null 2>&1 ||
    fail 'there is no systemd here; run /var/lib/podless/renew.sh every few minutes and /var/lib/podless/agent.sh run as the agent'
  systemctl daemon-reload
  systemctl enable --quiet --now podless-renew.timer
  systemctl enable --quiet podless-agent.service
  if command -v pilot-agent >/dev/null 2>&1 || [ -x /usr/local/bin/pilot-agent ]; then
    systemctl restart podless-agent.service
    printf 'podless: this VM has joined; systemctl status podless-agent shows its agent\n'
  else
    printf 'podless: files are in place; install istio-sidecar, then run systemctl start podless-agent\n'
  fi
}

main "$@"
