// The package's public face: start a server, and what its starter needs for it.
export { type ApiServer, type ApiServerOptions, startApiServer } from './api-server.ts'
export { type AuditFile, openAuditFile } from './audit/audit-file.ts'
export { type AuditPolicy, DEFAULT_AUDIT_POLICY } from './audit/audit-policy.ts'
export type { AuthenticationConfiguration } from './auth/authentication-config.ts'
export { ISTIOD_GROUP } from './auth/istiod-policy.ts'
export { JwtAuthenticators } from './auth/jwt-authenticators.ts'
export { readRules as rulesOf, ruleAllows } from './auth/policy-rule.ts'
export { type ServerConfig, serverConfigSchema } from './config.ts'
export { createLog, type Log, type LogLevel } from './log.ts'
export type { TlsMaterial } from './serving/server.ts'
export { createJoinToken, joinSecretName } from './vm/join-token.ts'
export {
  JOIN_TOKEN_SECRET_TYPE,
  VM,
  VM_LABEL,
  VM_SECRET_TYPE,
  type VmRecord,
  vmRecord,
  vmSecret,
  vmSecretName,
} from './vm/vm-record.ts'
