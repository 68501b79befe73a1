#!/bin/sh
# Keeps this VM's credentials and its part of the mesh config fresh. systemd runs it every few minutes and before the
# agent starts; it asks the server only when half of the token's life is over.
# Usage: renew.sh [--force], in the folder that holds the VM's etc and var (/ on a VM).
set -eu
umask 077

state=./var/lib/podless
chain=./etc/certs/cert-chain.pem
seen=$state/renewed
. ./etc/podless/vm.env

claim() { # NAME: a number in the token's claims
  part=$(cut -d. -f2 <"$state/istio-token" | tr -- '-_' '+/')
  while [ $((${#part} % 4)) -ne 0 ]; do part=$part=; done
  claims=$(printf %s "$part" | base64 -d 2>/dev/null) || claims=
  value=${claims#*\""$1"\":}
  value=${value%%[!0-9]*}
  printf %s "${value:-0}"
}

# The timer, the agent's start and a person may come at once; two at a time would mix their files up.
lock() {
  exec 9>"$state/lock"
  flock -w 120 9 || {
    echo 'podless: another renewal of this VM has been running for two minutes; trying again later' >&2
    exit 75
  }
}

is_due() {
  [ -s "$state/istio-token" ] && [ -e "$seen" ] || return 0
  # The agent has a new certificate: the server keeps its end for the list of VMs.
  [ ! "$chain" -nt "$seen" ] || return 0
  now=$(date +%s) from=$(claim iat) to=$(claim exp)
  # A clock that went back must not hide that the token is old.
  [ "$now" -ge $(((from + to) / 2)) ] || [ "$now" -lt $((from - 300)) ]
}

ask() { # METHOD PATH FILE MODE [CURL ARGUMENT...]: replaces FILE by the answer
  method=$1 path=$2 file=$3 mode=$4 new=$state/new
  shift 4
  # The new file is written where only root writes, then moved: no other user can point it elsewhere.
  code=$(printf 'Authorization: Bearer %s\n' "$(cat "$state/credential")" |
    curl -sS --max-time 15 --cacert ./etc/podless/ca.crt -H @- -X "$method" \
      -o "$new" -w '%{http_code}' "$@" "$PODLESS_SERVER/podless/v1/$path") || {
    rm -f "$new"
    echo "podless: $PODLESS_SERVER cannot be reached; trying again later" >&2
    exit 75
  }
  case $code in
  200) ;;
  401 | 403 | 404)
    rm -f "$new"
    echo "podless: $PODLESS_SERVER no longer knows this VM; run there: podless vm renew $PODLESS_VM --namespace $PODLESS_NAMESPACE" >&2
    exit 77
    ;;
  *)
    echo "podless: $PODLESS_SERVER answered $code to $path: $(cat "$new")" >&2
    rm -f "$new"
    exit 75
    ;;
  esac
  if [ ! -s "$new" ]; then
    rm -f "$new"
    return 0
  fi
  chmod "$mode" "$new"
  if [ "$path" = renew/istio-token ] && [ "$(id -u)" = 0 ] && id istio-proxy >/dev/null 2>&1; then
    chown istio-proxy "$new"
  fi
  sync "$new" 2>/dev/null || sync
  mv -f "$new" "$file"
}

refresh() { # BUNDLE-FILE FILE: sets changed when it differs
  before=$(cksum <"$2" 2>/dev/null) || before=
  ask GET "bundle/$1" "$2" 644
  [ "$before" = "$(cksum <"$2")" ] || changed=yes
}

main() {
  force=no changed=no
  for option in "$@"; do
    case $option in
    --force) force=yes ;;
    *)
      echo "podless: unknown option $option" >&2
      exit 64
      ;;
    esac
  done
  lock
  [ "$force" = yes ] || is_due || exit 0
  ask POST renew/credential "$state/credential" 600
  if [ -r "$chain" ]; then
    ask POST renew/istio-token "$state/istio-token" 600 --data-binary "@$chain"
  else
    ask POST renew/istio-token "$state/istio-token" 600
  fi
  : >"$seen"
  ask GET bundle/ca.crt ./etc/podless/ca.crt 644
  # The agent writes root-cert.pem in /etc/certs too, so what the server says is kept apart to compare.
  refresh root-cert.pem ./etc/podless/root-cert.pem
  if [ "$changed" = yes ]; then
    cat ./etc/podless/root-cert.pem >"$state/new"
    chmod 644 "$state/new"
    mv -f "$state/new" ./etc/certs/root-cert.pem
    # Another root may not know who issued these; the agent gets others for its token, which is fresh.
    rm -f "$chain" ./etc/certs/key.pem
  fi
  refresh mesh.yaml ./etc/istio/config/mesh
  refresh cluster.env ./var/lib/istio/envoy/cluster.env
  if [ "$changed" = yes ] && [ "$(pwd -P)" = / ]; then
    systemctl try-restart --no-block podless-agent.service
  fi
}

main "$@"
