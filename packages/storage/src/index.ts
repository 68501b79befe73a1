// The package's public face.
export type * from './backend.ts'
export type {
  CacheEvent,
  CacheEventType,
  CacheWatcher,
  InitialEventsEnd,
  Predicate,
  WatchEnd,
  WatchItem,
  WatchSink,
} from './cache-watcher.ts'
export { Cacher, type CacherOptions, type CacheWatchOptions, openCacher } from './cacher.ts'
export { type Compactor, type CompactorOptions, startCompactor } from './compactor.ts'
export * from './consistency.ts'
export { ContinueError, ContinueExpiredError } from './continue.ts'
export { inspectEmbedded, mustBeFree } from './data-folder.ts'
export { type EmbeddedOptions, openEmbedded } from './embedded.ts'
export { type CopiedStore, type CopyOptions, copyEmbedded } from './embedded-copy.ts'
export {
  type EncryptionKey,
  type EncryptionOptions,
  encrypting,
  type Reencrypted,
  reencrypt,
} from './encrypting.ts'
export * from './errors.ts'
export { type EtcdOptions, openEtcd } from './etcd.ts'
export type { HistoryLimits } from './history.ts'
export { tryLock } from './kernel-lock.ts'
export * from './keys.ts'
export type { StateView } from './state-view.ts'
export * from './storage.ts'
export * from './stored-object.ts'
export type { Every } from './timer.ts'
export type {
  CurrentState,
  RemoveOptions,
  TryUpdate,
  UpdateOptions,
  UpdateResult,
  UpdateStep,
} from './update.ts'
