/**
 * Source text with comments, and strings where asked, replaced by spaces: what is left is code, at its old place.
 *
 * A scanner of some fifty lines instead of a parser, because the native compiler has no API for one, and because
 * all that tidy asks is "is this word code?".
 */
export interface BlankOptions {
  /** Keep what stands in quotes (import paths, error codes); comments go in any case. */
  readonly keepStrings?: boolean
}

export function blankText(text: string, { keepStrings = false }: BlankOptions = {}): string {
  let result = ''
  let index = 0
  /** One entry per open `${`: how many braces are open inside it. */
  const templates: number[] = []

  const take = (end: number, keep: boolean): void => {
    const part = text.slice(index, end)
    result += keep ? part : part.replace(/[^\n]/g, ' ')
    index = end
  }
  const takeTemplate = (): void => {
    const end = templateEnd(text, index + 1)
    take(end, keepStrings)
    if (text.startsWith('${', end - 2)) templates.push(0)
  }

  while (index < text.length) {
    const char = text[index] as string
    const two = text.slice(index, index + 2)
    const depth = templates.at(-1)
    if (two === '//') take(endOf(text, '\n', index), false)
    else if (two === '/*') take(endOf(text, '*/', index + 2) + 2, false)
    else if (char === "'" || char === '"') take(quoteEnd(text, index + 1, char), keepStrings)
    else if (char === '`') takeTemplate()
    else if (char === '}' && depth === 0) {
      templates.pop()
      takeTemplate()
    } else if (char === '/' && startsRegex(result)) take(regexEnd(text, index + 1), false)
    else {
      if (depth !== undefined && char === '{') templates[templates.length - 1] = depth + 1
      if (depth !== undefined && char === '}') templates[templates.length - 1] = depth - 1
      take(index + 1, true)
    }
  }
  return result
}

function endOf(text: string, mark: string, from: number): number {
  const at = text.indexOf(mark, from)
  return at === -1 ? text.length : at
}

/** Past the closing quote; a quote that never closes ends with its line, so that one slip cannot hide a file. */
function quoteEnd(text: string, from: number, quote: string): number {
  for (let at = from; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === quote) return at + 1
    else if (text[at] === '\n') return at
  }
  return text.length
}

/** Past the closing backtick, or past the `${` that opens an expression. */
function templateEnd(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '`') return at + 1
    else if (text.startsWith('${', at)) return at + 2
  }
  return text.length
}

function regexEnd(text: string, from: number): number {
  let inClass = false
  for (let at = from; at < text.length && text[at] !== '\n'; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '[') inClass = true
    else if (text[at] === ']') inClass = false
    else if (text[at] === '/' && !inClass) return at + 1
  }
  return from
}

/** A slash after an operator, an opening bracket or a keyword starts a pattern; after a value it divides. */
function startsRegex(before: string): boolean {
  return /(?:^|[(,=:[!&|?{};+\-*%<>~^\n]|\b(?:return|typeof|case|in|of|void))\s*$/.test(before.slice(-80))
}
