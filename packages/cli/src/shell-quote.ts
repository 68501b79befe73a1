// Text as one word of a POSIX shell. Used where commands print lines that are pasted or evaluated.

/** In single quotes, whatever it holds. */
export function quoteForShell(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
