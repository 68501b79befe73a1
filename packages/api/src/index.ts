// The package's public face: start a server, and what its starter needs for it.
export { type ApiServer, type ApiServerOptions, startApiServer } from './api-server.ts'
export { ISTIOD_GROUP } from './auth/istiod-policy.ts'
export { type ServerConfig, serverConfigSchema } from './config.ts'
export { createLog, type Log, type LogLevel } from './log.ts'
