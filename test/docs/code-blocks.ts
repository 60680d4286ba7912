/** Programs in a page: its ```ts blocks, each at the line where it stands, so that the compiler's lines are the page's. */
export interface Program {
  readonly page: string
  /** 1-based line of the first fence. */
  readonly line: number
  readonly code: string
  /** The fence says `ts run`. */
  readonly runs: boolean
}

export interface Extracted {
  readonly programs: readonly Program[]
  /** Fences that would escape the check. */
  readonly flaws: readonly string[]
}

/** Stands on its own line before a block that goes on with the program of the block before. */
const CONTINUES = /^<!--\s*continues\s*-->$/
const FENCE = /^(`{3,}|~{3,})\s*([^`]*)$/
const OTHER_NAMES_OF_TS = /^(?:typescript|mts|js|javascript|mjs)\b/

export function extractPrograms(page: string, text: string): Extracted {
  const programs: Program[] = []
  const flaws: string[] = []
  const lines = text.split('\n')
  for (let index = 0; index < lines.length; index++) {
    const fence = FENCE.exec((lines[index] as string).trim())
    if (fence === null) continue
    const [, marks, info] = fence as unknown as [string, string, string]
    const end = closingFence(lines, index + 1, marks)
    const tag = info.trim()
    const continues = CONTINUES.test(lineBefore(lines, index))
    const place = `${page}:${index + 1}`
    if (OTHER_NAMES_OF_TS.test(tag)) flaws.push(`${place} is not checked: say \`\`\`ts`)
    if (/^ts\b/.test(tag)) {
      const previous = programs.at(-1)
      if (tag !== 'ts' && tag !== 'ts run') flaws.push(`${place}: a block is \`ts\` or \`ts run\`, not '${tag}'`)
      if (continues && previous === undefined) flaws.push(`${place} continues, but nothing comes before it`)
      const start = continues && previous !== undefined ? (programs.pop() as Program) : undefined
      const before = start?.code ?? ''
      // Blank lines up to the block keep every line at its number in the page.
      const gap = '\n'.repeat(index + 1 - (before.split('\n').length - 1))
      programs.push({
        page,
        line: start?.line ?? index + 1,
        code: `${before}${gap}${lines.slice(index + 1, end).join('\n')}\n`,
        runs: tag === 'ts run' || start?.runs === true,
      })
    }
    index = end
  }
  return { programs, flaws }
}

function closingFence(lines: readonly string[], from: number, marks: string): number {
  const at = lines.findIndex((line, index) => index >= from && line.trim() === marks)
  return at === -1 ? lines.length : at
}

function lineBefore(lines: readonly string[], index: number): string {
  const above = lines.slice(0, index).reverse()
  return (above.find((line) => line.trim() !== '') ?? '').trim()
}
