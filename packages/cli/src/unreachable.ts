// Why a server could not be asked, and what to do about it, by the code of the error. Called by server-client.ts.

const START = 'start it with podless up'
const RESOLVE = 'have this machine resolve the name, or give podless up another --advertise'
const ROUTE = 'check the address and the firewalls on the way'
const CLOCKS = "compare this machine's clock with the server's; a restart renews its certificate"
const OTHER_SERVER =
  'another server listens there, or its keys are new: use the kubeconfig that podless up wrote last'

const CURES: Readonly<Record<string, string>> = {
  ENOTFOUND: RESOLVE,
  EAI_AGAIN: RESOLVE,
  ETIMEDOUT: ROUTE,
  EHOSTUNREACH: ROUTE,
  ENETUNREACH: ROUTE,
  CERT_HAS_EXPIRED: CLOCKS,
  CERT_NOT_YET_VALID: CLOCKS,
  ERR_TLS_CERT_ALTNAME_INVALID: 'give podless up that name with --advertise',
  CERT_SIGNATURE_FAILURE: OTHER_SERVER,
  DEPTH_ZERO_SELF_SIGNED_CERT: OTHER_SERVER,
  SELF_SIGNED_CERT_IN_CHAIN: OTHER_SERVER,
  UNABLE_TO_GET_ISSUER_CERT: OTHER_SERVER,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: OTHER_SERVER,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: OTHER_SERVER,
  EPROTO: 'something else than podless listens there; check the address',
}

/** One line: the address, what went wrong, and the cure. */
export function unreachable(server: string, error: NodeJS.ErrnoException): string {
  // What OpenSSL says ends with places in its sources and a line break.
  const why = error.code === 'EPROTO' ? 'not TLS' : error.message
  return `no server answers at ${server} (${why}); ${CURES[error.code ?? ''] ?? START}`
}

/** The error of a server that takes a connection and then says nothing. */
export const silent = (ms: number): Error =>
  Object.assign(new Error(`nothing came back for ${ms / 1000} s`), { code: 'ETIMEDOUT' })
