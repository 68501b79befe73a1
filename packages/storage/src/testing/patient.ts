// How long tests wait for a real etcd. Used by etcd-process.ts and by tests that open an engine over one.

export const READY_TIMEOUT_MS = 120_000

/** Options of openEtcd for tests of what etcd does: on a busy machine it may do it late. */
export const PATIENT = { connectTimeoutMs: READY_TIMEOUT_MS, callTimeoutMs: READY_TIMEOUT_MS }
