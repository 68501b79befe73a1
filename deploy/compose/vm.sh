#!/bin/sh
# Makes a container a demo VM: puts its bundle where Istio's agent looks, starts its app, and becomes the agent.
# Run by docker-compose.yml as `sh vm.sh BUNDLE APP...`, BUNDLE named as the VM, in the folder that stands for the VM's /.
set -eu
bundle=$1
shift
mkdir -p etc/istio/config etc/istio/proxy etc/certs var/run/secrets/tokens
cp "$bundle/mesh.yaml" etc/istio/config/mesh
cp "$bundle/root-cert.pem" etc/certs/root-cert.pem
cp "$bundle/istio-token" var/run/secrets/tokens/istio-token
# The agent renews its certificate by the one it has, which outlives the token; a bundle made since then starts anew.
[ etc/certs/cert-chain.pem -nt "$bundle/istio-token" ] || rm -f etc/certs/cert-chain.pem etc/certs/key.pem

set -a
. "$bundle/cluster.env"
POD_NAME=$(basename "$bundle")
# The label ties the WorkloadEntry to the VM of that name, for podless vm list.
ISTIO_METAJSON_LABELS="{\"podless.dev/vm\":\"$POD_NAME\",${ISTIO_METAJSON_LABELS#?}"
INSTANCE_IP=${INSTANCE_IP:-$(hostname -i | cut -d ' ' -f 1)}
HOST_IP=$INSTANCE_IP
PROV_CERT=./etc/certs
OUTPUT_CERTS=./etc/certs
# Nothing redirects traffic or DNS here: the app hands its requests to Envoy's HTTP proxy.
ISTIO_META_DNS_CAPTURE=false
ISTIO_META_HTTP_PROXY_PORT=15007
CLOUD_PLATFORM=none
set +a
# A VM without its app has ended too.
{ "$@" || true; kill $$; } &
exec pilot-agent proxy sidecar --concurrency 1 ${VM_AGENT_FLAGS:-}
