// Work over many items, some at a time: all at once would hold the memory and the store for everybody else.
// Called by verbs/delete-collection.ts and controllers/namespace.ts.

/** Items under way at once: one batch of writes shares one sync of the disk, and 64 fill it. */
const BATCH_ITEMS = 64

/** Waits for each batch before the next begins. Throws what `work` throws, with the rest undone. */
export async function inBatches<T>(
  items: readonly T[],
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  for (let i = 0; i < items.length; i += BATCH_ITEMS)
    await Promise.all(items.slice(i, i + BATCH_ITEMS).map(work))
}
