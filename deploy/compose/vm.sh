#!/bin/sh
# Makes a container of istio/proxyv2 a demo VM: puts its bundle where Istio's agent looks, and becomes the agent.
# Run by docker-compose.yml as `sh vm.sh BUNDLE`. Paths are below the working folder, which is / in a container.
set -eu
bundle=$1
mkdir -p etc/istio/config etc/istio/proxy etc/certs var/run/secrets/istio var/run/secrets/tokens
cp "$bundle/mesh.yaml" etc/istio/config/mesh
cp "$bundle/root-cert.pem" var/run/secrets/istio/root-cert.pem
cp "$bundle/istio-token" var/run/secrets/tokens/istio-token

set -a
. "$bundle/cluster.env"
POD_NAME=$(hostname)
INSTANCE_IP=${INSTANCE_IP:-$(hostname -i | cut -d ' ' -f 1)}
HOST_IP=$INSTANCE_IP
PROV_CERT=
OUTPUT_CERTS=./etc/certs
# Nothing redirects traffic or DNS here: the app hands its requests to Envoy's HTTP proxy.
ISTIO_META_DNS_CAPTURE=false
ISTIO_META_HTTP_PROXY_PORT=15007
CLOUD_PLATFORM=none
set +a
exec pilot-agent proxy sidecar --concurrency 1 ${VM_AGENT_FLAGS:-}
