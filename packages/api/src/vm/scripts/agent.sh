#!/bin/sh
# Runs the Istio agent of this VM, in the folder that holds its etc and var (/ on a VM).
# Usage: agent.sh prepare|clean (as root), agent.sh run (as istio-proxy). /etc/podless/agent.env may set more variables.
set -eu

set -a
. ./var/lib/istio/envoy/cluster.env
[ ! -r ./etc/podless/agent.env ] || . ./etc/podless/agent.env
set +a
. ./etc/podless/vm.env
agent=$(command -v pilot-agent) || agent=/usr/local/bin/pilot-agent

capture() {
  [ "${ISTIO_CUSTOM_IP_TABLES:-false}" = true ] || "$agent" istio-iptables "$@"
}

prepare() {
  root=$(pwd -P)
  uds=./var/run/secrets/workload-spiffe-uds
  # /var/run is gone after a reboot, the token is not.
  mkdir -p ./var/run/secrets/tokens "$uds" ./etc/istio/proxy
  # The agent, which is not root, makes the socket in it where Envoy asks for certificates.
  [ "$(id -u)" != 0 ] || ! id istio-proxy >/dev/null 2>&1 || chown istio-proxy "$uds"
  ln -sfn "${root%/}/var/lib/podless/istio-token" ./var/run/secrets/tokens/istio-token
}

run() {
  [ -n "${ISTIO_SVC_IP:-}" ] || ISTIO_SVC_IP=$(hostname -I | cut -d' ' -f1)
  INSTANCE_IP=$ISTIO_SVC_IP
  HOST_IP=${HOST_IP:-$INSTANCE_IP}
  POD_NAME=${POD_NAME:-$PODLESS_VM}
  POD_NAMESPACE=$ISTIO_NAMESPACE
  PROV_CERT=${PROV_CERT-./etc/certs}
  OUTPUT_CERTS=${OUTPUT_CERTS-./etc/certs}
  # The label ties the WorkloadEntry to this VM, for podless vm list.
  ISTIO_METAJSON_LABELS="{\"podless.dev/vm\":\"$PODLESS_VM\",${ISTIO_METAJSON_LABELS#?}"
  export INSTANCE_IP HOST_IP POD_NAME POD_NAMESPACE PROV_CERT OUTPUT_CERTS ISTIO_METAJSON_LABELS
  # shellcheck disable=SC2086
  exec "$agent" proxy sidecar ${ISTIO_AGENT_FLAGS:-}
}

case ${1:-} in
prepare)
  prepare
  capture --cleanup-only
  capture
  ;;
clean) capture --cleanup-only ;;
run) run ;;
*)
  echo 'podless: agent.sh prepare, run or clean' >&2
  exit 64
  ;;
esac
