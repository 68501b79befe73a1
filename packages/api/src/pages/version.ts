// What /version says: the Kubernetes level whose API is served, and which build of podless serves it.
// Ref: apimachinery/pkg/version/types.go

import type { JsonObject } from '@podless/apimachinery'
import packageJson from '../../package.json' with { type: 'json' }

/** The minor version of Kubernetes 1 whose behaviour this server follows. */
const MINOR = '36'

export function versionInfo(): JsonObject {
  return {
    major: '1',
    minor: MINOR,
    emulationMajor: '1',
    emulationMinor: MINOR,
    minCompatibilityMajor: '1',
    minCompatibilityMinor: String(Number(MINOR) - 1),
    gitVersion: `v1.${MINOR}.0+podless-${packageJson.version}`,
    gitCommit: '',
    gitTreeState: 'clean',
    buildDate: '1970-01-01T00:00:00Z',
    goVersion: `node${process.versions.node}`,
    compiler: 'v8',
    platform: `${process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`,
  }
}
