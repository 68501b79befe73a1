#!/bin/sh
# The command podless inside the image. Installed there by the Dockerfile.
exec node --disable-warning=ExperimentalWarning --disable-warning=DEP0123 --no-memory-reducer --max-semi-space-size=16 --v8-pool-size=2 \
  /usr/lib/podless/packages/cli/dist/main.js "$@"
